package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	rules "github.com/mailplan/mailplan/compiler/emit/prometheus"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/heal"
	"github.com/mailplan/mailplan/runtime/measure"
	"github.com/mailplan/mailplan/runtime/probe"
	"github.com/mailplan/mailplan/test/mailstore"
)

var metricName = regexp.MustCompile(`mailpland_[a-z_]+`)

// TestAlertsHaveMetrics holds that whatever the emitted alerts ask for is served by mailpland.
func TestAlertsHaveMetrics(t *testing.T) {
	served := map[string]bool{}
	for _, text := range []string{scraped(t), described(t), measured(t)} {
		for _, name := range metricName.FindAllString(text, -1) {
			served[name] = true
		}
	}
	site := emittest.Site()
	site.Edge.Spool.Enabled = true
	text := emittest.Text(t, emittest.Emit(t, rules.Files, site), "config/prometheus/mailplan.rules.yml")
	asked := regexp.MustCompile(`expr: .*`).FindAllString(text, -1)
	for _, expr := range asked {
		for _, name := range metricName.FindAllString(expr, -1) {
			if !served[name] {
				t.Errorf("nobody serves %s, which an alert is made of", name)
			}
		}
	}
	if len(asked) < 20 {
		t.Errorf("only %d alerts were looked at", len(asked))
	}
}

// scraped is what a real process answers before any mail has come.
func scraped(t *testing.T) string {
	d := newDaemon(t, func(c *config.Ingest) { c.LMTP = &config.LMTP{Address: mailstore.FreeAddress(t)} })
	d.start(t)
	tellSpool(t, d)
	resp, err := http.Get("http://" + d.conf.Health.Listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tellSpool tells what the edge would.
func tellSpool(t *testing.T, d *daemon) {
	now := time.Now().UTC().Format(time.RFC3339)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.conf.Ingest.Listen+"/v1/ingest",
		strings.NewReader(`{"at":"`+now+`","waiting":1,"oldest":"`+now+`","dead":0}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/vnd.mailplan.spool+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusNoContent {
		t.Errorf("the report of the spool: %s", resp.Status)
	}
}

// recorder is a registry that only remembers.
type recorder struct{ list []prometheus.Collector }

func (r *recorder) Register(c prometheus.Collector) error { r.list = append(r.list, c); return nil }

func (r *recorder) MustRegister(list ...prometheus.Collector) { r.list = append(r.list, list...) }

func (r *recorder) Unregister(prometheus.Collector) bool { return false }

// described is what the other parts say that they serve.
func described(t *testing.T) (text string) {
	var all recorder
	x, err := backup.New(backuptest.NewSite(t).Config)
	if err != nil {
		t.Fatal(err)
	}
	all.MustRegister(x.Metrics(), certificate.Metrics(nil), heal.New(heal.Settings{}, nil, nil))
	probe.NewSchedule(&probe.Prober{}, nil, nil, &all)
	descs := make(chan *prometheus.Desc, 100)
	for _, c := range all.list {
		c.Describe(descs)
	}
	close(descs)
	for d := range descs {
		text += d.String()
	}
	return text
}

// measured is what the host's measurements are.
func measured(t *testing.T) (text string) {
	log := slog.New(slog.DiscardHandler)
	metrics := make(chan prometheus.Metric, 100)
	for name, take := range map[string]func(context.Context) ([]prometheus.Metric, error){
		"disks":      measure.Disks([]string{t.TempDir()}),
		"queue":      measure.Queue(func(context.Context) ([]byte, error) { return nil, nil }, time.Now),
		"signatures": measure.Signatures(clamd(t)),
	} {
		(&measure.Measurement{Name: name, Take: take, Log: log}).Collect(metrics)
	}
	close(metrics)
	for m := range metrics {
		text += m.Desc().String()
	}
	return text
}

// clamd answers one question for its version.
func clamd(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write([]byte("ClamAV 1.4.3/27450/Sun Nov 22 09:41:21 2026\x00"))
	}()
	return ln.Addr().String()
}
