package cloudflare

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// bucket is one R2 bucket. Of its objects the number is kept, and of some what a list shows.
type bucket struct {
	Name         string          `json:"name"`
	Jurisdiction string          `json:"jurisdiction"`
	Location     string          `json:"location"`
	StorageClass string          `json:"storage_class"`
	Created      time.Time       `json:"creation_date"`
	Rules        []lifecycleRule `json:"rules"`
	Objects      int             `json:"objects"`
	Held         []Object        `json:"held,omitempty"`
}

// lifecycleRule is a rule in the provider's form.
type lifecycleRule struct {
	ID         string `json:"id"`
	Enabled    *bool  `json:"enabled"`
	Conditions *struct {
		Prefix *string `json:"prefix"`
	} `json:"conditions"`
	Abort   *transition   `json:"abortMultipartUploadsTransition,omitempty"`
	Delete  *transition   `json:"deleteObjectsTransition,omitempty"`
	Storage []*transition `json:"storageClassTransitions,omitempty"`
}

type transition struct {
	Condition struct {
		Type   string `json:"type"`
		MaxAge *int   `json:"maxAge,omitempty"`
		Date   string `json:"date,omitempty"`
	} `json:"condition"`
	StorageClass string `json:"storageClass,omitempty"`
}

var (
	locations      = []string{"", "apac", "eeur", "enam", "weur", "wnam", "oc"}
	storageClasses = []string{"Standard", "InfrequentAccess"}
	jurisdictions  = []string{"default", "eu", "fedramp"}
)

func (a *account) bucket(name string) *bucket {
	i := slices.IndexFunc(a.Buckets, func(b bucket) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &a.Buckets[i]
}

// FillBucket makes a bucket hold n objects.
func (s *Server) FillBucket(name string, n int) error {
	return s.editBucket(name, func(b *bucket) { b.Objects = n })
}

// editBucket changes a bucket from outside.
func (s *Server) editBucket(name string, edit func(*bucket)) error {
	return s.seed(func(c *call) error {
		a, err := c.editAccount()
		if err != nil {
			return err
		}
		b := a.bucket(name)
		if b == nil {
			return notFound(10006, "The specified bucket does not exist.")
		}
		edit(b)
		return nil
	})
}

func (b bucket) view() map[string]any {
	return map[string]any{
		"name": b.Name, "jurisdiction": b.Jurisdiction, "location": strings.ToUpper(b.Location),
		"storage_class": b.StorageClass, "creation_date": b.Created,
	}
}

// jurisdiction is where the request looks: it comes in a header.
func (c *call) jurisdiction() string {
	if j := c.r.Header.Get("cf-r2-jurisdiction"); j != "" {
		return j
	}
	return "default"
}

func (c *call) pathBucket(edit bool) (*account, *bucket, error) {
	a, err := c.ownAccount(edit)
	if err != nil {
		return nil, nil, err
	}
	b := a.bucket(c.r.PathValue("bucket"))
	if b == nil || b.Jurisdiction != c.jurisdiction() {
		return nil, nil, notFound(10006, "The specified bucket does not exist.")
	}
	return a, b, nil
}

// listBuckets pages by cursor, unlike the other lists.
func listBuckets(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	after := max(c.r.URL.Query().Get("cursor"), c.r.URL.Query().Get("start_after"))
	buckets := slices.SortedFunc(slices.Values(a.Buckets), func(a, b bucket) int { return strings.Compare(a.Name, b.Name) })
	views := []map[string]any{}
	for _, b := range buckets {
		if b.Name > after && b.Jurisdiction == c.jurisdiction() {
			views = append(views, b.view())
		}
	}
	per, refusal := number(c.r, "per_page", 20, 1, 1000)
	if refusal != nil {
		return nil, refusal
	}
	cursor := ""
	if len(views) > per {
		views = views[:per]
		cursor = views[per-1]["name"].(string)
	}
	return cursored{map[string]any{"buckets": views}, cursor, per}, nil
}

func getBucket(c *call) (any, error) {
	_, b, err := c.pathBucket(false)
	if err != nil {
		return nil, err
	}
	return b.view(), nil
}

func createBucket(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name         string `json:"name"`
		LocationHint string `json:"locationHint"`
		StorageClass string `json:"storageClass"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.StorageClass == "" {
		in.StorageClass = "Standard"
	}
	switch {
	case len(in.Name) < 3 || !queueName.MatchString(in.Name):
		return nil, refuse(10005, "The specified bucket name is not valid.")
	case !slices.Contains(locations, strings.ToLower(in.LocationHint)):
		return nil, refuse(10040, "locationHint %q is not known", in.LocationHint)
	case !slices.Contains(storageClasses, in.StorageClass):
		return nil, refuse(10040, "storageClass %q is not known", in.StorageClass)
	case !slices.Contains(jurisdictions, c.jurisdiction()):
		return nil, refuse(10040, "jurisdiction %q is not known", c.jurisdiction())
	case a.bucket(in.Name) != nil:
		return nil, conflict(10004, "The bucket you tried to create already exists, and you own it.")
	}
	location := strings.ToLower(in.LocationHint)
	if location == "" {
		location = "weur"
	}
	b := bucket{Name: in.Name, Jurisdiction: c.jurisdiction(), Location: location, StorageClass: in.StorageClass, Created: c.s.now()}
	b.Rules = []lifecycleRule{}
	a.Buckets = append(a.Buckets, b)
	return b.view(), nil
}

func deleteBucket(c *call) (any, error) {
	a, b, err := c.pathBucket(true)
	if err != nil {
		return nil, err
	}
	if b.Objects > 0 {
		return nil, conflict(10008, "The bucket you tried to delete is not empty.")
	}
	name := b.Name
	a.Buckets = slices.DeleteFunc(a.Buckets, func(o bucket) bool { return o.Name == name })
	return map[string]any{}, nil
}

// lifecycle reads, and with PUT replaces, the rules of a bucket.
func lifecycle(c *call) (any, error) {
	put := c.r.Method == http.MethodPut
	_, b, err := c.pathBucket(put)
	if err != nil {
		return nil, err
	}
	if !put {
		return map[string]any{"rules": b.Rules}, nil
	}
	var in struct {
		Rules []lifecycleRule `json:"rules"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, r := range in.Rules {
		if r.ID == "" || ids[r.ID] || r.Enabled == nil || r.Conditions == nil || r.Conditions.Prefix == nil {
			return nil, refuse(10062, "A lifecycle rule needs a unique id, enabled and conditions.prefix")
		}
		ids[r.ID] = true
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	b.Rules = append([]lifecycleRule{}, in.Rules...)
	return map[string]any{}, nil
}

func (r lifecycleRule) check() error {
	for _, t := range append([]*transition{r.Abort, r.Delete}, r.Storage...) {
		if t == nil {
			continue
		}
		if t.Condition.Type != "Age" || t.Condition.MaxAge == nil || *t.Condition.MaxAge < 1 {
			return refuse(10062, "Lifecycle rule %s needs a condition of type Age with maxAge in seconds", r.ID)
		}
	}
	return nil
}
