// Package offsite keeps copies of snapshots in a bucket with Object Lock, where nobody can delete or
// change them before their date: not who stole the host's credential, and in COMPLIANCE mode not the
// account's owner either.
//
//	packs/2026-47/SHA256.tar.zst.age        each pack a snapshot of that ISO week needs
//	snapshots/2026-47/00000042-2026-11-21/  HEAD, SHA256SUMS, RESTORE.txt, manifest.tsv.zst.age
//
// Every object is one PUT with its SHA-256 and If-None-Match, locked until LockDays after the end of the
// week; HEAD comes last, so a snapshot whose HEAD is there is whole. Each week stands for itself: what
// an older week holds is sent again, and nothing ever has to be deleted or extended. Times are the
// server's, never the host's. The package knows nothing of what is inside packs.
package offsite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mailplan/mailplan/runtime/config"
)

// Bucket is a bucket with Object Lock.
type Bucket struct {
	config config.BackupOffsite
	client *s3.Client
	owner  *string // the account the bucket must belong to; nil for any
}

// New returns the Bucket of a configuration. Nothing is asked of the server yet.
func New(c config.BackupOffsite) (*Bucket, error) {
	id, err := secret(c.AccessKeyIDFile)
	if err != nil {
		return nil, err
	}
	key, err := secret(c.SecretAccessKeyFile)
	if err != nil {
		return nil, err
	}
	b := &Bucket{config: c}
	if c.OwnerIDFile != "" {
		owner, err := secret(c.OwnerIDFile)
		if err != nil {
			return nil, err
		}
		b.owner = &owner
	}
	b.connect(credentials.NewStaticCredentialsProvider(id, key, ""))
	return b, nil
}

// FromEnvironment returns a Bucket on a host without configuration, with the credential of the AWS
// variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and AWS_REGION and
// AWS_ENDPOINT_URL_S3 where they are set.
func FromEnvironment(bucket, prefix string) (*Bucket, error) {
	id, key := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || key == "" {
		return nil, errors.New("no configuration for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	b := &Bucket{config: config.BackupOffsite{Bucket: bucket, Prefix: prefix, Region: cmp.Or(os.Getenv("AWS_REGION"), "us-east-1"),
		Endpoint: os.Getenv("AWS_ENDPOINT_URL_S3")}}
	b.connect(credentials.NewStaticCredentialsProvider(id, key, os.Getenv("AWS_SESSION_TOKEN")))
	return b, nil
}

func (b *Bucket) connect(provider aws.CredentialsProvider) {
	if p := b.config.Prefix; p != "" && !strings.HasSuffix(p, "/") {
		b.config.Prefix += "/"
	}
	b.client = s3.New(s3.Options{Region: b.config.Region, Credentials: provider, HTTPClient: awshttp.NewBuildableClient(),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = 5 })}, b.compatible)
}

// compatible sets what services other than AWS need.
func (b *Bucket) compatible(o *s3.Options) {
	if b.config.Endpoint != "" {
		o.BaseEndpoint, o.UsePathStyle = aws.String(b.config.Endpoint), true
	}
	if b.config.NoDefaultChecksums {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
}

func secret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("off-site credential: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Skew is how far the host's clock may be from the server's.
const Skew = 10 * time.Minute

// Check refuses a bucket which would not keep what it is given, and a host whose clock is off, before
// anything is written. It returns the server's time.
func (b *Bucket) Check(ctx context.Context, now time.Time) (time.Time, error) {
	versioning, err := b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.config.Bucket, ExpectedBucketOwner: b.owner})
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", b.config.Bucket, err)
	}
	if versioning.Status != types.BucketVersioningStatusEnabled {
		return time.Time{}, fmt.Errorf("bucket %s keeps no versions: it is not a bucket for backups", b.config.Bucket)
	}
	lock, err := b.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b.config.Bucket, ExpectedBucketOwner: b.owner})
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s has no Object Lock, or does not say: %w", b.config.Bucket, err)
	}
	if c := lock.ObjectLockConfiguration; c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return time.Time{}, fmt.Errorf("bucket %s has no Object Lock: what is sent there can be deleted", b.config.Bucket)
	}
	server, err := serverTime(lock.ResultMetadata)
	if err != nil {
		return time.Time{}, err
	}
	if off := now.Sub(server); off > Skew || off < -Skew {
		return time.Time{}, fmt.Errorf("the host's clock says %s, the server's %s: set the clock",
			now.UTC().Format(time.RFC3339), server.Format(time.RFC3339))
	}
	return server, nil
}

func serverTime(metadata smithy.Metadata) (time.Time, error) {
	response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response)
	if !ok {
		return time.Time{}, errors.New("the server's answer has no headers")
	}
	t, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the server's Date: %w", err)
	}
	return t, nil
}

// Week names the ISO 8601 week of t, GGGG-WW, and when it ends, in UTC.
func Week(t time.Time) (name string, end time.Time) {
	t = t.UTC()
	year, week := t.ISOWeek()
	monday := (int(t.Weekday()) + 6) % 7 // days since
	start := time.Date(t.Year(), t.Month(), t.Day()-monday, 0, 0, 0, 0, time.UTC)
	return fmt.Sprintf("%04d-%02d", year, week), start.AddDate(0, 0, 7)
}
