package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/report"
)

// overall lets through who administers the whole site: the queue and the spool have everybody's mail in them.
func (s *Server) overall(next handler) http.HandlerFunc {
	return s.administrator(func(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
		if scope.Domain != "" {
			s.audit(r, v.Address, "state", "refused", "path", bounded(r.URL.Path))
			s.notFound(w, r)
			return
		}
		next(w, r, v)
	})
}

// statePage is the overview. For who administers one domain only its DNS is there.
type statePage struct {
	Overall bool
	Queue   news[report.Queue]
	Spool   news[report.Spool]
	Backup  news[report.Backup]
	DNS     dnsPage
	Drift   news[report.Drift]
}

func (s *Server) showState(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	page := statePage{DNS: s.dnsOf(scope), Overall: scope.Domain == ""}
	if page.Overall {
		page.Queue, page.Spool, page.Backup, page.Drift = s.reports.queue.news(), s.reports.spool.news(), s.reports.backup.news(), s.reports.drift.news()
	}
	s.render(w, r, http.StatusOK, "state.html", v, page)
}

func (s *Server) showQueue(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "queue.html", v, s.reports.queue.news())
}

func (s *Server) showSpool(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "spool.html", v, s.reports.spool.news())
}

func (s *Server) showBackups(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "backups.html", v, s.reports.backup.news())
}

func (s *Server) showDrift(w http.ResponseWriter, r *http.Request, v *visit) {
	s.render(w, r, http.StatusOK, "drift.html", v, s.reports.drift.news())
}

// dnsPage is what the DNS says of the domains in a scope, those that are wrong first.
type dnsPage struct {
	news[report.DNS]
	Path    string // of the page
	Text    string // that is searched for
	Domains []report.Domain
	More    int // that are not shown
	Wrong   int // of all
}

func (s *Server) showDNS(w http.ResponseWriter, r *http.Request, v *visit, scope people.Scope) {
	page := s.dnsOf(scope)
	page.find(strings.ToLower(typed(r.URL.Query().Get("q"))))
	s.render(w, r, http.StatusOK, "dns.html", v, page)
}

func (s *Server) dnsOf(scope people.Scope) dnsPage {
	page := dnsPage{news: s.reports.dns.news(), Path: "/state/dns"}
	if page.Data == nil {
		return page
	}
	for _, d := range page.Data.Domains {
		if scope.Domain != "" && d.Name != scope.Domain {
			continue
		}
		page.Domains = append(page.Domains, d)
		if !d.Good() {
			page.Wrong++
		}
	}
	slices.SortStableFunc(page.Domains, func(a, b report.Domain) int {
		switch {
		case a.Good() == b.Good():
			return strings.Compare(a.Name, b.Name)
		case b.Good():
			return -1
		}
		return 1
	})
	return page
}

// find keeps what is searched for, as many as a page shows.
func (p *dnsPage) find(text string) {
	p.Text = text
	p.Domains = slices.DeleteFunc(p.Domains, func(d report.Domain) bool { return !strings.Contains(d.Name, text) })
	p.More = max(0, len(p.Domains)-people.PageSize)
	p.Domains = p.Domains[:len(p.Domains)-p.More]
}
