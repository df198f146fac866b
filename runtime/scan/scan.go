// Package scan turns a message into a verdict by asking Rspamd (POST /checkv2), and a verdict into what
// the site's policy makes of it. A scan that did not happen is never taken for a clean one. The package
// must not know how messages arrive or are delivered.
package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/message"
)

// Scanner asks one Rspamd. Make it with [New].
type Scanner struct {
	url    string
	client *http.Client
	limit  time.Duration
	conf   *config.Scan
}

// New makes a scanner that keeps at most idle connections open.
func New(conf *config.Scan, idle int) *Scanner {
	t := &http.Transport{MaxIdleConnsPerHost: idle, IdleConnTimeout: time.Minute, DisableCompression: true,
		WriteBufferSize: 64 << 10}
	return &Scanner{url: strings.TrimRight(conf.URL, "/"), client: &http.Client{Transport: t}, conf: conf,
		limit: conf.Timeout.Or(time.Minute)}
}

// Request is a message to scan, with the envelope it came in.
type Request struct {
	ID     string
	From   string
	To     []string
	Client message.Client // zero when unknown: then SPF and address lists are not asked
	Body   io.Reader
	Size   int64
}

// Verdict is Rspamd's answer.
type Verdict struct {
	Action   string
	Score    float64
	Required float64
	Symbols  []string // names, sorted
	Subject  string   // the new subject of a "rewrite subject" action
	Said     string   // Rspamd's own text for the SMTP reply; may be empty
	Edit     message.Edit
}

// Scan asks for a verdict. Every error means that the message was not scanned.
func (s *Scanner) Scan(ctx context.Context, r Request) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	body := &guarded{r: r.Body}
	defer body.stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/checkv2", body)
	if err != nil {
		return Verdict{}, fmt.Errorf("ask the scanner: %w", err)
	}
	req.ContentLength = r.Size
	if r.Size == 0 {
		req.Body = http.NoBody
	}
	setHeaders(req.Header, r)
	resp, err := s.client.Do(req)
	if err != nil {
		return Verdict{}, fmt.Errorf("ask the scanner: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Verdict{}, fmt.Errorf("read the scanner's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return Verdict{}, fmt.Errorf("scanner answers %s", resp.Status)
	}
	return ParseVerdict(text)
}

// guarded ends when its request has ended: the transport may go on reading in the background, while
// the caller uses the message's memory for another.
type guarded struct {
	mu sync.Mutex
	r  io.Reader
}

// Read reads from the message until stop is called.
func (g *guarded) Read(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.r == nil {
		return 0, io.ErrClosedPipe
	}
	return g.r.Read(b)
}

func (g *guarded) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.r = nil
}

const maxAnswer = 4 << 20

func setHeaders(h http.Header, r Request) {
	h.Set("Queue-Id", r.ID)
	h.Set("From", "<"+r.From+">")
	for _, to := range r.To {
		h.Add("Rcpt", "<"+to+">")
	}
	if r.Client.Addr.IsValid() {
		h.Set("IP", r.Client.Addr.String())
	}
	if r.Client.Helo != "" {
		h.Set("Helo", r.Client.Helo)
	}
}

// Ping asks whether the scanner answers.
func (s *Scanner) Ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/ping", nil)
	if err != nil {
		return fmt.Errorf("ping the scanner: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ping the scanner: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.HasPrefix(body, []byte("pong")) {
		return fmt.Errorf("ping the scanner: %s %q", resp.Status, body)
	}
	return nil
}

type answer struct {
	Action   string                     `json:"action"`
	Score    float64                    `json:"score"`
	Required float64                    `json:"required_score"`
	Subject  string                     `json:"subject"`
	Symbols  map[string]json.RawMessage `json:"symbols"`
	Messages map[string]any             `json:"messages"`
	Milter   struct {
		Add    map[string]json.RawMessage `json:"add_headers"`
		Remove map[string]json.RawMessage `json:"remove_headers"`
	} `json:"milter"`
}

// ParseVerdict reads the JSON of a /checkv2 answer.
func ParseVerdict(body []byte) (Verdict, error) {
	var a answer
	if len(body) > maxAnswer {
		return Verdict{}, fmt.Errorf("scanner's answer is longer than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Verdict{}, fmt.Errorf("read the scanner's answer: %w", err)
	}
	if a.Action == "" {
		return Verdict{}, fmt.Errorf("scanner's answer has no action")
	}
	v := Verdict{Action: a.Action, Score: a.Score, Required: a.Required, Subject: a.Subject}
	for name := range a.Symbols {
		v.Symbols = append(v.Symbols, name)
	}
	slices.Sort(v.Symbols)
	if text, ok := a.Messages["smtp_message"].(string); ok {
		v.Said = text
	}
	v.Edit.Remove = removals(a.Milter.Remove)
	v.Edit.Inserts = inserts(a.Milter.Add)
	return v, nil
}

func removals(from map[string]json.RawMessage) (all []message.Removal) {
	for name, raw := range from {
		var one int
		var many []int
		if json.Unmarshal(raw, &one) == nil {
			many = []int{one}
		} else if json.Unmarshal(raw, &many) != nil {
			many = []int{0}
		}
		for _, nth := range many {
			all = append(all, message.Removal{Name: name, Nth: nth})
		}
	}
	return all
}

// inserts reads the three forms that Rspamd writes: text, {value, order}, and a list of these.
func inserts(from map[string]json.RawMessage) (all []message.Insert) {
	names := make([]string, 0, len(from))
	for name := range from {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !isFieldName(name) {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(from[name], &list) != nil {
			list = []json.RawMessage{from[name]}
		}
		for _, raw := range list {
			if in, ok := insert(name, raw); ok {
				all = append(all, in)
			}
		}
	}
	return all
}

func insert(name string, raw json.RawMessage) (message.Insert, bool) {
	in := message.Insert{Name: name, Order: -1}
	if json.Unmarshal(raw, &in.Value) == nil {
		return in, true
	}
	var entry struct {
		Value string `json:"value"`
		Order *int   `json:"order"`
	}
	if json.Unmarshal(raw, &entry) != nil {
		return in, false
	}
	in.Value = entry.Value
	if entry.Order != nil {
		in.Order = *entry.Order
	}
	return in, true
}

func isFieldName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return s != ""
}

// ScoreText is the score as it goes into a header.
func (v Verdict) ScoreText() string { return strconv.FormatFloat(v.Score, 'f', 2, 64) }
