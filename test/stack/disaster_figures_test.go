//go:build stack

package stack_test

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/zstd"

	"github.com/mailplan/mailplan/compiler/recovery"
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
	client, start := d.bucket.Executor(), time.Now()
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("all-that-is-left"), Prefix: aws.String("packs/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		if o.LastModified.Before(d.backup) {
			continue // of an earlier disaster's
		}
		got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("all-that-is-left"), Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		plain, err := age.Decrypt(got.Body, identity)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewReader(plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, z); err != nil {
			t.Fatal(err)
		}
		z.Close()
		got.Body.Close()
		bytes += *o.Size
	}
	return time.Since(start).Seconds(), bytes
}

// writes makes as many files of the same bytes, and waits for the disk.
func (d *disaster) writes() float64 {
	start := time.Now()
	if out, err := exec.Command("sh", "-c", "cp -a /mnt/hdd/mailboxes /mnt/hdd/again && sync --file-system /mnt/hdd/again").CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	seconds := time.Since(start).Seconds()
	if err := os.RemoveAll("/mnt/hdd/again"); err != nil {
		d.t.Fatal(err)
	}
	return seconds
}
