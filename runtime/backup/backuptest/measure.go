package backuptest

import (
	"io"
	"os/exec"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/zstd"
)

// ReadPacks gets, opens and unpacks every pack of a bucket that is not older than since, and keeps nothing: what reading a
// backup takes by itself. It returns their bytes in the bucket.
func (s *S3) ReadPacks(t testing.TB, bucket string, since time.Time, identity age.Identity) (bytes int64) {
	t.Helper()
	client := s.Executor()
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("packs/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		if o.LastModified.Before(since) {
			continue
		}
		got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		if err := unpack(got.Body, identity); err != nil {
			t.Fatalf("%s: %v", *o.Key, err)
		}
		bytes += *o.Size
	}
	return bytes
}

func unpack(pack io.ReadCloser, identity age.Identity) error {
	defer pack.Close()
	plain, err := age.Decrypt(pack, identity)
	if err != nil {
		return err
	}
	z, err := zstd.NewReader(plain)
	if err != nil {
		return err
	}
	defer z.Close()
	_, err = io.Copy(io.Discard, z)
	return err
}

// CopyTree writes the files below from anew below to, which is not there yet, and waits for the disk: what writing what a
// restore brings back takes by itself.
func CopyTree(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", `cp -a "$0" "$1" && sync --file-system "$1"`, from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
