package tailnet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tailscale.com/client/tailscale/v2"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Watch tells what takes the host out of the tailnet: that it never joined, that it waits for approval, that its key
// runs out, or that it has another address than the mail ports listen on.
func (p *Plane) Watch(ctx context.Context) ([]apply.Finding, error) {
	t := p.Site.Tailnet
	if t == nil {
		return nil, nil
	}
	device, err := p.device(ctx)
	if err != nil {
		return nil, err
	}
	if device == nil {
		return []apply.Finding{p.finding("tailnet.hostname", "is not in the tailnet: join it there (tailscale up --advertise-tags=%s)", strings.Join(t.Tags, ","))}, nil
	}
	var out []apply.Finding
	if !device.Authorized {
		out = append(out, p.finding("tailnet.hostname", "waits for an admin's approval in the tailnet"))
	}
	if !slices.Contains(device.Addresses, t.Address) {
		out = append(out, p.finding("tailnet.address", "has the addresses %s in the tailnet, the site says %s", strings.Join(device.Addresses, ", "), t.Address))
	}
	return append(out, p.key(*device)...), nil
}

// key is the watch over a node key that expires: a host that was tagged after it had been signed in keeps its date.
func (p *Plane) key(d tailscale.Device) []apply.Finding {
	if d.KeyExpiryDisabled || d.Expires.IsZero() {
		return nil
	}
	left, day := d.Expires.Sub(p.now()), d.Expires.UTC().Format(time.DateOnly)
	const mend = "disable its key expiry in the tailnet, or sign it in again"
	switch warn := p.Site.Tailnet.KeyWarnDays; {
	case left <= 0:
		return []apply.Finding{p.finding("tailnet.keyWarnDays", "its key has expired (%s), no mail client reaches it: %s", day, mend)}
	case left <= time.Duration(warn)*24*time.Hour:
		return []apply.Finding{p.finding("tailnet.keyWarnDays", "its key expires on %s, in %d days: %s", day, int(left.Hours()/24), mend)}
	}
	return nil
}

func (p *Plane) finding(from, format string, args ...any) apply.Finding {
	return apply.Finding{Plane: plan.Tailnet, ID: p.Site.Tailnet.Hostname, Message: fmt.Sprintf(format, args...), From: from}
}

func (p *Plane) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}
