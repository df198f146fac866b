package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/zones"
	"golang.org/x/sync/errgroup"
)

const (
	zonesPerPage   = 50   // the most that the API allows
	recordsPerPage = 5000 // above every plan's quota: one call reads a zone
	readers        = 8    // zones read at the same time
)

// Zone is a DNS zone of the account.
type Zone struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Zones returns the zones of these names, in their order. A name that the
// account does not hold is an error that lists all such names. A zone keeps its
// identifier, so names that were found once are not asked for again.
func (e *Edge) Zones(ctx context.Context, names []string) ([]Zone, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if zones, err := pick(e.held, names); err == nil {
		return zones, nil
	}
	only := ""
	if len(names) == 1 {
		only = host(names[0])
	}
	held, err := e.listZones(ctx, only)
	if err != nil {
		return nil, fmt.Errorf("list zones: %w", err)
	}
	e.held = held
	return pick(held, names)
}

// listZones lists the account's zones, or only the one of a name.
func (e *Edge) listZones(ctx context.Context, only string) ([]Zone, error) {
	return list[Zone](zonesPerPage, func(opts ...option.RequestOption) error {
		if e.account != "" {
			opts = append(opts, option.WithQuery("account.id", e.account))
		}
		if only != "" {
			opts = append(opts, option.WithQuery("name", only))
		}
		_, err := e.zones.List(ctx, zones.ZoneListParams{}, opts...)
		return err
	})
}

func pick(held []Zone, names []string) ([]Zone, error) {
	var found []Zone
	var missing []string
	for _, name := range names {
		i := slices.IndexFunc(held, func(z Zone) bool { return z.Name == host(name) })
		if i < 0 {
			missing = append(missing, name)
			continue
		}
		found = append(found, held[i])
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the account has no zone %s: add it at the provider, or give the token access to it", strings.Join(missing, ", "))
	}
	return found, nil
}

// Read returns the records of the zones, in the order of the zones and, within
// one, of name, type and content.
func (e *Edge) Read(ctx context.Context, zones []Zone) ([]Record, error) {
	parts := make([][]Record, len(zones))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, z := range zones {
		g.Go(func() (err error) {
			parts[i], err = e.readZone(ctx, z)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

func (e *Edge) readZone(ctx context.Context, z Zone) ([]Record, error) {
	var p dns.RecordListParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	answers, err := list[wireAnswer](recordsPerPage, func(opts ...option.RequestOption) error {
		_, err := e.dns.Records.List(ctx, p, opts...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the records of zone %s: %w", z.Name, err)
	}
	records := make([]Record, len(answers))
	for i, a := range answers {
		records[i] = a.record(z.Name)
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Key(), b.Key()) })
	return records, nil
}

// Batch carries changes out in the fewest calls. What belongs to one name
// stays in one transaction; over several calls, creations come first and
// deletions last. It returns the records as the provider now holds them. After
// an error, what was done is what Read says.
func (e *Edge) Batch(ctx context.Context, z Zone, c Changes) ([]Record, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("change zone %s: %w", z.Name, err)
	}
	var done []Record
	for _, part := range c.split(operationsPerBatch) {
		records, err := e.batch(ctx, z, part)
		if err != nil {
			return done, fmt.Errorf("change zone %s: %w", z.Name, err)
		}
		done = append(done, records...)
	}
	return done, nil
}

// Codes of a refusal that an earlier, unanswered attempt may explain.
var afterEffect = []int{81058, 81057, 81044, 81053, 81054}

// batch sends one transaction. When the answer is lost it reads the zone and
// sends only what is still missing.
func (e *Edge) batch(ctx context.Context, z Zone, c Changes) ([]Record, error) {
	doubt := false
	for try := 1; ; try++ {
		records, err := e.sendBatch(ctx, z, c)
		if err == nil {
			return records, nil
		}
		var refused *Error
		explained := doubt && errors.As(err, &refused) && refused.has(afterEffect...)
		if !ambiguous(err) && !explained || try >= e.wire.cfg.Tries || ctx.Err() != nil {
			return nil, err
		}
		doubt = true
		if err := e.wire.cfg.Sleep(ctx, backoff(try)); err != nil {
			return nil, err
		}
		live, rerr := e.readZone(ctx, z)
		if rerr != nil {
			return nil, errors.Join(err, rerr)
		}
		rest := c.remaining(live)
		if rest.Len() == 0 {
			return c.made(live), nil
		}
		c = rest
	}
}

func (e *Edge) sendBatch(ctx context.Context, z Zone, c Changes) ([]Record, error) {
	var p dns.RecordBatchParams
	p.ZoneID.Value, p.ZoneID.Present = z.ID, true
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	type answer struct{ Patches, Puts, Posts []wireAnswer }
	a, err := result[answer](func(opts ...option.RequestOption) error {
		opts = append(opts, option.WithRequestBody("application/json", body))
		_, err := e.dns.Records.Batch(ctx, p, opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, w := range slices.Concat(a.Patches, a.Puts, a.Posts) {
		records = append(records, w.record(z.Name))
	}
	return records, nil
}

// Confirm reads the zone until it shows the changes, for reads may lag behind
// writes. It gives up after Config.Settle, naming one record that is missing.
func (e *Edge) Confirm(ctx context.Context, z Zone, c Changes) error {
	var waited time.Duration
	for try := 1; ; try++ {
		live, err := e.readZone(ctx, z)
		if err != nil {
			return err
		}
		rest := c.remaining(live)
		if rest.Len() == 0 {
			return nil
		}
		if waited >= e.settle {
			return fmt.Errorf("zone %s does not show %s after %s", z.Name, rest.first(), waited)
		}
		if err := e.wire.cfg.Sleep(ctx, backoff(try)); err != nil {
			return err
		}
		waited += backoff(try)
	}
}
