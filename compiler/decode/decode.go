// Package decode turns a checked site (a CUE value and its users) into the typed, complete model: IDN to
// A-labels (RFC 5890), bare targets to full addresses, everything derived filled in, everything sorted.
// What one value says about another, such as two spellings of one domain, is a problem here; rules about
// whether a site is wise are not.
package decode

import (
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

// Site reads the complete model from a loaded site. An error that is schema.Problems is the author's.
func Site(src *schema.Source) (*model.Site, error) {
	var w wireSite
	if err := json.Unmarshal(src.JSON, &w); err != nil {
		return nil, fmt.Errorf("read exported site: %w", err)
	}
	d := decoder{src: src, site: &w.Site, domains: map[string]int{}, byName: map[string]int{}, foreign: map[string]*foreign{}}
	d.site.Containers = w.Containers.Containers
	d.site.Containers.Own = w.Containers.own
	d.readDomains(w.Domains)
	d.readUsers()
	d.fill()
	d.sort()
	if err := d.problems.Err(); err != nil {
		return nil, err
	}
	return d.site, nil
}

type decoder struct {
	src      *schema.Source
	site     *model.Site
	domains  map[string]int // as written -> index in site.Domains
	byName   map[string]int // A-labels -> index in site.Domains
	foreign  map[string]*foreign
	problems schema.Problems
}

func (d *decoder) problem(path, message, hint string) {
	d.problems = append(d.problems, schema.Problem{Pos: d.src.Pos(path), Path: path, Message: message, Hint: hint})
}
