package daemon_test

import (
	"testing"

	"github.com/mailplan/mailplan/test/daemon"
)

func TestDovecot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		dir   string
		check func(testing.TB, string, ...daemon.File) (string, error)
		shown string
	}{
		{"testdata/dovecot23", daemon.Dovecot23, "mail_location = maildir:~/Maildir"},
		{"testdata/dovecot24", daemon.Dovecot24, "mail_driver = maildir"},
	}
	for _, tt := range tests {
		t.Run(tt.dir, func(t *testing.T) {
			t.Parallel()
			accepts(t, tt.shown)(tt.check(t, tt.dir))

			certificate := variant(t, tt.dir, "dovecot.conf", "fullchain.pem", "chain.pem")
			refuses(t, "/etc/mailplan/tls/chain.pem")(tt.check(t, certificate))
			unknown := variant(t, tt.dir, "dovecot.conf", "protocols = imap", "protocol = imap")
			refuses(t, "protocol")(tt.check(t, unknown))
			sieve := variant(t, tt.dir, "junk.sieve", `"Junk";`, `"Junk"`)
			refuses(t, "junk.sieve")(tt.check(t, sieve))
			user := variant(t, tt.dir, "dovecot.conf", "service lmtp {", "service lmtp {\n  user = nobody-here")
			refuses(t, "nobody-here")(tt.check(t, user))
		})
	}
}
