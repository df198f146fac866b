package relay

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/mailstore"
)

// TestOnlyTheEnvelopeRefusesAMessage has smarthosts say 5xx to us, which must not become a bounce, and to a recipient.
func TestOnlyTheEnvelopeRefusesAMessage(t *testing.T) {
	talk := func(command, reply string) string {
		return mailstore.Talk(t, func(line string) (string, bool) {
			switch {
			case strings.HasPrefix(line, command):
				return reply, true
			case strings.HasPrefix(line, "EHLO"):
				return "250-x\r\n250 AUTH PLAIN\r\n", true
			case strings.HasPrefix(line, "AUTH"):
				return "235 2.7.0 welcome\r\n", true
			}
			return "250 2.0.0 ok\r\n", true
		})
	}
	closed := mailstore.Serve(t, func(c net.Conn, _ *bufio.Reader) { fmt.Fprint(c, "554 5.3.2 no service here\r\n") })
	for name, one := range map[string]struct {
		address string
		code    int
	}{
		"greeting":  {closed, 0},
		"password":  {talk("AUTH", "535 5.7.8 wrong password\r\n"), 0},
		"sign-in":   {talk("MAIL", "530 5.7.0 authentication required\r\n"), 0},
		"recipient": {talk("RCPT", "550 5.1.1 unknown\r\n"), 550},
	} {
		s := &Smarthost{Address: one.address, Hostname: "test.example", Username: "u", Password: "p", Timeout: 5 * time.Second}
		r := s.Send(context.Background(), "s@b.example", "r@c.example", strings.NewReader("Subject: x\r\n\r\n"))
		if r.Reply.Code != one.code || (r.Err == nil) != (one.code != 0) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
