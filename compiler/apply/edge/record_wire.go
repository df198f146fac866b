package edge

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/edge/txt"
)

// wireRecord is a record as the API spells it.
type wireRecord struct {
	ID       string         `json:"id,omitempty"`
	Name     string         `json:"name,omitempty"`
	Type     string         `json:"type,omitempty"`
	Content  string         `json:"content,omitempty"`
	TTL      int            `json:"ttl,omitempty"`
	Proxied  *bool          `json:"proxied,omitempty"`
	Priority *uint16        `json:"priority,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
	Comment  *string        `json:"comment,omitempty"`
}

// wireAnswer adds what only answers carry.
type wireAnswer struct {
	wireRecord
	Meta struct {
		ReadOnly bool `json:"read_only"`
	} `json:"meta"`
}

// record decodes an answer.
func (w wireAnswer) record(zone string) Record {
	r := Record{
		Zone: zone, Name: w.Name, Type: w.Type, Content: w.Content, TTL: w.TTL,
		Priority: w.Priority, ID: w.ID, ReadOnly: w.Meta.ReadOnly,
	}
	if w.Proxied != nil {
		r.Proxied = *w.Proxied
	}
	if w.Comment != nil {
		r.Comment = *w.Comment
	}
	switch r.Type {
	case "TXT":
		// What can't be read as strings compares by its bytes as they are.
		if text, err := txt.Decode(r.Content); err == nil {
			r.Content = text
		}
	case "SRV", "HTTPS", "SVCB":
		r.Content, r.Priority = fromData(w)
	case "MX":
	default:
		r.Priority = nil // some answers carry a meaningless one
	}
	return Canonical(r)
}

// fromData rebuilds the fields from `data`: the derived content differs
// between API versions in whether it repeats the priority.
func fromData(w wireAnswer) (string, *uint16) {
	text := func(name string) string {
		switch v := w.Data[name].(type) {
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		case string:
			return v
		}
		return ""
	}
	priority := w.Priority
	if p, ok := w.Data["priority"].(float64); ok && p >= 0 && p <= 65535 {
		n := uint16(p)
		priority = &n
	}
	if w.Type == "SRV" {
		return strings.Join([]string{text("weight"), text("port"), text("target")}, " "), priority
	}
	return strings.TrimSpace(text("target") + " " + text("value")), priority
}

// encode spells a record for POST, PUT and PATCH. Every field that mailplan
// owns is sent, so that a PATCH leaves only tags and settings as they were.
func encode(r Record) (wireRecord, error) {
	r = Canonical(r)
	w := wireRecord{ID: r.ID, Name: r.Name, Type: r.Type, TTL: r.TTL, Priority: r.Priority, Comment: &r.Comment}
	var err error
	switch r.Type {
	case "A", "AAAA", "CNAME":
		w.Content, w.Proxied = r.Content, &r.Proxied
	case "TXT":
		w.Content = txt.Encode(r.Content)
	case "MX":
		w.Content = r.Content
		if r.Priority == nil {
			err = fmt.Errorf("MX record needs a preference")
		}
	case "NS", "PTR":
		w.Content = r.Content
	default:
		w.Data, err = data(r)
		w.Priority = nil
	}
	if err != nil {
		return w, fmt.Errorf("record %s %s: %w", r.Type, r.Name, err)
	}
	return w, nil
}

// layouts name the fields of the types that the API takes apart. A trailing
// star marks a number.
var layouts = map[string][]string{
	"SRV":   {"weight*", "port*", "target"},
	"TLSA":  {"usage*", "selector*", "matching_type*", "certificate"},
	"SSHFP": {"algorithm*", "type*", "fingerprint"},
	"CAA":   {"flags*", "tag", "value"},
	"HTTPS": {"target", "value"},
	"SVCB":  {"target", "value"},
}

// data splits the content of a record into the API's fields.
func data(r Record) (map[string]any, error) {
	layout, ok := layouts[r.Type]
	if !ok {
		return nil, fmt.Errorf("type is not supported")
	}
	fields := strings.SplitN(r.Content, " ", len(layout))
	if len(fields) != len(layout) {
		return nil, fmt.Errorf("content %q must have the fields %s", r.Content, strings.ReplaceAll(strings.Join(layout, " "), "*", ""))
	}
	d := map[string]any{}
	for i, name := range layout {
		name, number := strings.CutSuffix(name, "*")
		if !number {
			d[name] = strings.Trim(fields[i], `"`)
			continue
		}
		n, err := strconv.ParseUint(fields[i], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("field %s of content %q is not a number from 0 to 65535", name, r.Content)
		}
		d[name] = n
	}
	if r.Type == "HTTPS" || r.Type == "SVCB" {
		// Their value holds quotes of its own: alpn="h2".
		d["value"] = fields[1]
	}
	if r.Type == "SRV" || r.Type == "HTTPS" || r.Type == "SVCB" {
		if r.Priority == nil {
			return nil, fmt.Errorf("needs a priority")
		}
		d["priority"] = *r.Priority
	}
	return d, nil
}

// wireBatch is the body of a batch; the API runs it in this order.
type wireBatch struct {
	Deletes []wireRecord `json:"deletes,omitempty"`
	Patches []wireRecord `json:"patches,omitempty"`
	Puts    []wireRecord `json:"puts,omitempty"`
	Posts   []wireRecord `json:"posts,omitempty"`
}

// body encodes the changes of one batch.
func (c Changes) body() ([]byte, error) {
	var b wireBatch
	for _, r := range c.Deletes {
		b.Deletes = append(b.Deletes, wireRecord{ID: r.ID})
	}
	for _, part := range []struct {
		from []Record
		to   *[]wireRecord
	}{{c.Patches, &b.Patches}, {c.Puts, &b.Puts}, {c.Posts, &b.Posts}} {
		for _, r := range part.from {
			w, err := encode(r)
			if err != nil {
				return nil, err
			}
			*part.to = append(*part.to, w)
		}
	}
	return json.Marshal(b)
}
