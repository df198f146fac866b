package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/plan"
)

// maxTold bounds the lines of a report: the console shows them, and nobody reads more.
const maxTold = 500

// told is a report as `mailpland tell` on the host reads it: what was found, or why nothing was.
type told struct {
	Problem string `json:"problem,omitempty"`
	Data    any    `json:"data,omitempty"`
}

type driftTold struct {
	Site     string   `json:"site"`
	Revision string   `json:"revision,omitempty"`
	Changes  []string `json:"changes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

type spoolTold struct {
	Enabled bool             `json:"enabled"`
	Waiting int              `json:"waiting"`
	Dead    int              `json:"dead"`
	Letters []letters.Letter `json:"letters,omitempty"`
}

// tell lays what status found down on the host, where the console shows it: drift, and what waits at the edge. The host
// gets no credentials by that, and needs none.
func (c *cli) tell(ctx context.Context, site *compiler.Site, to opened, w where, p plan.Plan, found []apply.Finding) error {
	if to.Run == nil {
		c.say("there is no host to tell")
		return nil
	}
	err := c.lay(ctx, site, to, "drift", told{Data: driftOf(p, found)})
	spool := told{Data: spoolTold{}}
	if site.Model.Edge.Spool.Enabled {
		_, all, problem := c.spooled(ctx, spooling{site: site.Source.Dir, sandbox: w.sandbox})
		if spool.Data = spoolOf(all); problem != nil {
			spool = told{Problem: problem.Error()}
		}
	}
	return errors.Join(err, c.lay(ctx, site, to, "spool", spool))
}

func driftOf(p plan.Plan, found []apply.Finding) driftTold {
	d := driftTold{Site: p.Site, Revision: p.Revision}
	for _, change := range p.Changes {
		d.Changes = append(d.Changes, fmt.Sprint(change))
	}
	for _, x := range p.Conflicts {
		d.Changes = append(d.Changes, fmt.Sprintf("conflict: %s %s: live %s, declared %s", x.Plane, x.ID, x.Live, x.Desired))
	}
	for _, f := range found {
		d.Warnings = append(d.Warnings, fmt.Sprint(f))
	}
	d.Changes, d.Warnings = d.Changes[:min(len(d.Changes), maxTold)], d.Warnings[:min(len(d.Warnings), maxTold)]
	return d
}

func spoolOf(all []letters.Letter) spoolTold {
	s := spoolTold{Enabled: true, Letters: all[:min(len(all), maxTold)]}
	for _, l := range all {
		if l.Dead {
			s.Dead++
		} else {
			s.Waiting++
		}
	}
	return s
}

// lay hands a report to the host's mailpland.
func (c *cli) lay(ctx context.Context, site *compiler.Site, to opened, name string, report told) error {
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	root := site.Model.Host.Root
	_, err = to.Run(ctx, bytes.NewReader(text), path.Join(root, "bin", "mailpland"), "tell", name, "--config", path.Join(root, "config", "runtime", "backup.json"))
	if err != nil {
		return fmt.Errorf("tell the host of the %s: %w", name, err)
	}
	return nil
}
