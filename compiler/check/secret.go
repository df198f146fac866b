package check

import (
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func secretRules() []Rule {
	return []Rule{
		{ID: "secret-missing", Severity: Error, Holes: "S-33 C-115", Title: "every secret that the site needs is in the secrets file",
			Why: "apply would stop before its first step", find: secretMissing},
		{ID: "secret-unused", Severity: Warning, Holes: "S-33", Title: "every secret in the file is needed",
			Why: "a forgotten credential stays valid and is never rotated", find: secretUnused},
		{ID: "secret-shared", Severity: Error, Holes: "S-33", Title: "each secret has one purpose",
			Why: "who learns it in one place has the other too, and a rotation breaks both", find: secretShared},
		{ID: "observe-quorum", Severity: Error, Title: "as many resolvers are named as must answer",
			Why: "a new DKIM key would never be seen by enough of them, and never sign", find: observeQuorum},
		{ID: "secret-unknown", Severity: Warning, Title: "rotation rules name secrets that exist",
			Why: "the rule does nothing, and the secret that was meant keeps its own period", find: secretUnknown},
	}
}

func secretMissing(c *checker) {
	if c.facts.SecretNames == nil {
		return
	}
	for _, s := range c.site.Inventory() {
		if s.MadeBy == "" && !slices.Contains(c.facts.SecretNames, s.Name) {
			c.report(s.Path, "%s has no %s (%s)", c.site.Secrets.File, s.Name, s.Purpose).
				hint("mailplan secret set %s", s.Name)
		}
	}
}

func secretUnused(c *checker) {
	needed := map[string]bool{}
	for _, s := range c.site.Inventory() {
		needed[s.Name] = true
	}
	for name := range c.site.Secrets.Names {
		needed[name] = true
	}
	for _, name := range c.facts.SecretNames {
		if !needed[name] {
			c.report("secrets.file", "%s has %s, which nothing needs", c.site.Secrets.File, name)
		}
	}
}

// secretShared compares purposes: the inventory joins entries of one name.
func secretShared(c *checker) {
	type use struct{ name, path string }
	s := c.site
	uses := []use{
		{s.Relay.Password.Secret, "relay.password"},
		{s.Edge.Token.Secret, "edge.token"},
		{s.Edge.Tunnel.Token.Secret, "edge.tunnel.token"},
		{s.Edge.Ingest.Token.Secret, "edge.ingest.token"},
		{s.Edge.Ingest.SigningKey.Secret, "edge.ingest.signingKey"},
		{s.Edge.Worker.DigestKey.Secret, "edge.worker.digestKey"},
	}
	if s.Host.TLS.ACME() {
		uses = append(uses, use{s.Host.TLS.Token.Secret, "host.tls.token"})
	}
	if o := s.Backup.Offsite; o != nil {
		uses = append(uses, use{o.S3.AccessKeyID.Secret, "backup.offsite.s3.accessKeyID"},
			use{o.S3.SecretAccessKey.Secret, "backup.offsite.s3.secretAccessKey"})
	}
	first := map[string]string{}
	for _, u := range uses {
		if other, ok := first[u.name]; ok {
			c.report(u.path, "%s and %s are the same secret %s", other, u.path, u.name)
			continue
		}
		first[u.name] = u.path
	}
}

func secretUnknown(c *checker) {
	var known []string
	for _, s := range c.site.Inventory() {
		known = append(known, s.Name)
	}
	var names []string
	for name := range c.site.Secrets.Names {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(known, name) || slices.Contains(c.facts.SecretNames, name) {
			continue
		}
		f := c.report(model.Path("secrets", "names", name), "the site needs no secret %s", name)
		for _, k := range known {
			if strings.EqualFold(k, name) {
				f.hint("did you mean %s?", k)
			}
		}
	}
}

func observeQuorum(c *checker) {
	o := c.site.Secrets.Observe
	if n := len(o.Resolvers); o.Quorum > n {
		c.report("secrets.observe.quorum", "%d resolvers must answer, and %d are named", o.Quorum, n).
			hint("name more of them under secrets: observe: resolvers, of several operators, or ask for fewer")
	}
}
