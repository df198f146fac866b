package cloudflare

import (
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Access are the sign-ins of Zero Trust before host names. Applications refer to policies, and
// policies to service tokens, by name.
type Access struct {
	Applications  []Application  `json:"applications,omitempty"`
	Policies      []Policy       `json:"policies,omitempty"`
	ServiceTokens []ServiceToken `json:"serviceTokens,omitempty"`
}

// Application is one protected place: a host name, with a path where only that is meant.
type Application struct {
	Name         string `json:"name"`
	Domain       string `json:"domain"`
	Policy       string `json:"policy"`
	SessionHours int    `json:"sessionHours,omitempty"`
	// ServiceAuth401 answers machines with 401 instead of leading them to a sign-in page.
	ServiceAuth401 bool   `json:"serviceAuth401,omitempty"`
	From           string `json:"from"`
}

// Policy says who gets through. Decision is allow (people) or non_identity (service tokens).
type Policy struct {
	Name          string   `json:"name"`
	Decision      string   `json:"decision"`
	Emails        []string `json:"emails,omitempty"`
	EmailDomains  []string `json:"emailDomains,omitempty"`
	ServiceTokens []string `json:"serviceTokens,omitempty"`
	From          string   `json:"from"`
}

// ServiceToken is the Worker's own credential. Hours is how long it is valid.
type ServiceToken struct {
	Name  string `json:"name"`
	Hours int    `json:"hours"`
	From  string `json:"from"`
}

const tokenHours = 8760 // a year, the provider's default

func ingestToken(s *model.Site) string { return Mark(s) + " ingest" }

func accessOf(s *model.Site) Access {
	var a Access
	names := s.Edge.Tunnel.Hostnames
	people := Mark(s) + " people"
	place := func(on bool, kind, host string) {
		if on && host != "" {
			a.Applications = append(a.Applications, Application{Name: Mark(s) + " " + kind, Domain: host, Policy: people,
				SessionHours: s.Edge.Access.SessionHours, From: "edge.access." + kind})
		}
	}
	place(s.Edge.Access.Console, "console", names.Console)
	place(s.Edge.Access.Webmail, "webmail", names.Webmail)
	if len(a.Applications) > 0 {
		a.Policies = append(a.Policies, peoplePolicy(s, people))
	}
	if s.Edge.Access.Ingest {
		a.ingest(s)
	}
	return a
}

// ingest lets the Worker's token through and nobody else, people included.
func (a *Access) ingest(s *model.Site) {
	const from = "edge.access.ingest"
	token := ingestToken(s)
	a.Applications = append(a.Applications, Application{Name: token, Domain: s.Edge.Tunnel.Hostnames.Ingest + ingestPath,
		Policy: token, ServiceAuth401: true, From: from})
	a.Policies = append(a.Policies, Policy{Name: token, Decision: "non_identity", ServiceTokens: []string{token}, From: from})
	a.ServiceTokens = []ServiceToken{{Name: token, Hours: tokenHours, From: from}}
}

// peoplePolicy lets the declared addresses and domains in; without any, the site's own domains.
func peoplePolicy(s *model.Site, name string) Policy {
	p := Policy{Name: name, Decision: "allow", From: "edge.access.emails"}
	for _, e := range s.Edge.Access.Emails {
		if domain, ok := strings.CutPrefix(e, "@"); ok {
			p.EmailDomains = append(p.EmailDomains, domain)
		} else {
			p.Emails = append(p.Emails, e)
		}
	}
	if len(s.Edge.Access.Emails) > 0 {
		return p
	}
	for _, d := range s.Domains {
		if d.State == model.Active {
			p.EmailDomains = append(p.EmailDomains, d.Name)
		}
	}
	return p
}
