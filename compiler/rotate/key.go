package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
)

// Issues are the secrets that make up the key which a secret belongs to, if its issuer has an API for keys; of several, the
// first stands for all.
func Issues(s *model.Site, name string) []string {
	if off := s.Backup.Offsite; off != nil && off.S3.Endpoint == "" {
		pair := []string{off.S3.AccessKeyID.Secret, off.S3.SecretAccessKey.Secret}
		if name == pair[0] || name == pair[1] {
			return pair
		}
	}
	switch {
	case name == s.Relay.Password.Secret && s.Relay.Provider == "sendgrid", cloudflareToken(s, name):
		return []string{name}
	case s.Tailnet != nil && s.Tailnet.Mode == "container" && name == model.SecretTailscaleAuth:
		return []string{name}
	}
	return nil
}

// cloudflareToken says that a secret is a token of the provider's API.
func cloudflareToken(s *model.Site, name string) bool {
	return name == s.Edge.Token.Secret || s.Host.TLS.ACME() && name == s.Host.TLS.Token.Secret
}

// follows says that a secret is part of a key that another stands for.
func follows(s *model.Site, name string) bool {
	all := Issues(s, name)
	return len(all) > 0 && all[0] != name
}

// byHand says what a person does about a secret that others issue.
func byHand(s *model.Site, name string) string {
	where := "get a new one"
	switch {
	case name == s.Relay.Password.Secret && s.Relay.Provider == "sendgrid":
		where = "make an API key at app.sendgrid.com, Settings, API Keys, with the scopes of the present one"
	case cloudflareToken(s, name):
		where = "roll or make the token at dash.cloudflare.com, My Profile or Manage Account, API Tokens"
	case name == model.SecretTailscaleAuth:
		where = "make an auth key at login.tailscale.com, Settings, Keys, with the tags of the site"
	}
	if off := s.Backup.Offsite; off != nil && name == off.S3.AccessKeyID.Secret {
		where = "make a second access key for the IAM user of the backups, set both halves"
	}
	if s.Tailnet != nil && name == s.Tailnet.OAuth.Secret {
		where = "make an OAuth client at login.tailscale.com, Settings, OAuth clients"
	}
	return where + ", then mailplan secret set " + name
}

// key has a new one issued, which is in use from the next apply on, and takes the old one away once that is so and
// nobody uses it.
func (p planner) key() (*Step, string, error) {
	names := Issues(p.Site, p.st.Name)
	issuer, able := p.Issuers[p.st.Name]
	rule := p.Site.Secrets.Names[p.st.Name]
	switch {
	case rule.Also == "" && !p.begins():
		return p.record(), "", nil
	case !able:
		return nil, fmt.Sprintf("due on %s, and there is no right here to have one issued (mailplan docs secrets): %s", p.st.Due, byHand(p.Site, p.st.Name)), nil
	case rule.Also == "":
		return p.issue(issuer, names), "", nil
	case since(rule.AlsoSince, p.Now) < settle:
		return nil, "the next step is due tomorrow", nil
	}
	if wait, err := p.unapplied(); wait != "" || err != nil {
		return nil, wait, err
	}
	return p.takeAway(issuer, names)
}

// Refused is the error of a step that whoever issues the key would not make. Nothing has changed by it, so that other steps
// can be made.
type Refused struct{ Err error }

func (r Refused) Error() string { return r.Err.Error() }
func (r Refused) Unwrap() error { return r.Err }

// keyTime bounds what an issuer may take for one step.
const keyTime = 2 * time.Minute

func previous(name string) string { return name + ".previous" }

func (p planner) issue(issuer Issuer, names []string) *Step {
	return p.step("switch", p.st.Name+": a new key is issued, and in use from the next apply on; the last one is good until it is seen unused", func(d *draft.Draft, v Values) error {
		present, err := valuesOf(v, names, func(name string) string { return name })
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), keyTime)
		defer cancel()
		made, err := issuer.Issue(ctx, present)
		if err != nil {
			return Refused{err}
		}
		for _, name := range names {
			if err := v.Set(previous(name), present[name]); err != nil {
				return err
			}
			if err := v.Set(name, made[name]); err != nil {
				return err
			}
			if err := d.SetSecretDay(name, p.day); err != nil {
				return err
			}
			if err := p.also(d, name, previous(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

func valuesOf(v Reader, names []string, as func(string) string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range names {
		value, err := v.Value(as(name))
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// takeAway looks whether the old key is unused since the day after the switch: on that day it may have been, rightly.
func (p planner) takeAway(issuer Issuer, names []string) (*Step, string, error) {
	key, err := valuesOf(p.Values, names, previous)
	if err != nil {
		return nil, "", err
	}
	switched, err := time.Parse(time.DateOnly, p.Site.Secrets.Names[p.st.Name].AlsoSince)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyTime)
	defer cancel()
	idle, err := issuer.Idle(ctx, key, switched.AddDate(0, 0, 1))
	if err != nil {
		return nil, err.Error(), nil
	}
	if !idle {
		return nil, "the last key is in use still: look who has it, and set the new one there", nil
	}
	return p.step("retire", p.st.Name+": the last key is taken away where it was issued", func(d *draft.Draft, v Values) error {
		ctx, cancel := context.WithTimeout(context.Background(), keyTime)
		defer cancel()
		done, err := issuer.Retire(ctx, key)
		if err != nil {
			return Refused{err}
		}
		for _, name := range names {
			if !done { // barred for now: if nobody minds, the next step takes it away
				if err := p.also(d, name, previous(name)); err != nil {
					return err
				}
				continue
			}
			if err := p.end(d, v, name, previous(name)); err != nil {
				return err
			}
		}
		return nil
	}), "", nil
}
