package inbound

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/mailstore"
)

// Tunnel stands for the tunnel between edge and host: it carries TCP connections to one address, until it
// is cut or stalled.
type Tunnel struct {
	Address string // host:port, the same after a cut

	t  testing.TB
	to string

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
	stall sync.RWMutex // held by who stalls it
}

// StartTunnel carries connections to an address until the test ends.
func StartTunnel(t testing.TB, to string) *Tunnel {
	t.Helper()
	tun := &Tunnel{Address: mailstore.FreeAddress(t), t: t, to: to, conns: map[net.Conn]bool{}}
	tun.Mend()
	t.Cleanup(tun.Cut)
	return tun
}

// Mend lets connections through again.
func (tun *Tunnel) Mend() {
	tun.t.Helper()
	ln, err := net.Listen("tcp", tun.Address)
	if err != nil {
		tun.t.Fatal(err)
	}
	tun.mu.Lock()
	tun.ln = ln
	tun.mu.Unlock()
	go tun.accept(ln)
}

// Cut breaks every connection and takes no new ones.
func (tun *Tunnel) Cut() {
	tun.mu.Lock()
	defer tun.mu.Unlock()
	tun.ln.Close()
	for c := range tun.conns {
		c.Close()
	}
	clear(tun.conns)
}

// Stall lets nothing pass for a while, and breaks nothing.
func (tun *Tunnel) Stall(d time.Duration) {
	tun.stall.Lock()
	defer tun.stall.Unlock()
	time.Sleep(d)
}

func (tun *Tunnel) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go tun.carry(c)
	}
}

func (tun *Tunnel) carry(client net.Conn) {
	server, err := net.Dial("tcp", tun.to)
	if err != nil {
		client.Close()
		return
	}
	tun.mu.Lock()
	tun.conns[client], tun.conns[server] = true, true
	tun.mu.Unlock()
	go tun.pump(client, server)
	tun.pump(server, client)
}

func (tun *Tunnel) pump(from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		tun.stall.RLock()
		if n > 0 && err == nil {
			_, err = to.Write(buf[:n])
		}
		tun.stall.RUnlock()
		if err != nil {
			break
		}
	}
	from.Close()
	to.Close()
	tun.mu.Lock()
	delete(tun.conns, from)
	delete(tun.conns, to)
	tun.mu.Unlock()
}
