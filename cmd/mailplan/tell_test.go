package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/apply/letters"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/runtime/report"
)

// TestTell holds that the host is told in the form that its mailpland reads, to the last field.
func TestTell(t *testing.T) {
	came := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	spool, err := json.Marshal(told{Data: spoolOf([]letters.Letter{{Key: "dead/x", Dead: true, Came: came, From: "a@b.example", To: "c@d.example", Size: 5, Reason: "no"}, {Key: "mail/y", Came: came}})})
	if err != nil {
		t.Fatal(err)
	}
	var read report.File[report.Spool]
	d := json.NewDecoder(bytes.NewReader(spool))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		t.Fatal(err)
	}
	want := &report.Spool{Enabled: true, Waiting: 1, Dead: 1, Letters: []report.Letter{
		{Key: "dead/x", Dead: true, Came: came, From: "a@b.example", To: "c@d.example", Size: 5, Reason: "no"}, {Key: "mail/y", Came: came}}}
	if d := cmp.Diff(want, read.Data); d != "" {
		t.Error(d)
	}

	site := &compiler.Site{Model: &model.Site{Host: model.Host{Root: "/srv/mailserver"}}}
	calls := map[string]string{}
	run := func(_ context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
		text, err := io.ReadAll(stdin)
		calls[strings.Join(argv, " ")] = string(text)
		return nil, err
	}
	c := &cli{out: io.Discard, err: io.Discard}
	to := opened{Target: &converge.Target{Run: run}}
	if err := c.tell(t.Context(), site, to, where{}, plan.Plan{Site: "home", Revision: "0123"}, nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{
		"/srv/mailserver/bin/mailpland tell drift --config /srv/mailserver/config/runtime/backup.json": `{"data":{"site":"home","revision":"0123"}}`,
		"/srv/mailserver/bin/mailpland tell spool --config /srv/mailserver/config/runtime/backup.json": `{"data":{"enabled":false,"waiting":0,"dead":0}}`,
	}, calls); d != "" {
		t.Error(d)
	}
	to.Run = func(context.Context, io.Reader, ...string) ([]byte, error) { return nil, errors.New("away") }
	if err := c.tell(t.Context(), site, to, where{}, plan.Plan{}, nil); err == nil || !strings.Contains(err.Error(), "drift: away") {
		t.Errorf("a host that is away: %v", err)
	}
	to.Run = nil
	if err := c.tell(t.Context(), site, to, where{}, plan.Plan{}, nil); err != nil {
		t.Errorf("a sandbox: %v", err)
	}
}
