package heal

import "github.com/prometheus/client_golang/prometheus"

var (
	answers  = prometheus.NewDesc("mailpland_engine_up", "Whether Docker answered the last time it was asked.", nil, nil)
	healthy  = prometheus.NewDesc("mailpland_service_healthy", "Whether every container of a service is healthy.", []string{"service"}, nil)
	restarts = prometheus.NewDesc("mailpland_service_restarts_total", "Restarts of a service because it was unhealthy.", []string{"service"}, nil)
	givenUp  = prometheus.NewDesc("mailpland_service_given_up", "Whether restarts of a service did not help.", []string{"service"}, nil)
)

// Describe implements prometheus.Collector.
func (h *Healer) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{answers, healthy, restarts, givenUp} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (h *Healer) Collect(to chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gauge := func(d *prometheus.Desc, v bool, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, truth(v), labels...)
	}
	gauge(answers, h.seen == nil)
	well, hopeless := map[string]bool{}, map[string]bool{}
	for _, p := range h.cases {
		before, known := well[p.service]
		well[p.service] = p.healthy && (before || !known)
		hopeless[p.service] = hopeless[p.service] || p.givenUp
	}
	for service := range well {
		gauge(healthy, well[service], service)
		gauge(givenUp, hopeless[service], service)
		to <- prometheus.MustNewConstMetric(restarts, prometheus.CounterValue, float64(h.count[service]), service)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
