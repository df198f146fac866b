package backuptest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// AddMail adds n messages of twenty users in five folders each, with every flag, of the sizes mail has: mostly a few
// kilobytes of text, some newsletters, some attachments up to megabytes; 58 kB on average. The files have different
// modes and, for root, groups.
func (s *Site) AddMail(t testing.TB, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	flags := []string{"", "S", "RS", "FS", "D", "ST", "FRS", "PS"}
	folders := []string{"", ".Sent", ".Archive", ".Archive.2025", ".Junk"}
	for i := range n {
		user := r.IntN(20)
		maildir := s.Path(fmt.Sprintf("vmail/example.org/user%03d/Maildir/%s", user, folders[r.IntN(len(folders))]))
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(maildir, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		body := []byte(fmt.Sprintf("Message-ID: <%d@example.net>\nSubject: %d\n\n%s\n", i, i, content(r, i)))
		path := filepath.Join(maildir, "cur", fmt.Sprintf("%d.M%dP%d.mx,S=%d:2,%s", 1790000000+i, r.IntN(1e6), r.IntN(1e5), len(body), flags[r.IntN(len(flags))]))
		if i%12 == 0 {
			path = strings.NewReplacer("/cur/", "/new/").Replace(path[:strings.Index(path, ":2,")])
		}
		if err := os.WriteFile(path, body, []os.FileMode{0o600, 0o640}[i%2]); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Lchown(path, 0, 20000+user); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var lines = strings.Repeat("the quick brown fox jumps over the lazy dog and the mail goes on its way\n", 1000)

func content(r *rand.Rand, seed int) string {
	switch kind := r.IntN(100); {
	case kind < 60:
		return Noise(seed, 500) + lines[:r.IntN(10_000)]
	case kind < 85:
		return "<html>" + lines[:15_000+r.IntN(50_000)]
	default:
		return Noise(seed, 20_000+r.IntN(500_000))
	}
}
