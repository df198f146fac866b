package rspamd_test

import (
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/rspamd"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestFiles(t *testing.T) {
	s := emittest.Site()
	files := emittest.Emit(t, rspamd.Files, s)
	emittest.Holds(t, files, "config/rspamd/local.d/antivirus.conf", `action = "reject";`, "max_size = 41943040;")
	emittest.Holds(t, files, "config/rspamd/local.d/options.inc", "max_message = 27262976;")
	emittest.Holds(t, files, "config/rspamd/local.d/actions.conf", "reject = 15;", "add_header = 6;", "greylist = null;")
	emittest.Holds(t, files, "config/rspamd/local.d/greylist.conf", "enabled = false;")
	emittest.Holds(t, files, "config/rspamd/local.d/force_actions.conf", `expression = "CLAM_VIRUS_FAIL";`)
	emittest.Holds(t, files, "config/rspamd/local.d/ratelimit.conf", `rate = "200 / 1h";`)
	emittest.Holds(t, files, "config/rspamd/local.d/dkim_signing.conf",
		`{ selector = "mail2026"; path = "/etc/rspamd/dkim/example.com.mail2026.key"; }`)
	emittest.Holds(t, files, "config/rspamd/override.d/worker-controller.inc",
		`password = "`+model.SecretMark(model.SecretRspamdPassword)+`";`)
	emittest.Holds(t, files, "config/rspamd/local.d/senders.map",
		"\"alice@example.com|ceo@partner.example\"\n\"alice@example.com|sales@example.com\"\n")
	for _, f := range files {
		if len(f.Secrets()) > 0 && (f.UID != 11333 || f.Mode != 0o400) {
			t.Errorf("%s: owner %d, mode %o: the daemon alone must read it", f.Path, f.UID, f.Mode)
		}
	}
}

func TestSelectorStates(t *testing.T) {
	s := emittest.Site()
	next := model.SecretRef{Secret: "dkim/example.com/mail2027"}
	s.Domains[0].Selectors = append(s.Domains[0].Selectors,
		model.Selector{Name: "mail2027", State: model.Published, Key: &next})
	files := emittest.Emit(t, rspamd.Files, s)
	for _, f := range files {
		if strings.Contains(string(f.Content), "mail2027") {
			t.Errorf("%s names a selector that does not sign yet", f.Path)
		}
	}
	s.Domains[0].State = model.Retired
	for _, f := range emittest.Emit(t, rspamd.Files, s) {
		if strings.Contains(string(f.Content), "mail2026") {
			t.Errorf("%s lets a retired domain sign", f.Path)
		}
	}
}

func TestDeclaredOtherwise(t *testing.T) {
	s := emittest.Site()
	s.Containers.Rspamd.Greylist = true
	s.Edge.Ingest.Verdict.ScanFailure = "deliver"
	files := emittest.Emit(t, rspamd.Files, s)
	emittest.Holds(t, files, "config/rspamd/local.d/actions.conf", "greylist = 4;")
	emittest.Holds(t, files, "config/rspamd/local.d/greylist.conf", "enabled = true;")
	emittest.Holds(t, files, "config/rspamd/local.d/force_actions.conf", "rules {}")
	emittest.Holds(t, files, "config/rspamd/local.d/options.inc", "soft_reject_on_timeout = false;")
	accepted(t, files)
}

// accepted asks rspamadm.
func accepted(t *testing.T, files []model.File) {
	t.Helper()
	shown, err := daemon.Rspamd(t, emittest.Layout(t, files, "config/rspamd", nil))
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	for _, own := range []string{"value-of-RSPAMD-CONTROLLER-PASSWORD", "192.0.2.1", "CLAM_VIRUS"} {
		if !strings.Contains(shown, own) {
			t.Errorf("the resulting configuration lacks %q", own)
		}
	}
	if strings.Contains(shown, `"q1"`) {
		t.Error("the image's controller password still holds")
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	accepted(t, emittest.Emit(t, rspamd.Files, emittest.Site()))
}
