package watch

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/report"
)

// zone is a resolver with fixed answers; a name that it does not have does not exist, "broken" answers nothing.
type zone struct {
	txt map[string][]string
	mx  map[string][]string
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if strings.Contains(name, "broken") {
		return nil, &net.DNSError{Err: "timeout", IsTimeout: true}
	}
	if list, ok := z.txt[name]; ok {
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (z zone) LookupMX(_ context.Context, name string) (list []*net.MX, err error) {
	if len(z.mx[name]) == 0 {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	for _, host := range z.mx[name] {
		list = append(list, &net.MX{Host: host})
	}
	return list, nil
}

func TestDNS(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	keys := t.TempDir()
	seed := base64.StdEncoding.EncodeToString(key.Seed())
	if err := os.WriteFile(filepath.Join(keys, "a.example.now.key"), []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	z := zone{mx: map[string][]string{"a.example": {"route1.mx.cloudflare.net.", "route2.mx.cloudflare.net."}, "b.example": {"mx.elsewhere.example."}},
		txt: map[string][]string{
			"a.example":                   {"v=spf1 include:_spf.mx.cloudflare.net -all", "google-site-verification=x"},
			"_dmarc.a.example":            {"v=DMARC1; p=reject; rua=mailto:x@a.example"},
			"_mta-sts.a.example":          {"v=STSv1; id=20261122"},
			"now._domainkey.a.example":    {"v=DKIM1; k=ed25519; p=" + public},
			"next._domainkey.a.example":   {"v=DKIM1; k=rsa; p=AAAA"},
			"old._domainkey.a.example":    {"v=DKIM1; p="},
			"b.example":                   {"v=spf1 ~all", "v=spf1 -all"},
			"_dmarc.b.example":            {"v=DMARC1; p=none"},
			"now._domainkey.b.example":    {"v=DKIM1; k=rsa; p="},
			"stolen._domainkey.b.example": {"v=DKIM1; k=rsa; p=AAAA"},
		}}
	l := look{resolver: z, keys: keys}
	got, err := l.all(t.Context(), []config.DeclaredDomain{
		{Name: "a.example", DMARC: "reject", SPF: "-all", MTASTS: "enforce", Selectors: []config.DeclaredSelector{
			{Name: "now", State: "active", Algorithm: "ed25519"}, {Name: "next", State: "published", Algorithm: "rsa"},
			{Name: "old", State: "revoked", Algorithm: "rsa"}, {Name: "older", State: "revoked", Algorithm: "rsa"}}},
		{Name: "b.example", DMARC: "reject", SPF: "-all", MTASTS: "none", Selectors: []config.DeclaredSelector{
			{Name: "now", State: "active", Algorithm: "rsa"}, {Name: "stolen", State: "revoked", Algorithm: "rsa"},
			{Name: "gone", State: "retired", Algorithm: "rsa"}, {Name: "broken", State: "active", Algorithm: "rsa"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, d := range got.Domains {
		line := fmt.Sprint(d.Name, " ", d.Good(), ":")
		for _, r := range d.Records {
			line += " " + strings.TrimSuffix(r.Owner, "."+d.Name) + "/" + r.Kind + "=" + string(r.State)
		}
		states = append(states, line)
	}
	if d := cmp.Diff([]string{
		"a.example true: a.example/mx=same a.example/spf=same _dmarc/dmarc=same _mta-sts/mtasts=same now._domainkey/dkim=same next._domainkey/dkim=same old._domainkey/dkim=same older._domainkey/dkim=same",
		"b.example false: b.example/mx=differs b.example/spf=differs _dmarc/dmarc=differs now._domainkey/dkim=differs stolen._domainkey/dkim=differs gone._domainkey/dkim=absent broken._domainkey/dkim=unknown",
	}, states); d != "" {
		t.Error(d)
	}
	z.txt["now._domainkey.a.example"] = []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))}
	if got, _ := l.all(t.Context(), []config.DeclaredDomain{{Name: "a.example", Selectors: []config.DeclaredSelector{{Name: "now", State: "active", Algorithm: "ed25519"}}}}); got.Domains[0].Records[4].State != report.Differs {
		t.Errorf("another key than the one that signs: %+v", got.Domains[0].Records)
	}
}

func TestPrograms(t *testing.T) {
	q, err := readQueue([]byte(`{"queue_name": "deferred", "queue_id": "B", "arrival_time": 1700000100, "message_size": 9, "forced_expire": false, "sender": "", "recipients": [{"address": "x@y.example", "delay_reason": "connection refused"}]}
{"queue_name": "active", "queue_id": "A", "arrival_time": 1700000000, "message_size": 5, "sender": "a@b.example", "recipients": []}
`))
	want := &report.Queue{Total: 2, Messages: []report.Message{
		{ID: "A", Queue: "active", Came: time.Unix(1700000000, 0).UTC(), Size: 5, Sender: "a@b.example"},
		{ID: "B", Queue: "deferred", Came: time.Unix(1700000100, 0).UTC(), Size: 9, Recipients: []report.Recipient{{Address: "x@y.example", Reason: "connection refused"}}}}}
	if d := cmp.Diff(want, q); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if q, err := readQueue(nil); err != nil || q.Total != 0 {
		t.Errorf("an empty queue: %+v, %v", q, err)
	}
	u, err := readUsage([]byte(`[{"username":"a@b.example","quota name":"User quota","type":"STORAGE","value":"12","limit":"2048","%":"0"},
		{"username":"a@b.example","quota name":"User quota","type":"MESSAGE","value":"3","limit":"-","%":"0"}]`))
	if d := cmp.Diff(&report.Usage{"a@b.example": {Bytes: 12 << 10, Messages: 3}}, u); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	for _, wrong := range []string{`{"queue_id": 5}`, `{`, `[]`} {
		if _, err := readQueue([]byte(wrong)); err == nil {
			t.Errorf("%s is a queue", wrong)
		}
	}
	for _, wrong := range []string{`[{"username":"a","type":"STORAGE","value":"x"}]`, `{}`, ``} {
		if _, err := readUsage([]byte(wrong)); err == nil {
			t.Errorf("%s are quotas", wrong)
		}
	}
}

// TestWatch keeps what was known when a source falls silent, and leaves the other reports alone.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "queue")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(`echo '{"queue_name":"hold","queue_id":"A","arrival_time":1,"message_size":1,"sender":"","recipients":[]}'`)
	folder := report.Folder{Path: filepath.Join(dir, "reports")}
	w := New(config.Watch{Folder: folder.Path, Queue: script},
		func() (*report.Backup, error) { return &report.Backup{Overdue: true}, nil }, zone{}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := report.Get[report.Queue](folder, report.Queued); err == nil {
			break
		}
	}
	stop()
	<-done
	before, err := report.Get[report.Queue](folder, report.Queued)
	if err != nil || before.Data.Total != 1 || before.Problem != "" {
		t.Fatalf("%+v, %v", before, err)
	}
	if b, err := report.Get[report.Backup](folder, report.Backups); err != nil || !b.Data.Overdue {
		t.Errorf("%+v, %v", b, err)
	}
	write("echo no such container >&2; exit 1")
	later := time.Now().Add(time.Minute)
	w.now = func() time.Time { return later }
	if err := w.once(t.Context(), w.sources[0]); err == nil {
		t.Error("a failure is none")
	}
	after, err := report.Get[report.Queue](folder, report.Queued)
	if err != nil || after.Data == nil || !after.Known.Equal(before.Known) || !after.At.Equal(later) || !strings.Contains(after.Problem, "no such container") {
		t.Errorf("%+v, %v", after, err)
	}
	write("yes")
	if _, err := run(t.Context(), script); err == nil {
		t.Error("endless output is read")
	}
	declared(t, w, dir, folder)
}

// declared holds that domains are looked at as they are declared now.
func declared(t *testing.T, w *Watcher, dir string, folder report.Folder) {
	t.Helper()
	if _, err := report.Get[report.DNS](folder, report.Published); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what nobody looks at: %v", err)
	}
	if err := keysFrom(func(context.Context) ([]byte, error) { return []byte(`{"keys":[]}`), nil })(t.Context(), w); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a set without keys: %v", err)
	}
	path := filepath.Join(dir, "console.json")
	c := config.Watch{Folder: folder.Path, Declared: path}
	for _, names := range [][]string{{"a.example"}, {"a.example", "b.example"}} {
		d := config.Declared{}
		for _, name := range names {
			d.Domains = append(d.Domains, config.DeclaredDomain{Name: name})
		}
		content, err := d.Bytes()
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := New(c, nil, zone{}, w.log).sources[0].look(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if got, err := report.Get[report.DNS](folder, report.Published); err != nil || len(got.Data.Domains) != len(names) {
			t.Errorf("%v: %+v, %v", names, got, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(folder.Path, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
