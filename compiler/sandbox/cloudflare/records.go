package cloudflare

import (
	"math"
	"slices"
	"strings"
	"time"
)

// record is one DNS record in the provider's form.
type record struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Content    string         `json:"content"`
	Proxiable  bool           `json:"proxiable"`
	Proxied    bool           `json:"proxied"`
	TTL        int            `json:"ttl"`
	Priority   *int           `json:"priority,omitempty"`
	Data       map[string]any `json:"data,omitempty"`
	Settings   map[string]any `json:"settings"`
	Meta       map[string]any `json:"meta"`
	Comment    *string        `json:"comment"`
	Tags       []string       `json:"tags"`
	CreatedOn  time.Time      `json:"created_on"`
	ModifiedOn time.Time      `json:"modified_on"`
}

func (r record) readOnly() bool { return r.Meta["read_only"] == true }

// recordInput is what a caller sends; nil means absent.
type recordInput struct {
	ID             *string        `json:"id"`
	Name           *string        `json:"name"`
	Type           *string        `json:"type"`
	Content        *string        `json:"content"`
	TTL            *float64       `json:"ttl"`
	Proxied        *bool          `json:"proxied"`
	Priority       *float64       `json:"priority"`
	Data           map[string]any `json:"data"`
	Settings       map[string]any `json:"settings"`
	Comment        *string        `json:"comment"`
	Tags           []string       `json:"tags"`
	PrivateRouting *bool          `json:"private_routing"`
}

// newRecord makes a record from a full input (POST and PUT).
func newRecord(z *zone, in recordInput, now time.Time) (record, *apiError) {
	if in.Name == nil || in.Type == nil {
		return record{}, invalid(9000, "A DNS record needs a name and a type")
	}
	r := record{ID: newID(), TTL: 1, Settings: map[string]any{}, Meta: map[string]any{}, Tags: []string{}, CreatedOn: now}
	return overlay(z, r, in, now)
}

// overlay changes the fields of r that the input carries and validates the whole.
func overlay(z *zone, r record, in recordInput, now time.Time) (record, *apiError) {
	set(&r.Name, in.Name)
	set(&r.Type, in.Type)
	set(&r.Proxied, in.Proxied)
	if in.Content != nil {
		r.Content = *in.Content
	}
	if in.TTL != nil {
		if *in.TTL != math.Trunc(*in.TTL) {
			return r, invalid(9020, "TTL must be a whole number of seconds.")
		}
		r.TTL = int(*in.TTL)
	}
	if in.Priority != nil {
		if *in.Priority != math.Trunc(*in.Priority) || *in.Priority < 0 || *in.Priority > math.MaxUint16 {
			return r, invalid(9100, "priority must be a whole number from 0 to 65535.")
		}
		p := int(*in.Priority)
		r.Priority = &p
	}
	if in.Data != nil {
		r.Data = in.Data
	}
	if in.Settings != nil {
		r.Settings = in.Settings
	}
	if in.Comment != nil {
		r.Comment = in.Comment
		if *in.Comment == "" {
			r.Comment = nil
		}
	}
	if in.Tags != nil {
		r.Tags = in.Tags
	}
	r.ModifiedOn = now
	return r, r.normalise(z)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// find returns the index of a record, or the provider's refusal.
func (z *zone) find(id string) (int, *apiError) {
	i := slices.IndexFunc(z.Records, func(r record) bool { return r.ID == id })
	if i < 0 {
		return 0, notFound(81044, "Record does not exist.")
	}
	return i, nil
}

func (z *zone) remove(id string) (record, *apiError) {
	i, err := z.find(id)
	if err != nil {
		return record{}, err
	}
	old := z.Records[i]
	if old.readOnly() {
		return record{}, managed()
	}
	z.Records = slices.Delete(z.Records, i, i+1)
	return old, nil
}

// managed refuses to touch a record that belongs to Email Routing. The code is
// not documented; the words are the provider's for MX records.
func managed() *apiError {
	return refuse(1046, "This zone is managed by Email Routing. Disable Email Routing to add/modify MX records.")
}

func (z *zone) patch(id string, in recordInput, now time.Time) (record, *apiError) {
	i, err := z.find(id)
	if err != nil {
		return record{}, err
	}
	if z.Records[i].readOnly() {
		return record{}, managed()
	}
	r, err := overlay(z, z.Records[i], in, now)
	if err != nil {
		return record{}, err
	}
	return r, z.place(i, r)
}

func (z *zone) put(id string, in recordInput, now time.Time) (record, *apiError) {
	i, err := z.find(id)
	if err != nil {
		return record{}, err
	}
	if z.Records[i].readOnly() {
		return record{}, managed()
	}
	r, err := newRecord(z, in, now)
	if err != nil {
		return record{}, err
	}
	r.ID, r.CreatedOn = id, z.Records[i].CreatedOn
	return r, z.place(i, r)
}

// place stores r at index i once nothing else in the zone stands against it.
func (z *zone) place(i int, r record) *apiError {
	if err := z.conflict(r); err != nil {
		return err
	}
	z.Records[i] = r
	return nil
}

func (z *zone) post(in recordInput, now time.Time) (record, *apiError) {
	r, err := newRecord(z, in, now)
	if err != nil {
		return record{}, err
	}
	if len(z.Records) >= z.Plan.records() {
		return record{}, refuse(81045, "Record quota exceeded.")
	}
	if err := z.conflict(r); err != nil {
		return record{}, err
	}
	z.Records = append(z.Records, r)
	return r, nil
}

func (r record) hasComment(q string) bool {
	return r.Comment != nil && strings.Contains(strings.ToLower(*r.Comment), strings.ToLower(q))
}
