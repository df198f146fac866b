package tailnet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
	"tailscale.com/client/tailscale/v2"

	"github.com/mailplan/mailplan/compiler/plan"
)

// Apply makes all changes of the policy in one write, then those of tags in one more.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	var policy, tags []plan.Change
	for _, c := range changes {
		if c.Kind == KindTag {
			tags = append(tags, c)
		} else {
			policy = append(policy, c)
		}
	}
	if len(policy) > 0 {
		if err := p.write(ctx, policy); err != nil {
			return err
		}
	}
	if len(tags) > 0 {
		return p.retag(ctx, tags)
	}
	return nil
}

// write changes the policy as it is now, on the condition that nobody else does so meanwhile (If-Match), after
// Tailscale has run its tests. When somebody does, or when an answer was lost, it looks again: what is done already
// needs no doing.
func (p *Plane) write(ctx context.Context, changes []plan.Change) error {
	const tries = 4
	for try := 1; ; try++ {
		raw, err := p.Client.PolicyFile().Raw(ctx)
		if err != nil {
			return fmt.Errorf("read the policy: %w", err)
		}
		text, err := p.edit(raw.HuJSON, changes)
		if err != nil || text == raw.HuJSON {
			return err
		}
		if err := p.validate(ctx, text); err != nil {
			return err
		}
		err = p.Client.PolicyFile().Set(ctx, text, raw.ETag)
		if err == nil {
			return nil
		}
		if status(err) != http.StatusPreconditionFailed || try == tries {
			return fmt.Errorf("write the policy: %w", err)
		}
	}
}

// errRefused marks a policy that Tailscale does not take.
var errRefused = errors.New("policy refused by Tailscale")

func refused(err error) bool { return errors.Is(err, errRefused) }

// validate has Tailscale check the policy and run its tests.
func (p *Plane) validate(ctx context.Context, text string) error {
	err := p.Client.PolicyFile().Validate(ctx, text)
	var answer tailscale.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Status != http.StatusBadRequest:
		return fmt.Errorf("check the policy: %w", err)
	case errors.As(err, &answer) || strings.HasPrefix(err.Error(), "ACL validation failed: "):
		return fmt.Errorf("%w: %s", errRefused, strings.TrimPrefix(err.Error(), "ACL validation failed: "))
	}
	return fmt.Errorf("check the policy: %w", err)
}

func status(err error) int {
	var answer tailscale.APIError
	if errors.As(err, &answer) {
		return answer.Status
	}
	return 0
}

// edit makes the changes in the text of a policy. Those that are made already are passed over; one whose entry is
// another than the plan saw is refused.
func (p *Plane) edit(text string, changes []plan.Change) (string, error) {
	d, err := parse([]byte(text), p.Site.Name)
	if err != nil {
		return "", err
	}
	wanted, err := p.wanted()
	if err != nil {
		return "", err
	}
	for _, c := range changes {
		if err := d.change(c, wanted); err != nil {
			return "", err
		}
	}
	return d.text(), nil
}

func (d *document) change(c plan.Change, wanted []entry) error {
	all, err := d.entries()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.kind != c.Kind }) // now in the order of their section
	at := func(match func(entry) bool) int { return slices.IndexFunc(all, match) }
	old := at(func(e entry) bool { return e.ours && e.id == c.ID && same(e.value, c.Old) })
	made := at(func(e entry) bool { return e.id == c.ID && same(e.value, c.New) })
	switch {
	case c.Verb == plan.Delete && old >= 0:
		d.remove(c.Kind, old)
	case c.Verb == plan.Delete || made >= 0:
	case c.Verb == plan.Create:
		return d.create(c, wanted)
	case old < 0:
		return fmt.Errorf("%s %s of the policy has been changed since the plan was made: make it anew", c.Kind, c.ID)
	default:
		e, err := source(c, wanted)
		if err != nil {
			return err
		}
		d.replace(old, e)
	}
	return nil
}

func (d *document) create(c plan.Change, wanted []entry) error {
	e, err := source(c, wanted)
	if err == nil {
		d.add(e)
	}
	return err
}

// source is the entry with the layout and the comment of the emitted policy.
func source(c plan.Change, wanted []entry) (entry, error) {
	for _, e := range wanted {
		if e.kind == c.Kind && e.id == c.ID && same(e.value, c.New) {
			return e, nil
		}
	}
	if _, err := hujson.Parse(c.New); err != nil {
		return entry{}, fmt.Errorf("%s %s: %w", c.Kind, c.ID, err)
	}
	return entry{kind: c.Kind, id: c.ID, value: c.New, layout: c.New}, nil
}

// retag sets the tags of the host to those it has, with what comes and without what goes.
func (p *Plane) retag(ctx context.Context, changes []plan.Change) error {
	device, err := p.device(ctx)
	if err != nil {
		return err
	}
	if device == nil {
		return fmt.Errorf("%s is not in the tailnet: join it there (tailscale up --advertise-tags=%s) and apply again",
			p.Site.Tailnet.Hostname, strings.Join(p.Site.Tailnet.Tags, ","))
	}
	tags := slices.Clone(device.Tags)
	for _, c := range changes {
		_, tag, _ := strings.Cut(c.ID, " ")
		tags = slices.DeleteFunc(tags, func(t string) bool { return t == tag })
		if c.Verb != plan.Delete {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	if slices.Equal(tags, slices.Sorted(slices.Values(device.Tags))) {
		return nil
	}
	if err := p.Client.Devices().SetTags(ctx, device.NodeID, tags); err != nil {
		return fmt.Errorf("tag %s: %w", p.Site.Tailnet.Hostname, err)
	}
	return nil
}
