package plan

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
)

func record(id, content string, options ...func(*Object)) Object {
	o := Object{Plane: Edge, Kind: "record", ID: id, Value: Encode(content), Show: content, Handle: "h-" + content}
	for _, f := range options {
		f(&o)
	}
	return o
}

func foreign(o *Object) { o.Foreign = true }
func sole(o *Object)    { o.Sole = true }

func from(path string) func(*Object) { return func(o *Object) { o.From = path } }

func TestDiff(t *testing.T) {
	for _, test := range []struct {
		name          string
		live, desired []Object
		want          string
	}{
		{"equal", []Object{record("TXT a", "1")}, []Object{record("TXT a", "1")}, ""},
		{"created", nil, []Object{record("TXT a", "1", from("x"))}, "create TXT a 1\n"},
		{"updated in place", []Object{record("TXT a", "1")}, []Object{record("TXT a", "2")}, "update TXT a 2 (h-1)\n"},
		{"deleted", []Object{record("TXT a", "1")}, nil, "delete TXT a  (h-1)\n"},
		{"foreign stays", []Object{record("TXT a", "1", foreign)}, nil, ""},
		{"foreign of equal value serves", []Object{record("TXT a", "1", foreign)}, []Object{record("TXT a", "1")}, ""},
		{"beside a foreign one", []Object{record("TXT a", "1", foreign)}, []Object{record("TXT a", "2")}, "create TXT a 2\n"},
		{"a sole one against a foreign one", []Object{record("SPF a", "1", foreign)}, []Object{record("SPF a", "2", sole)}, "conflict SPF a live 1 wanted 2\n"},
		{"of many of a name only what differs", []Object{record("MX a", "1"), record("MX a", "2"), record("MX a", "3")},
			[]Object{record("MX a", "3"), record("MX a", "4"), record("MX a", "1")}, "update MX a 4 (h-2)\n"},
		{"twice the same live", []Object{record("TXT a", "1"), record("TXT a", "1")}, []Object{record("TXT a", "1")}, "delete TXT a  (h-1)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes, conflicts := Diff(test.live, test.desired)
			var got strings.Builder
			for _, c := range changes {
				got.WriteString(string(c.Verb) + " " + c.ID + " " + c.After)
				if c.Handle != "" {
					got.WriteString(" (" + c.Handle + ")")
				}
				got.WriteString("\n")
			}
			for _, c := range conflicts {
				got.WriteString("conflict " + c.ID + " live " + c.Live + " wanted " + c.Desired + "\n")
			}
			if d := cmp.Diff(test.want, got.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOrderOpensDoorsLastAndClosesThemFirst(t *testing.T) {
	changes := []Change{
		{Verb: Delete, ID: "old key", Phase: Publish}, {Verb: Create, ID: "mx", Phase: Route}, {Verb: Update, ID: "file", Phase: Place},
		{Verb: Delete, ID: "old mx", Phase: Route}, {Verb: Create, ID: "key", Phase: Publish}, {Verb: Delete, ID: "old file", Phase: Place},
		{Verb: Create, ID: "folder", Phase: Lay},
	}
	Order(changes)
	var got []string
	for _, c := range changes {
		got = append(got, c.ID)
	}
	want := []string{"old mx", "key", "folder", "file", "mx", "old file", "old key"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func accounts(users ...model.AccountUser) model.Accounts {
	return model.Accounts{Domains: []model.AccountDomain{{Name: "a.example", State: model.Active}}, Users: users}
}

func TestHeadlineIsInMailTerms(t *testing.T) {
	before := accounts(model.AccountUser{Address: "x@a.example", State: model.Active}, model.AccountUser{Address: "y@a.example", State: model.Active})
	after := accounts(model.AccountUser{Address: "x@a.example", State: model.Retired}, model.AccountUser{Address: "z@a.example", State: model.Disabled})
	after.Domains[0].CatchAll = "z@a.example"
	after.Aliases = []model.AccountAlias{{Source: "y@a.example", Destinations: []string{"z@a.example"}}}
	want := Headline{
		Gained:    []AddressChange{{Address: "*@a.example", After: "z@a.example"}, {Address: "z@a.example", After: "mailbox"}},
		Rerouted:  []AddressChange{{Address: "y@a.example", Before: "mailbox", After: "z@a.example"}},
		Lost:      []AddressChange{{Address: "x@a.example", Before: "mailbox", After: "catch-all z@a.example"}},
		LockedOut: []string{"x@a.example", "y@a.example"},
	}
	got := NewHeadline(before, after)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if want := "2 addresses gained, 1 address lost, 1 address rerouted, 2 users locked out"; got.Summary() != want {
		t.Errorf("summary %q, want %q", got.Summary(), want)
	}
}

func TestSavedPlanIsReadBackOrRefused(t *testing.T) {
	p := New("home", "", "tree", []Object{record("TXT a", "1")}, []Object{record("TXT a", "2")})
	var b bytes.Buffer
	if err := p.JSON(&b); err != nil {
		t.Fatal(err)
	}
	saved := b.String()
	got, err := Load(strings.NewReader(saved))
	if err != nil || got.ID() != p.ID() {
		t.Fatalf("read back %s, %v, want %s", got.ID(), err, p.ID())
	}
	for what, text := range map[string]string{
		"version": strings.Replace(saved, `"version": 1`, `"version": 2`, 1),
		"field":   strings.Replace(saved, `"site"`, `"sight"`, 1),
	} {
		if _, err := Load(strings.NewReader(text)); err == nil {
			t.Errorf("a plan with a foreign %s was read", what)
		}
	}
	moved := New("home", "", "tree", []Object{record("TXT a", "3")}, []Object{record("TXT a", "2")})
	if err := p.Moved(moved); err == nil || !strings.Contains(err.Error(), "edge TXT a has changed") {
		t.Errorf("moved: %v, want the record by name", err)
	}
	if err := p.Moved(p); err != nil {
		t.Errorf("not moved: %v", err)
	}
}

func TestMarkdownFitsAComment(t *testing.T) {
	var live []Object
	for i := range 5000 {
		live = append(live, record("TXT name-of-some-length-"+strings.Repeat("x", i%40), strings.Repeat("content ", 9)))
	}
	p := New("home", "", "tree", live, nil)
	var b bytes.Buffer
	if err := p.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	if n := b.Len(); n > commentLimit {
		t.Errorf("%d characters, GitHub takes %d", n, commentLimit)
	}
	if !strings.Contains(b.String(), "more lines") {
		t.Error("it does not say that it was cut")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(`{"version":1,"site":"x","tree":"","live":"","headline":{},"changes":[],"unchanged":0}`)
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := Load(strings.NewReader(text)); err == nil {
			p.Text(&bytes.Buffer{}, Style{})
		}
	})
}
