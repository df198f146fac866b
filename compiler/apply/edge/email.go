package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cloudflare/cloudflare-go/v6/email_routing"
	"github.com/cloudflare/cloudflare-go/v6/option"
)

// Routing is the state of a zone's Email Routing.
type Routing struct {
	Enabled bool
	// Status is the provider's judgement: ready, unconfigured, misconfigured,
	// misconfigured/locked or unlocked.
	Status string
	// Subaddressing lets a rule for user@ match user+tag@ (RFC 5233).
	Subaddressing bool
}

// Routing reads the state of a zone.
func (e *Edge) Routing(ctx context.Context, z Zone) (Routing, error) {
	var p email_routing.EmailRoutingGetParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	type settings struct {
		Enabled           bool   `json:"enabled"`
		Status            string `json:"status"`
		SupportSubaddress bool   `json:"support_subaddress"`
	}
	s, err := result[settings](func(opts ...option.RequestOption) error {
		_, err := e.email.Get(ctx, p, opts...)
		return err
	})
	return Routing{s.Enabled, s.Status, s.SupportSubaddress}, naming(err, "read email routing of %s", z.Name)
}

// EnableRouting makes the zone, or a name below it when given, route mail: the
// provider adds and locks its MX, SPF and DKIM records. It replaces an SPF
// record that does not include it, so publish the merged one first. Calling it
// again changes nothing.
func (e *Edge) EnableRouting(ctx context.Context, z Zone, subdomain string) error {
	var p email_routing.DNSNewParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	p.Name.Value, p.Name.Present = subdomain, subdomain != ""
	err := again(ctx, e, func() error {
		return discard(func(opts ...option.RequestOption) error {
			_, err := e.email.DNS.New(ctx, p, opts...)
			return err
		})
	})
	return naming(err, "enable email routing of %s", z.at(subdomain))
}

// UnlockRouting lets the routing records of the zone, or of a name below it,
// be edited; they stay linked to Email Routing and go when it is disabled.
func (e *Edge) UnlockRouting(ctx context.Context, z Zone, subdomain string) error {
	var p email_routing.DNSEditParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	p.Name.Value, p.Name.Present = subdomain, subdomain != ""
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.email.DNS.Edit(ctx, p, opts...)
		return err
	})
	return naming(err, "unlock the email routing records of %s", z.at(subdomain))
}

// DisableRouting removes every routing record of the zone, or of a name below
// it, those edited after an unlock included. The rules stay.
func (e *Edge) DisableRouting(ctx context.Context, z Zone, subdomain string) error {
	var p email_routing.DNSDeleteParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	err := discard(func(opts ...option.RequestOption) error {
		if subdomain != "" {
			// The SDK has no field for the name here.
			body, err := jsonBody(map[string]string{"name": subdomain})
			if err != nil {
				return err
			}
			opts = append(opts, body)
		}
		_, err := e.email.DNS.Delete(ctx, p, opts...)
		return err
	})
	return naming(removed(err), "disable email routing of %s", z.at(subdomain))
}

// SetSubaddressing switches user+tag@ matching of a zone.
func (e *Edge) SetSubaddressing(ctx context.Context, z Zone, on bool) error {
	// This version of the SDK has no call for it.
	_, err := e.wire.send(ctx, "PATCH", "zones/"+z.ID+"/email/routing", map[string]bool{"support_subaddress": on})
	return naming(err, "set subaddressing of %s", z.Name)
}

// RoutingRecords returns the records that Email Routing needs at the zone's
// apex, or at a name below it. Their preferences are the provider's choice and
// differ between zones.
func (e *Edge) RoutingRecords(ctx context.Context, z Zone, subdomain string) ([]Record, error) {
	var p email_routing.DNSGetParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	p.Subdomain.Value, p.Subdomain.Present = subdomain, subdomain != ""
	raw, err := result[json.RawMessage](func(opts ...option.RequestOption) error {
		_, err := e.email.DNS.Get(ctx, p, opts...)
		return err
	})
	if err != nil {
		return nil, naming(err, "read the email routing records of %s", z.at(subdomain))
	}
	// The API has two shapes for this answer: a list, or a list under "record".
	var answers []wireAnswer
	if strings.HasPrefix(string(raw), "[") {
		err = json.Unmarshal(raw, &answers)
	} else {
		err = json.Unmarshal(raw, &struct{ Record *[]wireAnswer }{&answers})
	}
	if err != nil {
		return nil, fmt.Errorf("read the email routing records of %s: %w", z.at(subdomain), err)
	}
	records := make([]Record, len(answers))
	for i, a := range answers {
		records[i] = a.record(z.Name)
	}
	return records, nil
}

// at names the zone or a name below it, for messages.
func (z Zone) at(subdomain string) string {
	if subdomain != "" {
		return subdomain
	}
	return z.Name
}

// Destination is an address outside that forward rules may name.
type Destination struct {
	ID    string
	Email string
	// Verified tells whether its owner has followed the provider's link; until
	// then no rule can forward to it.
	Verified bool
}

type wireDestination struct {
	ID       string  `json:"id"`
	Email    string  `json:"email"`
	Verified *string `json:"verified"`
}

func (w wireDestination) destination() Destination {
	return Destination{w.ID, w.Email, w.Verified != nil && *w.Verified != ""}
}

// Destinations lists the account's destination addresses.
func (e *Edge) Destinations(ctx context.Context) ([]Destination, error) {
	var p email_routing.AddressListParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	items, err := list[wireDestination](50, func(opts ...option.RequestOption) error {
		_, err := e.email.Addresses.List(ctx, p, opts...)
		return err
	})
	all := make([]Destination, len(items))
	for i, item := range items {
		all[i] = item.destination()
	}
	return all, naming(err, "list destination addresses")
}

// CreateDestination makes the provider write to an address, whose owner must
// then follow the link in that message.
func (e *Edge) CreateDestination(ctx context.Context, email string) (Destination, error) {
	var p email_routing.AddressNewParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.Email.Value, p.Email.Present = email, true
	d, err := create(ctx, e, creation[Destination]{unique: true,
		post: func() (Destination, error) {
			w, err := result[wireDestination](func(opts ...option.RequestOption) error {
				_, err := e.email.Addresses.New(ctx, p, opts...)
				return err
			})
			return w.destination(), err
		},
		find: func() (Destination, bool, error) {
			return findIn(e.Destinations(ctx))(func(d Destination) bool { return strings.EqualFold(d.Email, email) })
		},
	})
	return d, naming(err, "create destination address %s", email)
}

// DeleteDestination removes an address; the provider disables rules that
// forward to it.
func (e *Edge) DeleteDestination(ctx context.Context, d Destination) error {
	var p email_routing.AddressDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.email.Addresses.Delete(ctx, d.ID, p, opts...)
		return err
	})
	return naming(removed(err), "delete destination address %s", d.Email)
}

// findIn returns a search through a list that was just read.
func findIn[T any](all []T, err error) func(func(T) bool) (T, bool, error) {
	return func(match func(T) bool) (T, bool, error) {
		for _, item := range all {
			if match(item) {
				return item, true, nil
			}
		}
		var none T
		return none, false, err
	}
}
