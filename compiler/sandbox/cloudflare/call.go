package cloudflare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// handler answers one request; a nil error commits the documents it edited.
type handler func(c *call) (any, error)

// call is one request with its view of the state. Documents are decoded
// copies, so that a refused request leaves no trace.
type call struct {
	s      *Server
	r      *http.Request
	body   []byte
	zones  map[string]*zone
	acct   *account
	edited map[string]any
}

// transact runs the handler with the state to itself.
func (s *Server) transact(w http.ResponseWriter, r *http.Request, pattern string, h handler) answer {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return answerError(refuse(10014, "Could not read the request body: %v", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{s: s, r: r, body: body, zones: map[string]*zone{}, edited: map[string]any{}}
	result, err := h(c)
	if err == nil && len(c.edited) > 0 {
		if err = c.commit(); err == nil {
			s.effects[pattern]++
		}
	}
	return answerFor(r, result, err)
}

func (c *call) commit() error {
	changed := map[string][]byte{}
	for name, doc := range c.edited {
		b, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		changed[name] = b
	}
	return c.s.store.commit(changed)
}

// reading tells whether the request may see an older state.
func (c *call) reading() bool { return c.r.Method == http.MethodGet }

// load decodes a document into doc and reports whether it exists.
func (c *call) load(name string, doc any) (bool, error) {
	b := c.s.store.docs[name]
	if c.reading() {
		b = c.s.store.read(name)
	}
	if b == nil {
		return false, nil
	}
	if err := json.Unmarshal(b, doc); err != nil {
		return false, fmt.Errorf("decode %s: %w", name, err)
	}
	return true, nil
}

// decode reads the JSON body; unknown fields are refused where strict.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return refuse(9207, "Request body is empty")
	}
	if ct := c.r.Header.Get("Content-Type"); ct != "application/json" {
		return refuse(6003, "Invalid request headers: Content-Type must be application/json, not %q", ct)
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(9207, "Failed to parse the request body: %v", err)
	}
	return nil
}
