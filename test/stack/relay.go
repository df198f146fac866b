package stack

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Relays tries from inside every service to have Postfix take a message for an outside recipient without a sign-in, at
// each of its ports, and returns where it would, sorted.
func (p *Project) Relays(recipient string) ([]Reach, error) {
	all, err := p.containers()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(c container) bool { return c.service == "postfix" })
	postfix := []container{all[i]}
	return fromEach(all, func(from container) ([]Reach, error) {
		return from.tries(postfix, func(address string, port int) bool { return takes(address, port, recipient) })
	})
}

// takes says whether a server takes a recipient from a stranger; one that speaks TLS first does not.
func takes(address string, port int, recipient string) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(port)), dialTime)
	if err != nil {
		return false
	}
	defer conn.Close()
	client := smtp.NewClient(conn)
	client.CommandTimeout = 3 * time.Second
	return client.Hello("stranger.example") == nil && client.Mail("alice@"+recipient[strings.IndexByte(recipient, '@')+1:], nil) == nil && client.Rcpt(recipient, nil) == nil
}
