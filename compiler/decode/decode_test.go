package decode_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/decode"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

func load(t testing.TB, files map[string]string) *model.Site {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	src, err := schema.LoadFS(fsys, "site")
	if err != nil {
		t.Fatal(err)
	}
	s, err := decode.Site(src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func site(t testing.TB, text string) *model.Site {
	t.Helper()
	return load(t, map[string]string{"site.cue": "package site\n" + text})
}

const minimal = `
name: "home"
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "0123456789abcdef0123456789abcdef"
`

func TestMinimal(t *testing.T) {
	s := site(t, minimal+`domains: "example.com": {users: alice: {}, aliases: {sales: ["alice", "Crm@Partner.example"], "dmarc-reports": ["alice"]}}`)
	d := s.Domains[0]
	if diff := cmp.Diff([]string{"alice@example.com", "crm@partner.example"}, d.Aliases[1].Targets); diff != "" {
		t.Error(diff)
	}
	want := model.User{Localpart: "alice", Domain: "example.com", QuotaMB: 2048, State: model.Active, Role: "user", SendAs: []string{}}
	if diff := cmp.Diff([]model.User{want}, d.Users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"dmarc-reports@example.com"}, d.DMARC.RUA); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(model.TunnelHostnames{Webmail: "mail.example.com", Ingest: "mail-api.example.com"}, s.Edge.Tunnel.Hostnames); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"imap.example.com", "smtp.example.com"}, s.Host.TLS.Names); diff != "" {
		t.Error(diff)
	}
	if s.Containers.Dovecot.Address != "127.0.0.1" || d.Zone != "example.com" || s.Containers.Dovecot.Memory != 1024 {
		t.Errorf("dovecot %v, zone %q", s.Containers.Dovecot, d.Zone)
	}
}

// TestIDN declares a domain in Unicode and speaks of it in both spellings.
func TestIDN(t *testing.T) {
	s := load(t, map[string]string{
		"site.cue": "package site\n" + minimal + `domains: "münchen.example": {
	users: {zoe: {}, alice: sendAs: ["Info@MÜNCHEN.example"]}
	aliases: {sales: ["alice", "alice@xn--mnchen-3ya.example", "x@straße.example"]}
	catchAll: "zoe"
	dkim: selectors: {b: {}, a: {state: "published", key: secret: "keys/a"}}
	spf: include: ["_spf.partner.example"]
}`,
		"users.csv": "address\nbob@münchen.example\ncarol@xn--mnchen-3ya.example\n",
	})
	d := s.Domains[0]
	if d.Name != "xn--mnchen-3ya.example" || d.Unicode != "münchen.example" || d.Zone != d.Name || d.CatchAll != "zoe@"+d.Name {
		t.Errorf("domain %+v", d)
	}
	var users []string
	for _, u := range d.Users {
		users = append(users, u.Address())
	}
	if diff := cmp.Diff([]string{"alice@" + d.Name, "bob@" + d.Name, "carol@" + d.Name, "zoe@" + d.Name}, users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"info@" + d.Name}, d.Users[0].SendAs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"alice@" + d.Name, "alice@" + d.Name, "x@xn--strae-oqa.example"}, d.Aliases[0].Targets); diff != "" {
		t.Error(diff)
	}
	keys := []string{d.Selectors[0].Name, d.Selectors[0].Key.Secret, d.Selectors[1].Name, d.Selectors[1].Key.Secret}
	if diff := cmp.Diff([]string{"a", "keys/a", "b", "dkim/xn--mnchen-3ya.example/b"}, keys); diff != "" {
		t.Error(diff)
	}
	if got := s.Edge.Tunnel.Hostnames.Webmail; got != "mail.xn--mnchen-3ya.example" {
		t.Errorf("webmail at %s", got)
	}
	if len(d.DMARC.RUA) != 1 {
		t.Errorf("the catch-all takes reports, rua is %v", d.DMARC.RUA)
	}
}

// TestDerived checks what is filled in where the author chose something that others follow from.
func TestDerived(t *testing.T) {
	s := site(t, minimal+`
domains: "z.example": {users: alice: {}, quotaMB: 7}
domains: "a.example": {users: bob: quotaMB: 0, zone: "example"+".net"}
edge: tunnel: hostnames: {webmail: "mail.z.example", ingest: "in.z.example"}
edge: ingest: maxMessageMiB: 20
containers: {
	clamav: memory: "4G"
	postfix: maxMessageMiB: 40
	wiki: {image: "wiki:1", hostname: "wiki.bücher.example", publish: [{address: "127.0.0.1", port: 81}, {address: "127.0.0.1", port: 82, containerPort: 80}]}
	chat: image: "chat:1"
}
backup: offsite: {s3: bucket: "mail-backup", terraform: tags: Owner: "ops"}
`)
	c := s.Containers
	type facts struct {
		TLS, Tags                          any
		Dovecot, Postfix, Tunnel           string
		Worker, Bucket, Queue, Dead        string
		Rspamd, ClamAV, Attachment         int
		Reload                             bool
		Zones, Own                         []string
		AliceQuota, BobQuota, Publish, Two int
		Reports                            int
		Wiki                               string
	}
	got := facts{
		TLS: s.Host.TLS.Names, Tags: s.Backup.Offsite.Terraform.Tags, Dovecot: c.Dovecot.Address, Postfix: c.Postfix.Address,
		Tunnel: s.Edge.Tunnel.Name, Worker: s.Edge.Worker.Name, Bucket: s.Edge.Spool.Bucket, Queue: s.Edge.Spool.Queue, Dead: s.Edge.Spool.DeadLetterQueue(),
		Rspamd: c.Rspamd.MaxMessageMiB, ClamAV: c.ClamAV.MaxMessageMiB, Attachment: c.Roundcube.MaxAttachmentMiB, Reload: *c.ClamAV.ConcurrentReload,
		Zones: []string{s.Domains[0].Zone, s.Domains[1].Zone}, Own: []string{c.Own[0].Name, c.Own[1].Name},
		AliceQuota: s.Domains[1].Users[0].QuotaMB, BobQuota: s.Domains[0].Users[0].QuotaMB,
		Publish: c.Own[1].Publish[0].ContainerPort, Two: c.Own[1].Publish[1].ContainerPort,
		Reports: len(s.Domains[0].DMARC.RUA), Wiki: c.Own[1].Hostname,
	}
	want := facts{
		TLS:  []string{"imap.z.example", "smtp.z.example"},
		Tags: map[string]string{"Project": "mailserver-backup", "Owner": "ops", "Environment": "production", "ManagedBy": "terraform"}, Dovecot: "127.0.0.1", Postfix: "127.0.0.1",
		Tunnel: "home", Worker: "home-mail", Bucket: "home-spool", Queue: "home-spool", Dead: "home-spool-dead",
		Rspamd: 40, ClamAV: 65, Attachment: 30, Reload: true,
		Zones: []string{"example.net", "z.example"}, Own: []string{"chat", "wiki"},
		AliceQuota: 7, BobQuota: 0, Publish: 81, Two: 80, Reports: 0, Wiki: "wiki.xn--bcher-kva.example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTailnet binds client ports and the certificate to the tailnet.
func TestTailnet(t *testing.T) {
	s := site(t, minimal+`domains: "a.example": users: alice: {}
tailnet: {address: "100.64.0.10", hostname: "mail.tail1234.ts.net"}
host: tls: source: "tailscale"
containers: postfix: address: "192.0.2.1"
`)
	got := []string{s.Host.TLS.Names[0], s.Containers.Dovecot.Address, s.Containers.Postfix.Address, s.Tailnet.Mode, s.Tailnet.OAuth.Secret}
	if diff := cmp.Diff([]string{"mail.tail1234.ts.net", "100.64.0.10", "192.0.2.1", "host", "TAILSCALE_OAUTH_SECRET"}, got); diff != "" {
		t.Error(diff)
	}
	if *s.Containers.ClamAV.ConcurrentReload {
		t.Error("concurrent reload needs 3 GiB, the default is 2")
	}
}

// TestEqualInput decodes a site twice and wants one model.
func TestEqualInput(t *testing.T) {
	files := fromFile("users.csv", 200)
	var sites []*model.Site
	for range 2 {
		src, err := schema.LoadFS(files, "site")
		if err != nil {
			t.Fatal(err)
		}
		s, err := decode.Site(src)
		if err != nil {
			t.Fatal(err)
		}
		sites = append(sites, s)
	}
	if diff := cmp.Diff(sites[0], sites[1]); diff != "" {
		t.Error(diff)
	}
}
