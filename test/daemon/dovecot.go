package daemon

import "testing"

// dovecotCheck prints the settings that differ from Dovecot's own, compiles every sieve script, then
// starts the server: only a start looks at users, sockets, certificates and plugins.
const dovecotCheck = `
mkdir -p /run/dovecot
doveconf -n
find /etc/dovecot -name '*.sieve' | while read -r script; do sievec "$script" /tmp/compiled >&2; done
dovecot >&2
for i in 1 2 3 4 5 6 7 8 9 10; do doveadm service status >/dev/null 2>&1 && break; sleep 0.1; done
doveadm service status >/dev/null
`

// Dovecot23 checks dir as /etc/dovecot of a dovecot/dovecot:2.3 image with Debian 12's Dovecot, which
// must start with it. It returns what `doveconf -n` prints.
func Dovecot23(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := dovecot23Root(t)
	r.Mount(dir, "/etc/dovecot")
	r.Add(files...)
	return checkDovecot(r)
}

// Dovecot24 is [Dovecot23] for the 2.4 images, with Debian 13's Dovecot 2.4.1.
func Dovecot24(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := dovecot24Root(t)
	r.Mount(dir, "/etc/dovecot")
	r.Add(files...)
	return checkDovecot(r)
}

func dovecot23Root(t testing.TB) *Root { return withVmail(NewHostRoot(t)) }
func dovecot24Root(t testing.TB) *Root { return withVmail(NewTrixieRoot(t)) }

func withVmail(r *Root) *Root {
	r.t.Helper()
	r.User("vmail", 1000)
	return r
}

func checkDovecot(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script(dovecotCheck)
	return result.Stdout, result.refused("Connect failed to database") // there is none
}
