package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

const root = "/srv/mail"

func newHost(t *testing.T, secrets map[string]string) *host.Host {
	t.Helper()
	dir := t.TempDir()
	owners, err := host.OpenRecordedOwners(filepath.Join(dir, "owners.json"))
	if err != nil {
		t.Fatal(err)
	}
	return &host.Host{Files: host.Local{Prefix: filepath.Join(dir, "root"), Owners: owners}, Root: root, Secrets: func(name string) (string, error) {
		if v, ok := secrets[name]; ok {
			return v, nil
		}
		return "", errors.New("the secret " + name + ", which is not there")
	}}
}

func local(h *host.Host) host.Local { return h.Files.(host.Local) }

func tree(t *testing.T, files ...model.File) model.Tree {
	t.Helper()
	tr, err := model.NewTree(files)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func file(path, content string) model.File {
	return model.File{Path: model.ProjectDir + "/" + path, Mode: 0o640, UID: 11333, GID: 7, Content: []byte(content)}
}

// converge applies the difference and returns it in short.
func converge(t *testing.T, h *host.Host, tr model.Tree, dirs ...model.Directory) string {
	t.Helper()
	ctx := context.Background()
	p := &host.Plane{Host: h, Tree: tr, Directories: dirs}
	desired, err := p.Desired(ctx)
	if err != nil {
		t.Fatal(err)
	}
	live, err := p.Live(ctx)
	if err != nil {
		t.Fatal(err)
	}
	changes, _ := plan.Diff(live, desired)
	if err := plan.Order(changes); err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, strings.TrimSpace(string(c.Verb)+" "+c.ID+" "+c.Note))
	}
	return strings.Join(lines, "\n")
}

func TestConverges(t *testing.T) {
	h := newHost(t, nil)
	first := tree(t, file("a.conf", "one\ntwo\n"), file("b.conf", "b\n"))
	dir := model.Directory{Path: "/mnt/ssd/db", Mode: 0o700, UID: 999, GID: 999}
	want := "create /mnt/ssd/db\ncreate /srv/mail/a.conf\ncreate /srv/mail/b.conf"
	if d := cmp.Diff(want, converge(t, h, first, dir)); d != "" {
		t.Error(d)
	}
	if got := converge(t, h, first, dir); got != "" {
		t.Errorf("a second apply does %s", got)
	}
	second := tree(t, file("a.conf", "one\n2\nthree\n"))
	if d := cmp.Diff("update /srv/mail/a.conf +2 -1\ndelete /srv/mail/b.conf", converge(t, h, second, dir)); d != "" {
		t.Error(d)
	}
	if got := converge(t, h, second, dir); got != "" {
		t.Errorf("a second apply does %s", got)
	}
}

func TestDriftOfModeAndOwnerIsSeen(t *testing.T) {
	h := newHost(t, nil)
	tr := tree(t, file("a.conf", "one\n"))
	converge(t, h, tr)
	if err := os.Chmod(filepath.Join(local(h).Prefix, root, "a.conf"), 0o666); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("update /srv/mail/a.conf +0 -0", converge(t, h, tr)); d != "" {
		t.Error(d)
	}
	if err := local(h).Owners.Set(root+"/a.conf", "", 0, 0); err != nil {
		t.Fatal(err)
	}
	if got := converge(t, h, tr); got == "" {
		t.Error("a changed owner went unseen")
	}
}

func TestForeignFilesStay(t *testing.T) {
	h := newHost(t, nil)
	converge(t, h, tree(t, file("conf/a", "a")))
	mine := filepath.Join(local(h).Prefix, root, "conf", "mine")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	converge(t, h, tree(t))
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that mailplan did not make is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(local(h).Prefix, root, "conf", "a")); err == nil {
		t.Error("a file of ours stayed")
	}
}

func TestSecretsAreFilledInAndNeverTold(t *testing.T) {
	const canary = "c4n4ry-0f-4-s3cr3t"
	h := newHost(t, map[string]string{"KEY": canary})
	f := file("key.conf", "password = "+model.SecretMark("KEY")+"\n")
	f.Mode = 0o600
	tr := tree(t, f)
	p := &host.Plane{Host: h, Tree: tr}
	desired, err := p.Desired(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	pl, err := plan.New("home", "", "", nil, desired)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := pl.JSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), canary) {
		t.Error("the plan holds the secret")
	}
	converge(t, h, tr)
	got, err := os.ReadFile(filepath.Join(local(h).Prefix, root, "key.conf"))
	if err != nil || string(got) != "password = "+canary+"\n" {
		t.Errorf("written %q, %v", got, err)
	}
	if info, _ := os.Stat(filepath.Join(local(h).Prefix, root, "key.conf")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestEveryMissingSecretIsNamed(t *testing.T) {
	h := newHost(t, nil)
	_, err := h.Desired(tree(t, file("a", model.SecretMark("ONE")), file("b", model.SecretMark("TWO"))), nil)
	if err == nil || !strings.Contains(err.Error(), "ONE") || !strings.Contains(err.Error(), "TWO") {
		t.Errorf("error %v, want both names", err)
	}
}

func TestWriteFileLeavesOldOrNew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := host.WriteFile(name, []byte("old"), 0o600, nil); err != nil {
		t.Fatal(err)
	}
	err := host.WriteFile(name, []byte("new"), 0o600, func(string) error { return errors.New("no owner") })
	if err == nil {
		t.Fatal("a failed preparation went unseen")
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("content %q, want the old one", got)
	}
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 1 {
		t.Errorf("%d files left, want 1", len(entries))
	}
}
