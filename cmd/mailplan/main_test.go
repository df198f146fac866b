package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailplan": main})
}

// TestScripts runs testdata/script/*.txtar against the real command. SITES is the repository's root, for the reference
// site and the examples; MAILPLAN_UPDATE=1 rewrites expected output.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("MAILPLAN_UPDATE") != "",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"masked": masked, "letters": layLetters},
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SITES", root)
			env.Setenv("CUE_CACHE_DIR", filepath.Join(env.WorkDir, ".cue"))
			env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(env.WorkDir, ".gitconfig"))
			return os.WriteFile(filepath.Join(env.WorkDir, ".gitconfig"),
				[]byte("[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n"), 0o600)
		},
	})
}

var ids = regexp.MustCompile("(plan `?|tree `|revision `)[0-9a-f]{12}")

// masked writes the last stdout to a file without what differs from run to run: ids of plans, trees and revisions.
func masked(ts *testscript.TestScript, _ bool, args []string) {
	text := ids.ReplaceAllString(ts.ReadFile("stdout"), "${1}ID")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// layLetters lays messages into the spool of a sandbox, as the Worker would.
func layLetters(ts *testscript.TestScript, _ bool, args []string) {
	server, err := cloudflare.New(filepath.Join(ts.MkAbs(args[0]), "edge"), cloudflare.Options{})
	ts.Check(err)
	letter := func(key string, size int, from, reason string) cloudflare.Object {
		return cloudflare.Object{Key: key, Size: size, Metadata: map[string]string{"from": from, "to": "carol@example.org", "reason": reason}}
	}
	ts.Check(server.PutObjects("small-spool",
		letter("mail/2026-11-21T09:00:00.000Z", 1234, "", ""),
		letter("mail/2026-11-21T10:00:00.000Z", 5678, "eve@sender.example", ""),
		letter("dead/2026-11-20T09:00:00.000Z", 99, "eve@sender.example", "5.7.1 message contains malware")))
}
