package cloud

import (
	"encoding/json"
	"testing"

	"github.com/mailplan/mailplan/compiler/plan"
)

// What Terraform would do is held against what was agreed to.
func TestMatch(t *testing.T) {
	change := func(verb plan.Verb, id, value string) plan.Change {
		return plan.Change{Plane: plan.Cloud, Kind: KindResource, ID: id, Verb: verb, New: json.RawMessage(value)}
	}
	agreed := []plan.Change{change(plan.Create, "a", `{"days":30,"rule":[{"mode":"X"}]}`), change(plan.Delete, "b", "")}
	for _, tc := range []struct {
		name     string
		todo     []plan.Change
		strict   bool
		left, ok bool
	}{
		{"all is done", nil, true, false, true},
		{"the same", agreed, true, true, true},
		{"more is known now", []plan.Change{change(plan.Create, "a", `{"days":30,"arn":"x","rule":[{"mode":"X","id":"1"}]}`)}, true, true, true},
		{"another value", []plan.Change{change(plan.Create, "a", `{"days":60,"rule":[{"mode":"X"}]}`)}, false, false, false},
		{"another value deep down", []plan.Change{change(plan.Create, "a", `{"days":30,"rule":[{"mode":"Y"}]}`)}, false, false, false},
		{"gone instead of made", []plan.Change{change(plan.Delete, "a", "")}, false, false, false},
		{"one more, to be done in another run", append([]plan.Change{change(plan.Create, "c", `{}`)}, agreed...), false, true, true},
		{"one more, by a new plan", append([]plan.Change{change(plan.Create, "c", `{}`)}, agreed...), true, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			left, err := match(agreed, tc.todo, tc.strict)
			if left != tc.left || (err == nil) != tc.ok {
				t.Errorf("left %t, %v", left, err)
			}
		})
	}
}

// What Terraform marks as sensitive, or does not know, never gets into an object.
func TestKnown(t *testing.T) {
	got := plan.Encode(known(map[string]any{"name": "n", "key": "s3cret", "none": nil, "list": []any{map[string]any{"token": "t0ken", "id": "1"}}},
		map[string]any{"key": true, "list": []any{map[string]any{"token": true}}}))
	if want := `{"key":"(sensitive)","list":[{"id":"1","token":"(sensitive)"}],"name":"n"}`; string(got) != want {
		t.Errorf("got %s", got)
	}
}
