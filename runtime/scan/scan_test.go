package scan

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/message"
)

func conf(url string) *config.Scan {
	return &config.Scan{URL: url, VirusSymbols: []string{"CLAM_VIRUS"}, FailureSymbols: []string{"CLAM_VIRUS_FAIL"},
		Policy: config.Policy{Reject: "reject", SoftReject: "tempfail", AddHeader: "junk", RewriteSubject: "junk", Virus: "reject", Failure: "tempfail", Down: "tempfail"}}
}

func TestRequestCarriesEnvelopeAndClient(t *testing.T) {
	var got http.Header
	var body string
	rspamd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r.Header, string(b)
		io.WriteString(w, `{"action": "no action", "score": 1.5, "required_score": 15}`)
	}))
	defer rspamd.Close()
	s := New(conf(rspamd.URL+"/"), 1)
	v, err := s.Scan(context.Background(), Request{ID: "q1", From: "", To: []string{"a@x", "b@x"},
		Client: message.Client{Addr: netip.MustParseAddr("192.0.2.7"), Helo: "mx.b.example"}, Body: strings.NewReader("Subject: \xff\r\n\r\n"), Size: 14})
	if err != nil || v.Action != "no action" || v.Score != 1.5 || v.ScoreText() != "1.50" {
		t.Fatalf("%+v %v", v, err)
	}
	want := http.Header{"From": {"<>"}, "Rcpt": {"<a@x>", "<b@x>"}, "Ip": {"192.0.2.7"}, "Helo": {"mx.b.example"}, "Queue-Id": {"q1"}}
	for name, values := range want {
		if diff := cmp.Diff(values, got[name]); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	if body != "Subject: \xff\r\n\r\n" {
		t.Errorf("body %q", body)
	}
}

func TestVerdictEdits(t *testing.T) {
	v, err := ParseVerdict([]byte(`{"action": "add header", "score": 7, "symbols": {"B": {}, "A": {}}, "messages": {"smtp_message": "no thanks"},
		"milter": {"remove_headers": {"X-One": 1, "X-All": 0, "X-Some": [1, -1]},
		"add_headers": {"X-Text": "plain", "X-Top": {"value": "top", "order": 0}, "X-End": {"value": "end", "order": -1}, "X-Many": [{"value": "a", "order": 1}, "b"], "Bad Name": "x", "": "y"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []message.Insert{{Name: "X-End", Value: "end", Order: -1}, {Name: "X-Many", Value: "a", Order: 1}, {Name: "X-Many", Value: "b", Order: -1},
		{Name: "X-Text", Value: "plain", Order: -1}, {Name: "X-Top", Value: "top"}}
	if diff := cmp.Diff(want, v.Edit.Inserts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(v.Edit.Remove) != 4 || v.Said != "no thanks" || v.Symbols[0] != "A" {
		t.Errorf("%+v", v)
	}
}

func TestPolicy(t *testing.T) {
	s := New(conf("http://rspamd.example"), 1)
	for name, c := range map[string]struct {
		v    Verdict
		err  error
		want Deed
	}{
		"clean":                       {Verdict{Action: "no action"}, nil, Deliver},
		"score of greylisting":        {Verdict{Action: "greylist"}, nil, Deliver},
		"spam":                        {Verdict{Action: "add header"}, nil, Junk},
		"subject":                     {Verdict{Action: "rewrite subject"}, nil, Junk},
		"much spam":                   {Verdict{Action: "reject"}, nil, Reject},
		"not now":                     {Verdict{Action: "soft reject"}, nil, TempFail},
		"action of the future":        {Verdict{Action: "quarantine"}, nil, TempFail},
		"down":                        {Verdict{}, errors.New("down"), TempFail},
		"virus":                       {Verdict{Action: "no action", Symbols: []string{"CLAM_VIRUS"}}, nil, Reject},
		"virus, another check failed": {Verdict{Action: "soft reject", Symbols: []string{"CLAM_VIRUS", "CLAM_VIRUS_FAIL"}}, nil, Reject},
		"virus scanner down":          {Verdict{Action: "no action", Symbols: []string{"CLAM_VIRUS_FAIL"}}, nil, TempFail},
		"spam, virus scanner down":    {Verdict{Action: "add header", Symbols: []string{"CLAM_VIRUS_FAIL"}}, nil, TempFail},
		"reject, virus scanner down":  {Verdict{Action: "reject", Symbols: []string{"CLAM_VIRUS_FAIL"}}, nil, Reject},
	} {
		if d := s.Decide(c.v, c.err); d.Deed != c.want || (d.Deed == Reject || d.Deed == TempFail) && d.Answer == "" {
			t.Errorf("%s: %+v, want %s", name, d, c.want)
		}
	}
}

func TestNoAnswerIsNoVerdict(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"no action": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"score": 1}`) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"action"`)
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) { time.Sleep(400 * time.Millisecond) },
	} {
		rspamd := httptest.NewServer(answer)
		c := conf(rspamd.URL)
		c.Timeout = config.Duration(200 * time.Millisecond)
		if v, err := New(c, 1).Scan(context.Background(), Request{Body: strings.NewReader("x"), Size: 1}); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
		rspamd.Close()
	}
}

func FuzzParseVerdict(f *testing.F) {
	f.Add([]byte(`{"action": "x", "milter": {"add_headers": {"A": [{"value": "b\nc: d", "order": 2}]}, "remove_headers": {"A": -1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVerdict(b)
		if err != nil {
			return
		}
		h := message.Parse([]byte("A: 1\r\nB: 2\r\n\r\n"))
		out := v.Edit.Apply(h)
		back := message.Parse(out)
		if len(back.Fields) > len(h.Fields)+len(v.Edit.Inserts) || string(back.End) != "\r\n" {
			t.Errorf("%q makes %q", b, out)
		}
	})
}
