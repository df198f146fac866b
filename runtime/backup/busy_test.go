package backup_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// TestNoMessageIsMissingFromABackupOfABusyBox makes whole backups while 1,000 messages a second get other flags, a
// quarter of them another folder. MAILPLAN_RACE_RUNS says how many.
func TestNoMessageIsMissingFromABackupOfABusyBox(t *testing.T) {
	const messages = 2000
	runs, err := strconv.Atoi(os.Getenv("MAILPLAN_RACE_RUNS"))
	if err != nil {
		runs = 3
	}
	s := backuptest.NewSite(t)
	box := make([]string, messages) // where each message is
	for i := range box {
		box[i] = fmt.Sprintf("vmail/example.com/alice/Maildir/cur/%d.Mbusy.mx:2,S", i)
		s.Write(t, box[i], fmt.Sprintf("Subject: %d\n\n%s", i, backuptest.Noise(i, 3000)))
	}
	ctx, stop := context.WithCancel(t.Context())
	renames := make(chan int)
	go func() { renames <- keepRenaming(ctx, s, box) }()
	start := time.Now()
	for run := range runs {
		s.Clock = s.Clock.Add(time.Hour)
		full := run%2 == 1 // every file is opened again
		r := s.Run(t, backup.RunOptions{Full: full})
		if missing := messages - inSnapshot(t, s, r.Snapshot); missing != 0 {
			t.Errorf("run %d: %d messages of %d are not in the backup", run, missing, messages)
		}
	}
	stop()
	n := <-renames
	t.Logf("%d runs, %.0f renames a second", runs, float64(n)/time.Since(start).Seconds())
}

// keepRenaming gives messages other names until ctx ends, and returns how many.
func keepRenaming(ctx context.Context, s *backuptest.Site, box []string) int {
	const perSecond = 1000
	r, n, start := rand.New(rand.NewPCG(3, 4)), 0, time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		for due := int(time.Since(start).Seconds() * perSecond); n < due; {
			i := r.IntN(len(box))
			folder := []string{"", "", "", ".Sent/"}[r.IntN(4)]
			to := fmt.Sprintf("vmail/example.com/alice/Maildir/%scur/%d.Mbusy.mx:2,%s", folder, i, []string{"S", "RS", "FS", "FRS"}[r.IntN(4)])
			if os.Rename(s.Path(box[i]), s.Path(to)) == nil {
				box[i] = to
				n++
			}
		}
		<-tick.C
	}
	return n
}

// inSnapshot counts the different busy messages of a snapshot.
func inSnapshot(t *testing.T, s *backuptest.Site, snapshot string) int {
	t.Helper()
	trusted, err := backup.Trusted(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := extract.Open(t.Context(), extract.Folder(filepath.Join(s.Config.Local.Path, snapshot)), trusted, []age.Identity{s.Identity}, s.Path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	found := map[string]bool{}
	err = opened.Entries(func(e manifest.Entry) error {
		if base, _, _ := strings.Cut(filepath.Base(e.Path), ":"); strings.HasSuffix(base, ".Mbusy.mx") {
			found[base] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
