package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal how far a long command is; elsewhere it says nothing.
type progress struct {
	out   io.Writer
	verb  string
	start time.Time
	mu    sync.Mutex
	shown time.Time
	n     int
	sum   int64
}

func newProgress(out io.Writer, verb string) *progress {
	p := &progress{verb: verb, start: time.Now()}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.out = out
	}
	return p
}

// files counts files and bytes.
func (p *progress) files(n int, bytes int64) {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.sum = p.n+n, p.sum+bytes
	if time.Since(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = time.Now()
	rate := float64(p.sum) / max(time.Since(p.start).Seconds(), 0.001)
	line := fmt.Sprintf("%s: %s, %s/s", p.verb, size(p.sum), size(int64(rate)))
	if p.n > 0 {
		line = fmt.Sprintf("%s: %d files, %s, %s/s", p.verb, p.n, size(p.sum), size(int64(rate)))
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// bytes counts bytes alone.
func (p *progress) bytes(n int64) { p.files(0, n) }

// end clears the line.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
