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
	for _, job := range w.Jobs {
		for _, s := range job.Steps {
			if s.Name == name {
				return s.Run
			}
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
"pr view"*) echo "$STATE" ;;
esac
`,
	"mailplan": `#!/bin/bash
echo "mailplan $*" >> "$CALLS"
echo a plan
if [ "$STEP" = 1 ]; then
	case "$*" in
	*--commit* | *--merge*) git commit --quiet --allow-empty --message step ;;
	*--branch*) git branch --force mailplan/rotation "$(git commit-tree -p HEAD -m step HEAD^{tree})" ;;
	esac
	case "$*" in edits*) git branch --force console/3 HEAD ;; esac
fi
exit "$CODE"
`}

// canary stands for every secret that a step may get.
const canary = "cAnArY"

// runStep runs a step as GitHub does, and returns the calls that it made and whether it passed.
func runStep(t *testing.T, dir, name string, env ...string) (calls []string, passed bool) {
	t.Helper()
	log := filepath.Join(dir, "calls")
	os.Remove(log)
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(t, name))
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CALLS=" + log, "COMMENT=" + filepath.Join(dir, "comment"), "CODE=0",
		"GITHUB_REPOSITORY=me/mail", "GITHUB_SHA=abc", "NUMBER=7", "BASE=main", "SOPS_AGE_KEY=", "HOME=" + dir, "STATE=", "STEP=0", "RUNNER_TEMP=" + dir,
		"SSH_KEY=" + canary, "GH_TOKEN=" + canary, "MAILPLAN_AWS_PARENT_SECRET=" + canary}, env...)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), canary) {
		t.Errorf("%s prints a secret: %s", name, out)
	}
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
		{"drift", "drift", []string{"CODE=2"}, false, "mailplan status . --tell"},
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

// TestScheduledSteps runs what the clock starts in a clone of a real repository: rotations to main and applied, or as one pull
// request that grows until it is merged; edits on branches, and applied by a run of their own once they are merged.
func TestScheduledSteps(t *testing.T) {
	dir := t.TempDir()
	for name, script := range standIns {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	git("init", "-q", "--bare", "origin.git")
	git("remote", "add", "origin", "origin.git")
	git("config", "user.name", "T")
	git("config", "user.email", "t@example.com")
	git("commit", "-q", "--allow-empty", "-m", "first")
	git("push", "-q", "origin", "main")
	pushed := func(branch string) string { return git("ls-remote", "origin", "refs/heads/"+branch) }
	for _, c := range []struct {
		what, step string
		env        []string
		passes     bool
		last       string
		pushes     string // branch
	}{
		{"nothing is due", "rotate", []string{"MODE=merge"}, true, "mailplan secret rotate --site . --commit", ""},
		{"a rotation that may be merged", "rotate", []string{"MODE=merge", "STEP=1"}, true, "mailplan apply .", "main"},
		{"nothing is due, no pull request", "rotate", nil, true, "mailplan secret rotate --site . --branch mailplan/rotation", ""},
		{"a rotation that is proposed", "rotate", []string{"STEP=1"}, true, "gh pr create --base main --head mailplan/rotation --title Rotate secrets", "mailplan/rotation"},
		{"the next one before it is merged", "rotate", []string{"STEP=1", "STATE=OPEN"}, true, "mailplan secret rotate --site . --branch mailplan/rotation", ""},
		{"no edit waits", "edits", nil, true, "mailplan edits .", ""},
		{"an edit that is proposed", "edits", []string{"STEP=1"}, true, "mailplan edits .", "console/3"},
		{"an edit that is merged", "edits", []string{"MODE=merge", "STEP=1"}, true, "gh workflow run mailplan.yml --ref main", "main"},
		{"something is overdue", "drift", []string{"CODE=3"}, false, "mailplan status . --tell", ""},
	} {
		before := pushed(c.pushes)
		calls, passed := runStep(t, dir, c.step, c.env...)
		if last := calls[len(calls)-1]; passed != c.passes || !strings.HasPrefix(last, c.last) {
			t.Errorf("%s: passed %t, calls\n%s\nwant %t and last %s", c.what, passed, strings.Join(calls, "\n"), c.passes, c.last)
		}
		if c.pushes != "" && pushed(c.pushes) == before {
			t.Errorf("%s: %s was not pushed", c.what, c.pushes)
		}
		if c.what == "nothing is due, no pull request" && pushed("mailplan/rotation") != "" {
			t.Errorf("%s: it was pushed", c.what)
		}
	}
}

// TestWorkflowGivesEachStepItsOwn holds that no secret is there for more steps than need it, and no right for more jobs.
func TestWorkflowGivesEachStepItsOwn(t *testing.T) {
	var w struct {
		Permissions map[string]string
		Env         map[string]string
		Jobs        map[string]struct {
			Permissions map[string]string
			Env         map[string]string
			Steps       []struct {
				Name, Uses, Run string
				Env             map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(workflow, &w); err != nil {
		t.Fatal(err)
	}
	who := map[string][]string{}
	for name, job := range w.Jobs {
		if len(w.Env)+len(job.Env)+len(w.Permissions) > 0 {
			t.Errorf("%s has what all of its steps see", name)
		}
		for _, s := range job.Steps {
			for variable, value := range s.Env {
				if strings.Contains(value, "secrets.") {
					who[variable] = append(who[variable], s.Name)
				}
			}
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s: %s has an expression in its script", name, s.Name)
			}
		}
	}
	for variable, steps := range who {
		slices.Sort(steps)
		want := map[string]string{"SOPS_AGE_KEY": "apply apply by hand drift plan rotate", "SSH_KEY": "keys keys keys", "GH_TOKEN": "rotate"}[variable]
		if strings.HasPrefix(variable, "MAILPLAN_") {
			want = "rotate"
		}
		if got := strings.Join(steps, " "); got != want {
			t.Errorf("%s is given to %q, want %q", variable, got, want)
		}
	}
	for name, want := range map[string]string{"mailplan": "actions:read contents:read pull-requests:write",
		"morning": "contents:write pull-requests:write", "edits": "actions:write contents:write"} {
		var got []string
		for right, level := range w.Jobs[name].Permissions {
			got = append(got, right+":"+level)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s may %q, want %s", name, got, want)
		}
	}
}
