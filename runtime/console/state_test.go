package console

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/report"
)

// statePages are those of the host's reports.
var statePages = []string{"/state", "/state/queue", "/state/spool", "/state/backups", "/state/drift", "/state/dns"}

// tellAll lays down reports of everything, with names that try to be markup.
func tellAll(t testing.TB, s *site) {
	t.Helper()
	f, now := s.console.reports.queue.folder, time.Now()
	dns := &report.DNS{}
	for _, name := range []string{"a.example", "b.example"} {
		dns.Domains = append(dns.Domains, report.Domain{Name: name, Records: []report.Record{
			{Kind: "mx", Owner: name, Want: "*.mx.cloudflare.net", Found: "route1.mx.cloudflare.net\nroute2.mx.cloudflare.net", State: report.Same},
			{Kind: "spf", Owner: name, Want: "v=spf1 … -all", Found: "v=spf1 include:_spf.mx.cloudflare.net -all", State: report.Same},
			{Kind: "dkim", Owner: "mail2026._domainkey." + name, Want: "v=DKIM1; k=ed25519; p=…", State: map[string]report.RecordState{"a.example": report.Same, "b.example": report.Absent}[name]},
			{Kind: "dmarc", Owner: "_dmarc." + name, Want: "p=reject", Found: "v=DMARC1; p=none; <script>", State: map[string]report.RecordState{"a.example": report.Same, "b.example": report.Differs}[name]}}})
	}
	run := &report.Run{Snapshot: "daily/2026-11-22", Started: now.Add(-4 * time.Hour), Finished: now.Add(-3 * time.Hour), Files: 120345, Bytes: 48 << 30, Written: 310 << 20}
	err := errors.Join(
		report.Put(f, report.Queued, now, &report.Queue{Total: 2, Messages: []report.Message{
			{ID: "4bXyZ", Queue: "deferred", Came: now.Add(-3 * time.Hour), Size: 48_000, Sender: "alice@a.example", Recipients: []report.Recipient{
				{Address: "crm@partner.example", Reason: "connect to smtp.sendgrid.net[192.0.2.1]:587: Connection timed out <b>"}}},
			{ID: "4bXyA", Queue: "active", Came: now, Size: 900, Recipients: []report.Recipient{{Address: "x@y.example"}}}}}, nil),
		report.Put(f, report.Spooled, now.Add(-2*time.Hour), &report.Spool{Enabled: true, Waiting: 1, Dead: 1, Letters: []report.Letter{
			{Key: "wait/2026-11-22T01-00-00-abc", Came: now.Add(-2 * time.Hour), From: "friend@remote.example", To: "alice@a.example", Size: 5000},
			{Key: "dead/2026-11-20T01-00-00-def", Came: now.Add(-50 * time.Hour), To: "bob@b.example", Size: 700, Reason: "550 5.7.1 spam", Dead: true}}}, nil),
		report.Put(f, report.Backups, now, &report.Backup{LastRun: run, LastSuccess: run, Verified: "weekly/2026-47",
			Offsite: &report.Sent{Folder: "snapshots/2026-47/2026-11-22", At: now.Add(-2 * time.Hour), Locked: now.Add(40 * 24 * time.Hour)},
			Drill: &report.Drill{Snapshot: "2026-11-16", Source: "s3://home-mail-backup", Finished: now.Add(-6 * 24 * time.Hour), Green: true, RPO: 7200, RTO: 1260, Files: 120000,
				Checks: []report.Check{{Name: "manifest", OK: true, Detail: "signed and whole"}, {Name: "mail", OK: true, Detail: "12 of 12 mailboxes answer IMAP"}}}}, nil),
		report.Put(f, report.Published, now.Add(-10*time.Minute), dns, nil),
		report.Put(f, report.Drifted, now.Add(-5*time.Hour), &report.Drift{Site: "home", Revision: "0123456789abcdef",
			Changes: []string{"update edge dns _dmarc.b.example TXT", "create host file config/nginx/nginx.conf"}, Warnings: []string{"tailnet: the key of mail1 ends in 9 days"}}, nil),
		report.Put(f, report.Used, now, &report.Usage{"alice@a.example": {Bytes: 1536 << 20, Messages: 10234}, "bob@b.example": {Bytes: 700 << 10, Messages: 12}}, nil))
	if err != nil {
		t.Fatal(err)
	}
}

// TestPages are those of state, vacation and domains, on one database.
func TestPages(t *testing.T) {
	s := start(t)
	t.Run("state", func(t *testing.T) { state(t, s) })
	t.Run("vacation", func(t *testing.T) { vacationForm(t, s) })
	t.Run("domains", func(t *testing.T) { domainEdits(t, s) })
}

// state shows what the host says, to whom it may be shown.
func state(t *testing.T, s *site) {
	root, boss, alice := s.signIn(t, "root@a.example"), s.signIn(t, "boss@b.example"), s.signIn(t, "alice@a.example")
	t.Run("nothing told", func(t *testing.T) {
		for _, path := range statePages {
			if resp := root.get(path); resp.StatusCode != http.StatusOK || !strings.Contains(root.page, "told") && !strings.Contains(root.page, "not known yet") {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
		if alice.get("/"); !strings.Contains(alice.page, "Used") {
			t.Error("the account has no usage")
		}
	})
	tellAll(t, s)
	t.Run("administrator", func(t *testing.T) {
		for path, want := range map[string][]string{
			"/state":                 {"Messages waiting: 2.", "Waiting: 1. Dead letters: 1.", "The drill of", "Differences: 2.", "Domains not as declared: 1."},
			"/state/queue":           {"4bXyZ", "alice@a.example", "crm@partner.example", "Connection timed out &lt;b&gt;", "tried again later", "&lt;&gt;"},
			"/state/spool":           {"dead letter", "550 5.7.1 spam", "friend@remote.example", "drain --dead"},
			"/state/backups":         {"daily/2026-11-22", "weekly/2026-47", "120345 files, 48.0 GiB", "permitted", "s3://home-mail-backup", "21 minutes", "12 of 12"},
			"/state/drift":           {"_dmarc.b.example", "0123456789abcdef", "ends in 9 days"},
			"/state/dns":             {"mail2026._domainkey.b.example", "missing", "differs", "&lt;script&gt;"},
			"/state/dns?q=a.exa":     {"mail2026._domainkey.a.example"},
			"/domains/b.example":     {"missing", "none"},
			"/users/alice@a.example": {"1.5 GiB, messages: 10234"},
			"/users":                 {"1.5 GiB", "700 KiB"},
		} {
			resp := root.get(path)
			for _, w := range want {
				if resp.StatusCode != http.StatusOK || !strings.Contains(root.page, w) {
					t.Errorf("%s: %s, without %q:\n%s", path, resp.Status, w, root.page)
				}
			}
		}
		if root.get("/state/dns?q=a.exa"); strings.Contains(root.page, "b.example") {
			t.Error("the search finds what was not asked for")
		}
	})
	t.Run("others", func(t *testing.T) {
		for _, path := range statePages {
			if resp := alice.get(path); resp.StatusCode != http.StatusNotFound {
				t.Errorf("a user at %s: %s", path, resp.Status)
			}
			want := http.StatusNotFound
			if path == "/state" || path == "/state/dns" {
				want = http.StatusOK
			}
			if resp := boss.get(path); resp.StatusCode != want || strings.Contains(boss.page, "a.example") {
				t.Errorf("a domain's administrator at %s: %s\n%s", path, resp.Status, boss.page)
			}
		}
		if resp := boss.get("/domains/a.example"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("another's domain: %s", resp.Status)
		}
		s.audited(t, `"domain"`, `"not his"`, "boss@b.example")
		s.audited(t, `"state"`, `"refused"`, "boss@b.example", "/state/queue")
		if alice.get("/"); !strings.Contains(alice.page, "1.5 GiB, messages: 10234") || !strings.Contains(alice.page, `aria-valuenow="75"`) {
			t.Errorf("her own usage: %s", alice.page)
		}
	})
	t.Run("a source that fails", func(t *testing.T) {
		f := s.console.reports.queue.folder
		if err := report.Put[report.Queue](f, report.Queued, time.Now(), nil, errors.New("no such container")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.File(report.Spooled), []byte("{broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		if root.get("/state/queue"); !strings.Contains(root.page, "did not work") || !strings.Contains(root.page, "no such container") || !strings.Contains(root.page, "4bXyZ") {
			t.Errorf("the queue: %s", root.page)
		}
		if root.get("/state/spool"); !strings.Contains(root.page, "Nothing has been told") {
			t.Errorf("a broken report: %s", root.page)
		}
		if err := report.Put(f, report.Backups, time.Now().Add(-time.Hour), &report.Backup{Overdue: true}, nil); err != nil {
			t.Fatal(err)
		}
		if root.get("/state/backups"); !strings.Contains(root.page, "older than it should be") || !strings.Contains(root.page, "within the deadline") {
			t.Errorf("old news: %s", root.page)
		}
		if root.get("/state"); strings.Count(root.page, "uncertain") != 3 {
			t.Errorf("the overview: %s", root.page)
		}
	})
	s.clean(t)
}

// vacationForm keeps what people write, within its bounds and theirs alone.
func vacationForm(t *testing.T, s *site) {
	s.exec(t, "INSERT INTO aliases (source, destination, domain_id) SELECT 'team@b.example', 'alice@a.example', id FROM domains WHERE name = 'b.example'")
	b := s.signIn(t, "alice@a.example")
	good := []string{"active", "on", "starts", "2026-12-24", "ends", "2027-01-03", "subject", "休暇 <b>", "body", "Bin weg\nund \"zurück\"", "address", "info@a.example"}
	b.get("/vacation")
	if !strings.Contains(b.page, `value="info@a.example"`) || strings.Contains(b.page, "sales@b.example") || !strings.Contains(b.page, "https://mail.a.example/?_task=settings") {
		t.Errorf("the addresses to choose from: %s", b.page)
	}
	if resp := b.post("/vacation", good...); resp.Header.Get("Location") != "/?done=vacation" {
		t.Fatalf("%s: %s", resp.Status, b.page)
	}
	row := func() (got string) {
		t.Helper()
		if err := s.db.QueryRow(`SELECT CONCAT_WS('|', u.email, v.active, v.starts, v.ends, v.subject, v.body, v.addresses, v.version)
			FROM vacations v JOIN users u ON u.id = v.user_id`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	const kept = "alice@a.example|1|2026-12-24|2027-01-03|休暇 <b>|Bin weg\r\nund \"zurück\"|alice@a.example info@a.example|"
	if got := row(); got != kept+"1" {
		t.Errorf("kept %q", got)
	}
	if b.get("/vacation"); !strings.Contains(b.page, "休暇 &lt;b&gt;") || !strings.Contains(b.page, `value="info@a.example" checked`) || !strings.Contains(b.page, " checked>") {
		t.Errorf("the form does not show it: %s", b.page)
	}
	b.post("/vacation", append(good, "ends", "")...)
	b.get("/vacation")
	b.post("/vacation", append(good, "body", "other")...)
	if got := row(); !strings.HasSuffix(got, "|2") {
		t.Errorf("the version tells a new text, and only that: %q", got)
	}
	before := row()
	for why, change := range map[string][]string{
		"no text": {"body", " "}, "no date": {"starts", "tomorrow"}, "backwards": {"ends", "2026-01-01"}, "another's address": {"address", "sales@b.example"},
		"an injected address": {"address", "x@a.example y@a.example"}, "long": {"body", strings.Repeat("あ", 1001)}, "long in bytes": {"subject", strings.Repeat("件", 101)},
		"a header": {"subject", "x\r\nBcc: y@z.example"}, "a zero": {"body", "x\x00y"}, "no UTF-8": {"starts", "\xff"},
	} {
		b.get("/vacation")
		if resp := b.post("/vacation", append(good, change...)...); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", why, resp.Status)
		}
	}
	if resp := b.post("/vacation", append(good, "token", "forged")...); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a forged form: %s", resp.Status)
	}
	bob := s.signIn(t, "bob@b.example")
	bob.get("/vacation")
	if strings.Contains(bob.page, "Bin weg") {
		t.Error("bob sees hers")
	}
	bob.page = b.page // with the token of her session
	if resp := bob.post("/vacation", good...); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another session's token: %s", resp.Status)
	}
	if got := row(); got != before {
		t.Errorf("changed by what was refused: %q", got)
	}
	s.audited(t, `"vacation"`, `"done"`, "alice@a.example")
	s.clean(t)
}

// domainEdits asks for changes of domains and keys.
func domainEdits(t *testing.T, s *site) {
	root, boss := s.signIn(t, "root@a.example"), s.signIn(t, "boss@b.example")
	for _, c := range []struct {
		who    *client
		want   int
		fields []string
	}{
		{root, http.StatusSeeOther, []string{"verb", "add-domain", "address", "New.example", "postmaster", "carol"}},
		{root, http.StatusSeeOther, []string{"verb", "retire-domain", "address", "b.example"}},
		{root, http.StatusSeeOther, []string{"verb", "add-selector", "address", "a.example", "selector", "s2027", "algorithm", "ed25519"}},
		{boss, http.StatusSeeOther, []string{"verb", "set-domain", "address", "b.example", "catchall", "", "dmarc", "reject", "mtasts", "enforce"}},
		{boss, http.StatusSeeOther, []string{"verb", "set-selector", "address", "b.example", "selector", "next", "state", "active"}},
		{boss, http.StatusUnprocessableEntity, []string{"verb", "set-domain", "address", "a.example", "dmarc", "reject", "mtasts", "enforce"}},
		{boss, http.StatusUnprocessableEntity, []string{"verb", "add-domain", "address", "new.example", "postmaster", "carol"}},
		{boss, http.StatusUnprocessableEntity, []string{"verb", "retire-domain", "address", "b.example"}},
		{root, http.StatusUnprocessableEntity, []string{"verb", "set-domain", "address", "a.example", "dmarc", "<b>", "mtasts", "enforce"}},
		{root, http.StatusUnprocessableEntity, []string{"verb", "add-domain", "address", "../../etc", "postmaster", "carol"}},
		{root, http.StatusUnprocessableEntity, []string{"verb", "add-selector", "address", "a.example", "selector", "x\"; y", "algorithm", "rsa"}},
		{root, http.StatusUnprocessableEntity, []string{"verb", "add-selector", "address", "a.example", "selector", "x", "algorithm", "none"}},
		{root, http.StatusUnprocessableEntity, []string{"verb", "set-selector", "address", "a.example", "selector", "x", "state", "gone"}},
		{root, http.StatusForbidden, []string{"verb", "retire-domain", "address", "a.example", "token", "forged"}},
	} {
		c.who.get("/edits/new?verb=add-selector&address=b.example")
		if resp := c.who.post("/edits", c.fields...); resp.StatusCode != c.want {
			t.Errorf("%v: %s, want %d", c.fields, resp.Status, c.want)
		}
	}
	s.audited(t, `"edit"`, `"not his"`, "boss@b.example", `"a.example"`)
	for _, verb := range []string{"add-domain", "retire-domain"} {
		if resp := boss.get("/edits/new?verb=" + verb); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s is offered: %s", verb, resp.Status)
		}
	}
	for _, verb := range []string{"add-domain", "set-domain", "retire-domain", "add-selector", "set-selector&selector=mail2026&state=revoked"} {
		if resp := root.get("/edits/new?address=a.example&verb=" + verb); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", verb, resp.Status)
		}
	}
	if root.get("/edits/new?address=a.example&verb=set-domain"); !strings.Contains(root.page, "<option selected>reject</option>") {
		t.Errorf("the form does not begin with what is declared: %s", root.page)
	}
	if root.get("/edits"); !strings.Contains(root.page, "Retire the domain") || !strings.Contains(root.page, "Add a DKIM key") {
		t.Errorf("the list: %s", root.page)
	}
	if boss.get("/edits"); strings.Contains(boss.page, "new.example") || !strings.Contains(boss.page, "Change the domain") {
		t.Errorf("the list of one domain: %s", boss.page)
	}
	if n := strings.Count(fmt.Sprint(s.log), `"asked"`); n != 5 {
		t.Errorf("%d edits asked for, want 5", n)
	}
	s.clean(t)
}
