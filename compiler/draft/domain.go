package draft

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/literal"

	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
)

func cuePath(path string) cue.Path { return cue.ParsePath(path) }

// Domain says which fields of a domain to set; nil leaves one as it is.
type Domain struct {
	Zone     *string
	QuotaMB  *int
	CatchAll *string // empty takes it out
	DMARC    *string // the policy
	MTASTS   *string // the mode
	State    *model.State
}

// AddDomain declares a domain that signs with a new selector. Role addresses (RFC 2142) lead to postmaster, a full address of
// the site or a localpart of the new domain; the domain gets that user then.
func (d *Draft) AddDomain(name, selector, postmaster string, f Domain) error {
	if _, err := d.domain(name); err == nil {
		return fmt.Errorf("%s is declared already: mailplan domain set changes it", name)
	}
	if strings.ContainsAny(name, `/\`) {
		return fmt.Errorf("%q is no domain", name) // it may become a file's name
	}
	path := model.Path("domains", name)
	lines := []string{"dkim: selectors: " + model.Label(selector) + ": {}"}
	if f.QuotaMB != nil {
		lines = append(lines, fmt.Sprintf("quotaMB: %d", *f.QuotaMB))
	}
	for _, field := range []struct {
		name  string
		value *string
	}{{"zone", f.Zone}, {"catchAll", f.CatchAll}, {"dmarc: policy", f.DMARC}, {"mtaSTS: mode", f.MTASTS}} {
		if field.value != nil && *field.value != "" {
			lines = append(lines, field.name+": "+literal.String.Quote(*field.value))
		}
	}
	if postmaster != "" {
		if localpart := strings.TrimSuffix(postmaster, "@"+name); !strings.Contains(localpart, "@") {
			postmaster = localpart
			if localpart != "postmaster" && localpart != "abuse" {
				lines = append(lines, "users: "+model.Label(localpart)+": {}")
			}
		}
		target := edit.Strings([]string{postmaster})
		lines = append(lines, "aliases: {postmaster: "+target+", abuse: "+target+"}")
	}
	value := "{\n\t" + strings.Join(lines, "\n\t") + "\n}"
	if file := d.ownFile(name); file != "" {
		d.edited[file] = []byte("package " + d.packageName() + "\n\n" + "domains: " + model.Label(name) + ": " + value + "\n")
		return nil
	}
	return d.set(path, value)
}

// ownFile is the name of the new domain's file in a site that gives each domain one; empty where domains share files.
func (d *Draft) ownFile(name string) string {
	for _, dom := range d.Before.Model.Domains {
		if !slices.Contains(d.Before.Source.Files, fileName(dom.Unicode)) {
			return ""
		}
	}
	file := fileName(name)
	if _, known := d.original(file); known {
		return ""
	}
	return file
}

func fileName(domain string) string { return strings.ReplaceAll(domain, ".", "-") + ".cue" }

// packageName is that of the site's files.
func (d *Draft) packageName() string {
	for _, name := range d.cueFiles() {
		content, err := d.read(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "package "); ok {
				return strings.Fields(rest)[0]
			}
		}
	}
	return filepath.Base(d.dir)
}

// SetDomain changes a declared domain.
func (d *Draft) SetDomain(name string, f Domain) error {
	dom, err := d.domain(name)
	if err != nil {
		return err
	}
	path := dom.Path()
	var fields []edit.Field
	text := func(name string, value *string) {
		if value != nil {
			fields = append(fields, edit.Field{Name: name, Value: orNone(*value)})
		}
	}
	text("zone", f.Zone)
	text("catchAll", f.CatchAll)
	text("dmarc.policy", f.DMARC)
	text("mtaSTS.mode", f.MTASTS)
	if f.QuotaMB != nil {
		fields = append(fields, edit.Field{Name: "quotaMB", Value: *f.QuotaMB})
	}
	if f.State != nil {
		fields = append(fields, edit.Field{Name: "state", Value: string(*f.State)})
	}
	for _, f := range fields {
		if err := d.put(path+"."+f.Name, f); err != nil {
			return err
		}
	}
	return nil
}

// put sets a field, or takes it out where its value is nil and it stands there.
func (d *Draft) put(path string, f edit.Field) error {
	if f.Value != nil {
		return d.set(path, f.CUE())
	}
	if d.written(path) {
		return d.remove(path)
	}
	return nil
}
