// Package check looks across the objects of a valid site for what no single field can be blamed for: it turns a model
// into findings, each with a stable rule, the site path to look at, and a fix where one is certain. It is pure, reads no
// CUE and no file, and knows today's facts (end-of-life dates, floors, limits) as tables beside the rules.
package check

import (
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
)

// Severity says what a finding does: an Error stops compile and apply, a Warning is only told.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Rule is one thing that is looked at. ID is stable and never used again for something else.
type Rule struct {
	ID       string
	Severity Severity
	Title    string // what must hold, in one line
	Why      string // what happens otherwise
	Holes    string // rows of the requirements that it closes, such as "S-09"

	find func(c *checker)
}

// Finding is one breach of a rule.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Path     string   `json:"path"` // site path to look at
	OrPath   string   `json:"-"`    // the other party: to look at where Path is left to its default
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	Fix      *Fix     `json:"fix,omitempty"`
}

// Fix sets the field at Path to a CUE expression; an empty Value removes the field.
type Fix struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Facts are what a site's folder tells beside its declarations.
type Facts struct {
	// SecretNames are the names in the secrets file; nil when there is no such file yet.
	SecretNames []string
}

// Rules lists all rules in the order of their documentation.
func Rules() []Rule {
	return slices.Concat(addressRules(), userRules(), senderRules(), dkimRules(), recordRules(), edgeRules(), networkRules(),
		sizeRules(), resourceRules(), imageRules(), storageRules(), backupRules(), secretRules(), scanRules(), declaredRules())
}

// Site runs every rule. Findings come in the order of the rules, those of one rule in the order of the site.
func Site(s *model.Site, facts Facts) []Finding {
	c := &checker{site: s, facts: facts, routes: model.NewRoutes(s)}
	for _, r := range Rules() {
		c.rule = r
		r.find(c)
	}
	return c.findings
}

// Failed says whether a finding stops the compiler.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

type checker struct {
	site     *model.Site
	facts    Facts
	routes   *model.Routes
	rule     Rule
	findings []Finding
}

// report adds a finding of the current rule.
func (c *checker) report(path, format string, args ...any) *Finding {
	c.findings = append(c.findings, Finding{Rule: c.rule.ID, Severity: c.rule.Severity, Path: path, Message: fmt.Sprintf(format, args...)})
	return &c.findings[len(c.findings)-1]
}

func (f *Finding) hint(format string, args ...any) *Finding {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

func (f *Finding) or(path string) *Finding {
	f.OrPath = path
	return f
}

func (f *Finding) fix(path, value string) *Finding {
	f.Fix = &Fix{Path: path, Value: value}
	return f
}

// active calls f for each domain that takes mail.
func (c *checker) active(f func(d model.Domain)) {
	for _, d := range c.site.Domains {
		if d.State == model.Active {
			f(d)
		}
	}
}
