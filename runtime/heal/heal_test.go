package heal

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// ward is an engine whose containers a test makes ill.
type ward struct {
	list     []Container
	down     error
	restarts []string
}

func (w *ward) Containers(context.Context, string) ([]Container, error) { return w.list, w.down }

func (w *ward) Complaint(context.Context, string) (string, error) {
	return "exit code 1: no greeting", nil
}

func (w *ward) Restart(_ context.Context, id string) error {
	w.restarts = append(w.restarts, id)
	return nil
}

func (w *ward) set(service, state string) {
	for i := range w.list {
		if w.list[i].Service == service {
			w.list[i].Health = state
		}
	}
}

// scene is a healer with a clock of its own.
type scene struct {
	*Healer
	*ward
	clock time.Time
	log   strings.Builder
}

func newScene() *scene {
	s := &scene{ward: &ward{list: []Container{
		{ID: "m", Service: "mariadb", State: "running", Health: "healthy"},
		{ID: "d", Service: "dovecot", State: "running", Health: "healthy", Needs: []string{"mariadb"}},
		{ID: "o", Service: "own", State: "running"},
	}}, clock: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}
	s.Healer = New(Settings{Project: "home", Every: 10 * time.Second, Settle: 30 * time.Second, Rejoin: 2 * time.Minute, Pause: time.Minute, Hourly: 4}, s.ward,
		slog.New(slog.NewTextHandler(&s.log, nil)))
	s.now = func() time.Time { return s.clock }
	return s
}

// pass lets time go by, with a look every ten seconds, and returns what was restarted.
func (s *scene) pass(d time.Duration) string {
	s.restarts = nil
	for end := s.clock.Add(d); s.clock.Before(end); s.clock = s.clock.Add(s.Every) {
		_ = s.Look(context.Background())
	}
	return strings.Join(s.restarts, " ")
}

func TestRestart(t *testing.T) {
	s := newScene()
	if got := s.pass(time.Hour); got != "" {
		t.Errorf("restarted %s of what is well", got)
	}
	s.set("dovecot", "unhealthy")
	if got := s.pass(20 * time.Second); got != "" {
		t.Errorf("restarted %s before an apply could put its files back", got)
	}
	if got := s.pass(30 * time.Second); got != "d" {
		t.Errorf("restarted %q, want dovecot", got)
	}
	s.set("dovecot", "healthy")
	if got := s.pass(time.Hour); got != "" {
		t.Errorf("restarted %s again", got)
	}
	if !strings.Contains(s.log.String(), `service=dovecot check="exit code 1: no greeting"`) {
		t.Errorf("the log does not say why: %s", &s.log)
	}
}

// TestRoot holds that who needs an ill service is left alone until that is well.
func TestRoot(t *testing.T) {
	s := newScene()
	s.set("mariadb", "unhealthy")
	s.set("dovecot", "unhealthy")
	if got := s.pass(40 * time.Second); got != "m" {
		t.Errorf("restarted %q, want the database alone", got)
	}
	s.set("mariadb", "starting")
	if got := s.pass(time.Minute); got != "" {
		t.Errorf("restarted %q while the database starts", got)
	}
	s.set("mariadb", "healthy")
	if got := s.pass(110 * time.Second); got != "" {
		t.Errorf("restarted %q before it could find the database again", got)
	}
	if got := s.pass(20 * time.Second); got != "d" {
		t.Errorf("restarted %q, want dovecot, which is still ill", got)
	}
}

func TestGivesUp(t *testing.T) {
	s := newScene()
	s.set("dovecot", "unhealthy")
	if got := s.pass(30 * time.Minute); got != "d d d d" {
		t.Errorf("restarted %q, want four times", got)
	}
	if n := strings.Count(s.log.String(), "do not help"); n != 1 {
		t.Errorf("it gave up %d times in the log", n)
	}
	want := `# HELP mailpland_engine_up Whether Docker answered the last time it was asked.
# TYPE mailpland_engine_up gauge
mailpland_engine_up 1
# HELP mailpland_service_given_up Whether restarts of a service did not help.
# TYPE mailpland_service_given_up gauge
mailpland_service_given_up{service="dovecot"} 1
mailpland_service_given_up{service="mariadb"} 0
mailpland_service_given_up{service="own"} 0
# HELP mailpland_service_healthy Whether every container of a service is healthy.
# TYPE mailpland_service_healthy gauge
mailpland_service_healthy{service="dovecot"} 0
mailpland_service_healthy{service="mariadb"} 1
mailpland_service_healthy{service="own"} 1
# HELP mailpland_service_restarts_total Restarts of a service because it was unhealthy.
# TYPE mailpland_service_restarts_total counter
mailpland_service_restarts_total{service="dovecot"} 4
mailpland_service_restarts_total{service="mariadb"} 0
mailpland_service_restarts_total{service="own"} 0
`
	if err := testutil.CollectAndCompare(s.Healer, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if got := s.pass(40 * time.Minute); !strings.HasPrefix(got, "d") {
		t.Error("it never tried again")
	}
}

const engineAway = `# HELP mailpland_engine_up Whether Docker answered the last time it was asked.
# TYPE mailpland_engine_up gauge
mailpland_engine_up 0
`

func TestStoppedByHand(t *testing.T) {
	s := newScene()
	s.list[1].State, s.list[1].Health = "exited", "unhealthy"
	if got := s.pass(time.Hour); got != "" {
		t.Errorf("restarted %s, which somebody stopped", got)
	}
	s.down = errors.New("no such socket")
	s.pass(time.Minute)
	if err := testutil.CollectAndCompare(s.Healer, strings.NewReader(engineAway), "mailpland_engine_up"); err != nil {
		t.Errorf("the engine is away, and nobody is told: %v", err)
	}
}
