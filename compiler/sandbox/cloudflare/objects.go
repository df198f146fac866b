package cloudflare

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Object is what a bucket holds under a key; its content is not kept.
type Object struct {
	Key      string            `json:"key"`
	Size     int               `json:"size"` // bytes
	Modified time.Time         `json:"last_modified"`
	Metadata map[string]string `json:"custom_metadata"`
}

// PutObjects lays objects into a bucket, as a Worker would.
func (s *Server) PutObjects(name string, objects ...Object) error {
	return s.editBucket(name, func(b *bucket) {
		b.Objects += len(objects)
		b.Held = append(b.Held, objects...)
		slices.SortFunc(b.Held, func(x, y Object) int { return strings.Compare(x.Key, y.Key) })
	})
}

// listObjects pages by cursor: the last key that was shown.
func listObjects(c *call) (any, error) {
	_, b, err := c.pathBucket(false)
	if err != nil {
		return nil, err
	}
	per, refusal := number(c.r, "per_page", 20, 1, 1000)
	if refusal != nil {
		return nil, refusal
	}
	query := c.r.URL.Query()
	found := []Object{}
	for _, o := range b.Held {
		if strings.HasPrefix(o.Key, query.Get("prefix")) && o.Key > query.Get("cursor") {
			found = append(found, o)
		}
	}
	cursor := ""
	if len(found) > per {
		found = found[:per]
		cursor = found[per-1].Key
	}
	return cursored{found, cursor, per}, nil
}

// pushMessage keeps the message; nobody consumes it here.
func pushMessage(c *call) (any, error) {
	_, q, err := c.pathQueue(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Body        json.RawMessage `json:"body"`
		ContentType string          `json:"content_type"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.ContentType != "json" && in.ContentType != "text" {
		return nil, refuse(10026, "content_type must be json or text")
	}
	q.Messages = append(q.Messages, in.Body)
	return map[string]any{}, nil
}

// Messages returns what was pushed into a queue.
func (s *Server) Messages(name string) (all []string, err error) {
	err = s.seed(func(c *call) error {
		a, err := c.account()
		if err != nil {
			return err
		}
		if q := a.queueNamed(name); q != nil {
			for _, m := range q.Messages {
				all = append(all, string(m))
			}
		}
		return nil
	})
	return all, err
}
