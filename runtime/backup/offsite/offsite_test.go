package offsite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/offsite"
	"github.com/mailplan/mailplan/runtime/backup/restore"
)

// sent is a site whose snapshot is off-site.
type sent struct {
	site    *backuptest.Site
	server  *backuptest.S3
	bucket  *offsite.Bucket
	receipt *offsite.Receipt
}

func newest(t testing.TB, s *backuptest.Site) local.Snapshot {
	t.Helper()
	all, err := s.Executor(t).Store().Snapshots()
	if err != nil {
		t.Fatal(err)
	}
	return *local.Newest(all)
}

func open(t testing.TB, s *backuptest.Site, server *backuptest.S3, name string) *offsite.Bucket {
	t.Helper()
	b, err := offsite.New(server.Offsite(t, s, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func send(t testing.TB) *sent {
	t.Helper()
	x := &sent{site: backuptest.NewSite(t), server: backuptest.StartS3(t, "copies")}
	x.site.Run(t, backup.RunOptions{})
	x.bucket = open(t, x.site, x.server, "copies")
	var err error
	if x.receipt, err = x.bucket.Send(t.Context(), newest(t, x.site), time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *sent) audit(t testing.TB) error {
	t.Helper()
	return x.bucket.Audit(t.Context(), x.receipt.Objects)
}

func TestNobodyDeletesBeforeTheDate(t *testing.T) {
	x := send(t)
	if err := x.audit(t); err != nil {
		t.Fatal(err)
	}
	_, end := offsite.Week(time.Now())
	for who, client := range map[string]*s3.Client{"executor": x.server.Executor(), "owner": x.server.Owner()} {
		for _, o := range x.receipt.Objects {
			if o.RetainUntil.Before(end.AddDate(0, 0, 30)) || o.Mode != "COMPLIANCE" {
				t.Errorf("%s is locked until %s, %s", o.Key, o.RetainUntil, o.Mode)
			}
			_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("copies"), Key: &o.Key, VersionId: &o.Version, BypassGovernanceRetention: aws.Bool(true)})
			if err == nil {
				t.Errorf("the %s deleted %s", who, o.Key)
			}
			_, err = client.PutObjectRetention(t.Context(), &s3.PutObjectRetentionInput{Bucket: aws.String("copies"), Key: &o.Key, VersionId: &o.Version,
				Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: aws.Time(time.Now().Add(time.Hour))}})
			if err == nil {
				t.Errorf("the %s shortened the lock of %s", who, o.Key)
			}
		}
	}
	if err := x.audit(t); err != nil {
		t.Errorf("after the attempts: %v", err)
	}
}

func TestHiddenAndReplacedObjectsAreFoundOutAndStillRestore(t *testing.T) {
	x := send(t)
	want := x.site.Want(t)
	var hidden, replaced string
	for _, o := range x.receipt.Objects {
		switch {
		case strings.HasSuffix(o.Key, "/HEAD"):
			hidden = o.Key
			if _, err := x.server.Owner().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("copies"), Key: &o.Key}); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(o.Key, ".tar.zst.age") && replaced == "":
			replaced = o.Key
			if _, err := x.server.Owner().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("copies"), Key: &o.Key, Body: strings.NewReader("evil")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := x.audit(t)
	for _, says := range []string{hidden + ": it is hidden", replaced + ": ", "replaced"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the audit says %v; want %q in it", err, says)
		}
	}
	restoreAll(t, x)
	got := x.site.Want(t)
	for _, m := range []map[string]string{want, got} {
		for path := range m {
			if strings.HasSuffix(path, "dovecot-uidlist") || strings.Contains(path, restore.Reserved) {
				delete(m, path)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restored from the bucket (-want +got):\n%s", diff)
	}
}

// restoreAll restores everything from the bucket onto an empty host.
func restoreAll(t testing.TB, x *sent) {
	t.Helper()
	for _, c := range x.site.Config.Classes {
		if err := os.RemoveAll(c.Path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(x.site.Config.Local.Path); err != nil {
		t.Fatal(err)
	}
	all, err := x.bucket.Snapshots(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d snapshots, %v", len(all), err)
	}
	restoreFrom(t, x, all[0], restore.Options{})
}

func restoreFrom(t testing.TB, x *sent, source extract.Source, o restore.Options) restore.Report {
	t.Helper()
	trusted, err := backup.Trusted(x.site.Config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := extract.Open(t.Context(), source, trusted, []age.Identity{x.site.Identity}, x.site.Path("state"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	o.Workers = 2
	r := restore.Restorer{Config: x.site.Config, Snapshot: opened, Options: o}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestWrongBucketAndWrongClockAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	s := backuptest.NewSite(t)
	s.Run(t, backup.RunOptions{})
	server := backuptest.StartS3(t, "copies", "plain-nolock")
	for name, c := range map[string]struct {
		bucket string
		now    time.Time
		says   string
	}{
		"no lock":          {"plain-nolock", time.Now(), "versions"},
		"no such bucket":   {"elsewhere", time.Now(), "elsewhere"},
		"clock behind":     {"copies", time.Now().AddDate(0, 0, -40), "set the clock"},
		"clock in advance": {"copies", time.Now().AddDate(0, 0, 40), "set the clock"},
	} {
		_, err := open(t, s, server, c.bucket).Send(t.Context(), newest(t, s), c.now, nil)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, bucket := range []string{"copies", "plain-nolock"} {
		if left, err := filepath.Glob(filepath.Join(server.Data, bucket, "[a-z]*")); err != nil || len(left) > 0 {
			t.Errorf("written to %s: %v, %v", bucket, left, err)
		}
	}
}

func TestBucketOfAnotherSiteIsRefused(t *testing.T) {
	x := send(t)
	other := backuptest.NewSite(t)
	other.Config.Instance = "office"
	other.Run(t, backup.RunOptions{})
	_, err := open(t, other, x.server, "copies").Send(t.Context(), newest(t, other), time.Now(), nil)
	if err == nil || !strings.Contains(err.Error(), `holds the backups of "home"`) {
		t.Errorf("got %v", err)
	}
}

func TestSendGoesOnAfterTheServerDiedInTheMiddle(t *testing.T) {
	s := backuptest.NewSite(t)
	noise := rand.NewChaCha8([32]byte{})
	for i := range 5 { // a few packs of incompressible data
		data := make([]byte, 30<<20)
		noise.Read(data)
		s.Write(t, fmt.Sprintf("config/noise%d", i), string(data))
	}
	s.Run(t, backup.RunOptions{})
	server := backuptest.StartS3(t, "copies")
	b := open(t, s, server, "copies")
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second) // the client's own retries go on for longer
	defer stop()
	killed := false
	_, err := b.Send(ctx, newest(t, s), time.Now(), func(int64) {
		if !killed {
			killed = true
			server.Kill()
		}
	})
	if err == nil {
		t.Fatal("sent to a server which died")
	}
	server.Start(t)
	if all, err := b.Snapshots(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("half a snapshot shows: %v, %v", all, err)
	}
	receipt, err := b.Send(t.Context(), newest(t, s), time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if total := newest(t, s).Head.Packed; receipt.SentBytes >= total {
		t.Errorf("sent %d bytes of %d again: nothing was resumed", receipt.SentBytes, total)
	}
	if err := b.Audit(t.Context(), receipt.Objects); err != nil {
		t.Error(err)
	}
}

func TestFlippedByteInTheBucketIsNotRestored(t *testing.T) {
	for _, kind := range []string{"packs/*/*.age", "snapshots/*/*/HEAD", "snapshots/*/*/SHA256SUMS", "snapshots/*/*/manifest.tsv.zst.age"} {
		t.Run(kind, func(t *testing.T) {
			x := send(t)
			files, err := filepath.Glob(filepath.Join(x.server.Data, "copies", kind))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, path := range files {
				backuptest.FlipByte(t, path)
			}
			if err := restoreInto(t, x, t.TempDir()); err == nil {
				t.Error("restored in spite of a flipped byte")
			}
		})
	}
}

// restoreInto restores the newest snapshot of the bucket into a folder.
func restoreInto(t *testing.T, x *sent, target string) error {
	t.Helper()
	all, err := x.bucket.Snapshots(t.Context())
	if err != nil {
		return err
	}
	trusted, err := backup.Trusted(x.site.Config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := extract.Open(t.Context(), all[len(all)-1], trusted, []age.Identity{x.site.Identity}, x.site.Path("state"))
	if err != nil {
		return err
	}
	defer opened.Close()
	r := restore.Restorer{Config: x.site.Config, Snapshot: opened, Options: restore.Options{Workers: 2, Target: target}}
	_, err = r.Run(t.Context())
	return err
}

func TestWeekOfNewYear(t *testing.T) {
	for day, want := range map[string]string{
		"2026-12-31": "2026-53 2027-01-04", "2027-01-01": "2026-53 2027-01-04", "2027-01-03": "2026-53 2027-01-04",
		"2027-01-04": "2027-01 2027-01-11", "2024-12-30": "2025-01 2025-01-06",
	} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		name, end := offsite.Week(at.Add(23*time.Hour + 59*time.Minute))
		if got := name + " " + end.Format(time.DateOnly); got != want {
			t.Errorf("%s: got %s, want %s", day, got, want)
		}
	}
}
