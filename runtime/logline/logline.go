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

// lines gathers whole lines. Who logs does not wait for a slow disk or pipe while others' lines are being written,
// unless enough of them wait already.
type lines struct {
	w io.Writer

	mu   sync.Mutex
	wait []byte

	turn  sync.Mutex // held while a group is written
	spare []byte     // room of the group before
}

// Write takes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	if len(l.wait) == 0 {
		time.AfterFunc(company, func() { l.flush() }) // where even the log cannot be written there is nobody to tell
	}
	l.wait = append(l.wait, line...)
	full := len(l.wait) >= enough
	l.mu.Unlock()
	if !full {
		return len(line), nil
	}
	return len(line), l.flush()
}

// flush returns when all lines of before have been written.
func (l *lines) flush() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	group := l.wait
	l.wait = l.spare[:0]
	l.mu.Unlock()
	l.spare = group
	if len(group) == 0 {
		return nil
	}
	_, err := l.w.Write(group)
	return err
}
