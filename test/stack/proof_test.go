//go:build stack

package stack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/test/stack"
)

const (
	proofImage   = "dovecot/dovecot:2.4.5"
	proofCompose = `name: proof
services:
  dovecot:
    image: ` + proofImage + `
    read_only: true
    tmpfs: ["/run/dovecot:uid=1000,gid=1000", "/var/lib/dovecot:uid=1000,gid=1000", "/srv/vmail:uid=1000,gid=1000", /tmp]
    healthcheck: {test: [CMD-SHELL, "echo QUIT | nc -w 4 127.0.0.1 2424 | grep -q ^220"], interval: 1s, start_period: 30s}
    volumes: [{type: bind, source: ./config/dovecot, target: /etc/dovecot, read_only: true}]
`
	proofDovecot = `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.0
protocols = lmtp
default_login_user = vmail
default_internal_user = vmail
default_internal_group = vmail
ssl = no
mail_driver = maildir
mail_path = PATH
log_path = /dev/stderr
service lmtp {
  user = vmail
  inet_listener lmtp {
    listen = 127.0.0.1
    port = 2424
  }
}
service anvil {
  chroot =
  unix_listener anvil {
    mode = 0660
    group = vmail
  }
}
service stats {
  chroot =
}
passdb static {
  password = none
}
userdb static {
  userdb_static_allow_all_users = yes
  fields {
    uid = vmail
    gid = vmail
    home = /srv/vmail/%{user}
  }
}
`
	proofMessage = `said=$(printf 'LHLO localhost\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nDATA\r\nSubject: proof\r\n\r\n.\r\nQUIT\r\n' | nc -w 10 127.0.0.1 2424)
echo "$said" | grep -q ' Saved' || { echo $said >&2; exit 1; }`
)

// TestProof has a real Dovecot take a configuration that it finds good, that leaves it healthy, and with which it stores no
// mail: the apply must see that and put the old one back.
func TestProof(t *testing.T) {
	d := stack.StartDocker(t)
	d.Build(proofImage)
	dir := "/srv/proof"
	engine := containers.Docker{Run: d.Run, Dir: dir}
	proof := func(ctx context.Context) error {
		if _, err := engine.Exec(ctx, "dovecot", nil, "sh", "-c", proofMessage); err != nil {
			return fmt.Errorf("a test message does not arrive: %w", err)
		}
		return nil
	}
	converge := func(mailPath string) error {
		tree, err := model.NewTree([]model.File{
			{Path: model.ProjectDir + "/docker-compose.yml", Mode: 0o644, Content: []byte(proofCompose)},
			{Path: model.ProjectDir + "/config/dovecot/dovecot.conf", Mode: 0o644, Reads: []string{"dovecot"},
				Content: []byte(strings.Replace(proofDovecot, "PATH", mailPath, 1))},
		})
		if err != nil {
			t.Fatal(err)
		}
		h := &host.Host{Files: host.Local{Owners: host.RealOwners{}}, Root: dir}
		planes := []apply.Plane{&host.Plane{Host: h, Tree: tree}, &containers.Plane{Host: h, Tree: tree, Engine: engine, Proof: proof}}
		p, err := apply.Plan(t.Context(), apply.Request{Site: "proof"}, planes)
		if err != nil {
			t.Fatal(err)
		}
		return apply.Run(t.Context(), p, planes, apply.Open(filepath.Join(t.TempDir(), "journal")), func(int, int, plan.Change) {})
	}
	if err := errors.Join(converge("~/Maildir"), proof(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(converge("~/mail"), proof(t.Context())); err != nil {
		t.Fatalf("a good change: %v", err)
	}
	err := converge("/proc/mail")
	for _, words := range []string{"put back: services/mailserver/config/dovecot/dovecot.conf", "the services are healthy, and yet a test message does not arrive", "451"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("a change with which no mail is stored: %v, want %q", err, words)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "config/dovecot/dovecot.conf")); err != nil || !strings.Contains(string(text), "mail_path = ~/mail") {
		t.Errorf("the file is not as it was: %v", err)
	}
	if err := proof(t.Context()); err != nil {
		t.Errorf("after all that: %v", err)
	}
}
