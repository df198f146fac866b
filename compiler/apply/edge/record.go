package edge

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Record is one DNS record. Compare two only after Canonical.
type Record struct {
	// Zone is the name of the zone that holds the record.
	Zone string
	// Name is the FQDN in ASCII, lower case, without final dot.
	Name string
	// Type is the RR type in upper case.
	Type string
	// Content is the data: the joined bytes of a TXT record (not quoted), a host
	// name without final dot, an address, or the fields of SRV ("weight port
	// target"), CAA (`flags tag "value"`), TLSA, SSHFP and HTTPS ("target value").
	Content string
	// TTL is in seconds; 1 lets the provider choose (300 s).
	TTL int
	// Proxied sends web traffic through the provider (A, AAAA, CNAME only).
	Proxied bool
	// Priority is the preference of MX, or the priority of SRV and HTTPS.
	Priority *uint16
	// Comment is at most 100 characters and carries the ownership mark.
	Comment string
	// ID is the provider's identifier; empty for a record not made yet.
	ID string
	// ReadOnly records belong to a product such as Email Routing and can't be
	// changed here.
	ReadOnly bool
}

// Key identifies what a resolver sees: two records with equal keys are the
// same record, whatever their TTL, proxy setting or comment.
func (r Record) Key() string {
	c := Canonical(r)
	priority := "-"
	if c.Priority != nil {
		priority = fmt.Sprint(*c.Priority)
	}
	return strings.Join([]string{c.Zone, c.Name, c.Type, priority, c.Content}, "\x00")
}

// Same tells whether the provider need not be asked to change a into b.
func Same(a, b Record) bool {
	a, b = Canonical(a), Canonical(b)
	return a.Key() == b.Key() && a.TTL == b.TTL && a.Proxied == b.Proxied && a.Comment == b.Comment
}

// Canonical spells a record as the provider stores it.
func Canonical(r Record) Record {
	r.Zone, r.Name, r.Type = host(r.Zone), host(r.Name), strings.ToUpper(r.Type)
	if r.Name == "@" {
		r.Name = r.Zone
	}
	if r.Proxied {
		r.TTL = 1
	}
	r.TTL = max(r.TTL, 1)
	switch r.Type {
	case "CNAME", "MX", "NS", "PTR":
		r.Content = host(r.Content)
	case "A", "AAAA":
		if addr, err := netip.ParseAddr(r.Content); err == nil {
			r.Content = addr.String()
		}
	case "TLSA", "SSHFP":
		r.Content = strings.ToLower(strings.Join(strings.Fields(r.Content), " "))
	case "CAA":
		if f := strings.SplitN(r.Content, " ", 3); len(f) == 3 {
			r.Content = fmt.Sprintf(`%s %s "%s"`, f[0], f[1], strings.Trim(f[2], `"`))
		}
	case "SRV", "HTTPS", "SVCB":
		r.Content = hostFields(r.Type, r.Content)
	}
	return r
}

// host spells a host name; "." (RFC 7505, RFC 2782) stays.
func host(s string) string {
	if s == "." {
		return s
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// hostFields spells the target among the fields; parameters keep their case.
func hostFields(typ, content string) string {
	f := strings.Fields(content)
	at := 0
	if typ == "SRV" {
		at = 2
	}
	if len(f) > at {
		f[at] = host(f[at])
	}
	return strings.Join(f, " ")
}

// ownerPrefix marks an object as made by mailplan.
const ownerPrefix = "mailplan:"

// MaxComment is the provider's bound on every plan, in characters.
const MaxComment = 100

// Mark returns the comment that says which site owns a record, followed by a
// note as far as it fits.
func Mark(site, note string) string {
	mark := ownerPrefix + site
	if note != "" {
		mark += " " + note
	}
	return clip(strings.Map(flat, mark), MaxComment)
}

// flat replaces line breaks, which the provider refuses.
func flat(r rune) rune {
	if r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func clip(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes])
}

// Owner returns the site that a comment, description or tag names, or "".
func Owner(mark string) string {
	rest, ok := strings.CutPrefix(mark, ownerPrefix)
	if !ok {
		return ""
	}
	site, _, _ := strings.Cut(rest, " ")
	return site
}
