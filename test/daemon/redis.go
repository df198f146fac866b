package daemon

import "testing"

// redisCheck starts the server with the one .conf there is and asks whether it lives.
const redisCheck = `
mkdir -p /data
cd /data
redis-server "$(find /usr/local/etc/redis -name '*.conf' | head -n 1)" >/tmp/log 2>&1 &
for i in $(seq 50); do
	redis-cli ping 2>&1 | grep -qE 'PONG|NOAUTH' && exit 0
	kill -0 $! || break
	sleep 0.1
done
cat /tmp/log >&2
exit 1
`

// Redis checks dir, which holds one .conf, as /usr/local/etc/redis with Redis 8, which must start with
// it and answer.
func Redis(t testing.TB, dir string, files ...File) (string, error) {
	t.Helper()
	r := NewTrixieRoot(t)
	r.Mount(dir, "/usr/local/etc/redis")
	r.Add(files...)
	return checkRedis(r)
}

func checkRedis(r *Root) (string, error) {
	r.t.Helper()
	result := r.Script(redisCheck)
	return result.Stdout, result.refused()
}
