package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/issue"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/rotate"
	"github.com/mailplan/mailplan/compiler/sandbox"
	"github.com/mailplan/mailplan/compiler/secrets"
)

func (c *cli) newSecretStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Say how old each secret is, when it is due, and what to do next; needs no key",
		Long: `status tells the age of every secret by the day that the site notes (secrets: names: NAME: rotated, or since of a
DKIM selector) and its period. It warns as many days ahead as secrets: warnDays says. When one is overdue and
secrets: overdue is "fail", it ends with exit code 3, so that a CI job or a cron job fails.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			site, err := c.loadAny(args)
			if err != nil {
				return err
			}
			list := rotate.Statuses(site.Model, time.Now())
			if asJSON {
				err = c.json(list)
			} else {
				err = c.tellStatuses(list)
			}
			if err != nil {
				return err
			}
			return c.overdue(site.Model, list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func (c *cli) tellStatuses(list []rotate.Status) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SECRET\tSTATE\tAGE\tPERIOD\tDUE\tNEXT")
	for _, s := range list {
		age, due := "unknown", "unknown"
		if s.AgeDays >= 0 {
			age, due = count(s.AgeDays, "day"), s.Due
		}
		period := count(s.Period, "day")
		if s.Kind == rotate.People {
			age, period, due = "-", "-", "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.State, age, period, due, s.Next)
	}
	return w.Flush()
}

// recordDay notes in the site that a secret was set today, where that is what its age is told by.
func (c *cli) recordDay(site *compiler.Site, name string) error {
	list := rotate.Statuses(site.Model, time.Now())
	i := slices.IndexFunc(list, func(s rotate.Status) bool { return s.Name == name })
	if i < 0 || list[i].Kind == rotate.DKIM || list[i].Kind == rotate.People || list[i].Set == today() {
		return nil
	}
	d, err := draft.Open(site.Source.Dir)
	if err != nil {
		return err
	}
	if err := d.SetSecretDay(name, today()); err != nil {
		return err
	}
	if _, err := d.Check(); err != nil {
		return err
	}
	c.say("the site notes the day: %s", strings.Join(d.Names(), ", "))
	return d.Write()
}

// rotation is what secret rotate takes.
type rotation struct {
	editing
	where     where
	resolvers []string
}

func (c *cli) newSecretRotate() *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use:   "rotate [NAME…]",
		Short: "Make the next step of every rotation that is due, or begin that of the named secrets",
		Long: `rotate makes at most one step for each secret, in the site and in the secrets file; the next apply brings it to life,
and the step after it waits until that is seen: a DKIM key in DNS by every resolver, a token accepted by the host.
Run it every day before apply, from CI or cron; where nothing is to be done it says so and ends with 0.

  DKIM key          publish, switch once it is seen, retire, remove after dkim: keepDays
  tokens, passwords stage (both are good), switch, retire
  session keys      switch; the last one stays good for some days, so that nobody is signed out
  signing of backups stage, switch, destroy the last; what it signed is believed as long as it is kept
  tunnel token      made anew by the next apply; connectors stay connected
  keys of others    issued by their API and the old one taken away, where there is a right to; else you are told
                    when and where to get one (mailplan docs secrets)

  mailplan secret rotate --commit && mailplan apply
  mailplan secret rotate --branch rotation                 for a pull request; the files here stay as they are
  mailplan secret rotate dkim/example.com/mail2026     begin now, due or not`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.rotate(cmd.Context(), &r, args) },
		ValidArgsFunction: complete(func(s *model.Site) (names []string) {
			for _, st := range rotate.Statuses(s, time.Now()) {
				names = append(names, st.Name)
			}
			return names
		}),
	}
	r.editing.flags(cmd)
	cmd.Flags().StringVar(&r.where.sandbox, "sandbox", "", "look for what is applied and published in this sandbox")
	cmd.Flags().StringSliceVar(&r.resolvers, "resolver", nil, "resolvers that must all see a new DKIM key (default: those of secrets: observe)")
	return cmd
}

// rotated is the answer of secret rotate.
type rotated struct {
	Steps   []rotatedStep `json:"steps"`
	Waiting []string      `json:"waiting,omitempty"`
	Commit  string        `json:"commit,omitempty"`
}

type rotatedStep struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
	Text  string `json:"text"`
}

func (c *cli) rotate(ctx context.Context, r *rotation, names []string) error {
	d, err := r.open()
	if err != nil {
		return err
	}
	site := d.Before
	for _, name := range names {
		if err := known(site, name); err != nil {
			return err
		}
	}
	store, err := stored(d, site)
	if err != nil {
		return err
	}
	forget, err := r.secretsOfBranch(d)
	if err != nil {
		return err
	}
	defer forget()
	steps, waits, err := rotate.Steps(rotate.Request{Site: site.Model, Now: time.Now(), Names: names,
		Observed: r.observed(ctx, site, store), Values: store, Issuers: r.issuers(site.Model)})
	if err != nil {
		return err
	}
	done := rotated{Waiting: waits, Steps: []rotatedStep{}}
	if err := r.make(d, store, steps, &done); err != nil {
		return c.refused(err)
	}
	return c.tellRotated(done, r)
}

// stored are the secrets of a draft, with the site as it is or will be.
func stored(d *draft.Draft, site *compiler.Site) (*secrets.Store, error) {
	file := d.Before.Model.Secrets.File
	return secrets.Read(d.Content(file), filepath.Join(d.Before.Source.Dir, file), site.Model, os.Getenv)
}

// secretsOfBranch lays those of a branch, sealed as they are, where a plan finds them: the files here are another branch's.
func (r *rotation) secretsOfBranch(d *draft.Draft) (forget func(), err error) {
	if r.branch == "" {
		return func() {}, nil
	}
	if r.where.secrets, err = os.MkdirTemp("", "mailplan-"); err != nil {
		return nil, err
	}
	file := d.Before.Model.Secrets.File
	if content := d.Content(file); content != nil {
		err = os.WriteFile(filepath.Join(r.where.secrets, file), content, 0o600)
	}
	return func() { os.RemoveAll(r.where.secrets) }, err
}

// make carries the steps out in a draft, and writes or commits site and secrets together.
// What an issuer refuses waits.
func (r *rotation) make(d *draft.Draft, store *secrets.Store, steps []rotate.Step, done *rotated) (err error) {
	if r.dryRun {
		for _, s := range steps {
			done.Steps = append(done.Steps, rotatedStep{s.Name, s.Stage, s.Text})
		}
		return nil
	}
	values := pending{store: store, set: map[string]string{}}
	var what []string
	for _, s := range steps {
		err := s.Do(d, &values)
		if refused, ok := errors.AsType[rotate.Refused](err); ok {
			done.Waiting = append(done.Waiting, fmt.Sprintf("%s: %v", s.Name, refused))
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, s.Stage, err)
		}
		done.Steps = append(done.Steps, rotatedStep{s.Name, s.Stage, s.Text})
		what = append(what, s.Text)
	}
	if len(done.Steps) == 0 {
		return nil
	}
	after, err := d.Check()
	if err != nil {
		return err
	}
	if err := values.put(d, after.After); err != nil {
		return err
	}
	done.Commit, err = r.write(d, "Rotate "+count(len(done.Steps), "secret")+"\n\n"+strings.Join(what, "\n"))
	return err
}

func (c *cli) tellRotated(done rotated, r *rotation) error {
	if r.json {
		return c.json(done)
	}
	for _, s := range done.Steps {
		fmt.Fprintf(c.out, "%s: %s\n", s.Stage, s.Text)
	}
	for _, w := range done.Waiting {
		c.say("waits: %s", w)
	}
	switch {
	case len(done.Steps) == 0:
		c.say("nothing to rotate today")
	case r.dryRun:
		c.say("nothing was written (--dry-run)")
	case r.branch != "":
		c.say("committed as %.12s on %s; the steps after it wait until it is merged and applied", done.Commit, r.branch)
	case done.Commit != "":
		c.say("committed as %.12s; mailplan apply brings it to life", done.Commit)
	default:
		c.say("mailplan apply brings it to life")
	}
	return nil
}

// issuers are those that the environment has a right at. A sandbox has none, so that trying makes no real key.
func (r *rotation) issuers(s *model.Site) map[string]rotate.Issuer {
	if r.where.sandbox != "" {
		return nil
	}
	return issue.Issuers(s, os.Getenv, nil, time.Now)
}

// observed looks at DNS and at all planes, or at a sandbox, and only when a step asks.
func (r *rotation) observed(ctx context.Context, site *compiler.Site, store *secrets.Store) rotate.Observed {
	return rotate.Observed{
		DNS: func(domain, selector, key string) (bool, error) {
			if r.where.sandbox != "" {
				return sandboxPublishes(r.where.sandbox, selector+"._domainkey."+domain, key)
			}
			p, err := store.PublicKey(key)
			if err != nil {
				return false, err
			}
			ask := rotate.Resolvers{Ask: site.Model.Secrets.Observe.Resolvers, Quorum: site.Model.Secrets.Observe.Quorum}
			if len(r.resolvers) > 0 {
				ask = rotate.Resolvers{Ask: r.resolvers}
			}
			return ask.Publish(ctx, domain, selector, p)
		},
		Signers: func() ([]string, error) {
			tree, err := site.Tree()
			if err != nil {
				return nil, err
			}
			to, err := open(ctx, site, tree, r.where, "")
			if err != nil {
				return nil, err
			}
			keys, err := to.Signers(ctx)
			return keys, errors.Join(err, to.Close())
		},
		Applied: sync.OnceValues(func() (bool, error) {
			to, p, err := plans(ctx, site, r.where, "")
			if err != nil {
				return false, err
			}
			return p.Empty(), to.Close()
		}),
	}
}

// sandboxPublishes compares with the key that the sandbox made up, which is not the site's.
func sandboxPublishes(dir, name, key string) (bool, error) {
	texts, err := sandbox.TXT(dir, name)
	if err != nil {
		return false, err
	}
	value, err := sandbox.Secret(dir, key)
	if err != nil || value == "" {
		return false, err
	}
	_, p, err := dkimkey.Public([]byte(value))
	return err == nil && rotate.Publishes(texts, p), err
}

// pending are values that are not in the secrets file yet: a site that is not good is not written, nor are they.
type pending struct {
	store   *secrets.Store
	set     map[string]string
	removed []string
}

func (p *pending) Value(name string) (string, error) {
	if v, ok := p.set[name]; ok {
		return v, nil
	}
	return p.store.Value(name)
}

func (p *pending) Set(name, value string) error {
	p.set[name] = value
	return nil
}

func (p *pending) Remove(name string) error {
	p.removed = append(p.removed, name)
	return nil
}

// put seals the values for the site as it will be, whose selectors say what a key must be, into the draft.
func (p *pending) put(d *draft.Draft, after *compiler.Site) error {
	if len(p.set)+len(p.removed) == 0 {
		return nil
	}
	store, err := stored(d, after)
	if err != nil {
		return err
	}
	for name, value := range p.set {
		if err := store.Set(name, value); err != nil {
			return err
		}
	}
	for _, name := range slices.Compact(p.removed) {
		if err := store.Remove(name); err != nil {
			return err
		}
	}
	data, err := store.Marshal(time.Now())
	if err != nil {
		return err
	}
	d.Put(after.Model.Secrets.File, data)
	return nil
}
