package socket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// pair is both ends of a connection by TCP or by a Unix socket, the first of them quick.
func pair(t *testing.T, network string) (quick *Conn, plain net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if plain, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	c, err := Listener{ln}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); plain.Close() })
	return c.(*Conn), plain
}

// TestEveryByteArrives sends more than a socket holds, both ways at once, with a reader that is slow.
func TestEveryByteArrives(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		quick, plain := pair(t, network)
		there, back := make([]byte, 9<<20), make([]byte, 9<<20)
		rand.Read(there)
		rand.Read(back)
		go func() {
			quick.Write(there[:5])
			parts := net.Buffers{nil, there[5:7], there[7 : 1<<20]}
			for at := 1 << 20; at < 8<<20; at += 1 << 19 { // more of them than one call takes
				parts = append(parts, there[at:at+1<<19])
			}
			WriteBuffers(quick, &parts)
			quick.Write(there[8<<20:])
			quick.CloseWrite()
		}()
		go func() { plain.Write(back); plain.(interface{ CloseWrite() error }).CloseWrite() }()
		came := make(chan []byte)
		go func() { b, _ := io.ReadAll(quick); came <- b }()
		time.Sleep(20 * time.Millisecond)
		if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, there) {
			t.Errorf("%s: %d of %d bytes arrived: %v", network, len(got), len(there), err)
		}
		if got := <-came; !bytes.Equal(got, back) {
			t.Errorf("%s: %d of %d bytes came back", network, len(got), len(back))
		}
	}
}

// TestErrorsAreTheNetPackagesOwn compares with a plain connection what a reader and a writer are told.
func TestErrorsAreTheNetPackagesOwn(t *testing.T) {
	b := make([]byte, 1<<20)
	fill := func(c net.Conn) (err error) {
		for err == nil {
			_, err = c.Write(b)
		}
		return err
	}
	read := func(c net.Conn) error { _, err := c.Read(b); return err }
	for name, end := range map[string]func(c, other net.Conn) error{
		"read after the deadline": func(c, _ net.Conn) error { c.SetDeadline(time.Now().Add(5 * time.Millisecond)); return read(c) },
		"write after the deadline": func(c, _ net.Conn) error {
			c.SetDeadline(time.Now().Add(5 * time.Millisecond))
			return fill(c)
		},
		"read what is closed":  func(c, _ net.Conn) error { c.Close(); return read(c) },
		"write what is closed": func(c, _ net.Conn) error { c.Close(); return fill(c) },
		"close while reading":  func(c, _ net.Conn) error { time.AfterFunc(5*time.Millisecond, func() { c.Close() }); return read(c) },
		"read after the end":   func(c, other net.Conn) error { other.Close(); return read(c) },
		"read after a reset": func(c, other net.Conn) error {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
			return read(c)
		},
	} {
		quick, other := pair(t, "tcp")
		got := end(quick, other)
		quick, other = pair(t, "tcp")
		want := end(quick.Conn, other)
		if kind(got) != kind(want) {
			t.Errorf("%s: %v, and the net package says %v", name, got, want)
		}
	}
}

// kind is what callers tell errors apart by.
func kind(err error) (k struct {
	end, closed, late, reset bool
	op                       string
}) {
	k.end, k.closed, k.late = err == io.EOF, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded)
	k.reset = errors.Is(err, syscall.ECONNRESET)
	if told, ok := err.(*net.OpError); ok {
		k.op = told.Op
	}
	return k
}

func TestQuiet(t *testing.T) {
	quick, other := pair(t, "tcp")
	if !quick.Quiet() {
		t.Error("an idle connection is not quiet")
	}
	io.WriteString(other, "421 bye\r\n")
	for quick.Quiet() {
		time.Sleep(time.Millisecond)
	}
	b := make([]byte, 100)
	if n, err := quick.Read(b); string(b[:n]) != "421 bye\r\n" || err != nil {
		t.Errorf("what came is %q, %v", b[:n], err)
	}
	other.Close()
	for quick.Quiet() {
		time.Sleep(time.Millisecond)
	}
}

// TestWakeAt has a reader sleep through what is too little, but not through enough, the deadline or the end.
func TestWakeAt(t *testing.T) {
	quick, other := pair(t, "tcp")
	quick.WakeAt(10)
	b := make([]byte, 100)
	send := func(parts ...string) {
		for _, part := range parts {
			time.Sleep(30 * time.Millisecond) // the reader sleeps by now
			io.WriteString(other, part)
		}
	}
	go send("12345", "67890")
	quick.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := quick.Read(b); n != 10 {
		t.Errorf("woken with %d bytes, %v", n, err)
	}
	go send("12345")
	quick.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := quick.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
	quick.SetReadDeadline(time.Now().Add(10 * time.Second))
	quick.WakeAt(1)
	if n, err := quick.Read(b); n != 5 {
		t.Errorf("%d bytes, %v", n, err)
	}
	quick.WakeAt(10)
	time.AfterFunc(30*time.Millisecond, func() { other.Close() })
	if _, err := quick.Read(b); err != io.EOF {
		t.Errorf("the end is %v", err)
	}
}

// TestWithoutSocket leaves alone what has none.
func TestWithoutSocket(t *testing.T) {
	a, b := net.Pipe()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
	parts := net.Buffers{[]byte("one"), []byte("two")}
	go func() { WriteBuffers(a, &parts); a.Close() }()
	if got, err := io.ReadAll(b); string(got) != "onetwo" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
