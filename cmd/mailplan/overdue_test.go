package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDueSecretsAreTold holds that diff, apply and status warn 14 days ahead of every kind of secret, not a day earlier, and
// end with exit code 3 for one that is overdue where the site says so, and not where it does not.
func TestDueSecretsAreTold(t *testing.T) {
	periods := map[string]int{"MYSQL_ROOT_PASSWORD": 90, "MAILSERVER_API_TOKEN": 90, "SENDGRID_API_KEY": 365, "CLOUDFLARE_API_TOKEN": 365,
		"TUNNEL_TOKEN": 365, "SRS_KEY": 90, "CONSOLE_SESSION_KEY": 90, "dkim/example.com/mail2026": 365, "AWS_ACCESS_KEY_ID": 90,
		"BACKUP_DRILL_IDENTITY": 365}
	for _, c := range []struct {
		past    int // days that are left of the period
		overdue string
		said    string // of every one
		code    int
	}{
		{15, "fail", "", exitDone},
		{14, "fail", "due within 14 days: ", exitDone},
		{0, "fail", "due within 14 days: ", exitDone},
		{-1, "warn", "overdue: ", exitDone},
		{-1, "fail", "overdue: ", exitRefused},
	} {
		t.Run(fmt.Sprintf("%d days left, %s", c.past, c.overdue), func(t *testing.T) {
			t.Parallel()
			site, box := dueSite(t, periods, c.past, c.overdue), filepath.Join(t.TempDir(), "box")
			for _, verb := range []struct {
				name    string
				changes bool
			}{{"diff", true}, {"apply", false}, {"status", false}, {"diff", false}} {
				want := c.code
				if verb.changes && want == exitDone {
					want = exitChanges
				}
				var out, said bytes.Buffer
				if code := Run(context.Background(), []string{verb.name, site, "--sandbox", box}, strings.NewReader(""), &out, &said); code != want {
					t.Errorf("%s ends with %d, want %d: %s", verb.name, code, want, said.String())
				}
				for name := range periods {
					if told := strings.Contains(said.String(), name+" "); told != (c.said != "") || !strings.Contains(said.String(), c.said) {
						t.Errorf("%s does not say as it should of %s:\n%s", verb.name, name, said.String())
					}
				}
			}
		})
	}
}

// dueSite is a site of which every secret has so many days left of its period.
func dueSite(t *testing.T, periods map[string]int, left int, overdue string) string {
	t.Helper()
	dir := t.TempDir()
	var names strings.Builder
	now := time.Now()
	day := func(period int) string { return now.AddDate(0, 0, left-period).Format(time.DateOnly) }
	for name, period := range periods {
		fmt.Fprintf(&names, "\t%q: rotated: %q\n", name, day(period))
	}
	text := `package site

name: "home"
relay: password: secret: "SENDGRID_API_KEY"
edge: {
	accountID: "0123456789abcdef0123456789abcdef"
	tunnel: hostnames: {webmail: "mail.example.com", ingest: "mail-api.example.com"}
}
domains: "example.com": {
	dkim: selectors: mail2026: {}
	users: alice: {}
	aliases: {postmaster: ["alice"], abuse: ["alice"]}
}
backup: {recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"], offsite: s3: {bucket: "home-mail-backup", region: "eu-central-1"}}
secrets: overdue: "` + overdue + `"
secrets: names: {
` + names.String() + `}
`
	if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
