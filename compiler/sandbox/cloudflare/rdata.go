package cloudflare

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// normaliseData checks the types that are sent as fields in `data` and derives
// their content as the provider shows it.
func (r *record) normaliseData() *apiError {
	if len(r.Data) == 0 {
		return invalid(9101, "data is a required field.")
	}
	d := fields{m: r.Data}
	switch r.Type {
	case "SRV":
		r.srv(&d)
	case "CAA":
		r.caa(&d)
	case "TLSA":
		r.tlsa(&d)
	case "SSHFP":
		r.Content = fmt.Sprintf("%d %d %s", d.number("algorithm", 255), d.number("type", 255), strings.ToLower(d.hex("fingerprint", 0)))
	default: // HTTPS, SVCB
		r.priority(d.number("priority", math.MaxUint16))
		r.Content = strings.TrimSpace(fmt.Sprintf("%d %s %s", *r.Priority, d.host("target"), d.optional("value")))
	}
	return d.done()
}

func (r *record) srv(d *fields) {
	if labels := strings.Split(r.Name, "."); len(labels) < 3 || labels[0][0] != '_' || labels[1][0] != '_' {
		d.fail("the name of an SRV record starts with _service._proto")
	}
	r.priority(d.number("priority", math.MaxUint16))
	r.Content = fmt.Sprintf("%d %d %s", d.number("weight", math.MaxUint16), d.number("port", math.MaxUint16), d.host("target"))
}

func (r *record) caa(d *fields) {
	flags, tag, value := d.number("flags", 255), d.word("tag"), d.word("value")
	if tag != "issue" && tag != "issuewild" && tag != "iodef" {
		d.fail("tag must be issue, issuewild or iodef")
	}
	r.Content = fmt.Sprintf("%d %s %q", flags, tag, value)
}

func (r *record) tlsa(d *fields) {
	usage, selector, matching := d.number("usage", 3), d.number("selector", 1), d.number("matching_type", 2)
	sizes := []int{0, 32, 64} // full, SHA-256, SHA-512 (RFC 6698 section 2.1.3)
	r.Content = fmt.Sprintf("%d %d %d %s", usage, selector, matching, strings.ToLower(d.hex("certificate", sizes[matching])))
}

func (r *record) priority(p int) { r.Priority = &p }

// fields reads the data map and remembers the first fault and the fields seen.
type fields struct {
	m    map[string]any
	seen int
	err  *apiError
}

func (d *fields) fail(format string, args ...any) {
	if d.err == nil {
		d.err = invalid(9102, format, args...)
	}
}

func (d *fields) number(name string, most int) int {
	d.seen++
	f, ok := d.m[name].(float64)
	if !ok || f != math.Trunc(f) || f < 0 || f > float64(most) {
		d.fail("data.%s must be a whole number from 0 to %d", name, most)
		return 0
	}
	return int(f)
}

func (d *fields) word(name string) string {
	d.seen++
	s, ok := d.m[name].(string)
	if !ok || s == "" {
		d.fail("data.%s must be a text", name)
	}
	return s
}

func (d *fields) optional(name string) string {
	if _, ok := d.m[name]; !ok {
		return ""
	}
	d.seen++
	s, _ := d.m[name].(string)
	return s
}

func (d *fields) host(name string) string {
	s := strings.ToLower(d.word(name))
	if s != "." && !validName(strings.TrimSuffix(s, "."), false) {
		d.fail("data.%s must be a hostname", name)
	}
	if s == "." {
		return s
	}
	return strings.TrimSuffix(s, ".")
}

// hex reads hexadecimal digits of size bytes; 0 allows any size.
func (d *fields) hex(name string, size int) string {
	s := d.word(name)
	b, err := hex.DecodeString(s)
	if err != nil || size > 0 && len(b) != size {
		d.fail("data.%s must be hexadecimal digits of the right length", name)
	}
	return s
}

func (d *fields) done() *apiError {
	if d.err == nil && d.seen != len(d.m) {
		d.fail("data holds fields that the type does not have")
	}
	return d.err
}
