package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/scan"
)

// metrics are what an operator watches. Their names begin with mailpland_.
type metrics struct {
	requests   *prometheus.CounterVec
	recipients *prometheus.CounterVec
	verdicts   *prometheus.CounterVec
	bytes      prometheus.Counter
	seconds    prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, s *Server) *metrics {
	m := &metrics{
		requests:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailpland_requests_total", Help: "Requests by HTTP status."}, []string{"code"}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailpland_recipients_total", Help: "Recipients by what became of the message."}, []string{"status"}),
		verdicts:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailpland_scans_total", Help: "Scanned messages by what the policy made of them."}, []string{"deed"}),
		bytes:      prometheus.NewCounter(prometheus.CounterOpts{Name: "mailpland_message_bytes_total", Help: "Bytes of messages read whole."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mailpland_request_seconds", Help: "Time from request to answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
	}
	busy := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mailpland_deliveries", Help: "Messages being worked on."},
		func() float64 { return float64(len(s.slots)) })
	spilled := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mailpland_spill_bytes", Help: "Bytes held in the spill store."},
		func() float64 { return float64(s.spill.used.Load()) })
	// There from the start, so that the first of them is an increase.
	for _, status := range []string{statusDelivered, statusRefused, statusDeferred, "duplicate"} {
		m.recipients.WithLabelValues(status)
	}
	for _, deed := range []scan.Deed{scan.Deliver, scan.Junk, scan.Reject, scan.TempFail} {
		m.verdicts.WithLabelValues(string(deed))
	}
	doubt := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mailpland_ledger_in_doubt",
		Help: "Whether the last run did not end in order, so that mailboxes are looked into before a delivery."}, s.inDoubt)
	for _, c := range []prometheus.Collector{&s.edge, doubt, m.requests, m.recipients, m.verdicts, m.bytes, m.seconds, busy, spilled} {
		registry.Register(c)
	}
	return m
}

func (s *Server) inDoubt() float64 {
	if s.ledger == nil {
		return 0
	}
	if _, ok := s.ledger.Doubt(); ok {
		return 1
	}
	return 0
}

func (m *metrics) observe(res result, took time.Duration, d *delivery) {
	m.requests.WithLabelValues(strconv.Itoa(res.http)).Inc()
	m.seconds.Observe(took.Seconds())
	for _, r := range res.Recipients {
		status := r.Status
		if r.Duplicate {
			status = "duplicate"
		}
		m.recipients.WithLabelValues(status).Inc()
	}
	if d.decision.Deed != "" {
		m.verdicts.WithLabelValues(string(d.decision.Deed)).Inc()
	}
	if d.size > 0 && res.http < http.StatusBadRequest {
		m.bytes.Add(float64(d.size))
	}
}

// logLine writes the one line that a request leaves: who to whom and what became of it, no content.
func (d *delivery) logLine(ctx context.Context, res result, took time.Duration) {
	level := slog.LevelInfo
	if res.http >= http.StatusInternalServerError || res.Status == statusInvalid {
		level = slog.LevelWarn
	}
	attrs := append(make([]slog.Attr, 0, 16), slog.String("id", d.id), slog.Int("http", res.http), slog.String("status", res.Status),
		slog.String("from", d.from), slog.Int64("size", d.size), slog.Float64("ms", float64(took.Microseconds())/1000))
	if len(d.recipients) == 1 && len(res.Recipients) == 1 {
		r := res.Recipients[0]
		attrs = append(attrs, slog.String("to", r.Address), slog.Int("code", r.Code), slog.String("said", r.Enhanced+" "+r.Message))
		if r.Duplicate {
			attrs = append(attrs, slog.Bool("duplicate", true))
		}
	} else if len(res.Recipients) > 0 {
		attrs = append(attrs, slog.Any("to", res.Recipients))
	} else {
		attrs = append(attrs, slog.String("said", res.Message))
	}
	if d.decision.Why != "" {
		attrs = append(attrs, slog.String("scan", d.decision.Why), slog.String("deed", string(d.decision.Deed)))
	}
	if d.verdict != nil {
		attrs = append(attrs, slog.Float64("score", d.verdict.Score))
	}
	if d.err != nil {
		attrs = append(attrs, slog.String("error", d.err.Error()))
	}
	d.server.log.LogAttrs(ctx, level, "delivery", attrs...)
}
