package operations_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/operations"
	"github.com/mailplan/mailplan/compiler/model"
)

const guide = "docs/operations.md"

func TestGuide(t *testing.T) {
	s := emittest.Site()
	s.Secrets.Names = map[string]model.SecretRule{model.SecretMariaDBRoot: {Rotated: "2026-11-01"}}
	files := emittest.Emit(t, operations.Files, s)
	emittest.Holds(t, files, guide,
		"| 100.64.0.10 | 993 | IMAP, TLS from the start | dovecot |",
		"| mail.example.com | webmail | nginx, then roundcube |",
		"| MYSQL_ROOT_PASSWORD | root of the database, for set-up and backups only | mariadb | mailplan | 90 days | 2027-01-30 |",
		"| SENDGRID_API_KEY | signs in at the smarthost | postfix, relay, host | outside | 365 days | not recorded |",
		"Every day at 03:00 (Asia/Tokyo)", "s3://home-mail-backup/", "| *all* | | 8 | 7552M |",
		"by mail to alerts@partner.example, straight through smtp.sendgrid.net.",
		"--user alice@example.com", "journalctl CONTAINER_TAG=home/SERVICE` | 7 days |")
	text := emittest.Text(t, files, guide)
	for _, rest := range []string{"<no value>", "%!", "{{", "}}"} {
		if strings.Contains(text, rest) {
			t.Errorf("the guide holds %q", rest)
		}
	}
	tables(t, text)
}

// tables checks that every row of a table has as many cells as its head.
func tables(t *testing.T, text string) {
	t.Helper()
	cells := regexp.MustCompile(`(^|[^\\])\|`)
	head := 0
	for n, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			head = 0
			continue
		}
		count := len(cells.FindAllString(line, -1))
		if head == 0 {
			head = count
		}
		if count != head {
			t.Errorf("line %d has %d bars, the head of its table %d: %s", n+1, count, head, line)
		}
	}
}

// TestSmallSite: nothing is said of parts that a site does not have.
func TestSmallSite(t *testing.T) {
	s := emittest.Site()
	s.Backup.Offsite, s.Tailnet = nil, nil
	text := emittest.Text(t, emittest.Emit(t, operations.Files, s), guide)
	for _, absent := range []string{"s3://", "terraform init", "tailscaled", "Off-site:"} {
		if strings.Contains(text, absent) {
			t.Errorf("the guide speaks of %q", absent)
		}
	}
	tables(t, text)
}

func TestScripts(t *testing.T) {
	files := emittest.Emit(t, operations.Files, emittest.Site())
	emittest.Holds(t, files, "scripts/restore-mailserver.sh",
		"exec /srv/mailserver/bin/mailpland restore --config /srv/mailserver/config/runtime/backup.json \"$@\"",
		"--from /mnt/backup/mailserver/daily/YYYY-MM-DD")
	dir := emittest.Layout(t, files, "scripts", nil)
	for _, name := range []string{"backup-mailserver.sh", "restore-mailserver.sh", "scan-before-restore.sh", "sync-to-s3.sh"} {
		if out, err := exec.Command("sh", "-n", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
