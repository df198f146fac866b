package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/polite"
)

// DefaultBaseURL is SendGrid's API for everybody but subusers of its EU region.
const DefaultBaseURL = "https://api.sendgrid.com"

// page is how many domains one answer lists.
const page = 50

// patience is how long one call may take, with the pauses that SendGrid asks for.
const patience = 3 * time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// Client speaks SendGrid's API v3 as far as domain authentication needs it. Key is used in a header and nowhere else.
type Client struct {
	BaseURL string // empty means DefaultBaseURL
	Key     string
	HTTP    *http.Client // nil means a polite one
}

// authentication is a domain as SendGrid shows it (GET /v3/whitelabel/domains).
type authentication struct {
	ID        int    `json:"id"`
	Domain    string `json:"domain"`
	Subdomain string `json:"subdomain"`
	Valid     bool   `json:"valid"`
	DNS       struct {
		MailCNAME cname `json:"mail_cname"`
		DKIM1     cname `json:"dkim1"`
		DKIM2     cname `json:"dkim2"`
	} `json:"dns"`
}

type cname struct {
	Host string `json:"host"`
	Data string `json:"data"`
}

// names are the CNAMEs that SendGrid wants.
func (a authentication) names() []name {
	var out []name
	for _, c := range []cname{a.DNS.MailCNAME, a.DNS.DKIM1, a.DNS.DKIM2} {
		if c.Host != "" {
			out = append(out, name{canonical(c.Host), canonical(c.Data)})
		}
	}
	return sorted(out)
}

func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// verdict is SendGrid's on the names of a domain.
type verdict struct {
	Valid   bool `json:"valid"`
	Results map[string]struct {
		Valid  bool   `json:"valid"`
		Reason string `json:"reason"`
	} `json:"validation_results"`
}

// domains lists all authenticated domains of the account.
func (c *Client) domains(ctx context.Context) ([]authentication, error) {
	var all []authentication
	for {
		var some []authentication
		query := url.Values{"limit": {strconv.Itoa(page)}, "offset": {strconv.Itoa(len(all))}}
		if err := c.do(ctx, http.MethodGet, "/v3/whitelabel/domains?"+query.Encode(), nil, &some); err != nil {
			return nil, fmt.Errorf("list authenticated domains: %w", err)
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
	}
}

// authenticate makes a domain known. An empty subdomain lets SendGrid choose.
func (c *Client) authenticate(ctx context.Context, domain, subdomain string) (authentication, error) {
	in := map[string]any{"domain": domain, "automatic_security": true}
	if subdomain != "" {
		in["subdomain"] = subdomain
	}
	var made authentication
	if err := c.do(ctx, http.MethodPost, "/v3/whitelabel/domains", in, &made); err != nil {
		return made, fmt.Errorf("authenticate %s: %w", domain, err)
	}
	return made, nil
}

// validate has SendGrid look the names up.
func (c *Client) validate(ctx context.Context, a authentication) (verdict, error) {
	var v verdict
	if err := c.do(ctx, http.MethodPost, fmt.Sprintf("/v3/whitelabel/domains/%d/validate", a.ID), struct{}{}, &v); err != nil {
		return v, fmt.Errorf("validate %s: %w", a.Domain, err)
	}
	return v, nil
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read SendGrid's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return refusal(resp.StatusCode, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read SendGrid's answer: %w", err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	base := c.BaseURL
	if base == "" {
		base = DefaultBaseURL
	}
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *Client) client() *http.Client {
	if c.HTTP == nil {
		return &http.Client{Transport: &polite.Transport{}, Timeout: patience}
	}
	return c.HTTP
}

// refusal is an answer's error in SendGrid's own words.
func refusal(status int, data []byte) error {
	var answer struct {
		Errors []struct {
			Message string `json:"message"`
			Field   string `json:"field"`
		} `json:"errors"`
	}
	var words []string
	if json.Unmarshal(data, &answer) == nil {
		for _, e := range answer.Errors {
			if e.Field != "" {
				e.Message = e.Field + ": " + e.Message
			}
			words = append(words, e.Message)
		}
	}
	hint := ""
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		hint = "; the relay's API key needs the scope whitelabel"
	}
	return fmt.Errorf("SendGrid answers %d %s%s", status, strings.Join(words, ", "), hint)
}
