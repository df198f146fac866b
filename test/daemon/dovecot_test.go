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
			files := daemon.TLS(t, "/etc/dovecot/ssl/tls.crt", "/etc/dovecot/ssl/tls.key")
			accepts(t, tt.shown)(tt.check(t, tt.dir, files...))

			refuses(t, "tls.crt")(tt.check(t, tt.dir))
			unknown := variant(t, tt.dir, "dovecot.conf", "protocols = imap", "protocol = imap")
			refuses(t, "protocol")(tt.check(t, unknown, files...))
			sieve := variant(t, tt.dir, "junk.sieve", `"Junk";`, `"Junk"`)
			refuses(t, "junk.sieve")(tt.check(t, sieve, files...))
			user := variant(t, tt.dir, "dovecot.conf", "service lmtp {", "service lmtp {\n  user = nobody-here")
			refuses(t, "nobody-here")(tt.check(t, user, files...))
		})
	}
}
