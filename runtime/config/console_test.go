package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeclared(t *testing.T) {
	want := &Declared{Site: "home", Domains: []DeclaredDomain{{Name: "xn--bcher-kva.example", Unicode: "bücher.example", DMARC: "reject", SPF: "-all", MTASTS: "none",
		Selectors: []DeclaredSelector{{Name: "s1", State: "active", Algorithm: "rsa"}}}}}
	data, err := want.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "console.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadDeclared(path)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v: -written +read\n%s", err, d)
	}
	if err := os.WriteFile(path, []byte(`{"domains": [{"nmae": "x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDeclared(path); err == nil || !strings.Contains(err.Error(), "domains[0].nmae") {
		t.Errorf("an unknown key is not named: %v", err)
	}
}
