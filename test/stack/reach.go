package stack

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Reach is a TCP port of a service that another service can open. From "outside" it is one of the
// host's addresses that the port was found on.
type Reach struct {
	From, To string
	Port     int
}

// String is one line of a matrix: who reaches what.
func (r Reach) String() string { return fmt.Sprintf("%s -> %s:%d", r.From, r.To, r.Port) }

// container is a running service as the network sees it.
type container struct {
	service   string
	pid       int
	addresses []string
	ports     []int // open on another address than loopback
}

// dialTime is long for a network of one machine; what a firewall drops takes all of it.
const dialTime = 100 * time.Millisecond

// Matrix tries every open port of every service from inside every other and returns what answers,
// sorted.
func (p *Project) Matrix() ([]Reach, error) {
	all, err := p.containers()
	if err != nil {
		return nil, err
	}
	return fromEach(all, func(from container) ([]Reach, error) { return from.tries(all, opens) })
}

// fromEach has something tried from every container at once, and sorts what was found. Each has a thread of its own in the
// container's network, which is of no use for anything else and yet must not end: programs that it started for others,
// such as a browser, would end with it (PR_SET_PDEATHSIG).
func fromEach(all []container, try func(container) ([]Reach, error)) (found []Reach, failed error) {
	type answer struct {
		reached []Reach
		err     error
	}
	answers := make(chan answer)
	for _, from := range all {
		go func() {
			runtime.LockOSThread()
			reached, err := try(from)
			answers <- answer{reached, err}
			select {}
		}()
	}
	for range all {
		a := <-answers
		found, failed = append(found, a.reached...), cmp.Or(failed, a.err)
	}
	slices.SortFunc(found, func(a, b Reach) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), a.Port-b.Port)
	})
	return slices.Compact(found), failed
}

// tries goes through the ports of the others from inside the container's network, into which it takes the thread.
func (c container) tries(others []container, try func(address string, port int) bool) ([]Reach, error) {
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", c.pid))
	if err != nil {
		return nil, err
	}
	defer network.Close()
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter the network of %s: %w", c.service, err)
	}
	var found []Reach
	for _, other := range others {
		if other.service == c.service {
			continue
		}
		for _, port := range other.ports {
			if slices.ContainsFunc(other.addresses, func(a string) bool { return try(a, port) }) {
				found = append(found, Reach{c.service, other.service, port})
			}
		}
	}
	return found, nil
}

func opens(address string, port int) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(port)), dialTime)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// Open returns the TCP ports of a host's address that are open, of all there are.
func Open(address string) []int {
	var open []int
	for port := 1; port < 1<<16; port++ {
		if opens(address, port) {
			open = append(open, port)
		}
	}
	return open
}

// Listening returns the addresses and ports of TCP that this machine listens on, loopback left out: what any network
// that reaches it could open. They are as ADDRESS:PORT, sorted.
func Listening() ([]string, error) {
	var all []string
	for _, table := range []string{"tcp", "tcp6"} {
		sockets, err := sockets(fmt.Sprintf("/proc/%d/net/%s", os.Getpid(), table))
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			if !s.Addr().IsLoopback() {
				all = append(all, s.String())
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// containers asks Docker for the project's services, and the kernel for their ports.
func (p *Project) containers() ([]container, error) {
	ids, err := p.Compose("ps", "--quiet")
	if err != nil {
		return nil, err
	}
	text, err := p.docker.Try("", append([]string{"inspect"}, strings.Fields(ids)...)...)
	if err != nil {
		return nil, err
	}
	var inspected []struct {
		Config          struct{ Labels map[string]string }
		State           struct{ Pid int }
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := json.Unmarshal([]byte(text), &inspected); err != nil {
		return nil, err
	}
	var all []container
	for _, i := range inspected {
		c := container{service: i.Config.Labels["com.docker.compose.service"], pid: i.State.Pid}
		for _, n := range i.NetworkSettings.Networks {
			c.addresses = append(c.addresses, n.IPAddress)
		}
		if c.ports, err = listening(c.pid); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// listening reads the ports that a process's network has open, loopback left out.
func listening(pid int) ([]int, error) {
	var ports []int
	for _, table := range []string{"tcp", "tcp6"} {
		sockets, err := sockets(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			if !s.Addr().IsLoopback() {
				ports = append(ports, int(s.Port()))
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// sockets reads the listening sockets of a table of the kernel's, which writes addresses as words of 32 bits in its own
// byte order.
func sockets(table string) ([]netip.AddrPort, error) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" {
			continue // a heading, or a connection
		}
		host, port, _ := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(host)
		if err != nil {
			return nil, err
		}
		for i := 0; i+4 <= len(raw); i += 4 {
			slices.Reverse(raw[i : i+4])
		}
		address, ok := netip.AddrFromSlice(raw)
		number, err := strconv.ParseUint(port, 16, 16)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s: %q", table, line)
		}
		all = append(all, netip.AddrPortFrom(address.Unmap(), uint16(number)))
	}
	return all, nil
}
