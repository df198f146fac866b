package cloudflare

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/zones"
)

// stand is a stand-in behind a real HTTP server, with options for the SDK.
type stand struct {
	*Server
	dir, url, account string
	opts              []option.RequestOption
}

func newStand(t *testing.T, o Options) *stand {
	t.Helper()
	s := &stand{dir: t.TempDir()}
	s.open(t, o)
	return s
}

// open starts the stand-in on its folder, as a new process would.
func (s *stand) open(t *testing.T, o Options) {
	t.Helper()
	var err error
	if s.Server, err = New(s.dir, o); err != nil {
		t.Fatal(err)
	}
	if s.account, err = s.AccountID(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Server)
	t.Cleanup(srv.Close)
	s.url = srv.URL + prefix
	s.opts = []option.RequestOption{option.WithBaseURL(s.url), option.WithAPIToken("t"), option.WithMaxRetries(0)}
}

func (s *stand) zoneID(t *testing.T, name string, p Plan) string {
	t.Helper()
	id, err := s.AddZone(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// call sends a raw request and returns status and body.
func (s *stand) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer t")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}

func TestTypedSDKRoundTrip(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	ctx := context.Background()
	z, err := zones.NewZoneService(s.opts...).List(ctx, zones.ZoneListParams{})
	if err != nil || len(z.Result) != 1 || z.Result[0].ID != id || z.Result[0].Name != "example.com" {
		t.Fatalf("zones: %+v, %v", z, err)
	}
	records := dns.NewRecordService(s.opts...)
	var mx dns.MXRecordParam
	mx.Name.Value, mx.Name.Present = "Example.com.", true
	mx.Type.Value, mx.Type.Present = dns.MXRecordTypeMX, true
	mx.TTL.Value, mx.TTL.Present = 300, true
	mx.Content.Value, mx.Content.Present = "MX1.example.net.", true
	mx.Priority.Value, mx.Priority.Present = 20, true
	var p dns.RecordNewParams
	p.ZoneID.Value, p.ZoneID.Present = id, true
	p.Body = mx
	made, err := records.New(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if made.Name != "example.com" || made.Content != "mx1.example.net" || made.Priority != 20 || made.TTL != 300 {
		t.Errorf("created %+v", made)
	}
	var b dns.RecordBatchParams
	b.ZoneID.Value, b.ZoneID.Present = id, true
	var patch dns.BatchPatchMXRecordParam
	patch.ID.Value, patch.ID.Present = made.ID, true
	patch.Name, patch.Type, patch.Priority = mx.Name, mx.Type, mx.Priority
	patch.TTL.Value, patch.TTL.Present = 600, true
	b.Patches.Value, b.Patches.Present = []dns.BatchPatchUnionParam{patch}, true
	mx.Content.Value = "mx2.example.net"
	b.Posts.Value, b.Posts.Present = []dns.RecordBatchParamsPostUnion{mx}, true
	out, err := records.Batch(ctx, b)
	if err != nil || len(out.Patches) != 1 || out.Patches[0].TTL != 600 || len(out.Posts) != 1 {
		t.Fatalf("batch: %+v, %v", out, err)
	}
	var del dns.RecordDeleteParams
	del.ZoneID = p.ZoneID
	if _, err := records.Delete(ctx, made.ID, del); err != nil {
		t.Fatal(err)
	}
	var get dns.RecordGetParams
	get.ZoneID = p.ZoneID
	if _, err := records.Get(ctx, made.ID, get); err == nil {
		t.Error("a deleted record is still there")
	}
}

func TestRefusals(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	path := "/zones/" + id + "/dns_records"
	for _, body := range []string{
		`{"type":"A","name":"host.example.com","content":"192.0.2.1"}`,
		`{"type":"CNAME","name":"alias.example.com","content":"host.example.com"}`,
		`{"type":"TXT","name":"example.com","content":"\"v=spf1 -all\""}`,
	} {
		if status, out := s.call(t, "POST", path, body); status != 200 {
			t.Fatalf("%s: %d %s", body, status, out)
		}
	}
	long := strings.Repeat("x", 101)
	for _, tc := range []struct{ name, body, want string }{
		{"identical", `{"type":"A","name":"host.example.com","content":"192.0.2.1"}`, "81058"},
		{"identical TXT in another spelling", `{"type":"TXT","name":"example.com","content":"\"v=spf1\" \" -all\""}`, "81058"},
		{"CNAME beside A", `{"type":"CNAME","name":"host.example.com","content":"x.example.com"}`, "81053"},
		{"A beside CNAME", `{"type":"A","name":"alias.example.com","content":"192.0.2.1"}`, "81054"},
		{"TXT beside CNAME", `{"type":"TXT","name":"alias.example.com","content":"\"x\""}`, "81053"},
		{"TTL too small", `{"type":"A","name":"a.example.com","content":"192.0.2.1","ttl":30}`, "9021"},
		{"TTL too great", `{"type":"A","name":"a.example.com","content":"192.0.2.1","ttl":86401}`, "9021"},
		{"proxied TXT", `{"type":"TXT","name":"a.example.com","content":"\"x\"","proxied":true}`, "9004"},
		{"proxied private address", `{"type":"A","name":"a.example.com","content":"10.0.0.1","proxied":true}`, "9041"},
		{"not an address", `{"type":"A","name":"a.example.com","content":"2001:db8::1"}`, "9005"},
		{"MX without preference", `{"type":"MX","name":"example.com","content":"mx.example.net"}`, "9101"},
		{"MX to an address", `{"type":"MX","name":"example.com","content":"192.0.2.1","priority":1}`, "9009"},
		{"name of another zone", `{"type":"A","name":"a.example.org","content":"192.0.2.1"}`, "9000"},
		{"bad name", `{"type":"A","name":"a..example.com","content":"192.0.2.1"}`, "9000"},
		{"not punycode", `{"type":"A","name":"bücher.example.com","content":"192.0.2.1"}`, "9000"},
		{"long comment", `{"type":"A","name":"a.example.com","content":"192.0.2.1","comment":"` + long + `"}`, "exceeding the limit of 100"},
		{"tags on Free", `{"type":"A","name":"a.example.com","content":"192.0.2.1","tags":["a:b"]}`, "9300"},
		{"TXT quote left open", `{"type":"TXT","name":"a.example.com","content":"\"x"}`, "9207"},
		{"TXT too long", `{"type":"TXT","name":"a.example.com","content":"` + strings.Repeat("x", 4090) + `"}`, "4096"},
		{"SRV without data", `{"type":"SRV","name":"_a._tcp.example.com","content":"0 1 host.example.com"}`, "9101"},
		{"SRV at a host name", `{"type":"SRV","name":"a.example.com","data":{"priority":1,"weight":1,"port":1,"target":"a.example.com"}}`, "_service"},
		{"TLSA with a short digest", `{"type":"TLSA","name":"_25._tcp.example.com","data":{"usage":3,"selector":1,"matching_type":1,"certificate":"ab"}}`, "data.certificate"},
		{"CAA with an unknown tag", `{"type":"CAA","name":"example.com","data":{"flags":0,"tag":"x","value":"y"}}`, "issuewild"},
		{"SPF type", `{"type":"SPF","name":"example.com","content":"x"}`, "1004"},
		{"unknown field", `{"type":"A","name":"a.example.com","content":"192.0.2.1","bogus":1}`, "bogus"},
		{"not JSON", `{`, "9207"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, out := s.call(t, "POST", path, tc.body)
			if status != 400 || !strings.Contains(out, tc.want) || !strings.Contains(out, `"success":false`) {
				t.Errorf("%d %s; want 400 with %q", status, out, tc.want)
			}
		})
	}
	if n := s.Effects("POST /zones/{zone}/dns_records"); n != 3 {
		t.Errorf("%d effects, want 3", n)
	}
}

// The first refusal of a batch undoes what came before it.
func TestBatchIsATransaction(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	path := "/zones/" + id + "/dns_records"
	body := `{"posts":[{"type":"A","name":"a.example.com","content":"192.0.2.1"},{"type":"A","name":"b.example.com","content":"nonsense"}]}`
	if status, out := s.call(t, "POST", path+"/batch", body); status != 400 {
		t.Fatalf("%d %s", status, out)
	}
	if _, out := s.call(t, "GET", path, ""); !strings.Contains(out, `"total_count":0`) {
		t.Errorf("records left behind: %s", out)
	}
	posts := strings.Repeat(`{"type":"A","name":"a.example.com","content":"192.0.2.1"},`, 201)
	_, out := s.call(t, "POST", path+"/batch", `{"posts":[`+strings.TrimSuffix(posts, ",")+`]}`)
	if !strings.Contains(out, "1 to 200 operations, not 201") {
		t.Errorf("201 operations: %s", out)
	}
}

func TestLongQuotedTextIsSplit(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	_, out := s.call(t, "POST", "/zones/"+id+"/dns_records", `{"type":"TXT","name":"k.example.com","content":"\"`+strings.Repeat("x", 300)+`\""}`)
	if !strings.Contains(out, strings.Repeat("x", 255)+`\" \"`+strings.Repeat("x", 45)+`\"`) {
		t.Error(out)
	}
}

func TestPaging(t *testing.T) {
	s := newStand(t, Options{})
	for i := range 12 {
		s.zoneID(t, strings.Repeat("a", i+1)+".example", Free)
	}
	_, out := s.call(t, "GET", "/zones?per_page=5&page=3", "")
	if !strings.Contains(out, `"page":3,"per_page":5,"count":2,"total_count":12,"total_pages":3`) {
		t.Error(out)
	}
	if status, out := s.call(t, "GET", "/zones?per_page=51", ""); status != 400 {
		t.Errorf("per_page above the bound: %d %s", status, out)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	s.call(t, "POST", "/zones/"+id+"/dns_records", `{"type":"A","name":"a.example.com","content":"192.0.2.1"}`)
	account := s.account
	s.open(t, Options{})
	if s.account != account || s.zoneID(t, "example.com", Free) != id {
		t.Error("account or zone has another id after a restart")
	}
	if _, out := s.call(t, "GET", "/zones/"+id+"/dns_records", ""); !strings.Contains(out, "a.example.com") {
		t.Error(out)
	}
	files, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want 0600", f, info.Mode(), err)
		}
	}
}

func TestTokenAndRoutes(t *testing.T) {
	s := newStand(t, Options{Token: "right"})
	if status, out := s.call(t, "GET", "/zones", ""); status != 403 || !strings.Contains(out, "10000") {
		t.Errorf("wrong token: %d %s", status, out)
	}
	if status, out := s.call(t, "GET", "/nothing", ""); status != 400 || !strings.Contains(out, "7000") {
		t.Errorf("unknown route: %d %s", status, out)
	}
}

func TestRateLimit(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newStand(t, Options{Requests: 3, Now: func() time.Time { return now }})
	var status int
	for range 4 {
		status, _ = s.call(t, "GET", "/zones", "")
	}
	if status != 429 {
		t.Errorf("fourth request: %d, want 429", status)
	}
	now = now.Add(5 * time.Minute)
	if status, _ = s.call(t, "GET", "/zones", ""); status != 200 {
		t.Errorf("after the window: %d", status)
	}
}

func TestLaggingReads(t *testing.T) {
	s := newStand(t, Options{})
	id := s.zoneID(t, "example.com", Free)
	s.Lag(2)
	s.call(t, "POST", "/zones/"+id+"/dns_records", `{"type":"A","name":"a.example.com","content":"192.0.2.1"}`)
	var seen []bool
	for range 3 {
		_, out := s.call(t, "GET", "/zones/"+id+"/dns_records", "")
		seen = append(seen, strings.Contains(out, "a.example.com"))
	}
	if seen[0] || seen[1] || !seen[2] {
		t.Errorf("reads see the record: %v, want false false true", seen)
	}
}

func TestErrorsDecodeInTheSDK(t *testing.T) {
	s := newStand(t, Options{})
	s.Inject(Fault{Kind: ServerError})
	_, err := zones.NewZoneService(s.opts...).List(context.Background(), zones.ZoneListParams{})
	var status interface{ DumpResponse(bool) []byte }
	if err == nil || !errors.As(err, &status) {
		t.Errorf("502 with HTML: %v", err)
	}
}
