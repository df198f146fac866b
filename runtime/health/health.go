// Package health turns the checks of the daemon's parts into the operator's endpoints: /health (the
// process answers), /ready (mail gets through) and /metrics (Prometheus). It must not know what the
// parts do.
package health

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must work. Run is called with a deadline of five seconds.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Live answers that the process is there.
func Live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// Handler answers /health, /ready and /metrics.
func Handler(checks []Check, gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", Live)
	mux.Handle("GET /ready", Ready(checks))
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	return mux
}

const checkTimeout = 5 * time.Second

// Ready answers 200 when all checks pass, else 503, with a line of JSON that names each check and what
// is wrong with it.
func Ready(checks []Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		report, code := run(ctx, checks), http.StatusOK
		for _, said := range report {
			if said != well {
				code = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(report)
	})
}

// well is what is said of a check that passes.
const well = "ok"

// run runs all checks at once and says of each what is wrong.
func run(ctx context.Context, checks []Check) map[string]string {
	said := make([]string, len(checks))
	var wait sync.WaitGroup
	for i, c := range checks {
		wait.Go(func() {
			said[i] = well
			if err := c.Run(ctx); err != nil {
				said[i] = err.Error()
			}
		})
	}
	wait.Wait()
	report := make(map[string]string, len(checks))
	for i, c := range checks {
		report[c.Name] = said[i]
	}
	return report
}

// Metrics runs the checks whenever Prometheus asks.
func Metrics(checks []Check) prometheus.Collector { return collector(checks) }

type collector []Check

var checkOK = prometheus.NewDesc("mailpland_check_ok", "Whether what mail needs works.", []string{"check"}, nil)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) { to <- checkOK }

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	for name, said := range run(ctx, c) {
		ok := 0.0
		if said == well {
			ok = 1
		}
		to <- prometheus.MustNewConstMetric(checkOK, prometheus.GaugeValue, ok, name)
	}
}
