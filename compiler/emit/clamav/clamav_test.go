package clamav_test

import (
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/clamav"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestFiles(t *testing.T) {
	s := emittest.Site()
	files := emittest.Emit(t, clamav.Files, s)
	emittest.Holds(t, files, "config/clamav/clamd.conf",
		"LocalSocket /tmp/clamd.sock\n", "StreamMaxLength 41M\n", "ConcurrentDatabaseReload no\n")
	emittest.Holds(t, files, "config/clamav/freshclam.conf", "Checks 12\n", "TestDatabases no\n")
	if strings.Contains(emittest.Text(t, files, "config/clamav/clamd.conf"), "EnableShutdownCommand") {
		t.Error("clamd 1.4 does not start with EnableShutdownCommand")
	}

	concurrent := true
	s.Containers.ClamAV.ConcurrentReload = &concurrent
	s.Containers.ClamAV.Image = "clamav/clamav:1.5.3"
	files = emittest.Emit(t, clamav.Files, s)
	emittest.Holds(t, files, "config/clamav/clamd.conf", "ConcurrentDatabaseReload yes\n", "EnableShutdownCommand no\n")
	emittest.Holds(t, files, "config/clamav/freshclam.conf", "TestDatabases yes\n")
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	files := emittest.Emit(t, clamav.Files, emittest.Site())
	shown, err := daemon.ClamAV(t, emittest.Layout(t, files, "config/clamav", nil))
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	for _, own := range []string{`LocalSocket = "/tmp/clamd.sock"`, `StreamMaxLength = "42991616"`, `ConcurrentDatabaseReload disabled`} {
		if !strings.Contains(shown, own) {
			t.Errorf("the settings shown lack %s:\n%s", own, shown)
		}
	}
}
