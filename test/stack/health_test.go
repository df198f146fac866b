//go:build stack

package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/stack"
)

// patience is how long a service may take to be seen ill, or well again, on a machine with other work.
const patience = 90 * time.Second

// ward is the emitted stack with its services' health.
type ward struct {
	t *testing.T
	*stack.Project
	chart *chart
}

// breakage is one way in which a service really fails.
type breakage struct {
	what         string
	service      string
	also         string // services that cannot be well without it
	breaks, mend func() error
}

// chart is what Docker last said of all containers.
type chart struct {
	mu    sync.Mutex
	lines map[string]string // by the container's name: health and start
	at    time.Time
}

// state is what Docker says of a service: starting, healthy or unhealthy, and since when it runs. All who ask within half
// a second are told the same, for asking takes more work than breaking.
func (w ward) state(service string) string {
	w.chart.mu.Lock()
	defer w.chart.mu.Unlock()
	if time.Since(w.chart.at) > 500*time.Millisecond {
		names := []string{"inspect", "--format", "{{.Name}} {{.State.Health.Status}} {{.State.StartedAt}}"}
		w.Site.Each(func(service string, _ model.Container) { names = append(names, w.container(service)) })
		out, err := w.Docker().Try("", names...)
		if err != nil {
			return err.Error()
		}
		w.chart.lines = map[string]string{}
		for line := range strings.Lines(out) {
			name, rest, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
			w.chart.lines[name] = strings.TrimSpace(rest)
		}
		w.chart.at = time.Now()
	}
	return w.chart.lines[w.container(service)]
}

func (w ward) container(service string) string { return w.Site.Name + "-" + service + "-1" }

// await waits for the health of a service.
func (w ward) await(service, health string) error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if strings.HasPrefix(w.state(service), health) {
			return nil
		}
		time.Sleep(250 * time.Millisecond)
	}
	return fmt.Errorf("%s is %s, not %s, after %s", service, w.state(service), health, patience)
}

// together breaks several services at once and mends them.
func (w ward) together(all ...breakage) {
	var wait sync.WaitGroup
	for _, b := range all {
		wait.Go(func() {
			start := time.Now()
			if err := w.once(b); err != nil {
				w.t.Errorf("%s: %s: %v", b.service, b.what, err)
				return
			}
			w.t.Logf("%s: %s: seen and mended in %.0fs", b.service, b.what, time.Since(start).Seconds())
		})
	}
	wait.Wait()
	w.well()
}

func (w ward) once(b breakage) error {
	if err := b.breaks(); err != nil {
		return err
	}
	for _, service := range append(strings.Fields(b.also), b.service) {
		if err := w.await(service, "unhealthy"); err != nil {
			return fmt.Errorf("broken: %w", err)
		}
	}
	if err := b.mend(); err != nil {
		return err
	}
	if err := w.await(b.service, "healthy"); err != nil {
		return fmt.Errorf("mended: %w", err)
	}
	return nil
}

// well waits until nothing is ill.
func (w ward) well() {
	w.t.Helper()
	w.Site.Each(func(service string, _ model.Container) {
		if err := w.await(service, "healthy"); err != nil {
			w.t.Fatal(err)
		}
	})
}

// frozen is a hang of the processes with the words.
func (w ward) frozen(service, words, also string) breakage {
	return breakage{"hangs: " + words, service, also,
		func() error { return w.Freeze(service, words) },
		func() error { return w.Thaw(service) }}
}

// within breaks by a command in the service's container and mends by another, or by a restart.
func (w ward) within(what, service, in, breaks, mend, also string) breakage {
	do := func(script string) func() error {
		return func() error {
			_, err := w.Compose("exec", "-T", in, "sh", "-c", script)
			return err
		}
	}
	b := breakage{what, service, also, do(breaks), do(mend)}
	if mend == "" {
		b.mend = func() error {
			_, err := w.Compose("restart", service)
			return err
		}
	}
	return b
}

// killed loses processes, and comes back by a restart.
func (w ward) killed(service, words string) breakage {
	b := w.within("loses "+words, service, service, "", "", "")
	b.breaks = func() error { return w.Kill(service, words) }
	return b
}

const (
	redisPassword = `REDISCLI_AUTH="$(cat /run/secrets/REDIS_PASSWORD)" redis-cli config set requirepass another`
	redisBack     = `REDISCLI_AUTH=another redis-cli config set requirepass "$(cat /run/secrets/REDIS_PASSWORD)"`
	sql           = `MYSQL_PWD=$(cat /run/secrets/MYSQL_ROOT_PASSWORD) mariadb --user=root --execute `
)

// health breaks every service of the emitted stack the way it really fails: its check must say so in time, and take it back
// when it is mended. Then it breaks some once more, and nobody mends them but mailpland.
func health(t *testing.T, p *stack.Project) {
	w := ward{Project: p, chart: &chart{}}
	for _, part := range []struct {
		name string
		run  func(ward)
	}{{"health: a test message is sent, and missed", ward.probed}, {"health: every failure is seen", ward.seen}, {"health: what is ill is restarted", ward.healed}} {
		t.Run(part.name, func(t *testing.T) {
			w.t = t
			part.run(w)
		})
	}
}

// probed sends test messages: they arrive, leave nothing behind, and say where they end when they do not.
func (w ward) probed() {
	probe := func() (string, error) { return w.Compose("exec", "-T", "mailserver-api", "/mailpland", "probe") }
	out, err := probe()
	if err != nil || !strings.Contains(out, "example.com: arrived in ") {
		w.t.Fatalf("a stack that is well: %s %v", out, err)
	}
	w.t.Log(out)
	left, err := w.Compose("exec", "-T", "dovecot", "doveadm", "-f", "flow", "search", "-u", "probe@mailplan.invalid", "ALL")
	if err != nil || strings.Contains(left, "uid=") {
		w.t.Errorf("messages stay behind: %q %v", left, err)
	}
	stranger := exec.Command("openssl", "s_client", "-quiet", "-connect", w.Site.Containers.Dovecot.Address+":993")
	stranger.Stdin = strings.NewReader("a LOGIN probe@mailplan.invalid none\r\nb LOGOUT\r\n")
	if said, _ := stranger.Output(); strings.Contains(string(said), "a OK") {
		w.t.Error("anybody can read the mailbox of probes")
	}
	if _, err := w.Compose("stop", "dovecot"); err != nil {
		w.t.Fatal(err)
	}
	if out, err := probe(); err == nil || !strings.Contains(err.Error(), "test message for example.com") {
		w.t.Errorf("without Dovecot: %s %v", out, err)
	} else {
		w.t.Log(err)
	}
	if _, err := w.Compose("start", "dovecot"); err != nil {
		w.t.Fatal(err)
	}
	w.well()
}

func (w ward) seen() {
	w.together(
		w.frozen("cloudflared", "", ""),
		w.frozen("nginx", "worker", ""),
		w.frozen("usermgmt", "", ""),
		w.frozen("clamav", "clamd", ""),
		w.frozen("postfix", "master", ""), // idle processes still answer
		w.frozen("rspamd", "normal", "mailserver-api"),
		w.within("another password", "redis", "redis", redisPassword, redisBack, ""),
		w.within("is refused by the database", "dovecot", "mariadb", // Dovecot takes a minute to try it again
			sql+`"ALTER USER dovecot ACCOUNT LOCK; KILL USER dovecot"`, sql+`"ALTER USER dovecot ACCOUNT UNLOCK"`, ""),
	)
	w.together(
		w.killed("clamav", "clamd"), // the container outlives it
		w.frozen("rspamd", "proxy", ""),
		w.frozen("roundcube", "", "nginx"),
		w.frozen("mailserver-api", "", ""),
		w.frozen("dovecot", "imap-login", ""),
		w.frozen("redis", "", ""),
	)
	w.together(
		w.frozen("dovecot", "dovecot/auth", ""),
		w.frozen("rspamd", "controller", ""),
		w.within("loses its signatures", "clamav", "clamav", "rm /var/lib/clamav/* && printf 'zRELOAD\\0' | nc -w 5 127.0.0.1 3310", "", ""),
	)
	w.together(w.frozen("dovecot", "dovecot -F", "mailserver-api")) // no new process of LMTP
	w.together(w.frozen("mariadb", "", "dovecot roundcube usermgmt"))
}

// healed has the emitted healer at work, as its unit would start it.
func (w ward) healed() {
	w.heal()
	before := w.starts()
	w.ill("dovecot", "")
	w.ill("clamav", "clamd")
	w.restarted(before, "clamav", "dovecot")

	before = w.starts()
	w.ill("mariadb", "")
	w.restarted(before, "mariadb") // and none of those that are ill because of it

	time.Sleep(2 * looks) // until the healer has looked once more
	for _, want := range []string{
		`mailpland_service_restarts_total{service="dovecot"} 1`, `mailpland_service_restarts_total{service="mariadb"} 1`,
		`mailpland_service_restarts_total{service="nginx"} 0`, `mailpland_service_healthy{service="dovecot"} 1`, "mailpland_engine_up 1",
		`mailpland_measurement_failed{what="queue"} 0`, `mailpland_queue_messages{queue="deferred"} 0`,
		`mailpland_measurement_failed{what="disks"} 0`, `mailpland_measurement_failed{what="signatures"} 0`,
	} {
		if !strings.Contains(w.metrics(), "\n"+want+"\n") {
			w.t.Errorf("the metrics do not hold %s", want)
		}
	}
	if w.t.Failed() {
		w.t.Log(w.metrics())
	}
}

// looks is how often the healer looks in the test, settles how long it has a service ill: both less than on a real
// host, where an apply may be at work.
const (
	looks   = config.HealEvery / 5
	settles = config.HealSettle / 3
)

// heal starts mailpland on the test's machine with what was emitted, but for its patience.
func (w ward) heal() {
	w.t.Helper()
	if err := os.MkdirAll(w.Site.Backup.Local.Path, 0o700); err != nil { // as an apply would
		w.t.Fatal(err)
	}
	socket := strings.TrimPrefix(w.Docker().Environment()[0], "DOCKER_HOST=unix://")
	if err := os.Symlink(socket, "/run/docker.sock"); err != nil {
		w.t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(w.Dir, "config", "runtime", "heal.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	c.Heal.Every, c.Heal.Settle = config.Duration(looks), config.Duration(settles)
	text, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.t.TempDir(), "heal.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(w.Dir, "bin", "mailpland"), "heal", "--config", file)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		w.t.Log(log.String())
	})
}

// ill freezes processes, and waits until that is seen.
func (w ward) ill(service, words string) {
	w.t.Helper()
	if err := errors.Join(w.Freeze(service, words), w.await(service, "unhealthy")); err != nil {
		w.t.Fatal(err)
	}
}

// starts are the times at which the services' containers started.
func (w ward) starts() map[string]string {
	starts := map[string]string{}
	w.Site.Each(func(service string, _ model.Container) {
		_, starts[service], _ = strings.Cut(w.state(service), " ")
	})
	return starts
}

// restarted waits until everything is well, and wants these services restarted and no other.
func (w ward) restarted(before map[string]string, want ...string) {
	w.t.Helper()
	deadline := time.Now().Add(2 * patience) // a frozen process does not end when it is asked to
	for _, service := range want {
		for w.starts()[service] == before[service] && time.Now().Before(deadline) {
			time.Sleep(time.Second)
		}
	}
	w.well()
	var got []string
	for service, start := range w.starts() {
		if start != before[service] {
			got = append(got, service)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("restarted (-want +got):\n%s", diff)
	}
}

func (w ward) metrics() string {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", w.Site.Monitoring.Metrics.HealPort))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
