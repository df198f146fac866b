package backup

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics reads what is remembered of runs whenever somebody asks, so that a run made by hand shows too.
type metrics struct {
	x     *Executor
	descs map[string]*prometheus.Desc
}

// Metrics returns what Prometheus may know of backups.
func (x *Executor) Metrics() prometheus.Collector {
	m := &metrics{x: x, descs: map[string]*prometheus.Desc{}}
	for name, help := range map[string]string{
		"last_run_timestamp_seconds":     "When the last run was finished, whatever came of it.",
		"last_success_timestamp_seconds": "When the last run was finished in which every class was whole.",
		"last_run_ok":                    "Whether the last run succeeded.",
		"last_run_duration_seconds":      "How long the last run took.",
		"overdue":                        "Whether there was no success within the deadline.",
		"files":                          "Files in the newest whole snapshot.",
		"bytes":                          "Bytes of those files.",
		"packed_bytes":                   "Bytes of the packs they need.",
		"written_bytes":                  "Bytes of packs written by the last successful run.",
		"suspect_files":                  "Files found with bytes that their name or times do not promise.",
		"damaged_packs":                  "Packs the last verify found damaged and no run has replaced yet.",
		"offsite_timestamp_seconds":      "When the newest off-site snapshot was sent.",
		"offsite_locked_until_seconds":   "Until when it is locked.",
		"drill_timestamp_seconds":        "When the last drill was held.",
		"drill_green":                    "Whether it found everything working.",
		"drill_rpo_seconds":              "What time of work a loss would have cost then.",
		"drill_rto_seconds":              "How long restoring took.",
	} {
		m.descs[name] = prometheus.NewDesc("mailpland_backup_"+name, help, nil, nil)
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
	set := func(name string, value float64) {
		to <- prometheus.MustNewConstMetric(m.descs[name], prometheus.GaugeValue, value)
	}
	record, err := m.x.Record()
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.descs["last_run_ok"], err)
		return
	}
	m.runs(record, set)
	if receipts, err := m.x.Receipts(); err == nil && len(receipts) > 0 {
		r := receipts[len(receipts)-1]
		set("offsite_timestamp_seconds", seconds(r.Sent))
		set("offsite_locked_until_seconds", seconds(r.RetainUntil))
	}
	if r, err := m.x.LatestDrill(); err == nil && r != nil {
		set("drill_timestamp_seconds", seconds(r.Finished))
		set("drill_green", truth(r.Green))
		set("drill_rpo_seconds", r.RPO)
		set("drill_rto_seconds", r.RTO)
	}
}

func (m *metrics) runs(record Record, set func(string, float64)) {
	deadline := time.Duration(m.x.config.Schedule.DeadlineHours) * time.Hour
	set("overdue", truth(m.x.Now().Sub(record.lastSuccess()) > deadline))
	set("damaged_packs", float64(len(record.BadPacks)))
	if r := record.LastRun; r != nil {
		set("last_run_timestamp_seconds", seconds(r.Finished))
		set("last_run_ok", truth(r.Error == ""))
		set("last_run_duration_seconds", r.Finished.Sub(r.Started).Seconds())
	}
	if r := record.LastSuccess; r != nil {
		set("last_success_timestamp_seconds", seconds(r.Finished))
		set("files", float64(r.Head.Files))
		set("bytes", float64(r.Head.Bytes))
		set("packed_bytes", float64(r.Head.Packed))
		set("written_bytes", float64(r.Head.Written))
		suspect := int64(0)
		for _, c := range r.Head.Classes {
			suspect += c.Suspect
		}
		set("suspect_files", float64(suspect))
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
