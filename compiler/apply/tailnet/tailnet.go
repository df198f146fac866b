// Package tailnet is the plane of the private network: this site's entries in the tailnet's policy file, and the tags
// of its host. Whatever else stands in the policy belongs to others and stays, comments included; entries of ours
// bear the site's mark. It knows Tailscale's API by the official client, and does not know how the site's part of
// the policy comes about (compiler/emit/tailnet).
package tailnet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tailscale.com/client/tailscale/v2"

	emit "github.com/mailplan/mailplan/compiler/emit/tailnet"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of objects on this plane.
const (
	KindTagOwner = "tag owner"
	KindGrant    = "grant"
	KindTest     = "policy test"
	KindTag      = "device tag"
	KindPolicy   = "policy" // as a whole: whether Tailscale takes it with the site's part in it
)

// Plane is one site's part of a tailnet. A site without a tailnet has no objects. Client may be nil where only
// Desired is asked.
type Plane struct {
	Site   *model.Site
	Client *tailscale.Client
	Now    func() time.Time // nil means time.Now
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Tailnet }

// Kinds are the plane's.
func (p *Plane) Kinds() []string {
	return []string{KindTagOwner, KindGrant, KindTest, KindTag, KindPolicy}
}

// Desired lists the entries that the site wants in the policy, and the tags that it wants on its host.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	if p.Site.Tailnet == nil {
		return nil, nil
	}
	wanted, err := p.wanted()
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	if p.Client != nil { // who cannot be asked does not accept
		objects = append(objects, p.accepted())
	}
	for _, e := range wanted {
		o := object(e)
		o.From = from(e.kind)
		objects = append(objects, o)
	}
	for _, tag := range p.Site.Tailnet.Tags {
		o := p.tag(tag)
		o.From = "tailnet.tags"
		objects = append(objects, o)
	}
	return objects, nil
}

// wanted are the entries of the emitted policy.
func (p *Plane) wanted() ([]entry, error) {
	files, err := emit.Files(p.Site)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, f := range files {
		d, err := parse(f.Content, p.Site.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		some, err := d.entries()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func from(kind string) string {
	if kind == KindTagOwner {
		return "tailnet.tags"
	}
	return "tailnet"
}

func object(e entry) plan.Object {
	return plan.Object{Plane: plan.Tailnet, Kind: e.kind, ID: e.id, Value: e.value, Show: show(e), Phase: plan.Place,
		Sole: e.kind == KindTagOwner, Foreign: !e.ours}
}

// tag is one tag on the site's host. It comes last, since the host may join the tailnet by what this plan starts.
func (p *Plane) tag(tag string) plan.Object {
	return plan.Object{Plane: plan.Tailnet, Kind: KindTag, ID: p.Site.Tailnet.Hostname + " " + tag, Value: plan.Encode(tag), Phase: plan.Leave,
		Needs: []string{plan.Object{Plane: plan.Tailnet, Kind: KindTagOwner, ID: tag}.Ref()}}
}

// accepted stands for a policy that Tailscale takes.
func (p *Plane) accepted() plan.Object {
	return plan.Object{Plane: plan.Tailnet, Kind: KindPolicy, ID: "policy file", Value: plan.Encode("accepted"), Show: "a policy that Tailscale accepts",
		From: "tailnet", Phase: plan.Place, Sole: true}
}

// show is an entry in a few words.
func show(e entry) string {
	var owners []string
	if json.Unmarshal(e.value, &owners) == nil {
		return strings.Join(owners, ", ")
	}
	var r struct {
		IP     []string `json:"ip"`
		Accept []string `json:"accept"`
		Deny   []string `json:"deny"`
	}
	if json.Unmarshal(e.value, &r) != nil {
		return string(e.value)
	}
	var parts []string
	for _, part := range []struct {
		word string
		list []string
	}{{"", r.IP}, {"reaches ", r.Accept}, {"not ", r.Deny}} {
		if len(part.list) > 0 {
			parts = append(parts, part.word+strings.Join(part.list, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// Live reads the policy's entries and the host's tags, and asks Tailscale whether it would take the policy with the
// site's part in it: its tests may fail because of rules that are not ours.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if p.Site.Tailnet == nil {
		return nil, nil
	}
	raw, err := p.Client.PolicyFile().Raw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	d, err := parse([]byte(raw.HuJSON), p.Site.Name)
	if err != nil {
		return nil, err
	}
	entries, err := d.entries()
	if err != nil {
		return nil, err
	}
	policy, err := p.judged(ctx, raw.HuJSON, entries)
	if err != nil {
		return nil, err
	}
	objects := []plan.Object{policy}
	for _, e := range entries {
		objects = append(objects, object(e))
	}
	tags, err := p.tags(ctx, entries)
	return append(objects, tags...), err
}

// judged is whether Tailscale would take the policy with all changes made; without any there is nothing to ask.
func (p *Plane) judged(ctx context.Context, text string, live []entry) (plan.Object, error) {
	wanted, err := p.wanted()
	if err != nil {
		return plan.Object{}, err
	}
	changes, conflicts := plan.Diff(objects(live, false), objects(wanted, true))
	whole := p.accepted()
	whole.From = ""
	if len(changes) == 0 || len(conflicts) > 0 {
		return whole, nil
	}
	merged, err := p.edit(text, changes)
	if err != nil {
		return whole, err
	}
	if err := p.validate(ctx, merged); err != nil {
		if !refused(err) {
			return whole, err
		}
		whole.Foreign, whole.Value, whole.Show = true, plan.Encode(err.Error()), err.Error()
	}
	return whole, nil
}

func objects(entries []entry, ours bool) []plan.Object {
	var out []plan.Object
	for _, e := range entries {
		o := object(e)
		o.Foreign = o.Foreign && !ours
		out = append(out, o)
	}
	return out
}

// tags are those on the host; a tag is ours if we own it in the policy. Where the site declares none they stay:
// only signing in again takes the last tag from a device.
func (p *Plane) tags(ctx context.Context, entries []entry) ([]plan.Object, error) {
	device, err := p.device(ctx)
	if err != nil || device == nil {
		return nil, err
	}
	var out []plan.Object
	for _, tag := range device.Tags {
		o := p.tag(tag)
		o.Handle = device.NodeID
		o.Foreign = len(p.Site.Tailnet.Tags) == 0 || !slices.ContainsFunc(entries, func(e entry) bool { return e.ours && e.kind == KindTagOwner && e.id == tag })
		out = append(out, o)
	}
	return out, nil
}

// device is the site's host, nil if it has not joined.
func (p *Plane) device(ctx context.Context) (*tailscale.Device, error) {
	all, err := p.Client.Devices().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	for _, d := range all {
		if strings.EqualFold(strings.TrimSuffix(d.Name, "."), p.Site.Tailnet.Hostname) {
			return &d, nil
		}
	}
	return nil, nil
}

// same compares values.
func same(a, b json.RawMessage) bool { return bytes.Equal(a, b) }
