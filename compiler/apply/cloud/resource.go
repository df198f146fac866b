package cloud

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/mailplan/mailplan/compiler/plan"
)

// add turns one resource of Terraform's plan into what lives and what is wanted.
func (p *planned) add(c *tfjson.ResourceChange) error {
	if c.Mode != tfjson.ManagedResourceMode || c.Change == nil {
		return nil
	}
	do := c.Change.Actions
	if isLocked(c.Type) && (do.Delete() || do.Replace()) {
		return fmt.Errorf("terraform would destroy %s, which keeps copies or their lock: refused", c.Address)
	}
	before := known(c.Change.Before, c.Change.BeforeSensitive)
	after := known(c.Change.After, c.Change.AfterSensitive)
	live, desired := resource(c.Address, c.Type, before), resource(c.Address, c.Type, after)
	desired.From, desired.Irreversible = from(c.Type), irreversible(c.Type, before, after)
	switch {
	case do.NoOp():
		desired.Value, desired.Irreversible = live.Value, ""
	case do.Delete():
		p.live = append(p.live, live)
		return nil
	case do.Create():
		p.desired = append(p.desired, desired)
		return nil
	default:
		live.Show, desired.Show = difference(before, after)
		if do.Replace() {
			desired.Show += ", made anew"
		}
		if string(live.Value) == string(desired.Value) { // only what must not be shown differs
			after["changes"] = "a sensitive value"
			desired.Value = plan.Encode(after)
		}
	}
	p.live, p.desired = append(p.live, live), append(p.desired, desired)
	return nil
}

func resource(address, of string, values map[string]any) plan.Object {
	return plan.Object{Plane: plan.Cloud, Kind: KindResource, ID: address, Value: plan.Encode(values), Show: show(of, values), Phase: plan.Place}
}

// known are the values without what is null, not known yet or sensitive.
func known(values, sensitive any) map[string]any {
	cleaned, _ := clean(values, sensitive).(map[string]any)
	if cleaned == nil {
		return map[string]any{}
	}
	return cleaned
}

func clean(v, sensitive any) any {
	if sensitive == true {
		return "(sensitive)"
	}
	switch v := v.(type) {
	case map[string]any:
		marks, _ := sensitive.(map[string]any)
		out := map[string]any{}
		for name, member := range v {
			if c := clean(member, marks[name]); c != nil {
				out[name] = c
			}
		}
		return out
	case []any:
		marks, _ := sensitive.([]any)
		out := []any{}
		for i, element := range v {
			var mark any
			if i < len(marks) {
				mark = marks[i]
			}
			out = append(out, clean(element, mark))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}

// show is a resource in a few words.
func show(of string, values map[string]any) string {
	if of == lockConfiguration {
		mode, days := retention(values)
		return fmt.Sprintf("%s %g days", mode, days)
	}
	for _, label := range []string{"endpoint", "alarm_name", "name", "bucket", "arn"} {
		if s, ok := values[label].(string); ok && !strings.HasPrefix(s, "aws_") { // which is another resource's address
			return s
		}
	}
	return ""
}

// retention is what a lock configuration binds everything by that comes without a date.
func retention(values map[string]any) (mode string, days float64) {
	v := any(values)
	for _, step := range []string{"rule", "default_retention"} {
		m, _ := v.(map[string]any)
		list, _ := m[step].([]any)
		if len(list) == 0 {
			return "", 0
		}
		v = list[0]
	}
	m, _ := v.(map[string]any)
	mode, _ = m["mode"].(string)
	switch n := m["days"].(type) {
	case float64:
		days = n
	case fmt.Stringer: // json.Number
		fmt.Sscan(n.String(), &days)
	}
	return mode, days
}

// irreversible says what can't be undone when a resource is made or changed.
func irreversible(of string, before, after map[string]any) string {
	switch of {
	case bucket:
		if len(before) == 0 && after["object_lock_enabled"] == true {
			return "Object Lock and versioning never go off again"
		}
	case lockConfiguration:
		was, had := retention(before)
		mode, days := retention(after)
		if mode == "COMPLIANCE" && (was != mode || days > had) {
			return fmt.Sprintf("what is stored from now on cannot be deleted for %g days, by nobody", days)
		}
	}
	return ""
}

// difference are the values that an update changes, old and new.
func difference(before, after map[string]any) (old, new string) {
	was, is := map[string]string{}, map[string]string{}
	leaves("", before, was)
	leaves("", after, is)
	var names []string
	for name, v := range is {
		if was[name] != v {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var o, n []string
	for _, name := range names {
		o, n = append(o, name+"="+was[name]), append(n, is[name])
	}
	return strings.Join(o, ", "), strings.Join(n, ", ")
}

func leaves(at string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			leaves(strings.TrimPrefix(at+"."+name, "."), v[name], out)
		}
	case []any:
		for i, element := range v {
			if len(v) == 1 && reflect.TypeOf(element) == reflect.TypeOf(map[string]any{}) { // a block that there is one of
				leaves(at, element, out)
				continue
			}
			leaves(fmt.Sprintf("%s.%d", at, i), element, out)
		}
	default:
		out[at] = fmt.Sprint(v)
	}
}

// from is the site path that a resource comes from.
func from(of string) string {
	switch {
	case of == lockConfiguration:
		return "backup.offsite.s3.lock"
	case strings.HasPrefix(of, bucket):
		return "backup.offsite.s3"
	case strings.HasPrefix(of, "aws_sns_"), strings.HasPrefix(of, "aws_cloudwatch_"):
		return "backup.offsite.terraform"
	}
	return "backup.offsite"
}
