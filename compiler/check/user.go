package check

import (
	"github.com/mailplan/mailplan/compiler/model"
)

func userRules() []Rule {
	return []Rule{
		{ID: "user-purge-date", Severity: Error, Title: "a purge says since when",
			Why: "deleting a mailbox is a dated declaration of its own, so that it can't happen by a slip", find: purgeDate},
		{ID: "user-sendas-foreign", Severity: Error, Title: "users send only as addresses of declared domains",
			Why: "nobody signs for a foreign domain, so the mail would fail its owner's DMARC", find: sendAsForeign},
		{ID: "user-sendas-other", Severity: Warning, Title: "users do not send as another person",
			Why: "what looks like one person is another; an alias that both receive is the honest form", find: sendAsOther},
		{ID: "user-password-shared", Severity: Warning, Title: "each user has a password of their own",
			Why: "who knows one knows both, and a rotation hits both", find: passwordShared},
		{ID: "user-admin", Severity: Warning, Title: "a published console has an administrator",
			Why: "nobody could sign in to it with any right", find: adminMissing},
		{ID: "quota-sum", Severity: Warning, Title: "quotas fit on the disk",
			Why: "a full disk stops delivery for everyone, not only for who filled it", find: quotaSum},
	}
}

func eachUser(c *checker, f func(model.Domain, model.User)) {
	for _, d := range c.site.Domains {
		for _, u := range d.Users {
			f(d, u)
		}
	}
}

func purgeDate(c *checker) {
	eachUser(c, func(d model.Domain, u model.User) {
		if u.State == model.Purged && u.Since == "" {
			c.report(u.Path(d)+".state", "%s is to be purged, and no day says since when", u.Address()).
				hint(`write since: "YYYY-MM-DD"; before that day state: "retired" keeps the mailbox`)
		}
	})
}

func sendAsForeign(c *checker) {
	eachUser(c, func(d model.Domain, u model.User) {
		for _, address := range u.SendAs {
			if _, domain, ok := model.SplitAddress(address); !ok || !c.routes.Ours(domain) {
				c.report(u.Path(d)+".sendAs", "%s may send as %s, whose domain is not declared", u.Address(), address)
			}
		}
	})
}

func sendAsOther(c *checker) {
	mailboxes := map[string]bool{}
	eachUser(c, func(_ model.Domain, u model.User) { mailboxes[u.Address()] = true })
	eachUser(c, func(d model.Domain, u model.User) {
		for _, address := range u.SendAs {
			if mailboxes[address] && address != u.Address() {
				c.report(u.Path(d)+".sendAs", "%s may send as %s, who is somebody else", u.Address(), address)
			}
		}
	})
}

func passwordShared(c *checker) {
	first := map[string]string{}
	eachUser(c, func(d model.Domain, u model.User) {
		if u.Password.Self() || !u.SignsIn() {
			return
		}
		if other, ok := first[u.Password.Secret]; ok {
			c.report(u.Path(d)+".password", "%s and %s share the password secret %s", other, u.Address(), u.Password.Secret)
			return
		}
		first[u.Password.Secret] = u.Address()
	})
}

func adminMissing(c *checker) {
	if c.site.Edge.Tunnel.Hostnames.Console == "" {
		return
	}
	found := false
	eachUser(c, func(_ model.Domain, u model.User) { found = found || u.Role == "admin" && u.SignsIn() })
	if !found {
		c.report("edge.tunnel.hostnames.console", "the console is published and no user has the role admin")
	}
}

func quotaSum(c *checker) {
	capacity := c.site.Host.Storage.BulkGB
	if capacity == 0 {
		return
	}
	sum, unbounded := 0, ""
	eachUser(c, func(d model.Domain, u model.User) {
		switch {
		case u.State == model.Purged:
		case u.QuotaMB == 0 && unbounded == "":
			unbounded = u.Address()
		default:
			sum += u.QuotaMB
		}
	})
	if unbounded != "" {
		c.report("host.storage.bulkGB", "the mailbox of %s has no bound, the disk has %d GB", unbounded, capacity)
	}
	if sum > capacity*1024 {
		c.report("host.storage.bulkGB", "quotas sum up to %d GB, the disk has %d GB", sum/1024, capacity)
	}
}
