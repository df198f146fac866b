package probe

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Schedule gives every domain its turn, spread over the time that is declared for a round.
type Schedule struct {
	prober  *Prober
	domains func() ([]string, error)
	known   map[string]bool
	log     *slog.Logger
	success *prometheus.GaugeVec
	seconds *prometheus.GaugeVec
	at      *prometheus.GaugeVec
}

// settle is left to the other services before the first turn.
const settle = 30 * time.Second

// NewSchedule registers the metrics of a prober. Each round asks domains which there are.
func NewSchedule(p *Prober, domains func() ([]string, error), log *slog.Logger, registry prometheus.Registerer) *Schedule {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailpland_probe_" + name, Help: help}, []string{"domain"})
	}
	s := &Schedule{prober: p, domains: domains, known: map[string]bool{}, log: log, success: gauge("success", "Whether the last test message of a domain arrived."),
		seconds: gauge("seconds", "How long the last test message of a domain took to arrive."),
		at:      gauge("timestamp_seconds", "When the last test message of a domain was sent.")}
	registry.MustRegister(s.success, s.seconds, s.at)
	return s
}

// Run sends until ctx ends.
func (s *Schedule) Run(ctx context.Context) {
	if !sleep(ctx, settle) {
		return
	}
	for s.round(ctx) {
	}
}

// round gives every domain one turn, and says whether there is to be another round.
func (s *Schedule) round(ctx context.Context) bool {
	domains, err := s.domains()
	if err != nil {
		s.log.Error("for which domains to send test messages is not known", "error", err)
	}
	s.forget(domains)
	every := time.Duration(s.prober.conf.Every)
	pace := every / time.Duration(max(1, len(domains)))
	if len(domains) == 0 {
		return sleep(ctx, every)
	}
	for _, d := range domains {
		s.turn(ctx, d)
		if !sleep(ctx, pace) {
			return false
		}
	}
	return true
}

// forget drops what was measured of domains that are gone.
func (s *Schedule) forget(domains []string) {
	for d := range s.known {
		if !slices.Contains(domains, d) {
			for _, m := range []*prometheus.GaugeVec{s.success, s.seconds, s.at} {
				m.DeleteLabelValues(d)
			}
		}
	}
	clear(s.known)
	for _, d := range domains {
		s.known[d] = true
	}
}

// sleep waits, and says whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (s *Schedule) turn(ctx context.Context, domain string) {
	start := s.prober.now()
	err := s.prober.Once(ctx, domain)
	if ctx.Err() != nil {
		return // the daemon ends; that says nothing of the domain
	}
	s.at.WithLabelValues(domain).Set(float64(start.Unix()))
	if err != nil {
		s.log.Error("a test message did not arrive", "domain", domain, "error", err)
		s.success.WithLabelValues(domain).Set(0)
		return
	}
	s.success.WithLabelValues(domain).Set(1)
	s.seconds.WithLabelValues(domain).Set(s.prober.now().Sub(start).Seconds())
}
