// Package logline writes a busy daemon's log as lines of JSON. A line of level Info or below waits up to 20 ms for
// others, which spares a system call for each; a warning or an error is written at once with all before it. What
// a killed daemon did in its last 20 ms may so be missing from its log. The package must not know what is logged.
package logline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	company = 20 * time.Millisecond // the longest that a line waits
	enough  = 32 << 10              // bytes that wait for no more
)

// Handler is a [slog.Handler] of a log that is written in groups of lines.
type Handler struct {
	slog.Handler
	lines *lines
}

// New makes a log of what w is written to. Flush writes what is left.
func New(w io.Writer) *Handler {
	l := &lines{w: w}
	return &Handler{slog.NewJSONHandler(l, nil), l}
}

// Handle writes one line.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		err = errors.Join(err, h.Flush())
	}
	return err
}

// WithAttrs is the same log with attributes for each line.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup is the same log with a group around each line's attributes.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.Handler.WithGroup(name), h.lines}
}

// Flush writes what waits.
func (h *Handler) Flush() error { return h.lines.flush() }

// lines gathers whole lines.
type lines struct {
	mu   sync.Mutex
	w    io.Writer
	wait []byte
}

// Write takes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wait) == 0 {
		time.AfterFunc(company, func() { l.flush() }) // where even the log cannot be written there is nobody to tell
	}
	l.wait = append(l.wait, line...)
	if len(l.wait) < enough {
		return len(line), nil
	}
	return len(line), l.write()
}

func (l *lines) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write()
}

func (l *lines) write() error {
	if len(l.wait) == 0 {
		return nil
	}
	_, err := l.w.Write(l.wait)
	l.wait = l.wait[:0]
	return err
}
