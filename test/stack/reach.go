package stack

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	var mu sync.Mutex
	var found []Reach
	var failed error
	var wait sync.WaitGroup
	for _, from := range all {
		wait.Go(func() {
			reached, err := from.tries(all)
			mu.Lock()
			defer mu.Unlock()
			found, failed = append(found, reached...), cmp.Or(failed, err)
		})
	}
	wait.Wait()
	slices.SortFunc(found, func(a, b Reach) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), a.Port-b.Port)
	})
	return slices.Compact(found), failed
}

// tries opens the ports of the others from inside the container's network.
func (c container) tries(others []container) ([]Reach, error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and its network with it
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
			if slices.ContainsFunc(other.addresses, func(a string) bool { return opens(a, port) }) {
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
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			return nil, err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 4 || fields[3] != "0A" || strings.HasSuffix(strings.Split(fields[1], ":")[0], "7F") {
				continue // a heading, a connection, or a loopback's 127 in the kernel's byte order
			}
			_, port, _ := strings.Cut(fields[1], ":")
			number, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				return nil, err
			}
			ports = append(ports, int(number))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}
