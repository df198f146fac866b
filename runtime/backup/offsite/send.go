package offsite

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// Object is an object as it was last seen in the bucket.
type Object struct {
	Key         string    `json:"key"`
	Version     string    `json:"version"`
	SHA256      string    `json:"sha256"`
	Size        int64     `json:"size"`
	Mode        string    `json:"mode"`
	RetainUntil time.Time `json:"retainUntil"`
}

// Receipt says what of a snapshot is in the bucket, each object seen there with its checksum and lock.
type Receipt struct {
	Sequence    int64     `json:"sequence"`
	HeadHash    string    `json:"headHash"`
	Folder      string    `json:"folder"` // snapshots/WEEK/NAME
	Week        string    `json:"week"`
	Sent        time.Time `json:"sent"` // the server's time
	RetainUntil time.Time `json:"retainUntil"`
	SentBytes   int64     `json:"sentBytes"` // in this run
	Objects     []Object  `json:"objects"`
}

// sending is a snapshot on its way.
type sending struct {
	bucket   *Bucket
	snapshot local.Snapshot
	receipt  *Receipt
	mu       sync.Mutex
	progress func(int64)
}

// Send copies a snapshot to the bucket. What is there already is only checked; sending again goes on
// where an interruption stopped it. now is the host's time.
func (b *Bucket) Send(ctx context.Context, snapshot local.Snapshot, now time.Time, progress func(int64)) (*Receipt, error) {
	if !snapshot.Complete() {
		return nil, fmt.Errorf("snapshot %s/%s is not complete: it is not sent", snapshot.Kind, snapshot.Name)
	}
	server, err := b.Check(ctx, now)
	if err != nil {
		return nil, err
	}
	if err := b.checkInstance(ctx, snapshot.Head.Instance); err != nil {
		return nil, err
	}
	sums, err := snapshot.Sums()
	if err != nil {
		return nil, err
	}
	week, end := Week(server)
	s := &sending{bucket: b, snapshot: snapshot, progress: progress, receipt: &Receipt{Sequence: snapshot.Head.Sequence,
		HeadHash: snapshot.HeadHash, Week: week, Sent: server, RetainUntil: end.AddDate(0, 0, b.config.LockDays),
		Folder: fmt.Sprintf("snapshots/%s/%08d-%s", week, snapshot.Head.Sequence, snapshot.Head.Name)}}
	return s.receipt, s.all(ctx, sums)
}

// checkInstance refuses a bucket with the backups of another site.
func (b *Bucket) checkInstance(ctx context.Context, instance string) error {
	all, err := b.Snapshots(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	data, err := b.get(ctx, all[len(all)-1].object(local.HeadFile))
	if err != nil {
		return err
	}
	var head manifest.Head
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&head); err == nil && head.Instance != instance {
		return fmt.Errorf("bucket %s holds the backups of %q, not of %q: give each its own prefix", b.config.Bucket, head.Instance, instance)
	}
	return nil
}

// all sends the packs, then the small files, and the head last.
func (s *sending) all(ctx context.Context, sums []local.Sum) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(s.bucket.config.ConcurrentTransfers)
	var small []local.Sum
	for _, sum := range sums {
		if len(sum.Name) != 64+len(pack.Suffix) {
			small = append(small, sum)
			continue
		}
		group.Go(func() error {
			return s.object(groupCtx, "packs/"+s.receipt.Week+"/"+sum.Name, sum)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	small = append(small, local.Sum{Name: local.SumsFile, SHA256: s.snapshot.Head.Sums},
		local.Sum{Name: local.HeadFile, SHA256: s.snapshot.HeadHash})
	for _, sum := range small {
		if err := s.object(ctx, s.receipt.Folder+"/"+sum.Name, sum); err != nil {
			return err
		}
	}
	return nil
}

// object makes sure that one file of the snapshot is in the bucket, whole and locked.
func (s *sending) object(ctx context.Context, key string, sum local.Sum) error {
	want := Object{Key: s.bucket.config.Prefix + key, SHA256: sum.SHA256, Mode: s.bucket.config.Mode, RetainUntil: s.receipt.RetainUntil}
	seen, err := s.bucket.head(ctx, want.Key, "")
	if isMissing(err) {
		if err = s.put(ctx, want, filepath.Join(s.snapshot.Dir, sum.Name)); err == nil {
			seen, err = s.bucket.head(ctx, want.Key, "")
		}
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", want.Key, err)
	}
	if err := seen.matches(want); err != nil {
		return fmt.Errorf("send %s: %w", want.Key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receipt.Objects = append(s.receipt.Objects, seen)
	return nil
}

func (s *sending) put(ctx context.Context, want Object, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	hash, err := hex.DecodeString(want.SHA256)
	if err != nil {
		return err
	}
	_, err = s.bucket.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket.config.Bucket, Key: &want.Key,
		Body: file, ContentLength: aws.Int64(info.Size()), ExpectedBucketOwner: s.bucket.owner,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(hash)), IfNoneMatch: aws.String("*"),
		ObjectLockMode: types.ObjectLockMode(want.Mode), ObjectLockRetainUntilDate: aws.Time(want.RetainUntil)})
	if statusOf(err) == http.StatusPreconditionFailed {
		return nil // an earlier try came through after all; the check that follows looks at what is there
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receipt.SentBytes += info.Size()
	if s.progress != nil {
		s.progress(info.Size())
	}
	return nil
}

// head describes an object; an empty version is the current one.
func (b *Bucket) head(ctx context.Context, key, version string) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &b.config.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled, ExpectedBucketOwner: b.owner}
	if version != "" {
		in.VersionId = &version
	}
	out, err := b.client.HeadObject(ctx, in)
	if err != nil {
		return Object{}, err
	}
	hash, err := base64.StdEncoding.DecodeString(aws.ToString(out.ChecksumSHA256))
	if err != nil {
		return Object{}, err
	}
	return Object{Key: key, Version: aws.ToString(out.VersionId), SHA256: hex.EncodeToString(hash), Size: aws.ToInt64(out.ContentLength),
		Mode: string(out.ObjectLockMode), RetainUntil: aws.ToTime(out.ObjectLockRetainUntilDate).UTC()}, nil
}

// matches says in what an object differs from what it has to be.
func (o Object) matches(want Object) error {
	switch {
	case want.Version != "" && o.Version != want.Version:
		return fmt.Errorf("its current version is %s, not %s: it was replaced; the locked version is still there", o.Version, want.Version)
	case o.SHA256 == "":
		return errors.New("the server tells no SHA-256 of it")
	case o.SHA256 != want.SHA256:
		return fmt.Errorf("its SHA-256 is %s, not %s: it was replaced", o.SHA256, want.SHA256)
	case o.Mode != want.Mode:
		return fmt.Errorf("its lock is %q, not %s", o.Mode, want.Mode)
	case o.RetainUntil.Before(want.RetainUntil.Truncate(time.Second)):
		return fmt.Errorf("it is locked until %s only, not until %s", o.RetainUntil.Format(time.RFC3339), want.RetainUntil.Format(time.RFC3339))
	}
	return nil
}

func statusOf(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// isMissing reports whether an object is not there. Without the right to list a bucket the server says
// "forbidden" instead.
func isMissing(err error) bool {
	status := statusOf(err)
	return status == http.StatusNotFound || status == http.StatusForbidden
}
