package restore_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/offsite"
	"github.com/mailplan/mailplan/runtime/backup/restore"
)

// BenchmarkRestore restores mail from a bucket. Beside its time stand those of reading all packs and of writing all files
// by themselves, whose sum is the measure.
//
//	MAILPLAN_MESSAGES=20000 go test ./runtime/backup/restore -run none -bench Restore -benchtime 1x
func BenchmarkRestore(b *testing.B) {
	s := backuptest.NewSite(b)
	s.AddMail(b, messages(b))
	server := backuptest.StartS3(b, "copies")
	config := server.Offsite(b, s, "copies")
	s.Clock = time.Now()
	s.Config.Offsite = &config
	s.Run(b, backup.RunOptions{})
	if _, err := s.Executor(b).Sync(b.Context(), func(int64) {}); err != nil {
		b.Fatal(err)
	}
	bucket, err := offsite.New(config)
	if err != nil {
		b.Fatal(err)
	}
	all, err := bucket.Snapshots(b.Context())
	if err != nil || len(all) != 1 {
		b.Fatal(len(all), err)
	}
	trusted, err := backup.Trusted(s.Config)
	if err != nil {
		b.Fatal(err)
	}
	lone := func(f func()) float64 {
		exec.Command("sync").Run()
		start := time.Now()
		f()
		return time.Since(start).Seconds()
	}
	for b.Loop() {
		read := lone(func() { server.ReadPacks(b, "copies", time.Time{}, s.Identity) })
		write := lone(func() { backuptest.CopyTree(b, s.Path("vmail"), s.Path("again")) })
		if err := os.RemoveAll(s.Path("again")); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(s.Path("vmail")); err != nil {
			b.Fatal(err)
		}
		took := lone(func() {
			opened, err := extract.Open(b.Context(), all[0], trusted, []age.Identity{s.Identity}, s.Path("state"))
			if err != nil {
				b.Fatal(err)
			}
			defer opened.Close()
			r := restore.Restorer{Config: s.Config, Snapshot: opened, Options: restore.Options{Components: []string{"mailboxes"}, NoScan: true, Workers: 2}}
			if _, err := r.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
		b.Logf("read %.1f write %.1f restore %.1f", read, write, took)
		b.ReportMetric(read, "read-s")
		b.ReportMetric(write, "write-s")
		b.ReportMetric(took, "restore-s")
		b.ReportMetric(took/(read+write), "ratio")
	}
}
