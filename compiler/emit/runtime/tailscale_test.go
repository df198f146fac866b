package runtime_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
)

// TestTailscale holds that the keeper of the certificate calls tailscale where it runs, on the host or in its container.
func TestTailscale(t *testing.T) {
	for mode, want := range map[string]string{
		"host":      "tailscale cert --min-validity=1h0m0s a b",
		"container": "docker compose --project-directory ROOT exec -T tailscale tailscale cert --min-validity=1h0m0s a b",
	} {
		s := emittest.Site()
		s.Host.TLS.Source, s.Host.TLS.Names = "tailscale", []string{"mail.tail1234.ts.net"}
		s.Tailnet = &model.Tailnet{Hostname: "mail.tail1234.ts.net", Mode: mode}
		files := emittest.Emit(t, emitted.Files, s)
		c := parse(t, files, "config/runtime/certificate.json").Certificate
		if c.ACME != nil || c.Tailscale == nil || c.Tailscale.Program != s.Host.Root+"/scripts/tailscale" {
			t.Fatalf("%s: %+v", mode, c)
		}
		dir := t.TempDir()
		script := emittest.Text(t, files, "scripts/tailscale")
		echo := "#!/bin/sh\necho \"$(basename \"$0\") $*\"\n"
		for name, text := range map[string]string{"script": script, "tailscale": echo, "docker": echo} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(filepath.Join(dir, "script"), "cert", "--min-validity=1h0m0s", "a b")
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != strings.Replace(want, "ROOT", s.Host.Root, 1) {
			t.Errorf("%s: %q %v", mode, got, err)
		}
	}
}
