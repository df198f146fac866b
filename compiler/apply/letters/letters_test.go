package letters_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

// newSpool is a spool in a stand-in account, with its bucket and queue.
func newSpool(t *testing.T) (letters.Spool, *cloudflare.Server) {
	t.Helper()
	cf, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	account, err := cf.AccountID()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(cf)
	t.Cleanup(srv.Close)
	e := edge.New(edge.Config{Token: "token", AccountID: account, BaseURL: srv.URL + "/client/v4"})
	if _, err := e.CreateBucket(t.Context(), edge.Bucket{Name: "home-spool"}); err != nil {
		t.Fatal(err)
	}
	return letters.Spool{Account: e, Names: model.Spool{Enabled: true, Bucket: "home-spool", Queue: "home-spool"}}, cf
}

func TestSpool(t *testing.T) {
	s, cf := newSpool(t)
	if err := s.Drain(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "apply the site first") {
		t.Errorf("without a queue: %v", err)
	}
	if _, err := s.Account.(*edge.Edge).CreateQueue(t.Context(), "home-spool"); err != nil {
		t.Fatal(err)
	}
	put := func(key string, more map[string]string) {
		t.Helper()
		metadata := map[string]string{"from": "eve@sender.example", "to": "alice@example.com", "digest": "sha-256=:x:"}
		for k, v := range more {
			metadata[k] = v
		}
		if err := cf.PutObjects("home-spool", cloudflare.Object{Key: key, Size: 1234, Metadata: metadata}); err != nil {
			t.Fatal(err)
		}
	}
	put("mail/2026-11-21T10:00:00.250Z-b", nil)
	put("dead/2026-11-20T09:00:00.000Z-c", map[string]string{"reason": "5.7.1 message contains malware"})
	put("mail/2026-11-21T09:00:00.000Z-a", nil)
	put("other/x", nil)
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	letter := func(key string, came time.Time, reason string) letters.Letter {
		return letters.Letter{Key: key, Dead: reason != "", Came: came, From: "eve@sender.example", To: "alice@example.com", Size: 1234, Reason: reason}
	}
	want := []letters.Letter{
		letter("mail/2026-11-21T09:00:00.000Z-a", time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), ""),
		letter("mail/2026-11-21T10:00:00.250Z-b", time.Date(2026, 11, 21, 10, 0, 0, 250e6, time.UTC), ""),
		letter("dead/2026-11-20T09:00:00.000Z-c", time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), "5.7.1 message contains malware"),
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := s.Drain(t.Context(), []string{"dead/2026-11-20T09:00:00.000Z-c"}); err != nil {
		t.Fatal(err)
	}
	got, err := cf.Messages("home-spool")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`{"wake":true}`, `{"key":"dead/2026-11-20T09:00:00.000Z-c"}`}, got); diff != "" {
		t.Errorf("pushed: -want +got\n%s", diff)
	}
}

// TestManyObjects has more than one page of them.
func TestManyObjects(t *testing.T) {
	s, cf := newSpool(t)
	many := make([]cloudflare.Object, 1001)
	for n := range many {
		many[n].Key = fmt.Sprintf("mail/%04d", n)
	}
	if err := cf.PutObjects("home-spool", many...); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 1001 {
		t.Errorf("%d letters, %v", len(all), err)
	}
}

func TestFind(t *testing.T) {
	all := []letters.Letter{{Key: "mail/2026-11-21T09-a"}, {Key: "mail/2026-11-21T10-b"}, {Key: "dead/2026-11-20T09-c"}}
	for keys, want := range map[string]int{"dead/2026": 1, "mail/2026-11-21T10": 1, "mail/2026": -1, "x": -1, "": -1, "dead/2026-11-20T09-c mail/2026-11-21T09": 2} {
		found, err := letters.Find(all, strings.Split(keys, " "))
		if (err != nil) != (want < 0) || err == nil && len(found) != want {
			t.Errorf("%q: %v %v", keys, found, err)
		}
	}
}
