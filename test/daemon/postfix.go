package daemon

import "testing"

// postfixCheck lays the site's files over Debian's own, sets POSTFIX_ variables and runs the start
// scripts as boky/postfix does, then checks, prints and starts. Without a terminal Postfix
// speaks to the system log only, so one is listened to.
const postfixCheck = `
nc -lkuU /dev/log >/tmp/log &
said() { sed 's/<[0-9]*>/\n/g' /tmp/log >&2; }
cp -a /etc/postfix.site/. /etc/postfix/
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

// Postfix checks dir, whose files lie over the stock /etc/postfix, with Postfix 3.10, which must start
// with it. It returns what `postconf -n`, `-M` and `-P` print.
func Postfix(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/etc/postfix.site")
	r.Add(files...)
	result := r.Script(postfixCheck)
	return result.Stdout, result.refused()
}
