package challenge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultAPI is Cloudflare's own.
const DefaultAPI = "https://api.cloudflare.com/client/v4"

// Cloudflare is the little of its API that challenges need. The token wants Zone Read and DNS Write on the zones.
type Cloudflare struct {
	API   string // base URL
	Token string
	HTTP  *http.Client
	Sleep func(ctx context.Context, d time.Duration) error
}

// Zone is a DNS zone with the name servers that answer for it.
type Zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	NameServers []string `json:"name_servers"`
}

// Record is a TXT record.
type Record struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
	Comment string `json:"comment"`
}

// Zone finds a zone by its name.
func (c *Cloudflare) Zone(ctx context.Context, name string) (Zone, error) {
	var found []Zone
	if err := c.do(ctx, http.MethodGet, "/zones?"+url.Values{"name": {name}}.Encode(), nil, &found); err != nil {
		return Zone{}, fmt.Errorf("find the zone %s: %w", name, err)
	}
	if len(found) != 1 {
		return Zone{}, fmt.Errorf("find the zone %s: the token sees %d of that name; give it Zone Read and DNS Write on this zone", name, len(found))
	}
	return found[0], nil
}

// Add makes a TXT record. One that is there already is as good: an answer may have been lost.
func (c *Cloudflare) Add(ctx context.Context, z Zone, r Record) error {
	r.Type, r.Content = "TXT", strconv.Quote(r.Content)
	err := c.do(ctx, http.MethodPost, "/zones/"+z.ID+"/dns_records", r, nil)
	var refused *Refusal
	if errors.As(err, &refused) && refused.has(81057, 81058) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("add the TXT record %s: %w", r.Name, err)
	}
	return nil
}

// alias is the code of a record that cannot stand beside a CNAME.
const alias = 81053

// Alias is where a CNAME record of the zone leads; empty where there is none of that name.
func (c *Cloudflare) Alias(ctx context.Context, z Zone, name string) (string, error) {
	var found []Record
	query := url.Values{"type": {"CNAME"}, "name": {name}}
	if err := c.do(ctx, http.MethodGet, "/zones/"+z.ID+"/dns_records?"+query.Encode(), nil, &found); err != nil {
		return "", fmt.Errorf("look for a CNAME of %s: %w", name, err)
	}
	if len(found) == 0 {
		return "", nil
	}
	return strings.ToLower(strings.TrimSuffix(found[0].Content, ".")), nil
}

// perPage is far above what one site ever leaves.
const perPage = 100

// Marked lists the zone's TXT records that bear a comment.
func (c *Cloudflare) Marked(ctx context.Context, z Zone, comment string) ([]Record, error) {
	var found []Record
	query := url.Values{"type": {"TXT"}, "comment.startswith": {comment}, "per_page": {strconv.Itoa(perPage)}}
	if err := c.do(ctx, http.MethodGet, "/zones/"+z.ID+"/dns_records?"+query.Encode(), nil, &found); err != nil {
		return nil, fmt.Errorf("list the challenges in %s: %w", z.Name, err)
	}
	return slices.DeleteFunc(found, func(r Record) bool { return r.Comment != comment }), nil
}

// Remove deletes a record; one that is gone is no error.
func (c *Cloudflare) Remove(ctx context.Context, z Zone, r Record) error {
	err := c.do(ctx, http.MethodDelete, "/zones/"+z.ID+"/dns_records/"+r.ID, nil, nil)
	var refused *Refusal
	if errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.has(81044)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the TXT record %s: %w", r.Name, err)
	}
	return nil
}

// Refusal is what the API answered instead of a result.
type Refusal struct {
	Status int
	Errors []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	after time.Duration
}

// Error is in the provider's own words.
func (r *Refusal) Error() string {
	said := make([]string, len(r.Errors))
	for i, e := range r.Errors {
		said[i] = fmt.Sprintf("%s (%d)", e.Message, e.Code)
	}
	if len(said) == 0 {
		said = []string{http.StatusText(r.Status)}
	}
	return fmt.Sprintf("cloudflare answers %d: %s", r.Status, strings.Join(said, "; "))
}

func (r *Refusal) has(codes ...int) bool {
	return slices.ContainsFunc(r.Errors, func(e struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}) bool {
		return slices.Contains(codes, e.Code)
	})
}

// The API blocks a user for five minutes who asks too often; whoever waits longer does better to come back later.
const (
	tries   = 4
	longest = 5 * time.Minute
	answer  = 1 << 20 // bytes
)

// do asks again after failures that pass: of the network, of the provider, and for asking too often.
func (c *Cloudflare) do(ctx context.Context, method, path string, body, result any) error {
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, body, result)
		var refused *Refusal
		passing := err != nil && (!errors.As(err, &refused) || refused.Status == http.StatusTooManyRequests || refused.Status >= 500)
		if !passing || try == tries || ctx.Err() != nil {
			return err
		}
		pause := time.Second << (try - 1)
		if refused != nil && refused.after > 0 {
			pause = refused.after
		}
		if pause > longest {
			return err
		}
		if c.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

func (c *Cloudflare) once(ctx context.Context, method, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.API, "/")+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var envelope struct {
		Success bool            `json:"success"`
		Result  json.RawMessage `json:"result"`
		Refusal
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, answer)).Decode(&envelope)
	if resp.StatusCode/100 != 2 || err == nil && !envelope.Success {
		refused := &envelope.Refusal
		refused.Status = resp.StatusCode
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			refused.after = time.Duration(seconds) * time.Second
		}
		return refused
	}
	if err != nil || result == nil {
		return err
	}
	return json.Unmarshal(envelope.Result, result)
}

// Sleep waits, or ends with the context.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
