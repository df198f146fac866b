package offsite

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// Snapshot is a snapshot in the bucket. It is a source to restore from.
type Snapshot struct {
	Week string
	Name string // SEQUENCE-DATE

	bucket *Bucket
}

// Snapshots returns the snapshots whose head is in the bucket, oldest first: also those somebody has
// hidden behind a delete marker.
func (b *Bucket) Snapshots(ctx context.Context) ([]Snapshot, error) {
	root := b.config.Prefix + "snapshots/"
	keys, err := b.versions(ctx, root)
	if err != nil {
		return nil, err
	}
	var all []Snapshot
	for key := range keys {
		rest := strings.TrimPrefix(key, root)
		week, file, _ := strings.Cut(rest, "/")
		name, base, ok := strings.Cut(file, "/")
		if ok && base == local.HeadFile {
			all = append(all, Snapshot{Week: week, Name: name, bucket: b})
		}
	}
	slices.SortFunc(all, func(x, y Snapshot) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Week, y.Week))
	})
	return all, nil
}

// versions returns the versions of all objects under a prefix by key, oldest first, delete markers left
// out.
func (b *Bucket) versions(ctx context.Context, prefix string) (map[string][]types.ObjectVersion, error) {
	found := map[string][]types.ObjectVersion{}
	pages := s3.NewListObjectVersionsPaginator(b.client, &s3.ListObjectVersionsInput{Bucket: &b.config.Bucket, Prefix: &prefix, ExpectedBucketOwner: b.owner})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list bucket %s: %w", b.config.Bucket, err)
		}
		for _, v := range page.Versions {
			found[aws.ToString(v.Key)] = append(found[aws.ToString(v.Key)], v)
		}
	}
	for _, list := range found {
		slices.Reverse(list) // the server lists the newest first; times are too coarse to sort by
	}
	return found, nil
}

// Date is the UTC date of the snapshot, YYYY-MM-DD.
func (s Snapshot) Date() string {
	_, date, _ := strings.Cut(s.Name, "-")
	return date
}

// object is the key of one of the snapshot's files.
func (s Snapshot) object(name string) string {
	folder := "snapshots/" + s.Week + "/" + s.Name
	if strings.HasSuffix(name, pack.Suffix) {
		folder = "packs/" + s.Week
	}
	return s.bucket.config.Prefix + path.Join(folder, name)
}

// Open opens a file of the snapshot: the version that was sent, even if it is hidden or another was put
// in its place.
func (s Snapshot) Open(ctx context.Context, name string) (extract.File, error) {
	key := s.object(name)
	o, err := s.bucket.head(ctx, key, "")
	if isMissing(err) || err == nil && o.SHA256+pack.Suffix != name {
		o, err = s.bucket.original(ctx, key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	f := &remoteFile{bucket: s.bucket, object: o}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f, nil
}

// original finds the oldest version of an object: the one sent, since nothing is sent twice.
func (b *Bucket) original(ctx context.Context, key string) (Object, error) {
	found, err := b.versions(ctx, key)
	if err != nil {
		return Object{}, err
	}
	if len(found[key]) == 0 {
		return Object{}, fmt.Errorf("bucket %s has no version of it", b.config.Bucket)
	}
	return b.head(ctx, key, aws.ToString(found[key][0].VersionId))
}

func (b *Bucket) get(ctx context.Context, key string) ([]byte, error) {
	o, err := b.original(ctx, key)
	if err != nil {
		return nil, err
	}
	return b.read(ctx, o, 0, min(o.Size, 1<<20))
}

func (b *Bucket) read(ctx context.Context, o Object, offset, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	in := &s3.GetObjectInput{Bucket: &b.config.Bucket, Key: &o.Key, ExpectedBucketOwner: b.owner,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+n-1))}
	if o.Version != "" {
		in.VersionId = &o.Version
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	data := make([]byte, n)
	_, err = io.ReadFull(out.Body, data)
	return data, err
}

// remoteFile reads ahead: a reader of a pack asks for 64 KiB at a time, and a request for each would
// take a day. Who reads on and on finds the next window on its way.
type remoteFile struct {
	ctx    context.Context
	cancel context.CancelFunc
	bucket *Bucket
	object Object
	window
	ahead int64       // how much to ask for next
	next  chan window // the one after this, once it is there; nil if it has not been asked for
}

// window is a run of an object's bytes.
type window struct {
	at   int64
	data []byte
	err  error
}

func (w window) has(offset int64) bool {
	return w.err == nil && w.at <= offset && offset < w.at+int64(len(w.data))
}

// The least and the most to read ahead, in bytes, and from where on a window is asked for before it is needed.
const (
	leastAhead = 128 << 10
	early      = 2 << 20
	mostAhead  = 8 << 20
)

func (f *remoteFile) Size() int64 { return f.object.Size }

func (f *remoteFile) Close() error {
	f.cancel()
	return nil
}

// ReadAt is for one goroutine.
func (f *remoteFile) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	for n < len(p) {
		at := offset + int64(n)
		if at >= f.object.Size {
			return n, io.EOF
		}
		if !f.has(at) {
			if err := f.fetch(at, int64(len(p)-n)); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], f.data[at-f.at:])
	}
	return n, nil
}

// fetch reads a window; going on where the last ended doubles it.
func (f *remoteFile) fetch(at, need int64) error {
	if at == f.at+int64(len(f.data)) && at > 0 {
		f.ahead = min(2*f.ahead, mostAhead)
	} else {
		f.ahead = leastAhead
	}
	f.ahead = max(f.ahead, leastAhead)
	var w window
	if f.next != nil {
		w, f.next = <-f.next, nil
	}
	if !w.has(at) {
		w = f.get(at, max(need, f.ahead))
	}
	if w.err != nil {
		return fmt.Errorf("%s: %w", f.object.Key, w.err)
	}
	f.window = w
	if end := w.at + int64(len(w.data)); f.ahead >= early && end < f.object.Size {
		next := make(chan window, 1)
		f.next = next
		go func() { next <- f.get(end, mostAhead) }()
	}
	return nil
}

func (f *remoteFile) get(at, n int64) window {
	data, err := f.bucket.read(f.ctx, f.object, at, min(n, f.object.Size-at))
	return window{at, data, err}
}
