package config

import "slices"

// Probe sends a message for each domain by the ingest's own door and looks whether it arrives in a mailbox that nobody else
// reads. It needs the section ingest.
type Probe struct {
	Every     Duration `json:"every"`              // each domain has its turn once in so long
	Deadline  Duration `json:"deadline,omitempty"` // within which a message must have arrived; default 30s
	Localpart string   `json:"localpart"`          // of the address in each domain that the table leads to the mailbox
	IMAP      string   `json:"imap"`               // host:port of the mail store, with TLS from the start
	Mailbox   string   `json:"mailbox"`            // its user name; the store lets the ingest in without a password
}

func (p *Probe) problems(at string) (found Problems) {
	positive(&found, at+".every", int64(p.Every))
	required(&found, at+".localpart", p.Localpart)
	required(&found, at+".mailbox", p.Mailbox)
	checkHostPort(&found, at+".imap", p.IMAP)
	return found
}

// In lists the domains whose address leads to the mailbox, sorted.
func (p *Probe) In(t *Table) (domains []string) {
	for name, d := range t.Domains {
		if slices.Equal(d.Aliases[p.Localpart], []string{p.Mailbox}) {
			domains = append(domains, name)
		}
	}
	slices.Sort(domains)
	return domains
}
