package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = `{"ingest": {"listen": "127.0.0.1:8080", "auth": {"tokenFiles": ["t"]}, "table": "r.json", "lmtp": {"address": "dovecot:24"}}}`

func TestDefaultsAreFilledIn(t *testing.T) {
	c, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	i := c.Ingest
	if i.MaxMessageBytes != 25<<20 || i.MaxRecipients != 100 || i.Hostname != "localhost" || i.Trace.By[0] != "cloudflare-email.net" || i.BodyTimeout.Or(time.Minute) != time.Minute {
		t.Errorf("%+v", i)
	}
}

func TestPolicyIsClosedByDefault(t *testing.T) {
	c, err := Parse([]byte(strings.Replace(minimal, `"table"`, `"scan": {"url": "http://rspamd:11333"}, "table"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{Reject: "reject", SoftReject: "tempfail", AddHeader: "junk", RewriteSubject: "junk", Virus: "reject", Failure: "tempfail", Down: "tempfail"}
	if diff := cmp.Diff(want, c.Ingest.Scan.Policy); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestEveryProblemIsReported has one of each mistake in one file.
func TestEveryProblemIsReported(t *testing.T) {
	_, err := Parse([]byte(`{"health": {"listen": "nowhere"}, "ingest": {"listen": ":99999", "maxRecipients": -1,
		"auth": {"tokenFiles": [], "signature": {"keyFiles": ["a", "b", "c"]}, "access": {"issuer": "team", "audience": ""}},
		"scan": {"url": "rspamd:11333", "policy": {"virus": "drop"}}, "lmtp": {"address": "dovecot"}, "maildir": {"root": ""},
		"smarthost": {"address": "postfix:587", "tls": "maybe", "username": "u"}, "srs": {"domain": "", "keyFiles": []}, "ledger": {"path": ""}},
		"console": {"listen": "8080", "proxies": ["10.0.0.0/8", "cloudflared"]}}`))
	var found Problems
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range found {
		paths = append(paths, p.Path)
	}
	want := []string{"console.listen", "console.proxies[1]", "console.sessionKeyFile", "health.listen", "ingest", "ingest.auth.access.audience", "ingest.auth.access.issuer", "ingest.auth.signature.keyFiles",
		"ingest.auth.tokenFiles", "ingest.ledger.path", "ingest.listen", "ingest.lmtp.address", "ingest.maildir.root", "ingest.maxRecipients",
		"ingest.scan.policy.virus", "ingest.scan.url", "ingest.smarthost", "ingest.smarthost.tls", "ingest.srs.domain", "ingest.srs.keyFiles", "ingest.table"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestUnknownKeysAreAllNamed(t *testing.T) {
	_, err := Parse([]byte(`{"ingset": {}, "ingest": {"listen": ":1", "auth": {"tokens": 1, "tokenFiles": ["a"]}, "table": "t", "lmtp": {"adress": "x:1"}}}`))
	for _, path := range []string{"ingset: unknown", "ingest.auth.tokens: unknown", "ingest.lmtp.adress: unknown"} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s is not named: %v", path, err)
		}
	}
}

func TestTypesAndSpansAreChecked(t *testing.T) {
	for _, wrong := range []string{`{"ingest": 1}`, `{"ingest": {"bodyTimeout": "soon"}}`, `{"ingest": {"bodyTimeout": "-3s"}}`, `[]`, ``, `{"ingest": {"listen": 1}}`, minimal + "x"} {
		if _, err := Parse([]byte(wrong)); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

// TestWrittenIsRead holds that what the compiler writes from the same types is what the daemon reads.
func TestWrittenIsRead(t *testing.T) {
	c, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	c.Ingest.Ledger = &Ledger{Path: "l.db", Keep: Duration(24 * time.Hour)}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(data)
	if diff := cmp.Diff(c, again); diff != "" || err != nil {
		t.Errorf("%v: -written +read\n%s", err, diff)
	}
	table := &Table{Domains: map[string]TableDomain{"x.example": {Users: []string{"a"}, CatchAll: []string{"a"}, Subaddress: "+"}}}
	bytes, err := table.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseTable(bytes)
	if diff := cmp.Diff(table, back); diff != "" || err != nil {
		t.Errorf("%v: -written +read\n%s", err, diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		if c.Ingest != nil && (c.Ingest.MaxMessageBytes <= 0 || len(c.Ingest.Auth.TokenFiles) == 0 || (c.Ingest.LMTP == nil) == (c.Ingest.Maildir == nil)) {
			t.Errorf("taken: %s", data)
		}
	})
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(`{"domains":{"x.example":{"users":["a"],"aliases":{"b":["a"]},"catchAll":["a"],"subaddress":"+"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseTable(data)
		if err != nil {
			return
		}
		if _, err := table.Bytes(); err != nil {
			t.Error(err)
		}
	})
}
