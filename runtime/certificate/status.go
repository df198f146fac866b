package certificate

import (
	"errors"
	"io/fs"
	"time"
)

// States of the certificate, the better ones first.
const (
	Good        = "good"
	Ending      = "ending"      // within the days of warning
	OtherNames  = "other-names" // not for all that are declared
	Placeholder = "placeholder" // none was issued yet
	Ended       = "ended"
	Missing     = "missing" // or of no use
)

// Status is how the certificate is. Field names and states keep their meanings; mailplan and scripts read them.
type Status struct {
	State       string    `json:"state"`
	Folder      string    `json:"folder"`
	Names       []string  `json:"names"`           // declared
	Lacks       []string  `json:"lacks,omitempty"` // of these
	Issuer      string    `json:"issuer,omitempty"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
	RenewAt     time.Time `json:"renewAt,omitzero"`
	Served      bool      `json:"served"` // servers were told to read this one
	LastAttempt time.Time `json:"lastAttempt,omitzero"`
	LastError   string    `json:"lastError,omitempty"`
	Failures    int       `json:"failures"` // since the last success
	NextTry     time.Time `json:"nextTry,omitzero"`
}

// Usable says that mail clients can connect with it.
func (s Status) Usable() bool { return s.State == Good || s.State == Ending }

// Status looks, and changes nothing.
func (k *Keeper) Status() (Status, error) {
	s := Status{State: Missing, Folder: k.Config.Folder, Names: k.Config.Names}
	m, err := k.recall()
	if err != nil {
		return s, err
	}
	s.LastAttempt, s.LastError, s.Failures, s.NextTry = m.LastAttempt, m.LastError, m.Failures, m.NextTry
	p, err := k.folder().Load()
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		s.LastError = err.Error()
		return s, nil
	}
	s.NotBefore, s.NotAfter, s.Issuer = p.Leaf.NotBefore, p.Leaf.NotAfter, p.Leaf.Issuer.CommonName
	s.Lacks, s.Served = p.Lacks(k.Config.Names), m.Served == p.Fingerprint()
	if m.Fingerprint == p.Fingerprint() {
		s.RenewAt = m.RenewAt
	}
	left := p.Leaf.NotAfter.Sub(k.Now())
	switch {
	case p.Placeholder():
		s.State = Placeholder
	case left <= 0:
		s.State = Ended
	case len(s.Lacks) > 0:
		s.State = OtherNames
	case left <= k.warning(p.Leaf):
		s.State = Ending
	default:
		s.State = Good
	}
	return s, nil
}
