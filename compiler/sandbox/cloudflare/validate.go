package cloudflare

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailplan/mailplan/compiler/apply/edge/txt"
)

// Bounds of the provider's DNS API.
const (
	minTTL       = 60
	maxTTL       = 86400
	maxTXT       = 4096 // bytes of one record on the wire
	maxTXTAtName = 8192 // bytes of all TXT records of one name
)

var label = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// normalise brings r into the stored form and checks everything that concerns
// this record alone.
func (r *record) normalise(z *zone) *apiError {
	if err := r.normaliseName(z); err != nil {
		return err
	}
	if err := r.normaliseContent(z); err != nil {
		return err
	}
	if err := r.checkProxy(); err != nil {
		return err
	}
	if r.Type != "MX" && r.Type != "SRV" && r.Type != "URI" && r.Type != "HTTPS" && r.Type != "SVCB" {
		r.Priority = nil
	}
	if r.TTL != 1 && (r.TTL < minTTL || r.TTL > maxTTL) {
		return invalid(9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic.")
	}
	return r.checkNotes(z)
}

// normaliseName makes the name a lower-case FQDN. The provider appends the
// zone to any name outside it and so makes a record nobody wanted; the
// stand-in refuses those with more than one label.
func (r *record) normaliseName(z *zone) *apiError {
	name := strings.ToLower(strings.TrimSuffix(r.Name, "."))
	switch {
	case name == "@":
		name = z.Name
	case name != z.Name && !strings.HasSuffix(name, "."+z.Name) && !strings.Contains(name, "."):
		name += "." + z.Name
	}
	if name != z.Name && !strings.HasSuffix(name, "."+z.Name) {
		return invalid(9000, "DNS name is invalid: %s is not inside the zone %s.", name, z.Name)
	}
	if !validName(name, true) {
		return invalid(9000, "DNS name is invalid.")
	}
	r.Name = name
	return nil
}

// validName tells whether s is a host name in ASCII; a wildcard may lead it
// where allowed.
func validName(s string, wildcard bool) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	if wildcard && labels[0] == "*" && len(labels) > 1 {
		labels = labels[1:]
	}
	return !slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) })
}

// normaliseContent checks what the type asks for.
func (r *record) normaliseContent(z *zone) *apiError {
	switch r.Type {
	case "A", "AAAA":
		return r.normaliseAddress()
	case "CNAME":
		return r.normaliseHost(9007, "Content for CNAME record is invalid.")
	case "NS":
		if r.Name == z.Name {
			return invalid(9002, "NS records at the apex are set by Cloudflare.")
		}
		return r.normaliseHost(9010, "Content for NS record is invalid.")
	case "PTR":
		return r.normaliseHost(9011, "Content for PTR record is invalid.")
	case "MX":
		return r.normaliseMX()
	case "TXT":
		return r.normaliseTXT()
	case "SRV", "CAA", "TLSA", "SSHFP", "HTTPS", "SVCB":
		return r.normaliseData()
	}
	return invalid(9002, "The type %q is invalid.", r.Type)
}

func (r *record) normaliseAddress() *apiError {
	addr, err := netip.ParseAddr(r.Content)
	if r.Type == "A" && (err != nil || !addr.Is4()) {
		return invalid(9005, "Content for A record must be a valid IPv4 address.")
	}
	if r.Type == "AAAA" && (err != nil || !addr.Is6() || addr.Zone() != "" || addr.Is4In6()) {
		return invalid(9006, "Content for AAAA record must be a valid IPv6 address.")
	}
	r.Content = addr.String()
	return nil
}

// normaliseHost makes the content a lower-case host name without final dot.
func (r *record) normaliseHost(code int, message string) *apiError {
	host := strings.ToLower(strings.TrimSuffix(r.Content, "."))
	if _, err := netip.ParseAddr(host); err == nil || !validName(host, false) || host == r.Name {
		return invalid(code, "%s", message)
	}
	r.Content = host
	return nil
}

func (r *record) normaliseMX() *apiError {
	if r.Priority == nil {
		return invalid(9101, "priority is a required field.")
	}
	if r.Content == "." { // null MX, RFC 7505
		return nil
	}
	return r.normaliseHost(9009, "Content for MX record must be a hostname.")
}

// normaliseTXT keeps the text as sent but for over-long strings, which the
// provider splits at 255 bytes when they were quoted.
func (r *record) normaliseTXT() *apiError {
	chunks, err := txt.Strings(r.Content)
	if err != nil || strings.ContainsAny(r.Content, "\r\n\x00") {
		return invalid(9207, "Content for TXT record is invalid: use quoted strings.")
	}
	text := strings.Join(chunks, "")
	if text == "" {
		return invalid(9207, "Content for TXT record must not be empty.")
	}
	if wire := len(text) + (len(text)+254)/255; wire > maxTXT {
		return invalid(9208, "Content for TXT record is %d bytes; at most %d are allowed.", wire, maxTXT)
	}
	quoted := strings.HasPrefix(strings.TrimSpace(r.Content), `"`)
	if quoted && slices.ContainsFunc(chunks, func(c string) bool { return len(c) > 255 }) {
		r.Content = txt.Encode(text)
	}
	return nil
}

func (r *record) checkProxy() *apiError {
	r.Proxiable = r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME"
	if !r.Proxied {
		return nil
	}
	if !r.Proxiable {
		return invalid(9004, "This record type cannot be proxied.")
	}
	if addr, err := netip.ParseAddr(r.Content); err == nil && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()) {
		return invalid(9041, "This DNS record cannot be proxied - click the cloud icon to turn it gray to proceed")
	}
	r.TTL = 1
	return nil
}

// checkNotes checks comment and tags against the plan.
func (r *record) checkNotes(z *zone) *apiError {
	if r.Comment != nil {
		if n := utf8.RuneCountInString(*r.Comment); n > z.Plan.comment() {
			return refuse(9075, "DNS record comment has %d characters, exceeding the limit of %d.", n, z.Plan.comment())
		}
		if strings.ContainsAny(*r.Comment, "\r\n") {
			return refuse(9075, "DNS record comment must not contain line breaks.")
		}
	}
	if quota := z.Plan.tags(); len(r.Tags) > quota {
		return refuse(9300, "DNS record has %d tags, exceeding the quota of %d.", len(r.Tags), quota)
	}
	return nil
}

func (p Plan) tags() int {
	if p == Free {
		return 0
	}
	return 20
}

// conflict checks r against the zone's other records.
func (z *zone) conflict(r record) *apiError {
	size := txtSize(r)
	for _, o := range z.Records {
		if o.ID == r.ID || o.Name != r.Name {
			continue
		}
		if err := conflictWith(z, r, o); err != nil {
			return err
		}
		size += txtSize(o)
	}
	if size > maxTXTAtName {
		return invalid(9208, "All TXT records of %s are %d bytes together; at most %d are allowed.", r.Name, size, maxTXTAtName)
	}
	return nil
}

// conflictWith checks two records of one name.
func conflictWith(z *zone, r, o record) *apiError {
	switch {
	case o.identity() == r.identity():
		return refuse(81058, "An identical record already exists.")
	case r.Type == "CNAME" && o.addresses():
		return refuse(81053, "An A, AAAA, or CNAME record with that host already exists.")
	case r.addresses() && o.Type == "CNAME":
		return refuse(81054, "A CNAME record with that host already exists.")
	case (r.Type == "CNAME" || o.Type == "CNAME") && r.Name != z.Name:
		return refuse(81053, "A CNAME record can't share the host %s with other records.", r.Name)
	case (r.Type == "NS") != (o.Type == "NS") && r.Name != z.Name:
		return refuse(81056, "NS records with that host already exist.")
	case r.Type == "MX" && o.Type == "MX" && o.readOnly():
		return managed()
	case r.spf() && o.spf() && o.readOnly():
		return refuse(1046, "Only one SPF record is allowed at %s while Email Routing manages it.", r.Name)
	}
	return nil
}

func (r record) addresses() bool { return r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" }

// identity is what makes two records of a name the same one.
func (r record) identity() string {
	priority := 0
	if r.Priority != nil {
		priority = *r.Priority
	}
	return fmt.Sprintf("%s|%d|%s", r.Type, priority, r.text())
}

// text is the content with the spelling of TXT removed.
func (r record) text() string {
	if r.Type != "TXT" {
		return r.Content
	}
	if text, err := txt.Decode(r.Content); err == nil {
		return text
	}
	return r.Content
}

func (r record) spf() bool {
	s := strings.ToLower(r.text())
	return r.Type == "TXT" && (s == "v=spf1" || strings.HasPrefix(s, "v=spf1 "))
}

func txtSize(r record) int {
	if r.Type != "TXT" {
		return 0
	}
	return len(r.text())
}
