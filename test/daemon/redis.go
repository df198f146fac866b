package daemon

import "testing"

// Redis checks a redis.conf (or valkey.conf) with Redis 8, which must start with it and answer.
// A password in it must be in files as the configuration includes it.
func Redis(t testing.TB, conf string, files ...File) error {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(conf, "/etc/redis/site.conf")
	r.Add(files...)
	return r.Script(`
mkdir -p /data
cd /data
redis-server /etc/redis/site.conf --daemonize no --supervised no --logfile '' --dir /data >/tmp/log 2>&1 &
for i in $(seq 50); do
	redis-cli ping 2>&1 | grep -qE 'PONG|NOAUTH' && exit 0
	kill -0 $! || break
	sleep 0.1
done
cat /tmp/log >&2
exit 1
`).refused()
}
