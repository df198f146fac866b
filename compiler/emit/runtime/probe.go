package runtime

import (
	"time"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// probe is the part that sends test messages, nil where it is off. It finds their domains in the table, so that another
// domain takes no restart.
func probe(s *model.Site) *config.Probe {
	if s.Monitoring.ProbeMinutes == 0 {
		return nil
	}
	return &config.Probe{Every: config.Duration(time.Duration(s.Monitoring.ProbeMinutes) * time.Minute), Localpart: model.ProbeLocalpart,
		IMAP: "dovecot:993", Mailbox: model.ProbeMailbox}
}

// probeRoutes leads the address of each domain to the one mailbox. The Worker does not know these addresses: only who has
// the ingest's token can write to them, where no catch-all takes everything.
func probeRoutes(s *model.Site, t *config.Table) {
	for _, name := range s.ProbeDomains() {
		d := t.Domains[name]
		if d.Aliases == nil {
			d.Aliases = map[string][]string{}
		}
		d.Aliases[model.ProbeLocalpart] = []string{model.ProbeMailbox}
		t.Domains[name] = d
		t.Domains[model.ProbeDomain] = config.TableDomain{Users: []string{model.ProbeUser}}
	}
}
