package runtime_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// TestProbes holds that each active domain has an address for test messages, but where people use it themselves.
func TestProbes(t *testing.T) {
	s := emittest.Site()
	s.Domains = append(s.Domains,
		model.Domain{Name: "old.example", Unicode: "old.example", State: model.Retired},
		model.Domain{Name: "taken.example", Unicode: "taken.example", State: model.Active,
			Aliases: []model.Alias{{Localpart: model.ProbeLocalpart, Domain: "taken.example", Targets: []string{"alice@example.com"}}}})
	files := emittest.Emit(t, emitted.Files, s)
	table, err := config.ParseTable([]byte(emittest.Text(t, files, "config/runtime/routes.json")))
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, files, "config/runtime/mailpland.json").Probe.In(table)
	if diff := cmp.Diff([]string{"example.com"}, got); diff != "" {
		t.Errorf("domains with test messages:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"alice@example.com"}, table.Domains["taken.example"].Aliases[model.ProbeLocalpart]); diff != "" {
		t.Errorf("an alias of people's own:\n%s", diff)
	}

	s.Monitoring.ProbeMinutes = 0
	files = emittest.Emit(t, emitted.Files, s)
	if p := parse(t, files, "config/runtime/mailpland.json").Probe; p != nil {
		t.Errorf("probes are off: %+v", p)
	}
}
