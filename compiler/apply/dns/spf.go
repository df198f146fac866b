package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

const (
	spfID      = "SPF " // and the name
	spfVersion = "v=spf1"
)

func spf(r edge.Record) bool {
	return r.Type == "TXT" && strings.HasPrefix(strings.ToLower(r.Content), spfVersion)
}

// routings says that an SPF record is Email Routing's own: locked, or as it writes it. It goes with Email Routing.
func routings(r edge.Record) bool {
	return spf(r) && (r.ReadOnly || r.Comment == "" && r.Content == cloudflare.RoutingSPF)
}

// declared are the ids of the SPF records that the site wants.
func (p *Plane) declared() map[string]bool {
	ids := map[string]bool{}
	for _, r := range cloudflare.Records(p.Site) {
		if strings.HasPrefix(r.Content, spfVersion) {
			ids[spfID+r.Name] = true
		}
	}
	return ids
}

// lent says that a change is of an SPF record that was Email Routing's when it was read, and may be gone by now.
func (p *Plane) lent(c plan.Change) bool {
	return strings.HasPrefix(c.ID, spfID) && c.Handle != "" &&
		slices.ContainsFunc(p.records, func(r edge.Record) bool { return r.ID == c.Handle && routings(r) })
}

// SettleSPF makes the declared SPF record of a domain the only one at its name, whatever Email Routing has put there:
// its own record is unlocked and gives way to ours in one transaction, so that there is one at any time. A record that
// says what is declared is good, whoever wrote it. Nothing happens where no SPF record is declared.
func (p *Plane) SettleSPF(ctx context.Context, domain string) error {
	desired, err := p.Desired(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(desired, func(o plan.Object) bool { return o.ID == spfID+domain })
	if i < 0 {
		return nil
	}
	var v value
	if err := json.Unmarshal(desired[i].Value, &v); err != nil {
		return fmt.Errorf("SPF of %s: %w", domain, err)
	}
	zones, err := p.Edge.Zones(ctx, []string{v.Zone})
	if err != nil {
		return err
	}
	live, err := p.Edge.Read(ctx, zones)
	if err != nil {
		return err
	}
	want, err := p.record(ctx, v)
	if err != nil {
		return err
	}
	return p.replace(ctx, zones[0], want, slices.DeleteFunc(live, func(r edge.Record) bool { return r.Name != domain || !spf(r) }))
}

// replace puts want in the place of the SPF records of its name. One that is not Email Routing's is none of its business:
// the plan changes it where it stands.
func (p *Plane) replace(ctx context.Context, z edge.Zone, want edge.Record, live []edge.Record) error {
	if len(live) == 1 && (live[0].Key() == want.Key() || !routings(live[0])) {
		return nil
	}
	batch := edge.Changes{Posts: []edge.Record{want}}
	locked := false
	for _, r := range live {
		if !routings(r) && edge.Owner(r.Comment) != p.Site.Name {
			return fmt.Errorf("%s has an SPF record that mailplan did not make: %s", want.Name, r.Content)
		}
		locked = locked || r.ReadOnly
		r.ReadOnly = false
		batch.Deletes = append(batch.Deletes, r)
	}
	if locked {
		below := want.Name
		if below == z.Name {
			below = ""
		}
		if err := p.Edge.UnlockRouting(ctx, z, below); err != nil {
			return err
		}
	}
	_, err := p.Edge.Batch(ctx, z, batch)
	if len(live) == 0 && identical(err) { // the read lagged behind what the plan has done before
		return nil
	}
	return err
}

// identical says that a record was refused because it is there.
func identical(err error) bool {
	const code = 81058
	var refused *edge.Error
	return errors.As(err, &refused) && slices.ContainsFunc(refused.Details, func(d edge.Detail) bool { return d.Code == code })
}
