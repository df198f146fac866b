package audit_test

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/config"
)

func verify(t testing.TB, s *backuptest.Site) error {
	t.Helper()
	_, err := s.Executor(t).Verify(context.Background(), []age.Identity{s.Identity}, nil)
	return err
}

// twoDays makes a site with two snapshots.
func twoDays(t testing.TB) *backuptest.Site {
	t.Helper()
	s := backuptest.NewSite(t)
	s.Config.Schedule.DeadlineHours = 26
	s.Run(t, backup.RunOptions{})
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Write(t, "config/new.conf", strings.Repeat("more", 1000))
	s.Run(t, backup.RunOptions{})
	return s
}

func TestGoodSnapshotsAreGreen(t *testing.T) {
	s := twoDays(t)
	if err := verify(t, s); err != nil {
		t.Error(err)
	}
}

func TestWhateverIsDamagedTurnsVerifyRed(t *testing.T) {
	newest := "store/daily/2026-11-22/"
	flip := func(pattern string) func(*testing.T, *backuptest.Site) {
		return func(t *testing.T, s *backuptest.Site) {
			files, err := filepath.Glob(s.Path(pattern))
			if err != nil || len(files) == 0 {
				t.Fatal(pattern, err)
			}
			backuptest.FlipByte(t, files[0])
		}
	}
	remove := func(pattern string) func(*testing.T, *backuptest.Site) {
		return func(t *testing.T, s *backuptest.Site) {
			files, err := filepath.Glob(s.Path(pattern))
			if err != nil || len(files) == 0 {
				t.Fatal(pattern, err)
			}
			if err := os.RemoveAll(files[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, *backuptest.Site)
		says   string
	}{
		"flipped byte in a pack":         {flip(newest + "*.tar.zst.age"), "other bytes"},
		"flipped byte in the manifest":   {flip(newest + "manifest.tsv.zst.age"), "other bytes"},
		"flipped byte in the sums":       {flip(newest + "SHA256SUMS"), "not the one its head signs"},
		"flipped byte in the head":       {flip(newest + "HEAD"), "signature"},
		"flipped byte in the procedure":  {flip(newest + "RESTORE.txt"), "other bytes"},
		"flipped byte in the chain":      {flip("store/chain/00000001"), "chain/00000001"},
		"pack removed":                   {remove(newest + "*.tar.zst.age"), "is missing"},
		"head removed from the chain":    {remove("store/chain/00000001"), ""},
		"all snapshots removed":          {remove("store/daily"), ""},
		"declared class not in snapshot": {declareMore, "class dkim is declared"},
		"nothing newer for two days":     {func(_ *testing.T, s *backuptest.Site) { s.Clock = s.Clock.AddDate(0, 0, 2) }, "old"},
		"signed with a strange key":      {strangeKey, "trusted key"},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoDays(t)
			if name == "head removed from the chain" { // the oldest may be pruned away with time; one in between not
				s.Clock = s.Clock.AddDate(0, 0, 1)
				s.Run(t, backup.RunOptions{})
				remove("store/chain/00000002")(t, s)
			} else {
				c.damage(t, s)
			}
			if err := verify(t, s); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want one that says %q", err, c.says)
			}
		})
	}
}

func declareMore(_ *testing.T, s *backuptest.Site) {
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "dkim", Kind: "tree", Path: s.Path("dkim")})
}

func TestNextRunHealsADamagedPack(t *testing.T) {
	s := twoDays(t)
	packs, err := filepath.Glob(s.Path("store/daily/2026-11-22/*.tar.zst.age"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packs {
		backuptest.FlipByte(t, path)
	}
	if err := verify(t, s); err == nil {
		t.Fatal("damaged packs passed")
	}
	s.Clock = s.Clock.Add(2 * time.Hour)
	s.Run(t, backup.RunOptions{})
	report, err := s.Executor(t).Verify(context.Background(), []age.Identity{s.Identity}, nil)
	if err == nil {
		t.Error("the first day's packs are still damaged: verify must say so")
	}
	for _, f := range report.Snapshots {
		if f.Name == "daily/2026-11-22" && len(f.Wrong) > 0 {
			t.Errorf("the newest snapshot is still damaged: %v", f.Wrong)
		}
	}
}

// strangeKey makes the executor believe another key, as if the snapshots were somebody else's.
func strangeKey(t *testing.T, s *backuptest.Site) {
	seed := base64.StdEncoding.EncodeToString(make([]byte, 32))
	s.Write(t, "state/signing.key", seed)
	if err := os.Remove(s.Path("state/signing-keys")); err != nil {
		t.Fatal(err)
	}
}

func TestSigningKeyCanBeChanged(t *testing.T) {
	s := twoDays(t)
	if err := os.Remove(s.Path("state/signing.key")); err != nil {
		t.Fatal(err)
	}
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Run(t, backup.RunOptions{})
	if err := verify(t, s); err != nil {
		t.Error(err)
	}
}
