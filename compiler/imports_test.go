package compiler_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mailplan/mailplan/"

// directions says for each folder what of ours it may import; the first folder that fits a package counts. Test files
// are free.
var directions = []struct {
	folder string
	may    []string
}{
	{"schema", nil},
	{"site", nil},
	{"compiler/model", nil},
	{"compiler/decode", []string{"compiler/model", "schema"}},
	{"compiler/check", []string{"compiler/model"}},
	{"compiler/edit", nil},
	{"compiler/revision", nil},
	{"compiler/trace", []string{"compiler/model"}},
	{"compiler/plan", []string{"compiler/model"}},
	{"compiler/emit/emittest", []string{"compiler/model"}},
	// What the daemon is configured with, and its scripts, are the runtime's own.
	{"compiler/emit/runtime", []string{"compiler/model", "runtime/config", "runtime/backup/scripts"}},
	{"compiler/emit/operations", []string{"compiler/model", "runtime/backup/scripts"}},
	{"compiler/emit/cloudflare", []string{"compiler/model", "compiler/emit/cloudflare"}},
	{"compiler/emit/", []string{"compiler/model"}},
	{"compiler/emit", []string{"compiler/model", "compiler/emit/"}},
	{"compiler/apply/edge", []string{"compiler/apply/edge/"}},
	{"compiler/apply/", []string{"compiler/model", "compiler/plan", "compiler/emit/", "compiler/apply", "runtime/accounts"}},
	{"compiler/apply", []string{"compiler/model", "compiler/plan"}},
	// A stand-in knows its provider's formats, how a file is written safely, and nothing of sites.
	{"compiler/sandbox/", []string{"compiler/apply/edge/txt", "compiler/apply/host", "compiler/apply/containers", "compiler/sandbox/standin"}},
	{"compiler/", []string{"compiler", "schema", "runtime/accounts"}},
	{"compiler", []string{"compiler/", "schema"}},
	{"runtime/backup/backuptest", []string{"runtime/", "test/"}},
	{"runtime/", []string{"runtime/"}},
	{"cmd/mailplan/bench", []string{"schema"}},
	{"cmd/mailplan", []string{"compiler", "schema", "site"}},
	{"cmd/mailpland", []string{"runtime/"}},
	{"cmd/", []string{"runtime/"}},
}

// TestDirections holds the direction of imports: left to right as the README draws it, and the runtime apart.
func TestDirections(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"schema/...", module+"site/...", module+"compiler/...", module+"runtime/...", module+"cmd/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed(name)
		if !known {
			t.Errorf("%s is in no folder of the table", name)
		}
		for _, i := range p.Imports {
			if inner, ours := strings.CutPrefix(i, module); ours && !slices.ContainsFunc(may, func(m string) bool { return within(inner, m) }) {
				t.Errorf("%s imports %s, which its place in the flow does not allow", name, inner)
			}
		}
	}
}

func allowed(name string) (may []string, known bool) {
	for _, d := range directions {
		if within(name, d.folder) {
			return d.may, true
		}
	}
	return nil, false
}

// within says whether a package is the folder or below it; a folder that ends in / means below only.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}
