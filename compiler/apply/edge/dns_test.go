package edge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
)

const batchCall = "POST /zones/{zone}/dns_records/batch"
const listCall = "GET /zones/{zone}/dns_records"

// mailRecords is a zone as a mail system wants it, one of every type.
func mailRecords(zone string) []Record {
	mark := Mark("site", "")
	return []Record{
		{Zone: zone, Name: zone, Type: "MX", Content: "mx1.example.net", Priority: ptr[uint16](10), TTL: 300, Comment: mark},
		{Zone: zone, Name: zone, Type: "MX", Content: "mx2.example.net", Priority: ptr[uint16](0), TTL: 300, Comment: mark},
		{Zone: zone, Name: zone, Type: "TXT", Content: "v=spf1 include:_spf.mx.cloudflare.net -all", TTL: 1, Comment: mark},
		{Zone: zone, Name: "mail._domainkey." + zone, Type: "TXT", Content: "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 700), TTL: 1, Comment: mark},
		{Zone: zone, Name: "quote." + zone, Type: "TXT", Content: `a "quoted" \ text é`, TTL: 1, Comment: mark},
		{Zone: zone, Name: "webmail." + zone, Type: "CNAME", Content: "f00.cfargotunnel.com", TTL: 1, Proxied: true, Comment: mark},
		{Zone: zone, Name: "imap." + zone, Type: "A", Content: "192.0.2.1", TTL: 600, Comment: mark},
		{Zone: zone, Name: "imap." + zone, Type: "AAAA", Content: "2001:db8::1", TTL: 600, Comment: mark},
		{Zone: zone, Name: "_imaps._tcp." + zone, Type: "SRV", Content: "1 993 imap." + zone, Priority: ptr[uint16](0), TTL: 1, Comment: mark},
		{Zone: zone, Name: zone, Type: "CAA", Content: `0 issue "letsencrypt.org"`, TTL: 1, Comment: mark},
		{Zone: zone, Name: "_25._tcp.imap." + zone, Type: "TLSA", Content: "3 1 1 " + strings.Repeat("ab", 32), TTL: 1, Comment: mark},
		{Zone: zone, Name: "web." + zone, Type: "HTTPS", Content: `. alpn="h2"`, Priority: ptr[uint16](1), TTL: 1, Comment: mark},
	}
}

// Every type goes through the batch and reads back equal, so a second diff is empty.
func TestEveryTypeReadsBackEqual(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	want := mailRecords(z.Name)
	made, err := r.Batch(context.Background(), z, Changes{Posts: want})
	if err != nil {
		t.Fatal(err)
	}
	live, err := r.Read(context.Background(), []Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	byKey := cmpopts.SortSlices(func(a, b Record) bool { return a.Key() < b.Key() })
	if diff := cmp.Diff(want, live, byKey, cmpopts.IgnoreFields(Record{}, "ID")); diff != "" {
		t.Errorf("live records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(live, made, byKey); diff != "" {
		t.Errorf("batch answers with other records than a read (-read +batch):\n%s", diff)
	}
}

func TestPatchAndPutAndDeleteInOneCall(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	ctx := context.Background()
	made, err := r.Batch(ctx, z, Changes{Posts: mailRecords(z.Name)[:3]})
	if err != nil {
		t.Fatal(err)
	}
	patched, replaced := made[0], made[1]
	patched.TTL, patched.Comment = 900, ""
	replaced.Content = "mx9.example.net"
	before := r.cf.Calls(batchCall)
	if _, err := r.Batch(ctx, z, Changes{Patches: []Record{patched}, Puts: []Record{replaced}, Deletes: []Record{made[2]}}); err != nil {
		t.Fatal(err)
	}
	if n := r.cf.Calls(batchCall) - before; n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	live, err := r.Read(ctx, []Zone{z})
	if err != nil {
		t.Fatal(err)
	}
	if len(live) != 2 || !Same(live[0], patched) && !Same(live[1], patched) || !Same(live[0], replaced) && !Same(live[1], replaced) {
		t.Errorf("live records: %+v", live)
	}
}

// 2,000 records take ten calls, whatever their grouping by name.
func TestFewestCallsFor2000Records(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Pro)
	var posts []Record
	for i := range 2000 {
		posts = append(posts, Record{Zone: z.Name, Name: fmt.Sprintf("n%d.example.com", i/3), Type: "TXT", Content: fmt.Sprint("text ", i)})
	}
	if _, err := r.Batch(context.Background(), z, Changes{Posts: posts}); err != nil {
		t.Fatal(err)
	}
	if n := r.cf.Calls(batchCall); n != 10 {
		t.Errorf("%d batch calls for 2,000 records, want 10", n)
	}
	live, err := r.Read(context.Background(), []Zone{z})
	if err != nil || len(live) != 2000 {
		t.Fatalf("read %d records, %v", len(live), err)
	}
	if n := r.cf.Calls(listCall); n != 1 {
		t.Errorf("%d list calls, want 1", n)
	}
}

// Whatever is split, nothing is lost or doubled, no batch is too long, and a
// name that loses and gains records does both at once.
func TestSplitKeepsNamesWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var c Changes
		for i := range rng.IntN(1200) {
			r := Record{Name: fmt.Sprintf("n%d.example.com", rng.IntN(300)), Type: "TXT", Content: fmt.Sprint(i), ID: fmt.Sprint(i)}
			to := []*[]Record{&c.Deletes, &c.Patches, &c.Puts, &c.Posts}[rng.IntN(4)]
			*to = append(*to, r)
		}
		seen := map[string]int{}
		lost, gained := map[string]map[int]bool{}, map[string]map[int]bool{}
		for i, part := range c.split(200) {
			if n := part.Len(); n == 0 || n > 200 {
				t.Fatalf("batch of %d operations", n)
			}
			for _, r := range part.Deletes {
				seen[r.ID]++
				note(lost, r.Name, i)
			}
			for _, r := range append(append(part.Patches, part.Puts...), part.Posts...) {
				seen[r.ID]++
				note(gained, r.Name, i)
			}
		}
		if len(seen) != c.Len() {
			t.Fatalf("%d of %d operations left", len(seen), c.Len())
		}
		for name := range lost {
			if gained[name] != nil && (len(lost[name]) > 1 || len(gained[name]) > 1 || !cmp.Equal(lost[name], gained[name])) {
				t.Fatalf("%s is torn apart: loses in %v, gains in %v", name, lost[name], gained[name])
			}
		}
	}
}

func note(m map[string]map[int]bool, name string, i int) {
	if m[name] == nil {
		m[name] = map[int]bool{}
	}
	m[name][i] = true
}

// faults are all ways to fail; stops are those the driver reports at once.
var faults = []struct {
	name  string
	fault cloudflare.Fault
	stops bool
}{
	{"429 with Retry-After", cloudflare.Fault{Kind: cloudflare.TooMany, RetryAfter: 7 * time.Second}, false},
	{"429 twice", cloudflare.Fault{Kind: cloudflare.TooMany, Times: 2}, false},
	{"502 without effect", cloudflare.Fault{Kind: cloudflare.ServerError}, false},
	{"500 after the effect", cloudflare.Fault{Kind: cloudflare.ErrorAfter}, false},
	{"no answer, no effect", cloudflare.Fault{Kind: cloudflare.Hang}, false},
	{"no answer after the effect", cloudflare.Fault{Kind: cloudflare.HangAfter}, false},
	{"connection closed after the effect", cloudflare.Fault{Kind: cloudflare.DropAfter}, false},
	{"success:false with 200", cloudflare.Fault{Kind: cloudflare.FalseSuccess}, true},
	{"refused with 400", cloudflare.Fault{Kind: cloudflare.Refused}, true},
	{"429 above the cap", cloudflare.Fault{Kind: cloudflare.TooMany, RetryAfter: time.Hour}, true},
}

// Under every fault a batch either converges, with each effect once, or says
// clearly that it did not.
func TestBatchUnderFaults(t *testing.T) {
	for _, tc := range faults {
		for _, lag := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, lag %d", tc.name, lag), func(t *testing.T) {
				r := newRig(t)
				z := r.zone(t, "example.com", cloudflare.Free)
				made, err := r.Batch(context.Background(), z, Changes{Posts: mailRecords(z.Name)})
				if err != nil {
					t.Fatal(err)
				}
				r.cf.Lag(lag)
				r.inject(tc.fault, batchCall)
				before := r.cf.Effects(batchCall)

				patched := made[0]
				patched.TTL = 1200
				c := Changes{
					Deletes: made[1:3], Patches: []Record{patched},
					Posts: []Record{{Zone: z.Name, Name: "new.example.com", Type: "TXT", Content: "new"}},
				}
				got, err := r.Batch(context.Background(), z, c)
				noToken(t, err)
				effects := r.cf.Effects(batchCall) - before
				if tc.stops {
					var e *Error
					if !errors.As(err, &e) || len(e.Details) == 0 || effects != 0 {
						t.Fatalf("err %v, %d effects; want the provider's words and no effect", err, effects)
					}
					return
				}
				if err != nil || effects != 1 || len(got) != 2 {
					t.Fatalf("err %v, %d effects, %d records; want nil, 1, 2", err, effects, len(got))
				}
				if err := r.Confirm(context.Background(), z, c); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestReadUnderFaults(t *testing.T) {
	for _, tc := range faults {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			z := r.zone(t, "example.com", cloudflare.Free)
			if _, err := r.Batch(context.Background(), z, Changes{Posts: mailRecords(z.Name)}); err != nil {
				t.Fatal(err)
			}
			r.inject(tc.fault, listCall)
			live, err := r.Read(context.Background(), []Zone{z})
			noToken(t, err)
			if tc.stops != (err != nil) || !tc.stops && len(live) != 12 {
				t.Errorf("%d records, err %v", len(live), err)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	r.cf.Inject(cloudflare.Fault{Kind: cloudflare.TooMany, RetryAfter: 7 * time.Second})
	if _, err := r.Read(context.Background(), []Zone{z}); err != nil {
		t.Fatal(err)
	}
	if got := r.waited(); got != 7*time.Second {
		t.Errorf("waited %s, want 7s", got)
	}
}

// The driver keeps below the provider's bound by itself.
func TestPacing(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBucket(func() time.Time { return now })
	end := now.Add(5 * time.Minute)
	sent := 0
	for ; now.Before(end); sent++ {
		now = now.Add(b.take())
	}
	if sent < 1000 || sent > 1150 {
		t.Errorf("%d requests in five minutes, want a little below 1200", sent)
	}
}

func TestReadOnlyRecordsAreNotTouched(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	_, err := r.Batch(context.Background(), z, Changes{Deletes: []Record{{ID: "1", Type: "MX", Name: "example.com", ReadOnly: true}}})
	if err == nil || r.Calls() != 0 {
		t.Errorf("err %v after %d calls; want a refusal without a call", err, r.Calls())
	}
}

func TestZones(t *testing.T) {
	r := newRig(t)
	var names []string
	for i := range 60 {
		names = append(names, r.zone(t, fmt.Sprintf("d%02d.example", i), cloudflare.Free).Name)
	}
	zones, err := r.Zones(context.Background(), names)
	if err != nil || len(zones) != 60 || zones[59].Name != "d59.example" {
		t.Fatalf("%d zones, %v", len(zones), err)
	}
	if _, err := r.Zones(context.Background(), names[3:5]); err != nil {
		t.Fatal(err)
	}
	if n := r.Calls(); n != 2 {
		t.Errorf("%d calls for 60 zones, asked for twice, want 2", n)
	}
	_, err = r.Zones(context.Background(), []string{"d00.example", "no.example", "nor.example"})
	if err == nil || !strings.Contains(err.Error(), "no.example, nor.example") {
		t.Errorf("err %v, want both missing zones named", err)
	}
}

func TestProviderWordsAreKept(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	_, err := r.Batch(context.Background(), z, Changes{Posts: []Record{{Name: "a.example.com", Type: "TXT", Content: "x", TTL: 5}}})
	want := "change zone example.com: cloudflare: POST /zones/" + z.ID + "/dns_records/batch: DNS Validation Error [1004]: TTL must be between 60 and 86400 seconds, or 1 for Automatic. [9021] (HTTP 400)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCancelledContextStops(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	ctx, cancel := context.WithCancel(context.Background())
	r.cf.Inject(cloudflare.Fault{Kind: cloudflare.HangAfter, Notify: cancel})
	_, err := r.Batch(ctx, z, Changes{Posts: mailRecords(z.Name)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err %v, want context.Canceled", err)
	}
}

func TestCanonicalSpellings(t *testing.T) {
	for _, tc := range []struct{ a, b Record }{
		{Record{Name: "Example.COM.", Type: "mx", Content: "MX.example.net."}, Record{Name: "example.com", Type: "MX", Content: "mx.example.net", TTL: 1}},
		{Record{Type: "AAAA", Content: "2001:DB8:0:0::1"}, Record{Type: "AAAA", Content: "2001:db8::1", TTL: 1}},
		{Record{Type: "CNAME", Proxied: true, TTL: 300}, Record{Type: "CNAME", Proxied: true, TTL: 1}},
		{Record{Type: "CAA", Content: "0 issue ca.example"}, Record{Type: "CAA", Content: `0 issue "ca.example"`}},
		{Record{Type: "SRV", Content: "0 993 Imap.Example."}, Record{Type: "SRV", Content: "0 993 imap.example"}},
	} {
		if !Same(tc.a, tc.b) {
			t.Errorf("%+v and %+v should be the same", tc.a, tc.b)
		}
	}
	if Same(Record{Type: "TXT", Content: "a"}, Record{Type: "TXT", Content: "A"}) {
		t.Error("the case of a TXT record matters")
	}
}

func TestMarkNamesTheOwner(t *testing.T) {
	mark := Mark("acme", strings.Repeat("é", 200)+"\nx")
	if n := len([]rune(mark)); n != MaxComment {
		t.Errorf("%d characters", n)
	}
	if Owner(mark) != "acme" || Owner("mailplan") != "" || Owner("by hand") != "" {
		t.Error("owner is not read back")
	}
}

// A request without an answer is given up after TryTimeout, not after minutes.
func TestTryTimeout(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	r.wire.cfg.TryTimeout, r.wire.cfg.Tries = 50*time.Millisecond, 2
	r.cf.Inject(cloudflare.Fault{Kind: cloudflare.Hang, Times: 2, Pattern: listCall})
	start := time.Now()
	_, err := r.Read(context.Background(), []Zone{z})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

// A wrong token says what may be wrong, and never itself.
func TestWrongToken(t *testing.T) {
	r := newRig(t)
	cf, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: "another"})
	if err != nil {
		t.Fatal(err)
	}
	e := New(Config{Token: token, BaseURL: cloudflare.BaseURL, HTTPClient: cf.Client(), Sleep: r.sleep})
	_, err = e.Zones(context.Background(), []string{"example.com"})
	if err == nil || !strings.Contains(err.Error(), "lacks a permission") || e.Calls() != 1 {
		t.Errorf("%v after %d calls", err, e.Calls())
	}
	noToken(t, err)
}

func TestConfirmGivesUp(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	r.cf.Lag(1000)
	c := Changes{Posts: mailRecords(z.Name)[:1]}
	if _, err := r.Batch(context.Background(), z, c); err != nil {
		t.Fatal(err)
	}
	err := r.Confirm(context.Background(), z, c)
	if err == nil || !strings.Contains(err.Error(), "does not show MX example.com") {
		t.Errorf("%v", err)
	}
}

// However somebody spelled a TXT record, its bytes decide.
func TestForeignSpellingsOfTXT(t *testing.T) {
	r := newRig(t)
	z := r.zone(t, "example.com", cloudflare.Free)
	ctx := context.Background()
	for name, content := range map[string]string{
		"unquoted": `v=spf1 -all`, "quoted": `"v=spf1 -all"`, "split": `"v=spf1" " -all"`, "escaped": `"v=spf1\032-all"`,
	} {
		body := map[string]any{"type": "TXT", "name": name + ".example.com", "content": content}
		if _, err := r.wire.send(ctx, "POST", "zones/"+z.ID+"/dns_records", body); err != nil {
			t.Fatal(err)
		}
	}
	live, err := r.Read(ctx, []Zone{z})
	if err != nil || len(live) != 4 {
		t.Fatalf("%d records, %v", len(live), err)
	}
	for _, record := range live {
		if record.Content != "v=spf1 -all" {
			t.Errorf("%s reads as %q", record.Name, record.Content)
		}
	}
}

// The sandbox speaks to the stand-in without a socket; every fault is the same.
func TestInProcessClient(t *testing.T) {
	for _, tc := range faults {
		cf, err := cloudflare.New(t.TempDir(), cloudflare.Options{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := cf.AddZone("example.com", cloudflare.Free)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{cf: cf}
		e := New(Config{Token: "x", BaseURL: cloudflare.BaseURL, HTTPClient: cf.Client(), Sleep: r.sleep, TryTimeout: 100 * time.Millisecond})
		fault := tc.fault
		fault.Pattern = batchCall
		cf.Inject(fault)
		z := Zone{ID: id, Name: "example.com"}
		_, err = e.Batch(context.Background(), z, Changes{Posts: mailRecords(z.Name)})
		if tc.stops != (err != nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		cf.Heal()
		if live, err := e.Read(context.Background(), []Zone{z}); err != nil || !tc.stops && len(live) != 12 {
			t.Errorf("%s: %d records, %v", tc.name, len(live), err)
		}
	}
}

// BenchmarkReadNoChange reads what a diff of 50 domains with 2,000 records reads.
func BenchmarkReadNoChange(b *testing.B) {
	cf, err := cloudflare.New(b.TempDir(), cloudflare.Options{Requests: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	e := New(Config{Token: "x", BaseURL: cloudflare.BaseURL, HTTPClient: cf.Client()})
	for i := range 50 {
		name := fmt.Sprintf("d%02d.example", i)
		id, err := cf.AddZone(name, cloudflare.Free)
		if err != nil {
			b.Fatal(err)
		}
		names = append(names, name)
		var posts []Record
		for j := range 40 {
			posts = append(posts, Record{Name: fmt.Sprintf("h%d.%s", j, name), Type: "TXT", Content: strings.Repeat("x", 100)})
		}
		if _, err := e.Batch(context.Background(), Zone{ID: id, Name: name}, Changes{Posts: posts}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		e.wire.bucket = newBucket(time.Now)
		before := e.Calls()
		zones, err := e.Zones(context.Background(), names)
		if err != nil {
			b.Fatal(err)
		}
		live, err := e.Read(context.Background(), zones)
		if err != nil || len(live) != 2000 {
			b.Fatal(len(live), err)
		}
		b.ReportMetric(float64(e.Calls()-before), "calls")
	}
}
