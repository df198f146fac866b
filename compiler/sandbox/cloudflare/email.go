package cloudflare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/edge/txt"
)

// emailRouting is a zone's Email Routing.
type emailRouting struct {
	ID            string    `json:"id"`
	Enabled       bool      `json:"enabled"`
	Locked        bool      `json:"locked"`
	SkipWizard    bool      `json:"skip_wizard"`
	Subaddressing bool      `json:"subaddressing"`
	Created       time.Time `json:"created"`
	Modified      time.Time `json:"modified"`
	// Subdomains are the names below the apex that route too.
	Subdomains []string      `json:"subdomains"`
	Rules      []routingRule `json:"rules"`
	CatchAll   *routingRule  `json:"catch_all"`
}

const (
	routingSPF     = "v=spf1 include:_spf.mx.cloudflare.net ~all"
	routingInclude = "include:_spf.mx.cloudflare.net"
	maxDomains     = 30 // the apex and its subdomains
)

// settings is the answer of every call on the zone's routing itself.
func (z *zone) settings() map[string]any {
	e := &z.Email
	return map[string]any{
		"id": e.ID, "tag": e.ID, "name": z.Name, "enabled": e.Enabled, "status": z.routingStatus(),
		"skip_wizard": e.SkipWizard, "support_subaddress": e.Subaddressing,
		"created": e.Created, "modified": e.Modified,
	}
}

// routingStatus is the provider's own judgement of the zone's records.
func (z *zone) routingStatus() string {
	if !z.Email.Enabled {
		return "unconfigured"
	}
	mx, spf, sane := 0, 0, true
	for _, r := range z.Records {
		if r.Name != z.Name {
			continue
		}
		switch {
		case r.Type == "MX" && r.routing():
			mx++
		case r.Type == "MX":
			sane = false
		case r.spf():
			spf++
			sane = sane && strings.Contains(r.text(), routingInclude)
		}
	}
	switch {
	case (mx != 3 || spf != 1 || !sane) && z.Email.Locked:
		return "misconfigured/locked"
	case mx != 3 || spf != 1 || !sane:
		return "misconfigured"
	case !z.Email.Locked:
		return "unlocked"
	}
	return "ready"
}

func (r record) routing() bool { return r.Meta["email_routing"] == true }

// required is the set of records that routing needs at a name. The provider
// assigns the preferences; they differ between zones.
func (z *zone) required(name string) []record {
	seed := int(z.ID[0]) % 40
	var records []record
	for i := range 3 {
		p := seed + 7 + i*23
		records = append(records, record{Type: "MX", Name: name, Content: fmt.Sprintf("route%d.mx.cloudflare.net", i+1), Priority: &p})
	}
	records = append(records, record{Type: "TXT", Name: name, Content: txt.Encode(routingSPF)})
	if name == z.Name {
		key := "v=DKIM1; h=sha256; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", 12)
		records = append(records, record{Type: "TXT", Name: "cf2024-1._domainkey." + name, Content: txt.Encode(key)})
	}
	return records
}

// route adds and locks the records of a name. An SPF record that already
// includes the provider stays its owner's; any other is replaced.
func (z *zone) route(name string, now time.Time) {
	z.Records = slices.DeleteFunc(z.Records, func(r record) bool {
		return r.Name == name && r.spf() && !strings.Contains(r.text(), routingInclude)
	})
	for _, want := range z.required(name) {
		if !slices.ContainsFunc(z.Records, want.servedBy) {
			want.ID, want.TTL, want.Tags, want.Settings = newID(), 1, []string{}, map[string]any{}
			want.CreatedOn, want.ModifiedOn = now, now
			want.Meta = map[string]any{"email_routing": true}
			z.Records = append(z.Records, want)
		}
	}
	z.lock(name, true)
}

// servedBy tells whether o does for the required record r.
func (r record) servedBy(o record) bool {
	if o.Name != r.Name || o.Type != r.Type {
		return false
	}
	if r.spf() {
		return o.spf()
	}
	return o.text() == r.text()
}

// lock sets or clears read_only on the routing records of a name.
func (z *zone) lock(name string, locked bool) {
	for i, r := range z.Records {
		if r.routing() && z.routes(name, r.Name) {
			z.Records[i].Meta["read_only"] = locked
		}
	}
}

// routes tells whether a routing record belongs to the routing of name.
func (z *zone) routes(name, record string) bool {
	return record == name || name == z.Name && record == "cf2024-1._domainkey."+name
}

// routingName reads the optional name of a body: the apex or a subdomain.
func (c *call) routingName(z *zone) (string, error) {
	var in struct {
		Name string `json:"name"`
	}
	if len(c.body) > 0 {
		if err := c.decode(&in); err != nil {
			return "", err
		}
	}
	name := strings.ToLower(in.Name)
	if name == "" {
		return z.Name, nil
	}
	if name != z.Name && (!strings.HasSuffix(name, "."+z.Name) || !validName(name, false)) {
		return "", refuse(2008, "The name %s is not inside the zone %s", name, z.Name)
	}
	return name, nil
}

func getRouting(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	return z.settings(), nil
}

// editRouting changes the flags of the zone; `enabled` is accepted and has no
// effect, as the provider documents.
func editRouting(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	var in struct {
		Enabled           *bool `json:"enabled"`
		SkipWizard        *bool `json:"skip_wizard"`
		SupportSubaddress *bool `json:"support_subaddress"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	set(&z.Email.SkipWizard, in.SkipWizard)
	set(&z.Email.Subaddressing, in.SupportSubaddress)
	z.Email.touch(c.s.now())
	return z.settings(), nil
}

func (e *emailRouting) touch(now time.Time) {
	if e.ID == "" {
		e.ID, e.Created = newID(), now
	}
	e.Modified = now
}

func enableRouting(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	name, err := c.routingName(z)
	if err != nil {
		return nil, err
	}
	e := &z.Email
	switch {
	case name == z.Name:
		e.Enabled, e.Locked = true, true
	case !e.Enabled:
		return nil, refuse(2009, "Enable Email Routing for the zone before its subdomains")
	case !slices.Contains(e.Subdomains, name):
		if len(e.Subdomains)+1 >= maxDomains {
			return nil, refuse(2010, "At most %d domains of a zone can use Email Routing", maxDomains)
		}
		e.Subdomains = append(e.Subdomains, name)
	}
	e.touch(c.s.now())
	z.route(name, c.s.now())
	return z.settings(), nil
}

func unlockRouting(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	name, err := c.routingName(z)
	if err != nil {
		return nil, err
	}
	if name == z.Name {
		z.Email.Locked = false
	}
	z.lock(name, false)
	z.Email.touch(c.s.now())
	return z.settings(), nil
}

// disableRouting removes the routing records, those edited after an unlock
// included: they stay linked to the service.
func disableRouting(c *call) (any, error) {
	z, err := c.editZone()
	if err != nil {
		return nil, err
	}
	name, err := c.routingName(z)
	if err != nil {
		return nil, err
	}
	all := name == z.Name
	z.Records = slices.DeleteFunc(z.Records, func(r record) bool {
		return r.routing() && (all || z.routes(name, r.Name))
	})
	e := &z.Email
	if all {
		e.Enabled, e.Locked, e.Subdomains = false, false, nil
	} else {
		e.Subdomains = slices.DeleteFunc(e.Subdomains, func(s string) bool { return s == name })
	}
	e.touch(c.s.now())
	if c.r.Method == "DELETE" {
		return listed([]record{}, 5, 50, 20), nil
	}
	return z.settings(), nil
}

// routingDNS tells which records routing needs and which are missing.
func routingDNS(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	name := z.Name
	if sub := c.r.URL.Query().Get("subdomain"); sub != "" {
		name = strings.ToLower(sub)
	}
	type dnsRecord struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Content  string `json:"content"`
		Priority *int   `json:"priority,omitempty"`
		TTL      int    `json:"ttl"`
	}
	records, missing := []dnsRecord{}, []map[string]any{}
	for _, r := range z.required(name) {
		d := dnsRecord{r.Type, r.Name, r.Content, r.Priority, 1}
		records = append(records, d)
		if !slices.ContainsFunc(z.Records, r.servedBy) {
			missing = append(missing, map[string]any{"code": strings.ToLower(r.Type) + ".missing", "missing": d})
		}
	}
	return map[string]any{"record": records, "errors": missing}, nil
}
