package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Schedule gives every domain its turn, spread over the time that is declared for a round.
type Schedule struct {
	prober  *Prober
	log     *slog.Logger
	success *prometheus.GaugeVec
	seconds *prometheus.GaugeVec
	at      *prometheus.GaugeVec
}

// settle is left to the other services before the first turn.
const settle = 30 * time.Second

// NewSchedule registers the metrics of a prober.
func NewSchedule(p *Prober, log *slog.Logger, registry prometheus.Registerer) *Schedule {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailpland_probe_" + name, Help: help}, []string{"domain"})
	}
	s := &Schedule{prober: p, log: log, success: gauge("success", "Whether the last test message of a domain arrived."),
		seconds: gauge("seconds", "How long the last test message of a domain took to arrive."),
		at:      gauge("timestamp_seconds", "When the last test message of a domain was sent.")}
	registry.MustRegister(s.success, s.seconds, s.at)
	return s
}

// Run sends until ctx ends.
func (s *Schedule) Run(ctx context.Context) {
	pace := time.Duration(s.prober.conf.Every) / time.Duration(max(1, len(s.prober.conf.Domains)))
	next := time.NewTimer(settle)
	defer next.Stop()
	for i := 0; len(s.prober.conf.Domains) > 0; i++ {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(pace)
		s.turn(ctx, s.prober.conf.Domains[i%len(s.prober.conf.Domains)])
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
