package ingest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/access"
	"github.com/mailplan/mailplan/runtime/route"
)

// serveIngest is one request, from its headers to its answer and its line in the log.
func (s *Server) serveIngest(w http.ResponseWriter, r *http.Request) {
	if isStanding(r.Header) {
		s.serveStanding(w, r)
		return
	}
	start := time.Now()
	d := &delivery{server: s, id: newID()}
	res := s.answer(w, r, d)
	took := time.Since(start)
	s.metrics.observe(res, took, d)
	res.write(w)
	_ = http.NewResponseController(w).Flush() // who asked need not wait for the line, which comes also when he has gone
	d.logLine(r.Context(), res, took)
}

// answer takes the request through its gates, cheapest first, and then delivers.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, d *delivery) result {
	if refusal, ok := s.admit(w, r); !ok {
		return refusal
	}
	from, to, err := parseEnvelope(r.Header, s.conf.MaxRecipients)
	if err != nil {
		return invalid(http.StatusBadRequest, err.Error())
	}
	d.from, d.size = from, r.ContentLength
	for _, address := range to {
		d.recipients = append(d.recipients, recipient{given: address})
	}
	src, err := newSource(w, r, s.conf.MaxMessageBytes, s.conf.BodyTimeout.Or(30*time.Second))
	if err != nil {
		return invalid(http.StatusBadRequest, err.Error())
	}
	if err := s.gate.signature(r.Header); err != nil {
		return invalid(http.StatusForbidden, err.Error())
	}
	if r.ContentLength > s.conf.MaxMessageBytes {
		return d.failed(errTooLarge)
	}
	if !s.slots.take(r.Context()) {
		return d.failed(errBusy)
	}
	defer s.slots.give()
	return d.run(r.Context(), src)
}

// admit checks everything that is not about the message.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (result, bool) {
	if refusal, ok := s.authorize(w, r); !ok {
		return refusal, false
	}
	if !isMessageType(r.Header.Get("Content-Type")) {
		return invalid(http.StatusUnsupportedMediaType, "Content-Type must be message/rfc822 or application/octet-stream"), false
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return invalid(http.StatusUnsupportedMediaType, "body must not be encoded"), false
	}
	return result{}, true
}

// authorize checks who asks, and that it is a POST.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) (result, bool) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return invalid(http.StatusMethodNotAllowed, "only POST is answered here"), false
	}
	if !s.gate.bearer(r.Header) {
		return invalid(http.StatusUnauthorized, "bearer token is missing or not valid"), false
	}
	if err := s.gate.cloudflareAccess(r.Context(), r.Header); err != nil {
		s.log.Warn("access token refused", "error", err)
		return invalid(http.StatusForbidden, access.ErrRefused.Error()), false
	}
	return result{}, true
}

func isMessageType(value string) bool {
	kind, _, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "message/rfc822" || kind == "application/octet-stream"
}

var errBusy = errors.New("too many messages at once")

// places bound how many messages something is done with at once.
type places chan struct{}

// take waits for a place, first come, first served. It has the patience of a sender that can spool.
func (p places) take(ctx context.Context) bool {
	select {
	case p <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	select {
	case p <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

func (p places) give() { <-p }

// failed answers a request that ended for one reason, whatever its recipients are.
func (d *delivery) failed(err error) result {
	d.err = err
	same := func(o outcome, code int) result {
		all := make([]recipientResult, len(d.recipients))
		for i, r := range d.recipients {
			all[i] = recipientResult{Address: r.given, outcome: o}
		}
		res := summarize(d.id, all)
		res.http, res.close = code, true
		return res
	}
	switch {
	case errors.Is(err, errTooLarge):
		return same(refused(552, "5.3.4", errTooLarge.Error()), http.StatusRequestEntityTooLarge)
	case errors.Is(err, errHeaderSize):
		return same(refused(552, "5.3.4", errHeaderSize.Error()), http.StatusUnprocessableEntity)
	case errors.Is(err, errSlow):
		return invalid(http.StatusRequestTimeout, errSlow.Error())
	case errors.Is(err, errMismatch), errors.Is(err, errEmpty), errors.Is(err, errShort):
		return invalid(http.StatusBadRequest, err.Error())
	case errors.Is(err, errSpillFull):
		return same(deferred("4.3.1", errSpillFull.Error()), http.StatusServiceUnavailable)
	case errors.Is(err, errBusy):
		return same(deferred("4.3.2", errBusy.Error()), http.StatusServiceUnavailable)
	}
	return same(deferred("4.3.0", "delivery is not possible now"), http.StatusServiceUnavailable)
}

// resolve finds the targets of every recipient. It returns false when there is none.
func (d *delivery) resolve() bool {
	table := d.server.table.current.Load()
	index := map[string]int{}
	for i := range d.recipients {
		r := &d.recipients[i]
		targets, refusal := d.targetsOf(table, r.given)
		if refusal != nil {
			r.decided = *refusal
			continue
		}
		for _, t := range targets {
			at, known := index[t.Mailbox]
			if !known {
				at = len(d.targets)
				index[t.Mailbox] = at
				d.targets = append(d.targets, target{Target: t, via: r.given})
			}
			r.targets = append(r.targets, at)
		}
	}
	return len(d.targets) > 0
}

func (d *delivery) targetsOf(table *route.Table, given string) ([]route.Target, *outcome) {
	a, err := route.ParseAddress(given)
	if err != nil {
		o := badAddress(err, "5.1.3")
		return nil, &o
	}
	if w := d.server.srs; w != nil && strings.EqualFold(a.Domain, w.Domain) {
		if sender, err := w.Reverse(a.String()); err == nil {
			return []route.Target{{Address: sender, Mailbox: sender, Outside: true}}, nil
		}
	}
	targets, err := table.Resolve(a)
	if err != nil {
		o := unroutable(err)
		return nil, &o
	}
	return targets, nil
}
