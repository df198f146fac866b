package compose_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/test/daemon"
)

// lmtp and imap play Dovecot's servers, one connection each; $1 is what LMTP says to the recipient.
const playDovecot = `
serve() { nc -l -N 127.0.0.1 "$1" >/dev/null; }
printf '220 ready\r\n250 ok\r\n250 ok\r\n%s\r\n221 bye\r\n' "$1" | serve 24 &
printf '%s\r\n' "$2" | serve 10143 &
sleep 0.5
shift 2
"$@"
`

// TestDovecotCheck holds that only a permanent refusal of the unknown user counts, and only with IMAP there.
func TestDovecotCheck(t *testing.T) {
	check := load(t, emittest.Site()).Services["dovecot"].HealthCheck.Test[1:]
	for _, c := range []struct {
		lmtp, imap string
		well       bool
	}{
		{"550 5.1.1 User doesn't exist", "* OK Dovecot ready.", true},
		{"451 4.3.0 Temporary internal error", "* OK Dovecot ready.", false},
		{"550 5.1.1 User doesn't exist", "* BYE Internal error", false},
	} {
		r := daemon.NewTrixieRoot(t)
		result := r.Script(playDovecot, append([]string{c.lmtp, c.imap}, check...)...)
		if (result.Err == nil) != c.well {
			t.Errorf("%s, %s: %v %s", c.lmtp, c.imap, result.Err, result.Stderr)
		}
	}
}

// TestNoCheckRestarts holds that a check only asks: whether a restart helps is for who sees all services.
func TestNoCheckRestarts(t *testing.T) {
	for name, s := range load(t, full()).Services {
		if s.HealthCheck == nil {
			continue
		}
		if text := strings.Join(s.HealthCheck.Test, " "); strings.Contains(text, "kill ") {
			t.Errorf("%s: %s", name, text)
		}
		if timeout := time.Duration(*s.HealthCheck.Timeout); timeout != 10*time.Second {
			t.Errorf("%s: the scripts end by themselves before 10 s, and the timeout is %s", name, timeout)
		}
	}
}
