package model

import "slices"

// Names of the test messages: the address in each domain, and the mailbox to which all of them lead. No mail from outside
// can be for that domain (RFC 2606).
const (
	ProbeLocalpart = "mailplan-probe"
	ProbeDomain    = "mailplan.invalid"
	ProbeUser      = "probe"
	ProbeMailbox   = ProbeUser + "@" + ProbeDomain
)

// ProbeDomains are those for which test messages are sent: the active ones that do not use the address themselves; none
// where probes are off.
func (s *Site) ProbeDomains() (names []string) {
	for _, d := range s.Domains {
		if s.Monitoring.ProbeMinutes > 0 && d.State == Active && !d.usesProbe() {
			names = append(names, d.Name)
		}
	}
	return names
}

func (d Domain) usesProbe() bool {
	return slices.ContainsFunc(d.Users, func(u User) bool { return u.Localpart == ProbeLocalpart }) ||
		slices.ContainsFunc(d.Aliases, func(a Alias) bool { return a.Localpart == ProbeLocalpart })
}
