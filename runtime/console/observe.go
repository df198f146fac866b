package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds *prometheus.HistogramVec
	actions *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mailplan_console_request_seconds",
			Help: "Time to answer a request.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}}, []string{"page", "status"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailplan_console_actions_total",
			Help: "What people did, by outcome."}, []string{"action", "outcome"}),
	}
	registry.MustRegister(m.seconds, m.actions)
	return m
}

// observe measures requests by the page's pattern, so that made-up paths make no new series.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin, noted := time.Now(), &noted{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		s.metrics.seconds.WithLabelValues(r.Pattern, strconv.Itoa(noted.status)).Observe(time.Since(begin).Seconds())
	})
}

type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// audit writes down who did what, or was refused it. Names come from outside: they are bounded here and quoted by the
// log's own form.
func (s *Server) audit(r *http.Request, who, action, outcome string, more ...any) {
	s.metrics.actions.WithLabelValues(action, outcome).Inc()
	args := []any{"action", action, "outcome", outcome, "who", bounded(who), "client", s.client(r).String()}
	s.log.InfoContext(r.Context(), "audit", append(args, more...)...)
}

const maxName = 254

func bounded(text string) string {
	if len(text) > maxName {
		return text[:maxName] + "…"
	}
	return text
}
