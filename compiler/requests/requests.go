// Package requests makes the edits that administrators ask for in the console. The console runs beside the accounts and
// can't touch the site's repository; whoever has the repository runs this: an edit is proposed on a branch of its own, with its
// lines, what it does to addresses and the plan, and made on the current branch once it is confirmed.
package requests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/revision"
	"github.com/mailplan/mailplan/runtime/accounts"
)

// Keeper has the edits: the account database behind the console.
type Keeper interface {
	Edits(ctx context.Context) ([]accounts.Edit, error)
	Answer(ctx context.Context, answers []accounts.EditAnswer) error
}

// Maker makes edits in the repository around Dir.
type Maker struct {
	Dir   string
	Merge bool // confirmed edits may be made on the current branch
	Now   time.Time
	// Plan is what a branch would change on every plane, as text.
	Plan func(ctx context.Context, from, to string) (string, error)
}

// Outcome is one answered edit, for people.
type Outcome struct {
	Edit   accounts.Edit       `json:"edit"`
	Answer accounts.EditAnswer `json:"answer"`
}

// Work answers every edit that waits, one after the other, so that each sees those before it.
func (m Maker) Work(ctx context.Context, k Keeper) (done []Outcome, err error) {
	list, err := k.Edits(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		answer, err := m.answer(ctx, e)
		if err != nil {
			return done, fmt.Errorf("edit %d: %w", e.ID, err)
		}
		if answer.State == "" {
			continue
		}
		answer.ID = e.ID
		if err := k.Answer(ctx, []accounts.EditAnswer{answer}); err != nil {
			return done, err
		}
		done = append(done, Outcome{e, answer})
	}
	return done, nil
}

// branchOf is where an edit is proposed.
func branchOf(e accounts.Edit) string { return fmt.Sprintf("console/%d", e.ID) }

func (m Maker) answer(ctx context.Context, e accounts.Edit) (accounts.EditAnswer, error) {
	switch {
	case e.State == accounts.Asked:
		return m.propose(ctx, e)
	case e.State == accounts.Confirmed && m.Merge:
		return m.merge(e)
	case e.State == accounts.Discarded:
		return accounts.EditAnswer{State: accounts.Dropped}, revision.DeleteBranch(m.Dir, branchOf(e))
	}
	return accounts.EditAnswer{}, nil
}

// propose commits the edit on a branch of its own. One that a crash left behind is made anew.
func (m Maker) propose(ctx context.Context, e accounts.Edit) (a accounts.EditAnswer, err error) {
	branch := branchOf(e)
	if err := revision.DeleteBranch(m.Dir, branch); err != nil {
		return a, err
	}
	base, err := revision.Base(m.Dir, "")
	if err != nil {
		return a, err
	}
	d, err := draft.OpenBranch(m.Dir, branch)
	if err != nil {
		return a, err
	}
	if a, err = m.commit(d, e); err != nil || a.State == accounts.Refused {
		return a, err
	}
	a.State, a.Branch = accounts.Proposed, branch
	a.Plan, err = m.Plan(ctx, base, branch)
	return a, err
}

// merge makes the edit on the current branch as it is now: what came in between may refuse it.
func (m Maker) merge(e accounts.Edit) (a accounts.EditAnswer, err error) {
	d, err := draft.Open(m.Dir)
	if err != nil {
		return a, err
	}
	if a, err = m.commit(d, e); err != nil || a.State == accounts.Refused {
		return a, err
	}
	a.State = accounts.Done
	return a, revision.DeleteBranch(m.Dir, branchOf(e))
}

// commit makes the edit in a draft and commits it in the name of who asked. What is wrong with the edit is an answer, not an
// error.
func (m Maker) commit(d *draft.Draft, e accounts.Edit) (accounts.EditAnswer, error) {
	if err := Make(d, e, m.Now.Format(time.DateOnly)); err != nil {
		return refused(err), nil
	}
	r, err := d.Check()
	if err != nil {
		return refused(err), nil
	}
	if len(d.Names()) == 0 {
		return refused(errors.New("the site says so already")), nil
	}
	var mail strings.Builder
	p := plan.Plan{Site: r.After.Model.Name, Headline: plan.NewHeadline(d.Before.Model.Accounts(), r.After.Model.Accounts())}
	if err := p.Mail(&mail, plan.Style{}); err != nil {
		return accounts.EditAnswer{}, err
	}
	a := accounts.EditAnswer{Mail: mail.String()}
	for _, f := range d.Patches() {
		for _, l := range f.Lines {
			a.Lines = append(a.Lines, fmt.Sprintf("%s:%d: %s %s", f.Name, l.Number, l.Sign, l.Text))
		}
	}
	author := object.Signature{Name: e.By, Email: e.By, When: m.Now}
	a.Commit, err = d.Commit(fmt.Sprintf("%s\n\nAsked for in the console by %s (edit %d).", subject(e), e.By, e.ID), author)
	return a, err
}

func refused(err error) accounts.EditAnswer {
	return accounts.EditAnswer{State: accounts.Refused, Problem: err.Error()}
}

func subject(e accounts.Edit) string {
	return map[accounts.EditVerb]string{accounts.AddUser: "Add the user ", accounts.SetUser: "Change the user ", accounts.RetireUser: "Retire the user ",
		accounts.SetAlias: "Set the alias ", accounts.RemoveAlias: "Remove the alias ", accounts.AddDomain: "Add the domain ",
		accounts.SetDomain: "Change the domain ", accounts.RetireDomain: "Retire the domain ",
		accounts.AddSelector: "Add the DKIM key " + e.Selector + " of ", accounts.SetSelector: "Make the DKIM key " + e.Selector + " " + e.KeyState + " of ",
	}[e.Verb] + e.Address
}

// Make makes the edit in a draft, if the site gives who asks the right to it: what the console and its database say
// alone is not enough.
func Make(d *draft.Draft, e accounts.Edit, day string) error {
	if err := may(d.Before.Model, e); err != nil {
		return err
	}
	if e.Verb.OfDomain() {
		return makeOfDomain(d, e, day)
	}
	switch e.Verb {
	case accounts.AddUser:
		u := draft.User{QuotaMB: e.QuotaMB}
		if e.Name != "" {
			u.Name = &e.Name
		}
		return d.AddUser(e.Address, u)
	case accounts.SetUser:
		return d.SetUser(e.Address, draft.User{QuotaMB: e.QuotaMB})
	case accounts.RetireUser:
		if e.Heir != "" {
			if err := d.Redirect(e.Address, e.Heir); err != nil {
				return err
			}
		}
		state := model.Retired
		return d.SetUser(e.Address, draft.User{State: &state, Since: &day})
	case accounts.SetAlias:
		return d.PutAlias(e.Address, e.Targets)
	case accounts.RemoveAlias:
		return d.RemoveAlias(e.Address, nil)
	}
	return fmt.Errorf("mailplan knows no edit %q", e.Verb)
}

// may says why the site gives who asks no right to an edit: an administrator may change everything, one of a domain what is
// in it, but nobody who is above him.
func may(s *model.Site, e accounts.Edit) error {
	name, err := about(s, e)
	if err != nil {
		return err
	}
	by, known := user(s, e.By)
	switch {
	case !known || !by.SignsIn() || by.Role == "user":
		return fmt.Errorf("%s is no administrator of the site", e.By)
	case by.Role == "admin":
		return nil
	case by.Domain != name || e.Verb.Overall():
		return fmt.Errorf("%s does not administer %s", e.By, e.Domain)
	}
	if of, ok := user(s, e.Address); ok && of.Role == "admin" {
		return fmt.Errorf("%s is an administrator of the whole site: %s may not change that user", e.Address, e.By)
	}
	return nil
}

// about is the domain that an edit is about, in A-labels. A new one is none yet.
func about(s *model.Site, e accounts.Edit) (string, error) {
	domain, ok := e.Address, true
	if !e.Verb.OfDomain() {
		_, domain, ok = model.SplitAddress(e.Address)
	}
	name := canonical(s, domain)
	if e.Verb == accounts.AddDomain {
		ok, name = name == "" && e.Address == e.Domain, domain
	}
	if !ok || name == "" || e.Verb != accounts.AddDomain && name != canonical(s, e.Domain) {
		return "", fmt.Errorf("%s is not in %s", e.Address, e.Domain)
	}
	return name, nil
}

// canonical is a domain's name in A-labels, of either spelling; empty where the site has none such.
func canonical(s *model.Site, name string) string {
	for _, d := range s.Domains {
		if name == d.Name || name == d.Unicode {
			return d.Name
		}
	}
	return ""
}

func user(s *model.Site, address string) (model.User, bool) {
	localpart, domain, _ := model.SplitAddress(address)
	name := canonical(s, domain)
	for _, d := range s.Domains {
		for _, u := range d.Users {
			if d.Name == name && u.Localpart == localpart {
				return u, true
			}
		}
	}
	return model.User{}, false
}
