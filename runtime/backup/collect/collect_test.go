package collect_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup/collect"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
	"golang.org/x/sys/unix"
)

// collectOnce makes packs of a Maildir, compared with an earlier manifest.
func collectOnce(t *testing.T, root, previous string, rehash bool) (collect.Result, manifest.Class, []string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var warnings []string
	c, err := collect.New(context.Background(), collect.Options{Dir: t.TempDir(), Previous: previous, Rehash: rehash,
		Usable: func(pack.Pack) bool { return true }, Recipients: []age.Recipient{identity.Recipient()}, Workers: 2,
		Warn: func(s string) { warnings = append(warnings, s) }})
	if err != nil {
		t.Fatal(err)
	}
	class, err := c.Add(context.Background(), collect.Source{Class: "mailboxes", Root: root, Maildir: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return r, class, warnings
}

func maildir(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		write(t, filepath.Join(root, "cur", fmt.Sprintf("%d.M1.mx,S=3:2,S", 100+i)), fmt.Sprintf("%03d", i))
	}
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFullRunTellsRotAndKeepsTheStoredCopy(t *testing.T) {
	root := maildir(t)
	first, _, _ := collectOnce(t, root, "", false)
	victim := filepath.Join(root, "cur", "105.M1.mx,S=3:2,S")
	write(t, victim, "0X5")
	pretendUnchanged(t, first.Manifest, victim)

	_, class, _ := collectOnce(t, root, first.Manifest, false)
	if class.Suspect != 0 {
		t.Errorf("a run which need not read it calls %d files suspect", class.Suspect)
	}
	r, class, warnings := collectOnce(t, root, first.Manifest, true)
	if class.Suspect != 1 || len(warnings) != 1 || !strings.Contains(warnings[0], "105.M1.mx") {
		t.Errorf("got %d suspect files, warnings %q", class.Suspect, warnings)
	}
	if len(r.Fresh) != 0 {
		t.Errorf("the rotten bytes were stored: %v", r.Fresh)
	}
}

// pretendUnchanged gives the manifest's line of the file the file's present times and inode: as if the
// bytes had changed under the file system, which stamps no time on rot.
func pretendUnchanged(t *testing.T, path, file string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^f\t3\t\d+\t\d+\t\d+(\t.*` + regexp.QuoteMeta(filepath.Base(file)) + `)$`)
	list = line.ReplaceAll(list, fmt.Appendf(nil, "f\t3\t%d\t%d\t%d$1", st.Mtim.Nano(), st.Ctim.Nano(), st.Ino))
	write(t, path, string(list))
}

func TestMessageShorterThanItsNameSaysIsSuspect(t *testing.T) {
	root := maildir(t)
	write(t, filepath.Join(root, "new", "200.M1.mx,S=4000"), "cut")
	_, class, _ := collectOnce(t, root, "", false)
	if class.Suspect != 1 {
		t.Errorf("got %d suspect files, want 1", class.Suspect)
	}
}

func TestSameContentIsStoredOnce(t *testing.T) {
	root := maildir(t)
	for i := range 5 {
		write(t, filepath.Join(root, "new", fmt.Sprintf("%d.M1.mx", 300+i)), strings.Repeat("newsletter ", 1000))
	}
	r, class, _ := collectOnce(t, root, "", false)
	plain := r.Packs[0].Frames[len(r.Packs[0].Frames)-1].Plain
	if class.Files != 25 || plain > 40<<10 {
		t.Errorf("%d files became a tar of %d bytes: five equal messages are stored more than once", class.Files, plain)
	}
}

func TestFileWhichNeverStopsChangingIsAFailure(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "ledger.db"), strings.Repeat("page 0", 1<<20)) // reading it takes long enough for a change
	write(t, filepath.Join(root, "still"), "still")
	ledger, err := os.OpenFile(filepath.Join(root, "ledger.db"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := ledger.WriteAt(fmt.Appendf(nil, "page %d", n%10), 0); err != nil {
				t.Error(err)
			}
		}
	}()
	_, class, _ := collectOnce(t, root, "", false)
	stop()
	<-stopped
	if !strings.Contains(class.Error, "kept changing") || class.Files != 1 {
		t.Errorf("got error %q and %d files", class.Error, class.Files)
	}
}
