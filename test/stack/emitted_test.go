//go:build stack

package stack_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/stack"
)

// secretOf makes up a value for each secret, letters and digits only.
func secretOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:12])
}

// bobs is the password that bob has chosen himself.
const bobs = "a password of bob's own"

// TestEmittedStack brings the emitted project of the reference site up, sends mail through it, and breaks its services.
func TestEmittedStack(t *testing.T) {
	site, err := compiler.Load("../../site")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := site.Tree()
	if err != nil {
		t.Fatal(err)
	}
	key := signingKey(t)
	record, err := dkimkey.Record(key)
	if err != nil {
		t.Fatal(err)
	}
	journal := stack.StartJournal(t)
	stack.StartDNS(t, stack.Resolver+":53",
		site.Model.Relay.Host+". A "+smarthostAddress,
		"partner.example. MX 10 mx.partner.example.", "mx.partner.example. A 192.0.2.25",
		`partner.example. TXT "v=spf1 ip4:192.0.2.25 -all"`,
		"example.com. MX 10 route1.mx.cloudflare.net.", "mail2026._domainkey.example.com. TXT "+strconv.Quote(record[:200])+" "+strconv.Quote(record[200:]))
	d := stack.StartDocker(t)
	p := d.Lay(site.Model, tree, func(name string) string {
		if strings.HasPrefix(name, "dkim/") {
			return string(key)
		}
		return secretOf(name)
	})
	p.Program("mailpland", "../../cmd/mailpland")
	p.Program("mailplan-learn", "../../cmd/mailplan-learn")
	smarthost := stack.StartSmarthost(t, smarthostAddress+":587", site.Model.Relay.Host, p.Authority,
		site.Model.Relay.Username, secretOf(site.Model.Relay.Password.Secret))
	trusted := p.Trust()
	site.Model.Each(func(name string, _ model.Container) { p.Override(name, overrides(p, name, trusted)) })
	d.Build(append(p.Images(), "alpine:3.22")...)
	p.BuildOwn("mailserver-api", "usermgmt")
	if out, err := p.Compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "400"); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, journal.Tail(30))
	}
	if err := p.Accounts(passwordOf); err != nil {
		t.Fatal(err)
	}
	tunnel, err := p.Tunnel()
	if err != nil {
		t.Fatal(err)
	}
	person := func(user, password string) stack.Client {
		return stack.Client{Address: site.Model.Containers.Dovecot.Address, TLS: trusting(p, "imap.example.com"), User: user, Password: password}
	}
	worker := inbound.StartWorker(t, site.Model, inbound.Settings{URL: tunnel.Door(t, "mail-api.example.com"), Token: secretOf("MAILSERVER_API_TOKEN"),
		SigningKey: secretOf("INGEST_SIGNING_KEY"), Timeout: 20 * time.Second})
	t.Run("ports", func(t *testing.T) { ports(t, p) })
	run(t, journal, actors{
		t: t, journal: journal, project: p, smarthost: smarthost, tunnel: tunnel, dkimRecord: record, chromium: surf(t, p, tunnel), worker: worker,
		alice:    person("alice@example.com", passwordOf("alice@example.com")),
		bob:      person("bob@example.com", bobs),
		stranger: person("alice@example.com", "a guess"),
	}.flows())
	health(t, p)
}

// ports holds who can reach what: from outside four ports of one address and nothing of any other network's, from each
// container exactly what testdata/matrix.txt says.
func ports(t *testing.T, p *stack.Project) {
	listening, err := stack.Listening()
	if err != nil {
		t.Fatal(err)
	}
	listening = slices.DeleteFunc(listening, func(l string) bool { // the test's own
		return strings.HasPrefix(l, smarthostAddress+":") || strings.HasPrefix(l, stack.Resolver+":")
	})
	address := p.Site.Containers.Dovecot.Address
	if want := []string{address + ":465", address + ":587", address + ":993", address + ":995"}; !slices.Equal(listening, want) {
		t.Errorf("the host listens on %v", listening)
	}
	if open := stack.Open(p.Site.Containers.Dovecot.Address); !slices.Equal(open, []int{465, 587, 993, 995}) {
		t.Errorf("open to the tailnet: %v", open)
	}
	matrix, err := p.Matrix()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, reach := range matrix {
		fmt.Fprintln(&got, reach)
	}
	const path = "testdata/matrix.txt"
	if os.Getenv("MAILPLAN_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("who reaches what (-want +got):\n%s", diff)
	}
}

// run runs the flows in order; each stands in the table of .ci/stack.
func run(t *testing.T, journal *stack.Journal, flows []flow) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			if err := f.run(t); err != nil {
				t.Error(err)
			}
		})
	}
	if t.Failed() {
		t.Log(journal.Tail(60))
	}
}

func passwordOf(address string) string {
	if address == "bob@example.com" {
		return bobs
	}
	return secretOf("users/alice")
}

func signingKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// smarthostAddress is on the test's loopback, reachable from containers that may leave.
const smarthostAddress = "100.64.0.20"

// overrides is what only the test changes of a service: it asks for health more often, and waits less for what hangs;
// it gives the stand-in of cloudflared the ingress that Cloudflare would, and has the test's authority trusted.
func overrides(p *stack.Project, name, trusted string) map[string]any {
	settings := map[string]any{"stop_grace_period": "5s",
		"healthcheck": map[string]any{"interval": "2s", "timeout": "5s", "retries": 2, "start_period": "5m"}}
	switch name {
	case "cloudflared":
		settings["volumes"] = []string{p.Dir + "/edge/tunnel.json:/etc/cloudflared/tunnel.json:ro"}
	case "postfix":
		settings["volumes"] = []string{trusted + ":/etc/ssl/certs/ca-certificates.crt:ro"}
	case "roundcube":
		settings["environment"] = map[string]string{"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
		settings["volumes"] = []string{trusted + ":/etc/ssl/certs/ca-certificates.crt:ro"}
	}
	return settings
}
