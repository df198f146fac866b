package challenge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Servers asks the name servers of a zone themselves: what a resolver on the way remembers, or says otherwise inside a
// house, is not what the authority will see.
type Servers struct {
	// Texts are the TXT records of a name, asked of one server; nil asks at port 53.
	Texts func(ctx context.Context, server, name string) ([]string, error)
	// Patience is how long a record may take to show.
	Patience time.Duration
	// Silence is when to go on without having seen anything, because no server can be asked from here at all.
	Silence time.Duration
	// Pause is between two looks.
	Pause time.Duration
}

// Show ends when all servers that answer show the text. To let the authority look sooner would count as a failure there.
// Silent says that none answered at all.
func (s Servers) Show(ctx context.Context, servers []string, name, text string) (silent bool, err error) {
	start := time.Now()
	for {
		answered, lacking := s.look(ctx, servers, name, text)
		switch {
		case answered > 0 && len(lacking) == 0:
			return false, nil
		case answered == 0 && time.Since(start) >= s.Silence:
			return true, nil
		case time.Since(start) >= s.Patience:
			return false, fmt.Errorf("after %s the name servers %s do not show %s", s.Patience, strings.Join(lacking, ", "), name)
		}
		if err := Sleep(ctx, s.Pause); err != nil {
			return false, err
		}
	}
}

func (s Servers) look(ctx context.Context, servers []string, name, text string) (answered int, lacking []string) {
	texts := s.Texts
	if texts == nil {
		texts = ask
	}
	for _, server := range servers {
		found, err := texts(ctx, server, name)
		var e *net.DNSError
		if err != nil && (!errors.As(err, &e) || !e.IsNotFound) {
			continue
		}
		answered++
		if !slices.Contains(found, text) {
			lacking = append(lacking, server)
		}
	}
	return answered, lacking
}

// asking is how long one server may take.
const asking = 5 * time.Second

func ask(ctx context.Context, server, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("find the name server: %v", err) // not wrapped: it is not the record that is not found
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		var d net.Dialer
		for _, a := range addresses { // of both families, and this host may have one only
			if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a, "53")); err == nil {
				break
			}
		}
		return conn, err
	}}
	return r.LookupTXT(ctx, name+".")
}
