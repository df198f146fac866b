package runtime_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/route"
	"github.com/mailplan/mailplan/runtime/srs"
)

func parse(t *testing.T, files []model.File, path string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(emittest.Text(t, files, path)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func TestIngest(t *testing.T) {
	s := emittest.Site()
	s.Edge.Ingest.Verdict.Virus = "junk"
	files := emittest.Emit(t, emitted.Files, s)
	got := parse(t, files, "config/runtime/mailpland.json")
	if got.Backup != nil {
		t.Error("the container would run backups of folders that it does not see")
	}
	in := got.Ingest
	if in.Listen != ":8000" || in.MaxMessageBytes != 25<<20 || in.MaxDeliveries != 16 || got.Health.Listen != ":9090" {
		t.Errorf("ingest: %+v, health %+v", in, got.Health)
	}
	want := config.Policy{Reject: "reject", SoftReject: "tempfail", AddHeader: "junk", RewriteSubject: "junk", Virus: "junk", Failure: "tempfail", Down: "tempfail"}
	if diff := cmp.Diff(want, in.Scan.Policy); diff != "" {
		t.Errorf("policy:\n%s", diff)
	}
	if time.Duration(in.Scan.Timeout) >= time.Duration(s.Edge.Worker.TimeoutSeconds)*time.Second {
		t.Error("the Worker gives up before the scan does")
	}
	if in.Smarthost == nil || in.SRS.Domain != "example.com" {
		t.Errorf("sales leads to crm@partner.example, but nothing can be sent on: %+v %+v", in.Smarthost, in.SRS)
	}

	s.Edge.Worker.TimeoutSeconds, s.Edge.Spool.Enabled, s.Edge.Spool.RetentionDays = 20, true, 14
	patient := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Ingest
	if time.Duration(patient.Scan.Timeout) > 18*time.Second {
		t.Errorf("a Worker with a patience of 20 s waits for a scan of %v", time.Duration(patient.Scan.Timeout))
	}
	if dead := 28 * 24 * time.Hour; time.Duration(patient.Ledger.Keep) <= dead {
		t.Errorf("dead letters lie %v, deliveries are remembered for %v", dead, time.Duration(patient.Ledger.Keep))
	}

	s.Domains[0].Aliases = nil
	if in := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Ingest; in.Smarthost != nil || in.SRS != nil {
		t.Error("nothing leads outside, but mail may be sent there")
	}
}

func TestBackup(t *testing.T) {
	s := emittest.Site()
	got := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/backup.json").Backup
	var names []string
	for _, c := range got.Classes {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(s.Backup.Classes)), slices.Sorted(slices.Values(names))); diff != "" {
		t.Errorf("classes:\n%s", diff)
	}
	if names[0] != "database" {
		t.Errorf("%s comes before the dump: a user in it could have no mailbox", names[0])
	}
	if d := got.Drill; d.IdentityFile != "/srv/mailserver/secrets/BACKUP_DRILL_IDENTITY" || d.Client != "/srv/mailserver/scripts/drill/mariadb" || d.Dovecot != "2.4" {
		t.Errorf("drills never fall due, or load into the server in use: %+v", d)
	}
	if o := got.Offsite; o.LockDays != 30 || o.Mode != "COMPLIANCE" || o.SecretAccessKeyFile != "/srv/mailserver/secrets/AWS_SECRET_ACCESS_KEY" {
		t.Errorf("off-site: %+v", o)
	}
	if got.Schedule.TimeZone != "Asia/Tokyo" || got.Local.KeepDaily != 7 || got.Restore.ClamScan == "" {
		t.Errorf("backup: %+v", got)
	}

	s.Containers.Dovecot.Image = "dovecot/dovecot:2.3.21"
	if d := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/backup.json").Backup.Drill; d.Dovecot != "2.3" {
		t.Errorf("drill with the image of 2.3: %+v", d)
	}
	s.Backup.Offsite, s.Backup.Classes, s.Backup.ScanBeforeRestore = nil, []string{"mailboxes"}, false
	got = parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/backup.json").Backup
	if got.Offsite != nil || len(got.Classes) != 1 || got.Restore.ClamScan != "" {
		t.Errorf("undeclared parts are there: %+v", got)
	}
	s.Backup.Recipients = nil
	if c := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/backup.json"); c.Backup != nil || c.Watch == nil {
		t.Errorf("backups that nobody can read, or a host that tells the console nothing: %+v", c)
	}
}

// TestRoutes asks the daemon and the compiler for the same addresses.
func TestRoutes(t *testing.T) {
	s := emittest.Site()
	d := &s.Domains[0]
	d.Users = append(d.Users,
		model.User{Localpart: "carol", Domain: d.Name, State: model.Disabled},
		model.User{Localpart: "jonas", Domain: d.Name, State: model.Retired, Since: "2026-09-30"})
	d.Aliases = append(d.Aliases, model.Alias{Localpart: "team", Domain: d.Name, Targets: []string{"sales@example.com", "jonas@example.com", "carol@example.com"}})
	s.Domains = append(s.Domains,
		model.Domain{Name: "old.example", Unicode: "old.example", State: model.Retired, CatchAll: "alice@example.com"},
		model.Domain{Name: "strict.example", Unicode: "strict.example", State: model.Active,
			Users: []model.User{{Localpart: "dan", Domain: "strict.example", State: model.Active}}})
	data := emittest.Text(t, emittest.Emit(t, emitted.Files, s), "config/runtime/routes.json")
	parsed, err := config.ParseTable([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New(parsed)
	if err != nil {
		t.Fatal(err)
	}
	routes := model.NewRoutes(s)
	for _, localpart := range []string{"alice", "bob", "carol", "jonas", "jonas+x", "sales", "sales+x", "team", "nobody", "dan", "dan+x"} {
		for _, domain := range []string{"example.com", "old.example", "strict.example", "elsewhere.example"} {
			address := localpart + "@" + domain
			want := routes.Resolve(address)
			if diff := cmp.Diff(slices.Concat(want.Mailboxes, want.Outside), destinations(t, table, address)); diff != "" {
				t.Errorf("%s: compiler and daemon differ:\n%s", address, diff)
			}
		}
	}
}

// TestTableAgreesWithRoutes holds over generated sites that the daemon sends mail where the compiler's trace says, and
// refuses what it refuses: above all mail to people who left, catch-all or not.
func TestTableAgreesWithRoutes(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 2026))
	delivered, retired := 0, 0
	for n := range 250 {
		s := emittest.RandomSite(random)
		routes, table := model.NewRoutes(s), tableOf(t, s)
		for range 40 {
			address := emittest.RandomAddress(random)
			if _, err := route.ParseAddress(address); err != nil {
				continue
			}
			want := routes.Resolve(address)
			if len(want.Hops) > 0 && want.Hops[0].Kind == "bounce" {
				continue // the daemon looks at its own signatures before the table
			}
			if diff := cmp.Diff(slices.Concat(want.Mailboxes, want.Outside), destinations(t, table, address)); diff != "" {
				t.Fatalf("site %d, %s: compiler and daemon differ:\n%s%+v", n, address, diff, want.Hops)
			}
			if want.Refused == "" {
				delivered++
			}
			if last := len(want.Hops) - 1; last >= 0 && want.Hops[last].Kind == "retired" && want.Refused != "" {
				retired++
			}
		}
	}
	if delivered < 1500 || retired < 300 {
		t.Errorf("%d delivered, %d to retired users: the generator is one-sided", delivered, retired)
	}
}

// tableOf is what the daemon makes of the emitted table.
func tableOf(t *testing.T, s *model.Site) *route.Table {
	t.Helper()
	data := emittest.Text(t, emittest.Emit(t, emitted.Files, s), "config/runtime/routes.json")
	parsed, err := config.ParseTable([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestBounces follows a message that is sent on to the outside, and its bounce: the reverse path that the daemon makes is
// one that the Worker's set takes, and leads back to the sender.
func TestBounces(t *testing.T) {
	s := emittest.Site()
	sub := s.Domains[0]
	sub.Name, sub.Unicode = "a.example.com", "a.example.com" // no catch-all rule at the edge: bounces would not come back
	s.Domains = append([]model.Domain{sub}, s.Domains...)
	conf := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Ingest
	if conf.SRS == nil || conf.SRS.Domain != "example.com" {
		t.Fatalf("mail leaves, but senders are rewritten as %+v", conf.SRS)
	}
	w := srs.Rewriter{Domain: conf.SRS.Domain, Keys: [][]byte{[]byte("0123456789abcdef")}, MaxAge: 21 * 24 * time.Hour, Now: time.Now}
	routes := model.NewRoutes(s)
	for _, sender := range []string{"s@b.example", "Some.One+list=x@b.example", "SRS0=abcd=EF=c.example=s@b.example", "SRS1=abcd=c.example==x=y=z=s@b.example"} {
		path, err := w.Forward(sender)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, strings.ToLower(path)} {
			route := routes.Resolve(path)
			if route.Refused != "" || len(route.Hops) != 1 || route.Hops[0].Kind != "bounce" {
				t.Errorf("%s is not taken as a bounce: %+v", path, route)
			}
			if _, err := w.Reverse(path); err != nil {
				t.Errorf("%s does not lead back: %v", path, err)
			}
		}
	}
	for _, address := range []string{"srs0=x=y=z=s@a.example.com", "srs0@example.com", "srs0=@example.com"} {
		if route := routes.Resolve(address); len(route.Hops) > 0 && route.Hops[0].Kind == "bounce" {
			t.Errorf("%s is taken as a bounce", address)
		}
	}
}

// destinations are the mailboxes, then the addresses outside, each list sorted; nil where the daemon refuses.
func destinations(t *testing.T, table *route.Table, address string) []string {
	t.Helper()
	a, err := route.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := table.Resolve(a)
	if err != nil {
		if !errors.Is(err, route.ErrUnknownDomain) && !errors.Is(err, route.ErrUnknownRecipient) && !errors.Is(err, route.ErrLoop) {
			t.Errorf("%s: %v", address, err)
		}
		return nil
	}
	var inside, outside []string
	for _, to := range targets {
		if to.Outside {
			outside = append(outside, to.Address)
		} else {
			inside = append(inside, to.Mailbox)
		}
	}
	slices.Sort(inside)
	slices.Sort(outside)
	return slices.Concat(inside, outside)
}

// TestCertificate: it is kept for the declared names, with a token of its own, in the zones they lie in; where
// somebody else puts it there, it only tells the servers.
func TestCertificate(t *testing.T) {
	s := emittest.Site()
	other := s.Domains[0]
	other.Name, other.Zone = "other.example", "other.example"
	s.Domains = append(s.Domains, other)
	got := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/certificate.json").Certificate
	want := &config.Certificate{Names: []string{"imap.example.com", "smtp.example.com"}, Folder: "/mnt/ssd/mailserver/tls", UID: 1000, GID: 1000,
		State: "/mnt/ssd/mailserver/certificate-state", WarnDays: 21, Reload: "/srv/mailserver/scripts/reload-certificate",
		ACME: &config.ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", Mark: "mailplan-acme home", Zones: []string{"example.com"},
			TokenFile: "/srv/mailserver/secrets/CLOUDFLARE_DNS_TOKEN"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.Host.TLS.Source = "files"
	if got := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/certificate.json").Certificate; got.ACME != nil || got.Reload == "" {
		t.Errorf("source files: %+v", got)
	}
}

// TestReload tells the servers that run, and is no success when one of them does not hear it.
func TestReload(t *testing.T) {
	dir := emittest.Layout(t, emittest.Emit(t, emitted.Files, emittest.Site()), "scripts", nil)
	for name, tt := range map[string]struct {
		docker string
		fails  bool
		want   string
	}{
		"both run":      {`[ "$4" = ps ] && echo id || echo "$6 $7 $8"`, false, "dovecot doveadm reload\npostfix postfix reload\n"},
		"none runs":     {`[ "$4" = ps ] || echo "$6"`, false, ""},
		"no engine":     {`exit 1`, true, ""},
		"dovecot fails": {`[ "$4" = ps ] && echo id || { echo "$6"; [ "$6" != dovecot ]; }`, true, "dovecot\npostfix\n"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+tt.docker+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(dir, "reload-certificate"))
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.Output()
		if (err != nil) != tt.fails || string(out) != tt.want {
			t.Errorf("%s: %v, said %q, want %q", name, err, out, tt.want)
		}
	}
}

// TestLogs: the executor's log outlives that of the containers.
func TestLogs(t *testing.T) {
	s := emittest.Site()
	s.Monitoring.Logs.ScanDays = 60
	files := emittest.Emit(t, emitted.Files, s)
	emittest.Holds(t, files, "config/systemd/mailpland-backup.service", "LogNamespace=mailpland-backup\n")
	emittest.Holds(t, files, "config/journald/mailpland-backup.conf", "MaxRetentionSec=1434h\n")
}

// TestHostPrograms runs the scripts with a docker that says what it was asked.
func TestHostPrograms(t *testing.T) {
	files := emittest.Emit(t, emitted.Files, emittest.Site())
	dir := emittest.Layout(t, files, "scripts", nil)
	docker := "#!/bin/sh\nprintf '%s|' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(docker), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		program string
		args    []string
		want    string
	}{
		{"mariadb-dump", []string{"--defaults-file=/tmp/x", "--quick", "mailserver"}, "|mariadb-dump|--quick|mailserver|"},
		{"mariadb", []string{"--no-defaults", "--help"}, "|mariadb|--help|"},
		{"drill/imap", []string{"-c", "x"}, "|/mnt/ssd/mailserver/backup-drill:/mnt/ssd/mailserver/backup-drill|--entrypoint|/dovecot/libexec/dovecot/imap|dovecot/dovecot:2.4.5|-c|x|"},
		{"clamscan", []string{"--infected", "/mnt/scratch dir", "/mnt/x"}, "|-v|/mnt/scratch dir:/mnt/scratch dir:ro|-v|/mnt/x:/mnt/x:ro|-v|/mnt/ssd/mailserver/clamav:/var/lib/clamav:ro|--entrypoint|clamscan|clamav/clamav:1.4_base|--infected|/mnt/scratch dir|/mnt/x|"},
	}
	for _, tt := range tests {
		cmd := exec.Command(filepath.Join(dir, tt.program), tt.args...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), tt.want) {
			t.Errorf("%s: %v: %s, want it to end in %s", tt.program, err, out, tt.want)
		}
	}
}
