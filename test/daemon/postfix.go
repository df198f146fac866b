package daemon

import (
	"path/filepath"
	"testing"
)

// postfixCheck starts as boky/postfix does: completes /etc/postfix from Debian's own, sets POSTFIX_
// variables and runs the start scripts. Then it checks, prints and starts. Without a terminal Postfix
// speaks to the system log only, so one is listened to.
const postfixCheck = `
nc -lkuU /dev/log >/tmp/log &
said() { sed 's/<[0-9]*>/\n/g' /tmp/log >&2; }
mkdir -p /etc/postfix
cp -an /etc/postfix.template/. /etc/postfix/
chown -R root:root /etc/postfix
env | sed -n 's/^POSTFIX_//p' | while read -r setting; do postconf -e "$setting"; done
for script in /docker-init.d/*.sh; do
	if [ -e "$script" ]; then bash "$script" >&2; fi
done
postconf -M | awk '{ print $8 }' | sort -u | while read -r program; do
	[ -x "/usr/lib/postfix/sbin/$program" ] || echo "fatal: master.cf names $program, which Postfix has not" >&2
done
postfix check || { said; exit 1; }
postconf -n
postconf -M
postconf -P
postfix start >/dev/null 2>&1 || { said; exit 1; }
sleep 0.3
postfix status >/dev/null 2>&1 || { said; exit 1; }
said
`

// Postfix checks dir with Postfix 3.10, which must start with it: as /etc/mailplan/postfix, with its
// 10-mailplan.sh as the start script that makes /etc/postfix of it, or, without such a script, as
// /etc/postfix. It returns what `postconf -n`, `-M` and `-P` print.
func Postfix(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := postfixRoot(t)
	if script := filepath.Join(dir, "10-mailplan.sh"); exists(script) {
		r.Mount(dir, "/etc/mailplan/postfix")
		r.Mount(script, "/docker-init.d/10-mailplan.sh")
		r.Mount(t.TempDir(), "/etc/postfix") // a tmpfs in compose
	} else {
		r.Mount(dir, "/etc/postfix")
	}
	r.Add(files...)
	return checkPostfix(r)
}

func postfixRoot(t testing.TB) *Root {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(filepath.Join(r.lower, "etc/postfix"), "/etc/postfix.template")
	return r
}

func checkPostfix(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script(postfixCheck)
	return result.Stdout, result.refused()
}
