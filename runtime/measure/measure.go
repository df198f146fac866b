// Package measure measures what nobody else on the host tells Prometheus of: free space of disks, what waits in Postfix'
// queue, and how old ClamAV's signatures are. It measures when it is asked, at most every half minute, and where that
// fails it shows no old value, but that it failed. It must not know what is too much.
package measure

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Times of a measurement.
const (
	fresh     = 30 * time.Second
	atLongest = 20 * time.Second
)

// Measurement is one kind of measurement, for a registry.
type Measurement struct {
	Name string // failures are told by it
	Take func(ctx context.Context) ([]prometheus.Metric, error)
	Log  *slog.Logger

	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

// Describe implements prometheus.Collector. It tells nothing beforehand: what there is depends on the host.
func (m *Measurement) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *Measurement) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) > fresh {
		m.last, m.at = m.take(), time.Now()
	}
	for _, one := range m.last {
		to <- one
	}
}

func (m *Measurement) take() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), atLongest)
	defer cancel()
	list, err := m.Take(ctx)
	failed := 0.0
	if err != nil {
		m.Log.Error("a measurement failed", "what", m.Name, "error", err)
		failed = 1
	}
	return append(list, gauge("mailpland_measurement_failed", "Whether something could not be measured.", failed, "what", m.Name))
}

// gauge is one value; label and its value may be left out.
func gauge(name, help string, value float64, label ...string) prometheus.Metric {
	var names, values []string
	if len(label) == 2 {
		names, values = label[:1], label[1:]
	}
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), prometheus.GaugeValue, value, values...)
}
