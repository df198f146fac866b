package plan

import (
	"bytes"
	"slices"
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
	if err := Order(changes); err != nil {
		t.Fatal(err)
	}
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
	p := planned(t, "home", "", "tree", []Object{record("TXT a", "1")}, []Object{record("TXT a", "2")})
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
	moved := planned(t, "home", "", "tree", []Object{record("TXT a", "3")}, []Object{record("TXT a", "2")})
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
	p := planned(t, "home", "", "tree", live, nil)
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

func planned(t *testing.T, site, revision, tree string, live, desired []Object) Plan {
	t.Helper()
	p, err := New(site, revision, tree, live, desired)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOrderFollowsNeeds(t *testing.T) {
	bucket, queue, script := Change{Plane: Edge, Kind: "bucket", ID: "b"}, Change{Plane: Edge, Kind: "queue", ID: "q"}, Change{Plane: Edge, Kind: "worker", ID: "w"}
	script.Needs = []string{bucket.Ref(), queue.Ref()}
	for _, test := range []struct {
		verb Verb
		want []string
	}{{Create, []string{"b", "q", "w"}}, {Delete, []string{"w", "b", "q"}}} {
		changes := []Change{script, bucket, queue}
		for i := range changes {
			changes[i].Verb = test.verb
		}
		if err := Order(changes); err != nil {
			t.Fatal(err)
		}
		got := []string{changes[0].ID, changes[1].ID, changes[2].ID}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s: %s", test.verb, d)
		}
	}
	bucket.Needs = []string{script.Ref()}
	if err := Order([]Change{script, bucket}); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle: %v", err)
	}
}

func TestCheckRefusesMisorderedPlans(t *testing.T) {
	alias := func(target, key string) model.Accounts {
		a := accounts(model.AccountUser{Address: "x@a.example", State: model.Active}, model.AccountUser{Address: target, State: model.Active})
		a.Aliases = []model.AccountAlias{{Source: "info@a.example", Destinations: []string{target}}}
		a.Domains[0].Signing = key + "._domainkey.a.example"
		return a
	}
	before, after := alias("old@a.example", "k1"), alias("new@a.example", "k2")
	step := func(verb Verb, effect string) Change {
		return Change{Plane: Host, Verb: verb, ID: effect, Effects: []string{effect}}
	}
	box, unbox := step(Create, EffectBox("new@a.example")), step(Delete, EffectBox("old@a.example"))
	routes, recipients, signing := step(Update, EffectRoutes), step(Update, EffectRecipients), step(Update, EffectSigning)
	key, unkey := step(Create, EffectKey("k2._domainkey.a.example")), step(Delete, EffectKey("k1._domainkey.a.example"))
	mx := step(Delete, EffectMX("a.example"))
	for _, test := range []struct {
		name    string
		changes []Change
		want    string
	}{
		{"the right order", []Change{key, box, routes, signing, recipients, unbox}, ""},
		{"a table before its mailbox", []Change{key, routes, box}, "info@a.example bounces: Dovecot has no mailbox new@a.example"},
		{"a mailbox gone too early", []Change{box, unbox, routes}, "info@a.example bounces: Dovecot has no mailbox old@a.example"},
		{"signing before the key", []Change{signing, key}, "a.example signs with k2._domainkey.a.example, which is not in DNS"},
		{"the old key gone", []Change{key, signing, unkey}, "signatures made with k1._domainkey.a.example no longer verify"},
		{"the door closed", []Change{mx}, "info@a.example bounces: its domain has no MX"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []Object
			for _, c := range []Change{box, unbox, routes, recipients, signing, key, unkey, mx} {
				all = append(all, Object{Effects: c.Effects})
			}
			err := Plan{Changes: test.changes}.Check(before, after, nil, all)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestGuardNamesThePeople(t *testing.T) {
	var users []model.AccountUser
	for _, n := range strings.Fields("a b c d e f g h i j k l") {
		users = append(users, model.AccountUser{Address: n + "@a.example", State: model.Active})
	}
	before := accounts(users...)
	guards := func(after model.Accounts) string {
		var out []string
		for _, r := range NewHeadline(before, after).Guard(before, after) {
			out = append(out, r.Guard+" "+strings.Join(r.Names, ","))
		}
		return strings.Join(out, "; ")
	}
	if got := guards(accounts(users[1:]...)); got != "" {
		t.Errorf("one of twelve leaves: %s", got)
	}
	if got, want := guards(accounts(users[3:]...)), "lose-addresses a@a.example,b@a.example,c@a.example; lock-out a@a.example,b@a.example,c@a.example"; got != want {
		t.Errorf("three leave: %s, want %s", got, want)
	}
	if got := guards(model.Accounts{}); !strings.HasPrefix(got, "lose-domains a.example") {
		t.Errorf("nobody is declared: %s", got)
	}
	gone := slices.Clone(users)
	gone[0].State = model.Purged
	if got := guards(accounts(gone...)); got != "purge a@a.example" {
		t.Errorf("one purged: %s", got)
	}
}
