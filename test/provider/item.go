package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// item is any resource: what it was given, with what its kind fills in, is kept in the account as it is.
type item struct {
	kind    kind
	session *session
}

// Metadata names the resource.
func (r *item) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.kind.name
}

// Schema is the kind's.
func (r *item) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = r.kind.schema()
}

// Configure takes the session.
func (r *item) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.session, _ = req.ProviderData.(*session)
}

// ModifyPlan joins the resource's tags with those that the provider puts on everything.
func (r *item) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if !r.kind.taggable || r.session == nil || req.Plan.Raw.IsNull() {
		return
	}
	var own map[string]string
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("tags"), &own)...)
	all := maps.Clone(r.session.tags)
	maps.Copy(all, own)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("tags_all"), all)...)
}

// Create keeps a new resource; one that is there already is refused, as the API does.
func (r *item) Create(_ context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.State.Raw = r.keep("create", req.Plan.Raw, &resp.Diagnostics, func(a *Account, key string) error {
		if _, ok := a.Resources[key]; ok {
			return errors.New("EntityAlreadyExists: " + key)
		}
		return nil
	})
}

// Update replaces what is kept.
func (r *item) Update(_ context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = r.keep("update", req.Plan.Raw, &resp.Diagnostics, func(a *Account, key string) error {
		if _, ok := a.Resources[key]; !ok {
			return errors.New("NotFound: " + key)
		}
		return nil
	})
}

func (r *item) keep(verb string, planned tftypes.Value, diags *diag.Diagnostics, allowed func(*Account, string) error) tftypes.Value {
	v, err := plain(planned)
	if err != nil {
		diags.AddError(r.kind.name, err.Error())
		return tftypes.NewValue(planned.Type(), nil)
	}
	values := v.(map[string]any)
	values["region"] = r.session.region
	r.kind.fill(r.session, values)
	key := r.key(values)
	err = r.session.account.do(verb+" "+r.kind.name, func(a *Account) error {
		if err := allowed(a, key); err != nil {
			return err
		}
		a.Resources[key] = values
		return nil
	})
	var made tftypes.Value
	if err == nil {
		made, err = typed(values, planned.Type())
	}
	if err != nil {
		diags.AddError(verb+" "+r.kind.name, err.Error())
		return tftypes.NewValue(planned.Type(), nil)
	}
	return made
}

// key tells resources apart; those of two regions are two.
func (r *item) key(values map[string]any) string {
	return fmt.Sprintf("%s/%v", r.kind.name, values["id"])
}

// Read looks at what is kept.
func (r *item) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	had, err := plain(req.State.Raw)
	if err != nil {
		resp.Diagnostics.AddError(r.kind.name, err.Error())
		return
	}
	a, err := Read(r.session.account.file)
	if err != nil {
		resp.Diagnostics.AddError(r.kind.name, err.Error())
		return
	}
	values, ok := a.Resources[r.key(had.(map[string]any))]
	if !ok {
		resp.State.RemoveResource(ctx)
		return
	}
	now, err := typed(values, req.State.Raw.Type())
	if err != nil {
		resp.Diagnostics.AddError(r.kind.name, err.Error())
		return
	}
	resp.State.Raw = now
}

// Delete forgets the resource. A bucket with Object Lock is never empty here.
func (r *item) Delete(_ context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	had, err := plain(req.State.Raw)
	if err == nil {
		values := had.(map[string]any)
		err = r.session.account.do("delete "+r.kind.name, func(a *Account) error {
			if values["object_lock_enabled"] == true {
				return errors.New("BucketNotEmpty: objects are locked")
			}
			delete(a.Resources, r.key(values))
			return nil
		})
	}
	if err != nil {
		resp.Diagnostics.AddError("delete "+r.kind.name, err.Error())
	}
}

// plain is a value as JSON has it; what is not known yet is null.
func plain(v tftypes.Value) (any, error) {
	if !v.IsKnown() || v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		return plainNumber(v)
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		var m map[string]tftypes.Value
		if err := v.As(&m); err != nil {
			return nil, err
		}
		out := map[string]any{}
		for name, member := range m {
			p, err := plain(member)
			if err != nil {
				return nil, err
			}
			out[name] = p
		}
		return out, nil
	}
	var list []tftypes.Value
	if err := v.As(&list); err != nil {
		return nil, err
	}
	out := []any{}
	for _, element := range list {
		p, err := plain(element)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func plainNumber(v tftypes.Value) (any, error) {
	n := new(big.Float)
	if err := v.As(&n); err != nil {
		return nil, err
	}
	f, _ := n.Float64()
	return f, nil
}

// typed is the way back: a value of type t. What is missing is null.
func typed(v any, t tftypes.Type) (tftypes.Value, error) {
	if v == nil {
		return tftypes.NewValue(t, nil), nil
	}
	switch t := t.(type) {
	case tftypes.Object:
		m, _ := v.(map[string]any)
		return typedMembers(t, m, func(name string) tftypes.Type { return t.AttributeTypes[name] }, slices.Collect(maps.Keys(t.AttributeTypes)))
	case tftypes.Map:
		m, _ := v.(map[string]any)
		return typedMembers(t, m, func(string) tftypes.Type { return t.ElementType }, slices.Collect(maps.Keys(m)))
	case tftypes.List:
		return typedElements(t, v, t.ElementType)
	case tftypes.Set:
		return typedElements(t, v, t.ElementType)
	}
	if err := tftypes.ValidateValue(t, v); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(t, v), nil
}

func typedMembers(t tftypes.Type, m map[string]any, of func(name string) tftypes.Type, names []string) (tftypes.Value, error) {
	out := map[string]tftypes.Value{}
	for _, name := range names {
		member, err := typed(m[name], of(name))
		if err != nil {
			return member, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = member
	}
	return tftypes.NewValue(t, out), nil
}

func typedElements(t tftypes.Type, v any, of tftypes.Type) (tftypes.Value, error) {
	list, _ := v.([]any)
	out := []tftypes.Value{}
	for i, element := range list {
		e, err := typed(element, of)
		if err != nil {
			return e, fmt.Errorf("%d: %w", i, err)
		}
		out = append(out, e)
	}
	return tftypes.NewValue(t, out), nil
}
