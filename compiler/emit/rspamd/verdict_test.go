package rspamd_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/rspamd"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/test/daemon"
)

// rspamdAlive starts Redis and Rspamd, nothing else (no clamd, no DNS).
const rspamdAlive = `
cp -a /etc/rspamd.site/. /etc/rspamd/
chown -R _rspamd /etc/rspamd
mkdir -p /var/lib/rspamd && chown _rspamd /var/lib/rspamd
redis-server --requirepass value-of-REDIS-PASSWORD --save '' >/dev/null &
rspamd -f -u _rspamd -g _rspamd >/tmp/rspamd.log 2>&1 &
for i in $(seq 900); do
	curl -s 127.0.0.1:11333/ping | grep -q pong && break
	sleep 0.1
done
`

// clamdAlive starts a clamd that knows one signature.
const clamdAlive = `
mkdir /tmp/signatures
printf 'Test.Marker:0:*:%s\n' "$(printf MALWARE-FOR-TESTS | od -An -tx1 | tr -d ' \n')" >/tmp/signatures/test.ndb
printf 'DatabaseDirectory /tmp/signatures\nTCPSocket 3310\nTCPAddr 127.0.0.1\nForeground yes\nUser root\n' >/tmp/clamd.conf
clamd --config-file=/tmp/clamd.conf >/tmp/clamd.log 2>&1 &
for i in $(seq 100); do
	echo PING | nc -N 127.0.0.1 3310 2>/dev/null | grep -q PONG && break
	sleep 0.1
done
`

// scan posts a message and prints the reply on one line.
const scan = `
scan() { # USER FROM TEXT
	printf 'From: %s\r\nTo: carol@elsewhere.example\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n%s\r\n' "$2" "$3" |
		curl -s -H "User: $1" -H 'IP: 100.64.0.7' -H "From: $1" -H 'Rcpt: carol@elsewhere.example' \
			--data-binary @- 127.0.0.1:11333/checkv2 | tr -d '\n'
	echo
}
`

type reply struct {
	Action    string
	Messages  map[string]string
	Signature any `json:"dkim-signature"`
}

// alive runs a script with calls of scan against a real Rspamd with the site's configuration, and keys as mailplan
// makes them.
func alive(t *testing.T, s *model.Site, script string) []reply {
	t.Helper()
	r := rspamdAndRedis(t, emittest.Layout(t, emittest.Emit(t, rspamd.Files, s), "config/rspamd", signingKeys(t, s)))
	result := r.Script(rspamdAlive + scan + script + "\ncat /tmp/rspamd.log >&2\n")
	var replies []reply
	for line := range strings.Lines(result.Stdout) {
		var one reply
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %q\n%s", err, line, result.Stderr)
		}
		replies = append(replies, one)
	}
	if len(replies) == 0 {
		t.Fatalf("no replies: %v\n%s", result.Err, result.Stderr)
	}
	return replies
}

// signingKeys gives keys as mailplan makes them, each always the same, and something for every other secret.
func signingKeys(t *testing.T, s *model.Site) func(name string) string {
	made := map[string]string{}
	return func(name string) string {
		if !strings.HasPrefix(name, "dkim/") {
			return "value-of-" + strings.ReplaceAll(name, "_", "-")
		}
		if made[name] == "" {
			key, err := secrets.NewGenerator(s).Make(name)
			if err != nil {
				t.Fatal(err)
			}
			made[name] = key
		}
		return made[name]
	}
}

// rspamdAndRedis is a root for rspamdAlive.
func rspamdAndRedis(t *testing.T, dir string) *daemon.Root {
	t.Helper()
	r := daemon.NewTrixieRoot(t)
	r.Mount(dir, "/etc/rspamd.site")
	r.Hosts("redis", "clamav", "rspamd", "fuzzy1.rspamd.com", "fuzzy2.rspamd.com")
	return r
}

// TestVerdict sends as several users: only one's own addresses may stand in From, and those are signed;
// malware is refused, and while ClamAV is away nothing passes.
func TestVerdict(t *testing.T) {
	t.Parallel()
	const alice, bob = "alice@example.com", "bob@example.com"
	tests := []struct {
		login, from, text, action, says string
		signed                          bool
	}{
		{alice, alice, "ClamAV is not there yet", "soft reject", "scanned", false},
		{alice, "Alice <alice@example.com>", "hello", "no action", "", true},
		{alice, "alice+list@Example.com", "hello", "no action", "", true},
		{alice, "sales@example.com", "hello", "no action", "", true},
		{alice, "ceo@partner.example", "hello", "no action", "", false},
		{alice, "Bob <bob@example.com>", "hello", "reject", "not an address of alice", false},
		{alice, "alice@example.com, bob@example.com", "hello", "reject", "not an address of alice", false},
		{bob, "sales@example.com", "hello", "reject", "not an address of bob", false},
		{bob, "undisclosed", "hello", "reject", "one field with an address", false},
		{bob, bob, "MALWARE-FOR-TESTS", "reject", "Malware found: Test.Marker", false},
	}
	var script strings.Builder
	for i, tt := range tests {
		fmt.Fprintf(&script, "scan '%s' '%s' '%s'\n", tt.login, tt.from, tt.text)
		if i == 0 {
			script.WriteString(clamdAlive)
		}
	}
	replies := alive(t, emittest.Site(), script.String())
	if len(replies) != len(tests) {
		t.Fatalf("%d replies to %d messages", len(replies), len(tests))
	}
	for i, got := range replies {
		tt := tests[i]
		said := strings.Join(slices.Collect(maps.Values(got.Messages)), "; ")
		if got.Action != tt.action || !strings.Contains(said, tt.says) {
			t.Errorf("%s as %q: %s (%s), want %s that says %q", tt.login, tt.from, got.Action, said, tt.action, tt.says)
		}
		if got.Action == "no action" && (got.Signature != nil) != tt.signed {
			t.Errorf("%s as %q: signature %v, want signed %v", tt.login, tt.from, got.Signature, tt.signed)
		}
	}
}

// TestSignsWithEd25519 holds that Rspamd reads a made key of the other algorithm, too (RFC 8463).
func TestSignsWithEd25519(t *testing.T) {
	t.Parallel()
	s := emittest.Site()
	s.Domains[0].Selectors[0].Algorithm = "ed25519"
	reply := alive(t, s, clamdAlive+"scan alice@example.com alice@example.com hello\n")[0]
	if text := fmt.Sprint(reply.Signature); !strings.Contains(text, "a=ed25519-sha256") {
		t.Errorf("%s, signature %s", reply.Action, text)
	}
}
