package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
)

// TestHeadlineTellsWhatStops counts each service once, and what is for good, in text and in Markdown.
func TestHeadlineTellsWhatStops(t *testing.T) {
	changes := []Change{
		{Plane: Containers, Verb: Update, Kind: "service", ID: "postfix", Note: "restart", Stops: "postfix"},
		{Plane: Containers, Verb: Update, Kind: "tables", ID: "postfix", Note: "restart", Stops: "postfix"},
		{Plane: Containers, Verb: Update, Kind: "service", ID: "nginx", Note: "reload"},
		{Plane: Containers, Verb: Update, Kind: "service", ID: "mariadb", Note: "recreate", Stops: "mariadb", Risk: "mariadb is made anew over its data", Irreversible: "x"},
	}
	p := Plan{Site: "home", Changes: changes, Headline: NewHeadline(model.Accounts{}, model.Accounts{}, changes...)}
	var text, markdown strings.Builder
	if err := p.Text(&text, Style{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"home: no address changes, 2 services restarted, 1 change for good\n", "  restarted: mariadb, postfix\n",
		"apply asks for a backup that is known to work, or --allow untested-backup: mariadb is made anew over its data\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if want := "\nrestarted: mariadb, postfix\n"; !strings.Contains(markdown.String(), want) || strings.Contains(markdown.String(), "| address |") {
		t.Errorf("no %q, or an empty table, in\n%s", want, markdown.String())
	}
}

// TestWhatGoesInTurnAndLast orders a deletion that others must be told of before they read again, and what tells the next
// plan how far this one came after all others.
func TestWhatGoesInTurnAndLast(t *testing.T) {
	changes := []Change{
		{Plane: Host, Verb: Delete, Kind: "file", ID: "late", Phase: Place},
		{Plane: Host, Verb: Update, Kind: "file", ID: "told", Phase: Last},
		{Plane: Containers, Verb: Update, Kind: "service", ID: "reader", Phase: Start},
		{Plane: Host, Verb: Delete, Kind: "file", ID: "of a folder", Phase: Place, InTurn: true},
	}
	if err := Order(changes); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.ID)
	}
	if d := cmp.Diff([]string{"of a folder", "reader", "late", "told"}, got); d != "" {
		t.Error(d)
	}
}
