package daemon

import "testing"

// clamavCheck starts clamd with a database of one signature and asks it whether it lives. Freshclam
// only shows its settings: a download is none of a configuration check.
const clamavCheck = `
printf '44d88612fea8a8f36de82e1278abb02f:68:Test.EICAR\n' >/tmp/test.hdb
database=$(sed -n 's/^DatabaseDirectory[[:space:]]*//p' /etc/clamav/clamd.conf)
mkdir -p "${database:=/var/lib/clamav}" /run/clamav /tmp
cp /tmp/test.hdb "$database/"
chown -R clamav:clamav /run/clamav "$database"
if [ -e /etc/clamav/freshclam.conf ]; then freshclam --config-file=/etc/clamav/freshclam.conf --version >&2; fi
clamconf -c /etc/clamav -n
clamd --config-file=/etc/clamav/clamd.conf >/tmp/clamd.log 2>&1 &
address=$(sed -n 's/^LocalSocket[[:space:]]*/-U /p' /etc/clamav/clamd.conf)
: "${address:=127.0.0.1 3310}"
for i in $(seq 100); do
	if echo PING | nc -N $address 2>/dev/null | grep -q PONG; then exit 0; fi
	[ "$i" -lt 5 ] || grep -qx clamd /proc/[0-9]*/comm || break
	sleep 0.1
done
cat /tmp/clamd.log >&2
exit 1
`

// ClamAV checks dir as /etc/clamav with ClamAV 1.4: clamd must start with it. It returns what clamconf shows.
func ClamAV(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/etc/clamav")
	r.Add(files...)
	return checkClamAV(r)
}

func checkClamAV(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script(clamavCheck)
	return result.Stdout, result.refused()
}
