package backup_test

import (
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
