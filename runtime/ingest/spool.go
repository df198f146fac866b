package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/durable"
)

// standingType is how a request says that it is no message but tells how the edge's spool stands. It comes the way that
// messages come, so that whatever guards that way, such as a firewall at the edge, lets it through.
const standingType = "application/vnd.mailplan.spool+json"

// maxStanding bounds such a request, in bytes.
const maxStanding = 1 << 10

// maxAhead is how far the edge's clock may be ahead of ours.
const maxAhead = 5 * time.Minute

// standing is how the spool stood at a moment, by the edge's clock.
type standing struct {
	At      time.Time `json:"at"`
	Waiting int       `json:"waiting"`         // messages; the edge counts one page of them
	Dead    int       `json:"dead"`            // letters, of one page too
	Oldest  time.Time `json:"oldest,omitzero"` // when the one that waits longest came; of none, zero
	More    bool      `json:"more,omitempty"`  // there are more than were counted
}

func (s standing) check(now time.Time) error {
	switch {
	case s.At.IsZero() || s.At.After(now.Add(maxAhead)):
		return errors.New("at is missing or lies in the future")
	case s.Waiting < 0 || s.Dead < 0:
		return errors.New("a count is below 0")
	case s.Waiting > 0 && (s.Oldest.IsZero() || s.Oldest.After(s.At.Add(maxAhead))):
		return errors.New("oldest is missing or lies after at")
	case s.Waiting == 0 && !s.Oldest.IsZero():
		return errors.New("oldest is given, and nothing waits")
	}
	return nil
}

// edgeSpool remembers what was told last, in a file where there is a folder for it.
type edgeSpool struct {
	file string

	mu   sync.Mutex
	last standing
}

// open reads what was told to an earlier run.
func (e *edgeSpool) open(conf *config.Ingest) error {
	if conf.Ledger == nil {
		return nil
	}
	e.file = filepath.Join(filepath.Dir(conf.Ledger.Path), "edge-spool.json")
	data, err := os.ReadFile(e.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &e.last)
	}
	if err != nil {
		e.last = standing{}
		return fmt.Errorf("%s: %w", e.file, err)
	}
	return nil
}

// take keeps what is newer than what is known.
func (e *edgeSpool) take(s standing) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.At.After(e.last.At) {
		return nil // overtaken on the way
	}
	if e.file != "" {
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := durable.Replace(e.file, data); err != nil {
			return err
		}
	}
	e.last = s
	return nil
}

var edgeMetrics = map[string]*prometheus.Desc{
	"waiting": prometheus.NewDesc("mailpland_edge_spool_waiting", "Messages that wait at the edge, at most 1000 are counted.", nil, nil),
	"oldest":  prometheus.NewDesc("mailpland_edge_spool_oldest_timestamp_seconds", "When the one came that waits longest; absent when none waits.", nil, nil),
	"dead":    prometheus.NewDesc("mailpland_edge_spool_dead_letters", "Messages that the edge has given up, at most 1000 are counted.", nil, nil),
	"at":      prometheus.NewDesc("mailpland_edge_spool_report_timestamp_seconds", "When the edge told so.", nil, nil),
}

// Describe implements prometheus.Collector.
func (e *edgeSpool) Describe(to chan<- *prometheus.Desc) {
	for _, d := range edgeMetrics {
		to <- d
	}
}

// Collect implements prometheus.Collector. Nothing is known before the edge has told.
func (e *edgeSpool) Collect(to chan<- prometheus.Metric) {
	e.mu.Lock()
	s := e.last
	e.mu.Unlock()
	if s.At.IsZero() {
		return
	}
	set := func(name string, value float64) {
		to <- prometheus.MustNewConstMetric(edgeMetrics[name], prometheus.GaugeValue, value)
	}
	set("waiting", float64(s.Waiting))
	set("dead", float64(s.Dead))
	set("at", float64(s.At.Unix()))
	if s.Waiting > 0 {
		set("oldest", float64(s.Oldest.Unix()))
	}
}

func isStanding(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == standingType
}

// serveStanding takes what the edge tells, and leaves one line in the log.
func (s *Server) serveStanding(w http.ResponseWriter, r *http.Request) {
	told, refusal, ok := s.readStanding(w, r)
	if ok {
		if err := s.edge.take(told); err != nil {
			s.log.Error("what the edge tells of its spool cannot be kept", "error", err)
			ok, refusal = false, invalid(http.StatusServiceUnavailable, "it cannot be kept now")
		}
	}
	if !ok {
		s.metrics.observe(refusal, 0, &delivery{})
		s.log.Warn("spool", "http", refusal.http, "said", refusal.Message)
		refusal.write(w)
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "spool", slog.Int("waiting", told.Waiting), slog.Int("dead", told.Dead),
		slog.Bool("more", told.More), slog.Time("at", told.At))
	w.WriteHeader(http.StatusNoContent)
}

// readStanding takes the request through the same gates as a message.
func (s *Server) readStanding(w http.ResponseWriter, r *http.Request) (told standing, refusal result, ok bool) {
	bad := func(code int, why string) (standing, result, bool) { return standing{}, invalid(code, why), false }
	if refusal, ok := s.authorize(w, r); !ok {
		return told, refusal, false
	}
	src, err := newSource(w, r, maxStanding, 0)
	if err != nil {
		return bad(http.StatusBadRequest, err.Error())
	}
	if err := s.gate.signature(r.Header); err != nil {
		return bad(http.StatusForbidden, err.Error())
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second)) // unknown only to tests
	body, err := io.ReadAll(src)
	switch {
	case errors.Is(err, errTooLarge):
		return bad(http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes tell of no spool", maxStanding))
	case errors.Is(err, errMismatch):
		return bad(http.StatusBadRequest, errMismatch.Error())
	case err != nil:
		return bad(http.StatusBadRequest, errShort.Error())
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&told); err != nil || d.More() {
		return bad(http.StatusBadRequest, "the body is no JSON of a spool")
	}
	if err := told.check(time.Now()); err != nil {
		return bad(http.StatusBadRequest, err.Error())
	}
	return told, result{}, true
}
