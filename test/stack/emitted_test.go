//go:build stack

package stack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/stack"
)

// secretOf makes up a value for each secret, letters and digits only.
func secretOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:12])
}

// TestEmittedStack brings the emitted project of the reference site up.
func TestEmittedStack(t *testing.T) {
	site, err := compiler.Load("../../site")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	journal := stack.StartJournal(t)
	d := stack.StartDocker(t)
	p := d.Lay(site.Model, tree, secretOf)
	p.Program("mailpland", "../../cmd/mailpland")
	p.Program("mailplan-learn", "../../cmd/mailpland")
	site.Model.Each(func(name string, _ model.Container) { p.Override(name, overrides(p, name)) })
	d.Build(append(p.Images(), "alpine:3.22")...)
	p.BuildOwn("mailserver-api", "usermgmt")
	if out, err := p.Compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "180", "dovecot", "rspamd"); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, journal.Tail(25))
	}
}

// overrides is what only the test changes of a service: it asks for health more often, and gives the
// stand-in of cloudflared the ingress that Cloudflare would.
func overrides(p *stack.Project, name string) map[string]any {
	settings := map[string]any{"healthcheck": map[string]any{"interval": "2s", "retries": 60}}
	if name == "cloudflared" {
		settings["volumes"] = []string{p.Dir + "/edge/tunnel.json:/etc/cloudflared/tunnel.json:ro"}
	}
	return settings
}
