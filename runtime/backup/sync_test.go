package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
)

func TestOffsiteCopyIsKeptInStepAndVerified(t *testing.T) {
	s := backuptest.NewSite(t)
	server := backuptest.StartS3(t, "copies")
	offsite := server.Offsite(t, s, "copies")
	s.Config.Offsite = &offsite
	s.Clock = time.Now()
	s.Run(t, backup.RunOptions{})
	x := s.Executor(t)
	if _, err := x.VerifyOffsite(t.Context()); err == nil || !strings.Contains(err.Error(), "is not off-site") {
		t.Errorf("before the first sync: got %v", err)
	}
	receipt, err := x.Sync(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := x.VerifyOffsite(t.Context()); err != nil || n != len(receipt.Objects) {
		t.Errorf("verified %d objects of %d, %v", n, len(receipt.Objects), err)
	}
	s.Clock = s.Clock.Add(time.Minute)
	s.Write(t, "config/more", "more")
	s.Run(t, backup.RunOptions{})
	second, err := x.Sync(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Objects) <= len(receipt.Objects) || second.SentBytes >= 3*receipt.SentBytes {
		t.Errorf("the second sync sent %d bytes, %d objects in all", second.SentBytes, len(second.Objects))
	}
	if _, err := server.Owner().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("copies"), Key: &receipt.Objects[0].Key}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.VerifyOffsite(t.Context()); err == nil || !strings.Contains(err.Error(), "hidden behind a delete marker") {
		t.Errorf("after hiding an object: got %v", err)
	}
}

// TestLostStoreGoesOnCounting holds that the snapshots after a loss of the local store are newer, in the bucket too, than
// those before it.
func TestLostStoreGoesOnCounting(t *testing.T) {
	s := backuptest.NewSite(t)
	server := backuptest.StartS3(t, "copies")
	offsite := server.Offsite(t, s, "copies")
	s.Config.Offsite = &offsite
	s.Clock = time.Now()
	for range 2 {
		s.Run(t, backup.RunOptions{})
	}
	if _, err := s.Executor(t).Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{s.Config.Local.Path, filepath.Join(s.Config.State, "record.json")} {
		if err := os.RemoveAll(lost); err != nil {
			t.Fatal(err)
		}
	}
	s.Clock = s.Clock.Add(time.Minute)
	s.Write(t, "config/more", "after the loss")
	if r := s.Run(t, backup.RunOptions{}); r.Head.Sequence != 3 || r.Head.Previous == "" {
		t.Errorf("the first run after the loss is %d, after %q", r.Head.Sequence, r.Head.Previous)
	}
	if _, err := s.Executor(t).Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	bucket, err := s.Executor(t).Bucket()
	if err != nil {
		t.Fatal(err)
	}
	all, err := bucket.Snapshots(t.Context())
	if err != nil || len(all) != 2 || !strings.HasPrefix(all[1].Name, "00000003-") {
		t.Errorf("off-site: %v, %v", all, err)
	}
	if _, err := s.Executor(t).Verify(t.Context(), nil, nil); err != nil {
		t.Errorf("verify: %v", err)
	}
}
