package check

import (
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func addressRules() []Rule {
	return []Rule{
		{ID: "alias-loop", Severity: Error, Holes: "S-26", Title: "aliases do not lead back to themselves",
			Why: "mail to the address goes round and reaches nobody through that way", find: aliasLoop},
		{ID: "alias-dangling", Severity: Error, Holes: "S-26", Title: "every alias target receives mail",
			Why: "mail to the alias is refused or silently reaches fewer people than declared", find: aliasDangling},
		{ID: "alias-shadowed", Severity: Error, Holes: "S-26", Title: "no alias has the name of a user",
			Why: "the user wins, so the alias never acts", find: aliasShadowed},
		{ID: "alias-doubled", Severity: Warning, Holes: "S-26 C-042", Title: "an alias names each target once",
			Why: "source and destination are unique in the account database; the second one does nothing", find: aliasDoubled},
		{ID: "catchall-dangling", Severity: Error, Holes: "S-26", Title: "the catch-all receives mail",
			Why: "everything it should catch is refused", find: catchAllDangling},
		{ID: "address-postmaster", Severity: Warning, Title: "postmaster receives mail (RFC 5321 4.5.1)",
			Why: "the address is demanded of every mail domain, and others report trouble there", find: postmaster},
		{ID: "address-abuse", Severity: Warning, Title: "abuse receives mail (RFC 2142)",
			Why: "complaints that find nobody end in block lists", find: abuse},
		{ID: "alert-address", Severity: Warning, Title: "alerts go to another provider",
			Why: "word that mail is broken would wait in what is broken", find: alertAddress},
	}
}

func alertAddress(c *checker) {
	email := c.site.Monitoring.Alerts.Email
	if _, domain, _ := model.SplitAddress(email); c.routes.Ours(domain) {
		c.report("monitoring.alerts.email", "alerts go to %s, a mailbox of this site", email)
	}
}

func aliasLoop(c *checker) {
	eachAlias(c, func(d model.Domain, a model.Alias) {
		if hops := c.routes.Resolve(a.Address()).Hops; slices.ContainsFunc(hops, func(h model.Hop) bool {
			return h.Kind == "loop" && h.Address == a.Address()
		}) {
			c.report(aliasPath(d, a), "alias %s leads back to itself: %s", a.Address(), trail(hops, a.Address()))
		}
	})
}

// trail names the aliases on the way round.
func trail(hops []model.Hop, back string) string {
	var names []string
	for _, h := range hops {
		if h.Kind == "alias" {
			names = append(names, h.Address)
		}
		if h.Kind == "loop" && h.Address == back {
			break
		}
	}
	return strings.Join(append(names, back), " -> ")
}

func aliasDangling(c *checker) {
	eachAlias(c, func(d model.Domain, a model.Alias) {
		for _, target := range a.Targets {
			if why := c.dangling(target); why != "" {
				c.report(aliasPath(d, a), "alias %s leads to %s: %s", a.Address(), target, why).
					hint("take the target out, or declare the user")
			}
		}
	})
}

// dangling says why a declared target receives nothing; empty when it does, or when a loop is to blame.
func (c *checker) dangling(target string) string {
	if _, domain, ok := model.SplitAddress(target); !ok || !c.routes.Ours(domain) {
		return ""
	}
	why := c.routes.Resolve(target).Refused
	if why == "alias loop" {
		return ""
	}
	return why
}

func aliasShadowed(c *checker) {
	for _, d := range c.site.Domains {
		users := map[string]bool{}
		for _, u := range d.Users {
			users[u.Localpart] = true
		}
		for _, a := range d.Aliases {
			if users[a.Localpart] {
				c.report(aliasPath(d, a), "%s is both a user and an alias", a.Address()).
					hint("give the alias another name, or make the user one of several targets of a new one")
			}
		}
	}
}

func aliasDoubled(c *checker) {
	eachAlias(c, func(d model.Domain, a model.Alias) {
		seen := map[string]bool{}
		for _, target := range a.Targets {
			if seen[target] {
				c.report(aliasPath(d, a), "alias %s names %s twice", a.Address(), target)
			}
			seen[target] = true
		}
	})
}

func catchAllDangling(c *checker) {
	c.active(func(d model.Domain) {
		if d.CatchAll == "" {
			return
		}
		// asked by an address that nothing else can catch
		r := c.routes.Resolve("mailplan-no-such-user@" + d.Name)
		if r.Refused != "" {
			c.report(d.Path()+".catchAll", "the catch-all of %s leads to %s: %s", d.Name, d.CatchAll, r.Refused)
		}
	})
}

func postmaster(c *checker) { c.mustReceive("postmaster") }
func abuse(c *checker)      { c.mustReceive("abuse") }

func (c *checker) mustReceive(localpart string) {
	c.active(func(d model.Domain) {
		address := localpart + "@" + d.Name
		if c.routes.Resolve(address).Refused == "" || len(d.Users) == 0 {
			return
		}
		f := c.report(d.Path(), "%s receives no mail", address)
		for _, u := range d.Users {
			if u.State == model.Active {
				f.hint("aliases: %s: [%q]", localpart, u.Localpart).
					fix(d.Path()+".aliases."+localpart, `["`+u.Localpart+`"]`)
				return
			}
		}
	})
}

func eachAlias(c *checker, f func(model.Domain, model.Alias)) {
	c.active(func(d model.Domain) {
		for _, a := range d.Aliases {
			f(d, a)
		}
	})
}

func aliasPath(d model.Domain, a model.Alias) string {
	return d.Path() + ".aliases." + model.Label(a.Localpart)
}
