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
		said := make([]string, len(checks))
		var wait sync.WaitGroup
		for i, c := range checks {
			wait.Go(func() {
				said[i] = "ok"
				if err := c.Run(ctx); err != nil {
					said[i] = err.Error()
				}
			})
		}
		wait.Wait()
		report, code := map[string]string{}, http.StatusOK
		for i, c := range checks {
			report[c.Name] = said[i]
			if said[i] != "ok" {
				code = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(report)
	})
}
