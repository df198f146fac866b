//go:build stack

package stack_test

import (
	"maps"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler/recovery"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
)

func total(of map[[32]byte]int) (n int) {
	for v := range maps.Values(of) {
		n += v
	}
	return n
}

// figures compares the time with what reading the backup and writing the data take by themselves.
func (d *disaster) figures(report recovery.Report) {
	t := d.t
	took := map[string]float64{}
	for _, s := range report.Steps {
		took[s.Name] = s.Seconds
	}
	data, n := took["restore"], total(d.files)
	read, bytes := d.reads()
	write := d.writes()
	t.Logf("%d messages: people had them after %.1fs, of which %.1fs for the data, %.3f ms a message; reading the backup (%d MB) takes %.1fs, writing the mail %.1fs: ratio %.2f; scanned after that in %.1fs",
		n, report.Open.Sub(report.Started).Seconds(), data, 1000*data/float64(n), bytes>>20, read, write, data/(read+write), took["scan"])
}

// reads gets every pack of the last backup from the bucket, opens and unpacks it.
func (d *disaster) reads() (seconds float64, bytes int64) {
	t := d.t
	text, err := os.ReadFile(d.key)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	bytes = d.bucket.ReadPacks(t, "all-that-is-left", d.backup, identity) // without those of an earlier disaster
	return time.Since(start).Seconds(), bytes
}

// writes makes as many files of the same bytes, and waits for the disk.
func (d *disaster) writes() float64 {
	start := time.Now()
	backuptest.CopyTree(d.t, "/mnt/hdd/mailboxes", "/mnt/hdd/again")
	seconds := time.Since(start).Seconds()
	if err := os.RemoveAll("/mnt/hdd/again"); err != nil {
		d.t.Fatal(err)
	}
	return seconds
}
