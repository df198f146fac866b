package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/need"
)

// drillSite is a site whose drills can be held: mail and configuration, and the identity they open the backup with.
func drillSite(t *testing.T, classes int) (s *backuptest.Site, conf string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/dovecot/imap"); err != nil {
		need.Missing(t, "/usr/lib/dovecot/imap")
	}
	s = backuptest.NewSite(t)
	s.Config.Classes = s.Config.Classes[:classes]
	s.Config.Drill.IdentityFile = s.Path("identity")
	data, err := json.Marshal(config.Config{Backup: &s.Config})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "mailpland.json", string(data))
	return s, "--config=" + s.Path("mailpland.json")
}

// TestDrillStatus is what mailplan apply asks before it purges anything.
func TestDrillStatus(t *testing.T) {
	type status struct {
		Permit   *bool
		Reason   string
		Green    bool
		Finished string
		Checks   []struct {
			Name string
			OK   bool
		}
	}
	ask := func(conf string, want int) status {
		t.Helper()
		code, out, said := call("drill", "--status", "--json", conf)
		var s status
		if err := json.Unmarshal([]byte(out), &s); err != nil || code != want || s.Permit == nil || *s.Permit != (code == 0) {
			t.Fatalf("exit %d, want %d: %v: %s%s", code, want, err, out, said)
		}
		return s
	}
	_, conf := drillSite(t, 2)
	if s := ask(conf, 1); !strings.Contains(s.Reason, "no restore was ever tried") || s.Finished != "" {
		t.Errorf("before any drill: %+v", s)
	}
	for _, verb := range [][]string{{"backup", "run", conf}, {"drill", conf}} {
		if code, _, said := call(verb...); code != 0 {
			t.Fatalf("%s: %s", verb, said)
		}
	}
	if s := ask(conf, 0); !s.Green || s.Reason != "" || s.Finished == "" || len(s.Checks) < 3 {
		t.Errorf("after a green drill: %+v", s)
	}

	_, conf = drillSite(t, 3) // the site's tls has no key
	if code, _, said := call("backup", "run", conf); code != 0 {
		t.Fatal(said)
	}
	if code, _, said := call("drill", conf); code != 1 || !strings.Contains(said, "keys tls") {
		t.Errorf("drill without a key: exit %d, %s", code, said)
	}
	if s := ask(conf, 1); s.Green || !strings.Contains(s.Reason, "is red") || !strings.Contains(s.Reason, "keys tls") {
		t.Errorf("after a red drill: %+v", s)
	}
}
