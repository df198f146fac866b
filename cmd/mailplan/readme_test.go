package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/test/need"
)

// TestReadme makes the site and the change that the README begins with, and holds that diff prints what stands there.
// MAILPLAN_UPDATE=1 rewrites it.
func TestReadme(t *testing.T) {
	git := need.Program(t, "git")
	readme, err := filepath.Abs("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	site, shown := block(t, string(text), "```cue\n", "```\n"), block(t, string(text), "HEAD`:\n\n```\n", "```\n")
	comment := block(t, string(text), "````markdown\n", "````\n")
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "site.cue"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(site)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one"}} {
		if out, err := exec.Command(git, args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write(strings.NewReplacer(", bob: {}", "", `["alice", "bob"]`, `["alice", "crm@partner.example"]`).Replace(site))
	plan, markdown := diffHead(t), diffHead(t, "--markdown")
	if os.Getenv("MAILPLAN_UPDATE") != "" {
		updated := strings.Replace(strings.Replace(string(text), shown, plan, 1), comment, markdown, 1)
		if err := os.WriteFile(readme, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff([]string{shown, masks.ReplaceAllString(comment, "$1ID")}, []string{plan, masks.ReplaceAllString(markdown, "$1ID")}); d != "" {
		t.Errorf("the README shows another plan: %s", d)
	}
}

// masks covers what differs from commit to commit.
var masks = regexp.MustCompile("(plan `|revision `)[0-9a-f]{12}")

func diffHead(t *testing.T, more ...string) string {
	t.Helper()
	var out, talk bytes.Buffer
	if code := Run(context.Background(), append([]string{"diff", "--from", "HEAD"}, more...), nil, &out, &talk); code != exitChanges {
		t.Fatalf("exit %d\n%s", code, talk.String())
	}
	return out.String()
}

func block(t *testing.T, text, head, tail string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, head)
	body, _, ok2 := strings.Cut(rest, tail)
	if !ok || !ok2 {
		t.Fatalf("the README has no block after %q", head)
	}
	return body
}
