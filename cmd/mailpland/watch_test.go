package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/report"
)

// TestTell takes what mailplan found, and nothing else.
func TestTell(t *testing.T) {
	dir := t.TempDir()
	folder := report.Folder{Path: filepath.Join(dir, "reports")}
	conf, err := json.Marshal(config.Config{Watch: &config.Watch{Folder: folder.Path}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "backup.json")
	if err := os.WriteFile(path, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	tell := func(name, text string) error {
		cmd := newTellCmd()
		cmd.SetArgs([]string{name, "--config", path})
		cmd.SetIn(strings.NewReader(text))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		return cmd.ExecuteContext(t.Context())
	}
	if err := tell("drift", `{"data":{"site":"home","changes":["update x"]}}`); err != nil {
		t.Fatal(err)
	}
	if err := tell("drift", `{"problem":"the edge does not answer"}`); err != nil {
		t.Fatal(err)
	}
	got, err := report.Get[report.Drift](folder, report.Drifted)
	if err != nil || got.Problem != "the edge does not answer" || got.Data == nil || got.Data.Changes[0] != "update x" || got.Known.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	for name, text := range map[string]string{"queue": `{}`, "../drift": `{}`, "drift": `{"data":{"sites":5}}`, "spool": `no`} {
		if err := tell(name, text); err == nil {
			t.Errorf("%s is told %s", name, text)
		}
	}
	if files, err := os.ReadDir(folder.Path); err != nil || len(files) != 1 {
		t.Errorf("laid down: %v, %v", files, err)
	}
}
