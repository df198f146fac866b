package edge

import (
	"context"
	"strings"

	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/r2"
)

// Bucket is an R2 bucket.
type Bucket struct {
	Name string
	// Location is the region hint in lower case, as weur; empty lets the
	// provider choose. It can't be changed later.
	Location string
	// Jurisdiction is "default", "eu" or "fedramp". It can't be changed later.
	Jurisdiction string
}

// Expiry deletes objects whose key starts with Prefix after MaxAge seconds.
type Expiry struct {
	// ID carries the ownership mark.
	ID     string
	Prefix string
	// MaxAge is in seconds.
	MaxAge  int
	Enabled bool
}

type wireBucket struct {
	Name         string `json:"name"`
	Location     string `json:"location"`
	Jurisdiction string `json:"jurisdiction"`
}

func (w wireBucket) bucket() Bucket {
	return Bucket{w.Name, strings.ToLower(w.Location), orDefault(w.Jurisdiction, "default")}
}

// within sends the jurisdiction, which the API takes as a header.
func (b Bucket) within() option.RequestOption {
	return option.WithHeader("cf-r2-jurisdiction", orDefault(b.Jurisdiction, "default"))
}

// Bucket reads a bucket; ok is false if the account has none of that name in
// that jurisdiction.
func (e *Edge) Bucket(ctx context.Context, want Bucket) (b Bucket, ok bool, err error) {
	var p r2.BucketGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	w, err := result[wireBucket](func(opts ...option.RequestOption) error {
		_, err := e.r2.Buckets.Get(ctx, want.Name, p, append(opts, want.within())...)
		return err
	})
	if absent(err) {
		return Bucket{}, false, nil
	}
	return w.bucket(), err == nil, naming(err, "read bucket %s", want.Name)
}

// CreateBucket makes a bucket.
func (e *Edge) CreateBucket(ctx context.Context, want Bucket) (Bucket, error) {
	var p r2.BucketNewParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.Name.Value, p.Name.Present = want.Name, true
	p.LocationHint.Value, p.LocationHint.Present = r2.BucketNewParamsLocationHint(want.Location), want.Location != ""
	b, err := create(ctx, e, creation[Bucket]{unique: true,
		post: func() (Bucket, error) {
			w, err := result[wireBucket](func(opts ...option.RequestOption) error {
				_, err := e.r2.Buckets.New(ctx, p, append(opts, want.within())...)
				return err
			})
			return w.bucket(), err
		},
		find: func() (Bucket, bool, error) { return e.Bucket(ctx, want) },
	})
	return b, naming(err, "create bucket %s", want.Name)
}

// DeleteBucket removes an empty bucket; the provider refuses one with objects.
func (e *Edge) DeleteBucket(ctx context.Context, b Bucket) error {
	var p r2.BucketDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.r2.Buckets.Delete(ctx, b.Name, p, append(opts, b.within())...)
		return err
	})
	return naming(removed(err), "delete bucket %s", b.Name)
}

type wireCondition struct {
	Type   string `json:"type"`
	MaxAge int    `json:"maxAge"`
}

// wireLifecycle keeps the parts of a rule that are not ours as they are.
type wireLifecycle struct {
	ID         string `json:"id"`
	Enabled    bool   `json:"enabled"`
	Conditions struct {
		Prefix string `json:"prefix"`
	} `json:"conditions"`
	Delete *struct {
		Condition wireCondition `json:"condition"`
	} `json:"deleteObjectsTransition,omitempty"`
	Abort   any `json:"abortMultipartUploadsTransition,omitempty"`
	Storage any `json:"storageClassTransitions,omitempty"`
}

// Expiries reads the rules of a bucket that delete objects by age.
func (e *Edge) Expiries(ctx context.Context, b Bucket) ([]Expiry, error) {
	rules, err := e.lifecycle(ctx, b)
	if err != nil {
		return nil, err
	}
	var out []Expiry
	for _, r := range rules {
		if r.Delete != nil && r.Delete.Condition.Type == "Age" {
			out = append(out, Expiry{r.ID, r.Conditions.Prefix, r.Delete.Condition.MaxAge, r.Enabled})
		}
	}
	return out, nil
}

func (e *Edge) lifecycle(ctx context.Context, b Bucket) ([]wireLifecycle, error) {
	var p r2.BucketLifecycleGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	type answer struct{ Rules []wireLifecycle }
	a, err := result[answer](func(opts ...option.RequestOption) error {
		_, err := e.r2.Buckets.Lifecycle.Get(ctx, b.Name, p, append(opts, b.within())...)
		return err
	})
	return a.Rules, naming(err, "read the lifecycle of bucket %s", b.Name)
}

// SetExpiries makes the bucket's rules owned by site be exactly want; the API
// replaces the whole list, so the other rules are read and sent back.
func (e *Edge) SetExpiries(ctx context.Context, b Bucket, site string, want []Expiry) error {
	live, err := e.lifecycle(ctx, b)
	if err != nil && !absent(err) { // reads may lag behind the creation of the bucket
		return err
	}
	rules := []wireLifecycle{}
	for _, r := range live {
		if Owner(r.ID) != site {
			rules = append(rules, r)
		}
	}
	for _, x := range want {
		w := wireLifecycle{ID: x.ID, Enabled: x.Enabled}
		w.Conditions.Prefix = x.Prefix
		w.Delete = &struct {
			Condition wireCondition `json:"condition"`
		}{wireCondition{"Age", x.MaxAge}}
		rules = append(rules, w)
	}
	var p r2.BucketLifecycleUpdateParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	body, err := jsonBody(map[string]any{"rules": rules})
	if err != nil {
		return err
	}
	err = discard(func(opts ...option.RequestOption) error {
		_, err := e.r2.Buckets.Lifecycle.Update(ctx, b.Name, p, append(opts, body, b.within())...)
		return err
	})
	return naming(err, "set the lifecycle of bucket %s", b.Name)
}
