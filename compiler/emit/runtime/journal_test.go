package runtime_test

import (
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/compose"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

// forgetting has the real journal begin a new file twice: the first is copied as one that began $1 hours ago and one of $2
// hours, as their names tell it, and it must let go of the first alone.
const forgetting = `
mount -t tmpfs t /run
mkdir -p /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd/journal /var/log/journal
rm -rf /var/log/journal/*
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
touch /run/systemd/journal/flushed
/lib/systemd/systemd-journald &
journal=$!
for i in $(seq 50); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.1; done
echo said | systemd-cat
kill -USR2 $journal
cd /var/log/journal/*
for i in $(seq 50); do set -- "$1" "$2" system@*.journal; [ -e "$3" ] && break; sleep 0.1; done
began() { printf 'system@%s-0000000000000001-%016x.journal' "$1" $((($(date +%s) - $2 * 3600) * 1000000)); }
old=$(began aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "$1") young=$(began bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb "$2")
cp "$3" /var/log/journal/copy
ln /var/log/journal/copy "$old"
ln /var/log/journal/copy "$young"
kill -USR2 $journal
for i in $(seq 50); do [ -e "$old" ] || break; sleep 0.1; done
sleep 0.3
kill $journal
[ ! -e "$old" ] || echo "still there: $1 hours"
[ -e "$young" ] || echo "gone: $2 hours"
`

// TestForgets holds that logs are kept for the declared days and no longer, by the real journal: a file may have been begun
// six hours before its last line.
func TestForgets(t *testing.T) {
	need.Program(t, "systemd-cat")
	s := emittest.Site()
	s.Monitoring.Logs.ContainerDays, s.Monitoring.Logs.BackupDays, s.Monitoring.Logs.SyncDays, s.Monitoring.Logs.ScanDays = 7, 30, 7, 7
	containers := emittest.Text(t, emittest.Emit(t, compose.Files, s), "config/journald/mailserver.conf")
	backups := emittest.Text(t, emittest.Emit(t, emitted.Files, s), "config/journald/mailpland-backup.conf")
	for _, c := range []struct{ conf, old, young string }{{containers, "163", "155"}, {backups, "715", "707"}} {
		r := daemon.NewHostRoot(t)
		r.Write("/etc/systemd/journald.conf.d/mailplan.conf", c.conf, 0o644)
		if result := r.Script(forgetting, c.old, c.young); result.Err != nil || result.Stdout != "" {
			t.Errorf("%v %s%s\n%s", result.Err, result.Stdout, result.Stderr, c.conf)
		}
	}
}
