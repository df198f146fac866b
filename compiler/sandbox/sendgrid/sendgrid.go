// Package sendgrid is a stand-in for the domain authentication part of SendGrid's API v3: it keeps real state, checks
// what it is sent as the provider does, pages, and misbehaves on request. It must not know anything of mailplan's
// sites or plans; its reference is the provider's API documentation (whitelabel/domains).
package sendgrid

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/compiler/sandbox/standin"
)

// BaseURL is what a client of the stand-in is given; nothing listens there.
const BaseURL = "https://sendgrid.sandbox"

// CNAME is one name that a domain must have.
type CNAME struct {
	Valid bool   `json:"valid"`
	Type  string `json:"type"`
	Host  string `json:"host"`
	Data  string `json:"data"`
}

// DNS are the names of a domain with automated security.
type DNS struct {
	MailCNAME CNAME `json:"mail_cname"`
	DKIM1     CNAME `json:"dkim1"`
	DKIM2     CNAME `json:"dkim2"`
}

// Domain is an authenticated domain as the API shows it.
type Domain struct {
	ID                int      `json:"id"`
	UserID            int      `json:"user_id"`
	Subdomain         string   `json:"subdomain"`
	Domain            string   `json:"domain"`
	Username          string   `json:"username"`
	IPs               []string `json:"ips"`
	CustomSPF         bool     `json:"custom_spf"`
	Default           bool     `json:"default"`
	Legacy            bool     `json:"legacy"`
	AutomaticSecurity bool     `json:"automatic_security"`
	Valid             bool     `json:"valid"`
	DNS               DNS      `json:"dns"`
}

// State is the account. Targets are what the account leads names to, by domain; without one, its own are used.
type State struct {
	Next    int               `json:"next"`
	Domains []Domain          `json:"domains"`
	Targets map[string]string `json:"targets"`
}

// Server is one account of the stand-in. Use New.
type Server struct {
	*standin.Service[State]
	key    string
	lookup func(host string) (target string, ok bool)
}

// The endpoints, as patterns for faults and counts.
const (
	List     = "GET /v3/whitelabel/domains"
	Create   = "POST /v3/whitelabel/domains"
	Get      = "GET /v3/whitelabel/domains/{id}"
	Validate = "POST /v3/whitelabel/domains/{id}/validate"
)

// userID is the account's; it stands in the names that it hands out.
const userID = 7654321

// New opens the account kept in dir. Key is the only API key it takes; lookup finds the CNAME of a name in DNS.
func New(dir, key string, lookup func(host string) (target string, ok bool)) (*Server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	service, err := standin.Open(filepath.Join(dir, "account.json"), State{Next: 1001})
	if err != nil {
		return nil, err
	}
	s := &Server{Service: service, key: key, lookup: lookup}
	for pattern, h := range map[string]func(*standin.Call[State]) standin.Answer{
		List: list, Create: create, Get: get, Validate: s.validate,
	} {
		service.Handle(pattern, s.authenticated(h))
	}
	return s, nil
}

// Assign says what the account leads the names of a domain to: the target of its return path. Only the provider
// decides that.
func (s *Server) Assign(domain, target string) error {
	return s.Edit(func(state *State) {
		if state.Targets == nil {
			state.Targets = map[string]string{}
		}
		state.Targets[domain] = target
	})
}

func refuse(status int, field, format string, args ...any) standin.Answer {
	e := map[string]any{"message": fmt.Sprintf(format, args...), "field": nil}
	if field != "" {
		e["field"] = field
	}
	return standin.Answer{Status: status, Body: map[string]any{"errors": []any{e}}}
}

func (s *Server) authenticated(h func(*standin.Call[State]) standin.Answer) func(*standin.Call[State]) standin.Answer {
	return func(c *standin.Call[State]) standin.Answer {
		key, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(key), []byte(s.key)) != 1 {
			return refuse(http.StatusUnauthorized, "", "authorization required")
		}
		return h(c)
	}
}

// list pages by limit and offset, 50 where nothing is said.
func list(c *standin.Call[State]) standin.Answer {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil && n >= 0 {
			return n
		}
		return otherwise
	}
	out := slices.DeleteFunc(slices.Clone(c.State.Domains), func(d Domain) bool {
		want := c.URL.Query().Get("domain")
		return want != "" && d.Domain != want
	})
	from := min(number("offset", 0), len(out))
	to := min(from+number("limit", 50), len(out))
	return standin.Answer{Status: http.StatusOK, Body: append([]Domain{}, out[from:to]...)}
}

var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}$`)

func create(c *standin.Call[State]) standin.Answer {
	var in struct {
		Domain            string `json:"domain"`
		Subdomain         string `json:"subdomain"`
		AutomaticSecurity bool   `json:"automatic_security"`
		CustomSPF         bool   `json:"custom_spf"`
		Default           bool   `json:"default"`
	}
	switch err := json.Unmarshal(c.Body, &in); {
	case err != nil:
		return refuse(http.StatusBadRequest, "", "invalid JSON")
	case !domainName.MatchString(in.Domain):
		return refuse(http.StatusBadRequest, "domain", "invalid domain")
	case !in.AutomaticSecurity:
		return refuse(http.StatusBadRequest, "automatic_security", "this stand-in knows automated security only")
	case slices.ContainsFunc(c.State.Domains, func(d Domain) bool {
		return d.Domain == in.Domain && (in.Subdomain == "" || d.Subdomain == in.Subdomain)
	}):
		return refuse(http.StatusBadRequest, "domain", "an authenticated domain already exists for this URL")
	}
	id := c.State.Next
	c.State.Next++
	if in.Subdomain == "" {
		in.Subdomain = fmt.Sprintf("em%d", id)
	}
	d := Domain{ID: id, UserID: userID, Subdomain: in.Subdomain, Domain: in.Domain, Username: "sandbox", IPs: []string{},
		CustomSPF: in.CustomSPF, Default: in.Default, AutomaticSecurity: true, DNS: c.State.names(in.Domain, in.Subdomain, id)}
	c.State.Domains = append(c.State.Domains, d)
	c.Changed()
	return standin.Answer{Status: http.StatusCreated, Body: d}
}

func (s State) names(domain, subdomain string, id int) DNS {
	target := s.Targets[domain]
	if target == "" {
		target = fmt.Sprintf("u%d.wl%d.sendgrid.net", userID, id%1000)
	}
	return DNS{
		MailCNAME: CNAME{Type: "cname", Host: subdomain + "." + domain, Data: target},
		DKIM1:     CNAME{Type: "cname", Host: "s1._domainkey." + domain, Data: "s1.domainkey." + target},
		DKIM2:     CNAME{Type: "cname", Host: "s2._domainkey." + domain, Data: "s2.domainkey." + target},
	}
}

func find(c *standin.Call[State]) *Domain {
	for i := range c.State.Domains {
		if strconv.Itoa(c.State.Domains[i].ID) == c.PathValue("id") {
			return &c.State.Domains[i]
		}
	}
	return nil
}

func get(c *standin.Call[State]) standin.Answer {
	if d := find(c); d != nil {
		return standin.Answer{Status: http.StatusOK, Body: d}
	}
	return refuse(http.StatusNotFound, "", "resource not found")
}

// result of the check of one name.
type result struct {
	Valid  bool    `json:"valid"`
	Reason *string `json:"reason"`
}

// validate looks every name up.
func (s *Server) validate(c *standin.Call[State]) standin.Answer {
	d := find(c)
	if d == nil {
		return refuse(http.StatusNotFound, "", "resource not found")
	}
	results := map[string]result{}
	d.Valid = true
	for name, record := range map[string]*CNAME{"mail_cname": &d.DNS.MailCNAME, "dkim1": &d.DNS.DKIM1, "dkim2": &d.DNS.DKIM2} {
		r := s.check(*record)
		record.Valid, results[name] = r.Valid, r
		d.Valid = d.Valid && r.Valid
	}
	c.Changed()
	return standin.Answer{Status: http.StatusOK, Body: map[string]any{"id": d.ID, "valid": d.Valid, "validation_results": results}}
}

func (s *Server) check(record CNAME) result {
	target, ok := s.lookup(record.Host)
	switch {
	case !ok:
		reason := fmt.Sprintf("Expected CNAME for %q to match %q, but found nothing.", record.Host, record.Data)
		return result{Reason: &reason}
	case target != record.Data:
		reason := fmt.Sprintf("Expected CNAME for %q to match %q, but found %q.", record.Host, record.Data, target)
		return result{Reason: &reason}
	}
	return result{Valid: true}
}
