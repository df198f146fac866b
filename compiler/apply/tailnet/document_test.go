package tailnet

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tailscale/hujson"

	"github.com/mailplan/mailplan/compiler/sandbox/tailscale"
)

var ours = []entry{
	{kind: KindTagOwner, id: "tag:fuzz", value: json.RawMessage(`["a@x.example"]`), layout: []byte(`["a@x.example"]`), comment: []string{"who"}},
	{kind: KindGrant, id: "a to tag:fuzz", value: json.RawMessage(`{"dst":["tag:fuzz"],"src":["a"]}`), layout: []byte("{\"dst\": [\"tag:fuzz\"],\n\"src\": [\"a\"],}"), comment: []string{"one", "two"}},
	{kind: KindTest, id: "a", value: json.RawMessage(`{"src":"a"}`), layout: []byte(`{"src":"a"}`)},
}

// FuzzPolicy puts entries into any policy and takes them out again: the policy parses all the way, what others have
// written means the same, and their comments are there.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		tailscale.First, `{}`, `{"grants": [{"src": ["*"]} /* theirs */]}`, `{"TESTS": [], // theirs` + "\n}", `{"tagOwners": {"tag:a": [], // theirs` + "\n}}",
		"{\"grants\": [\n// mailplan home2\n{\"src\": []}, // mailplan fuzz\n]}", `{"grants": 1, "tests": {"a": 2}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parse([]byte(text), "fuzz")
		if err != nil || strings.Contains(text, "mailplan fuzz") || !usable(d) {
			return
		}
		want := meaning(t, text)
		for _, e := range ours {
			d.add(e)
		}
		again, err := parse([]byte(d.text()), "fuzz")
		if err != nil {
			t.Fatalf("%v:\n%s", err, d.text())
		}
		for _, e := range ours {
			removeOurs(t, again, e)
		}
		if got := meaning(t, again.text()); !reflect.DeepEqual(want, got) {
			t.Errorf("others' part is %v, was %v", got, want)
		}
		if strings.Count(again.text(), "theirs") != strings.Count(text, "theirs") || strings.Contains(again.text(), "mailplan fuzz") {
			t.Errorf("comments of others are lost, or ours stay:\n%s\nwas:\n%s", again.text(), text)
		}
	})
}

func removeOurs(t *testing.T, d *document, e entry) {
	all, err := d.entries()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, have := range all {
		if have.kind != e.kind {
			continue
		}
		if have.ours && have.id == e.id && same(have.value, e.value) {
			d.remove(e.kind, i)
			return
		}
		i++
	}
	t.Fatalf("%s %s is not found again:\n%s", e.kind, e.id, d.text())
}

// usable policies have lists where lists belong, and each name once.
func usable(d *document) bool {
	for _, s := range sections {
		v := d.find(s.name, false)
		if v == nil {
			continue
		}
		_, object := v.Value.(*hujson.Object)
		_, array := v.Value.(*hujson.Array)
		if !array && !object || object != (s.kind == KindTagOwner) {
			return false
		}
	}
	return true
}

// meaning is the policy without empty sections, which ours leave behind.
func meaning(t *testing.T, text string) map[string]any {
	plain, err := hujson.Standardize([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(plain, &m); err != nil {
		t.Skip(err)
	}
	for name, v := range m {
		if list, ok := v.([]any); ok && len(list) == 0 {
			delete(m, name)
		}
		if object, ok := v.(map[string]any); ok && len(object) == 0 {
			delete(m, name)
		}
	}
	return m
}
