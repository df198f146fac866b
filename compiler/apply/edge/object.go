package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Object is what a bucket holds under a key.
type Object struct {
	Key      string            `json:"key"`
	Size     int64             `json:"size"` // bytes
	Time     time.Time         `json:"last_modified"`
	Metadata map[string]string `json:"custom_metadata"`
}

// Objects lists what a bucket holds below a prefix, in the order of the keys.
func (e *Edge) Objects(ctx context.Context, b Bucket, prefix string) (all []Object, err error) {
	query := url.Values{"prefix": {prefix}, "per_page": {"1000"}}
	for {
		raw, err := e.wire.send(ctx, "GET", e.below("r2/buckets/%s/objects?%s", b.Name, query.Encode()), nil)
		if err != nil {
			return nil, naming(err, "list bucket %s", b.Name)
		}
		var page struct {
			Result []Object `json:"result"`
			Info   struct {
				Cursor string `json:"cursor"`
			} `json:"result_info"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("list bucket %s: read the answer: %w", b.Name, err)
		}
		all = append(all, page.Result...)
		if page.Info.Cursor == "" || len(page.Result) == 0 {
			return all, nil
		}
		query.Set("cursor", page.Info.Cursor)
	}
}

// Push puts a message into a queue, for its consumer. Sent twice after a lost
// answer, it is there twice.
func (e *Edge) Push(ctx context.Context, q Queue, message any) error {
	body := map[string]any{"body": message, "content_type": "json"}
	err := again(ctx, e, func() error {
		_, err := e.wire.send(ctx, "POST", e.below("queues/%s/messages", q.ID), body)
		return err
	})
	return naming(err, "push to queue %s", q.Name)
}
