package cloud

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	emit "github.com/mailplan/mailplan/compiler/emit/terraform"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Declared lists the resources of the emitted module without running Terraform: with the values of the site where an
// expression needs nothing else, and with the expression itself where it does. Two revisions are compared by it. What
// a site does not declare any more stays, as it does when applied.
func Declared(s *model.Site) ([]plan.Object, error) {
	files, err := emit.Files(s)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	var main *hclsyntax.Body
	var source []byte
	m := module{vars: &hcl.EvalContext{}}
	for _, f := range files {
		body, err := parse(f)
		if err != nil {
			return nil, err
		}
		switch path.Base(f.Path) {
		case "terraform.tfvars":
			if err := m.use(body); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
		case "main.tf":
			main, source = body, f.Content
		}
	}
	m.source = source
	return m.resources(main)
}

func parse(f model.File) (*hclsyntax.Body, error) {
	file, diags := hclsyntax.ParseConfig(f.Content, f.Path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("parse %s: %w", f.Path, diags)
	}
	return file.Body.(*hclsyntax.Body), nil
}

// module is what expressions are evaluated in: variables and nothing else.
type module struct {
	vars   *hcl.EvalContext
	source []byte
}

// use takes the variables' values.
func (m *module) use(tfvars *hclsyntax.Body) error {
	values := map[string]cty.Value{}
	for name, a := range tfvars.Attributes {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			return diags
		}
		values[name] = v
	}
	m.vars.Variables = map[string]cty.Value{"var": cty.ObjectVal(values)}
	return nil
}

func (m *module) resources(main *hclsyntax.Body) ([]plan.Object, error) {
	var out []plan.Object
	for _, b := range main.Blocks {
		if b.Type != "resource" || len(b.Labels) != 2 {
			continue
		}
		of, address := b.Labels[0], strings.Join(b.Labels, ".")
		if count, ok := b.Body.Attributes["count"]; ok {
			n, err := m.value(count.Expr)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", address, err)
			}
			if n == float64(0) {
				continue
			}
			address += "[0]"
		}
		values, err := m.body(b.Body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		o := resource(address, of, values)
		o.From, o.Irreversible, o.Keep = from(of), irreversible(of, nil, values), true
		out = append(out, o)
	}
	return out, nil
}

// meta are arguments for Terraform itself.
var meta = map[string]bool{"count": true, "depends_on": true, "provider": true, "for_each": true, "lifecycle": true}

func (m *module) body(b *hclsyntax.Body) (map[string]any, error) {
	values := map[string]any{}
	for name, a := range b.Attributes {
		if meta[name] {
			continue
		}
		v, err := m.value(a.Expr)
		if err != nil {
			return nil, err
		}
		values[name] = v
	}
	for _, nested := range b.Blocks {
		if meta[nested.Type] {
			continue
		}
		v, err := m.body(nested.Body)
		if err != nil {
			return nil, err
		}
		list, _ := values[nested.Type].([]any)
		values[nested.Type] = append(list, v)
	}
	return values, nil
}

// value is that of an expression, or the expression where more than variables is needed for it.
func (m *module) value(e hclsyntax.Expression) (any, error) {
	v, diags := e.Value(m.vars)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return string(e.Range().SliceBytes(m.source)), nil
	}
	data, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return nil, err
	}
	var out any
	err = json.Unmarshal(data, &out)
	return out, err
}
