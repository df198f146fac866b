package certificate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics look whenever somebody asks, so that a pass made by hand shows too.
type metrics struct {
	status func() (Status, error)
	descs  map[string]*prometheus.Desc
}

// Metrics returns what Prometheus may know of the certificate that keeper gives.
func Metrics(keeper func() (*Keeper, error)) prometheus.Collector {
	m := &metrics{descs: map[string]*prometheus.Desc{}, status: func() (Status, error) {
		k, err := keeper()
		if err != nil {
			return Status{}, err
		}
		return k.Status()
	}}
	for name, help := range map[string]string{
		"usable":                         "Whether an authority issued it for all declared names and it has not ended.",
		"placeholder":                    "Whether none was issued yet.",
		"not_after_timestamp_seconds":    "When it ends.",
		"renew_timestamp_seconds":        "When it is to be renewed.",
		"last_attempt_timestamp_seconds": "When one was last asked for.",
		"failures":                       "Attempts that failed since the last success.",
		"served":                         "Whether servers were told to read it.",
	} {
		m.descs[name] = prometheus.NewDesc("mailpland_certificate_"+name, help, nil, nil)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	s, err := m.status()
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.descs["usable"], err)
		return
	}
	set := func(name string, value float64) {
		to <- prometheus.MustNewConstMetric(m.descs[name], prometheus.GaugeValue, value)
	}
	moment := func(name string, t time.Time) {
		if !t.IsZero() {
			set(name, float64(t.Unix()))
		}
	}
	set("usable", truth(s.Usable()))
	set("placeholder", truth(s.State == Placeholder))
	set("served", truth(s.Served))
	set("failures", float64(s.Failures))
	moment("not_after_timestamp_seconds", s.NotAfter)
	moment("renew_timestamp_seconds", s.RenewAt)
	moment("last_attempt_timestamp_seconds", s.LastAttempt)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
