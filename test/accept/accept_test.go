// Package accept holds that what the compiler emits is accepted by the real programs: for the reference
// site and every example, each service's program starts with, or checks, what the compose file mounts
// for it.
package accept

import (
	"path/filepath"
	"testing"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestEmittedTrees(t *testing.T) {
	sites, err := filepath.Glob("../../examples/*/site")
	if err != nil || len(sites) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, dir := range append(sites, "../../site") {
		t.Run(name(dir), func(t *testing.T) {
			t.Parallel()
			site, err := compiler.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := site.Tree()
			if err != nil {
				t.Fatal(err)
			}
			daemon.Project(t, daemon.Lay(t, tree.Files))
		})
	}
}

// name is the example's, or that of the reference site.
func name(dir string) string {
	if parent := filepath.Base(filepath.Dir(dir)); parent != ".." {
		return parent
	}
	return "reference"
}
