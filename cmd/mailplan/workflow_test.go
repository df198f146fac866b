package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// step is the script of a named step of the workflow.
func step(t *testing.T, name string) string {
	t.Helper()
	var w struct {
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal(workflow, &w); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.Jobs["mailplan"].Steps {
		if s.Name == name {
			return s.Run
		}
	}
	t.Fatalf("the workflow has no step %q", name)
	return ""
}

// standIns are gh and mailplan as far as the workflow uses them. They write down how they were called; gh keeps comments.
var standIns = map[string]string{
	"gh": `#!/bin/bash
echo "gh $*" >> "$CALLS"
case "$*" in
*--paginate*comments*) cat "$COMMENT" 2>/dev/null; true ;;
*"--method POST"*) echo 4711 > "$COMMENT" ;;
*/pulls*) printf '%s\n' "$MERGED" ;;
"run list"*) echo 12 ;;
esac
`,
	"mailplan": `#!/bin/bash
echo "mailplan $*" >> "$CALLS"
echo a plan
exit "$CODE"
`}

// runStep runs a step as GitHub does, and returns the calls that it made and whether it passed.
func runStep(t *testing.T, dir, name string, env ...string) (calls []string, passed bool) {
	t.Helper()
	log := filepath.Join(dir, "calls")
	os.Remove(log)
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(t, name))
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CALLS=" + log, "COMMENT=" + filepath.Join(dir, "comment"), "CODE=0",
		"GITHUB_REPOSITORY=me/mail", "GITHUB_SHA=abc", "NUMBER=7", "BASE=main", "SOPS_AGE_KEY="}, env...)
	out, err := cmd.CombinedOutput()
	data, readErr := os.ReadFile(log)
	if readErr != nil && err == nil {
		t.Fatalf("%s made no call: %s", name, out)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n"), err == nil
}

// TestWorkflow runs the steps of the workflow that init writes: one comment, renewed; the saved plan applied on merge.
func TestWorkflow(t *testing.T) {
	dir := t.TempDir()
	for name, script := range standIns {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what, step string
		env        []string
		passes     bool
		last       string
	}{
		{"a plan with changes", "plan", []string{"SOPS_AGE_KEY=x", "CODE=2"}, true, "mailplan diff . --out plan.json --markdown"},
		{"a plan that fails", "plan", []string{"SOPS_AGE_KEY=x", "CODE=1"}, false, "mailplan diff . --out plan.json --markdown"},
		{"a plan from a fork", "plan", nil, true, "mailplan diff . --from origin/main --markdown"},
		{"the first comment", "comment", nil, true, "gh api --silent --method POST repos/me/mail/issues/7/comments --field body=@comment.md"},
		{"the next comment", "comment", nil, true, "gh api --silent --method PATCH repos/me/mail/issues/comments/4711 --field body=@comment.md"},
		{"a merge", "apply", []string{"MERGED=def"}, true, "mailplan apply . --plan plan.json"},
		{"a merge of which the plan moved", "apply", []string{"MERGED=def", "CODE=3"}, false, "mailplan apply . --plan plan.json"},
		{"a push past the pull requests", "apply", nil, false, "gh api repos/me/mail/commits/abc/pulls --jq [.[] | select(.merged_at)][0].head.sha // empty"},
		{"drift", "drift", []string{"CODE=2"}, false, "mailplan status ."},
	} {
		calls, passed := runStep(t, dir, c.step, c.env...)
		if passed != c.passes || calls[len(calls)-1] != c.last {
			t.Errorf("%s: passed %t, calls\n%s\nwant %t and last %s", c.what, passed, strings.Join(calls, "\n"), c.passes, c.last)
		}
		if c.what == "a merge" && !slices.Contains(calls, "gh run download 12 --name plan") {
			t.Errorf("%s: %q fetched no plan", c.what, calls)
		}
	}
}
