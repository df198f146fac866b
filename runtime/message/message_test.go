package message

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var cloudflare = []string{"cloudflare-email.net", "email.cloudflare.net"}

const trace = "Received: from mail.b.example (192.0.2.7)\r\n        by cloudflare-email.net (cloudflare) id AbC\r\n        for <alice@example.com>; Fri, 25 Sep 2026 05:07:50 +0000\r\n" +
	"ARC-Seal: i=1; a=rsa-sha256;\r\n\tb=x\r\nReceived-SPF: pass\r\nAuthentication-Results: mx.cloudflare.net;\r\n\tdkim=pass\r\nX-CF-SpamH-Score: 2\r\n"

func TestHeaderEndsAtTheFirstEmptyLine(t *testing.T) {
	for in, want := range map[string]int{
		"A: b\r\n\r\nbody":   8,
		"A: b\n\nbody":       6,
		"A: b\r\n\nbody":     7,
		"\r\nbody":           2,
		"A: b\r\n":           -1,
		"A: b\r\n \r\nc\r\n": -1,
		"":                   -1,
	} {
		if got := Length([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func TestFieldsKeepTheirBytes(t *testing.T) {
	in := "A: b\r\n c\r\nno field here\r\nB :\xff\xfe\nC:d\r\n\r\n"
	h := Parse([]byte(in))
	var back bytes.Buffer
	var names []string
	for _, f := range h.Fields {
		back.Write(f.Raw)
		names = append(names, string(f.Name))
	}
	back.Write(h.End)
	if back.String() != in {
		t.Errorf("came back as %q", back.String())
	}
	if diff := cmp.Diff([]string{"A", "", "B", "C"}, names); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestNamesAsMailStoresReadThem has fields that Dovecot finds by a name which does not stand before a colon.
func TestNamesAsMailStoresReadThem(t *testing.T) {
	for raw, want := range map[string]string{
		"X-Spam\r\n : Yes\r\n":     "X-Spam",
		"X-Spam\n\t: Yes\n":        "X-Spam",
		"X-Spam \t: Yes\r\n":       "X-Spam",
		"X-Spam\x00 more: Yes\r\n": "X-Spam",
		"X-Spam\r\n":               "X-Spam",
		"two words: Yes\r\n":       "",
	} {
		if got := string(Parse([]byte(raw)).Fields[0].Name); got != want {
			t.Errorf("%q: name %q, want %q", raw, got, want)
		}
	}
}

// TestFirstLineContinuesNothing has a message begin like the continuation of the field that we put above it.
func TestFirstLineContinuesNothing(t *testing.T) {
	in := Parse([]byte(" x\r\nA: 1\r\n\r\n"))
	edit := Edit{Inserts: []Insert{{"X-Spam", "Yes", 0}}}
	if got := string(edit.Apply(in)); got != "X-Spam: Yes\r\nX-Mailplan-Stray: x\r\nA: 1\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(Edit{}.Apply(in)); got != " x\r\nA: 1\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

func TestEdit(t *testing.T) {
	in := "X-Spam: No\r\nA: 1\r\nB: 1\r\nA: 2\r\nA: 3\r\n\tfolded\r\nx-spam: maybe\r\n\r\n"
	strip := func(f Field) bool { return f.Is("X-Spam") }
	for name, c := range map[string]struct {
		edit Edit
		want string
	}{
		"nothing":     {Edit{}, in},
		"strip":       {Edit{Strip: strip}, "A: 1\r\nB: 1\r\nA: 2\r\nA: 3\r\n\tfolded\r\n\r\n"},
		"all":         {Edit{Strip: strip, Remove: []Removal{{"a", 0}}}, "B: 1\r\n\r\n"},
		"second":      {Edit{Strip: strip, Remove: []Removal{{"A", 2}}}, "A: 1\r\nB: 1\r\nA: 3\r\n\tfolded\r\n\r\n"},
		"last":        {Edit{Strip: strip, Remove: []Removal{{"A", -1}}}, "A: 1\r\nB: 1\r\nA: 2\r\n\r\n"},
		"not there":   {Edit{Strip: strip, Remove: []Removal{{"A", 4}, {"A", -4}, {"C", 0}}}, "A: 1\r\nB: 1\r\nA: 2\r\nA: 3\r\n\tfolded\r\n\r\n"},
		"top and end": {Edit{Strip: strip, Remove: []Removal{{"A", 0}}, Inserts: []Insert{{"Z", "end", -1}, {"Y", "two", 1}, {"X", "one", 0}}}, "X: one\r\nY: two\r\nB: 1\r\nZ: end\r\n\r\n"},
		"own X-Spam":  {Edit{Strip: strip, Remove: []Removal{{"A", 0}}, Inserts: []Insert{{"X-Spam", "Yes", 0}}}, "X-Spam: Yes\r\nB: 1\r\n\r\n"},
		"folded":      {Edit{Strip: strip, Remove: []Removal{{"A", 0}}, Inserts: []Insert{{"R", "a;\n\tb\nEvil: c\n\nd", 0}}}, "R: a;\r\n\tb\r\n\tEvil: c\r\n\td\r\nB: 1\r\n\r\n"},
	} {
		if diff := cmp.Diff(c.want, string(c.edit.Apply(Parse([]byte(in))))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestClientIsBelievedOnlyFromTheRelayOnTop(t *testing.T) {
	forged := "Received: from trusted.bank.example (203.0.113.9)\r\n        by cloudflare-email.net (cloudflare) id X\r\n"
	for name, c := range map[string]struct {
		header, addr, helo string
	}{
		"Cloudflare":             {trace, "192.0.2.7", "mail.b.example"},
		"older form":             {strings.ReplaceAll(trace, "cloudflare-email.net (cloudflare)", "email.cloudflare.net (unknown)"), "192.0.2.7", "mail.b.example"},
		"IPv6":                   {strings.ReplaceAll(trace, "192.0.2.7", "2001:db8::7"), "2001:db8::7", "mail.b.example"},
		"mapped":                 {strings.ReplaceAll(trace, "192.0.2.7", "::ffff:192.0.2.7"), "192.0.2.7", "mail.b.example"},
		"forged one below":       {trace + forged, "192.0.2.7", "mail.b.example"},
		"forged below another":   {"Received: from x (192.0.2.1) by other.example\r\n" + forged, "", ""},
		"forged below a subject": {"Subject: x\r\n" + forged, "", ""},
		"spam score above":       {"X-CF-SpamH-Score: 1\r\n" + trace, "192.0.2.7", "mail.b.example"},
		"strange helo":           {strings.ReplaceAll(trace, "mail.b.example", "a<b>"), "192.0.2.7", ""},
		"helo with spaces":       {strings.ReplaceAll(trace, "mail.b.example (", "x (203.0.113.9) by cloudflare-email.net ("), "", ""},
		"no address":             {strings.ReplaceAll(trace, "(192.0.2.7)", "(unknown)"), "", ""},
		"host that looks alike":  {strings.ReplaceAll(trace, "by cloudflare-email.net", "by cloudflare-email.net.evil.example"), "", ""},
		"none":                   {"From: a@b\r\n", "", ""},
	} {
		got, _ := Parse([]byte(c.header + "\r\n")).Client(cloudflare)
		want := Client{Helo: c.helo}
		if c.addr != "" {
			want.Addr = netip.MustParseAddr(c.addr)
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func content(t *testing.T, from, message string) [32]byte {
	t.Helper()
	n := max(Length([]byte(message)), 0)
	k, err := NewKeyer(make([]byte, KeySize), from, Parse([]byte(message[:n])), cloudflare)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []byte(message[n:]) {
		k.Write([]byte{b})
	}
	return k.Content()
}

func TestContentKey(t *testing.T) {
	const with = "Message-ID: <1@b>\r\nFrom: a@b\r\n\r\nhello\r\n"
	const without = "From: a@b\r\n\r\nhello\r\n"
	other := strings.NewReplacer("AbC", "DeF", "05:07:50", "06:00:00", "Score: 2", "Score: 7").Replace(trace)
	base := content(t, "s@b", trace+with)
	for name, c := range map[string]struct {
		same bool
		key  [32]byte
	}{
		"again":                               {true, content(t, "s@b", trace+with)},
		"sender's retry":                      {true, content(t, "s@b", other+with)},
		"without any trace":                   {true, content(t, "s@b", with)},
		"other sender":                        {false, content(t, "t@b", trace+with)},
		"other body":                          {false, content(t, "s@b", trace+with+"x")},
		"other header":                        {false, content(t, "s@b", trace+"X: y\r\n"+with)},
		"other hop below the trace":           {false, content(t, "s@b", trace+"Received: from y by z\r\n"+with)},
		"a Received that is not Cloudflare's": {false, content(t, "s@b", strings.ReplaceAll(trace, "cloudflare-email", "elsewhere")+with)},
	} {
		if (c.key == base) != c.same {
			t.Errorf("%s: same = %v", name, !c.same)
		}
	}
	if content(t, "s@b", trace+without) == content(t, "s@b", other+without) {
		t.Error("two messages without Message-ID were taken for one")
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(trace + "A: b\r\n\r\nbody"))
	f.Add([]byte("\r\n"))
	f.Add([]byte("A\n :\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := Length(b)
		if n < 0 {
			n = len(b)
		}
		h := Parse(b[:n])
		if got := (Edit{}).Apply(h); !bytes.Equal(got, b[:n]) {
			t.Errorf("%q came back as %q", b[:n], got)
		}
		out := Edit{Strip: func(f Field) bool { return f.HasPrefix("X-Spam") }, Inserts: []Insert{{"X-Spam", string(b), 0}}}.Apply(h)
		if got := Parse(out).Count("X-Spam"); got != 1 {
			t.Errorf("%d fields X-Spam in %q", got, out)
		}
		c, ok := h.Client(cloudflare)
		if ok && (!c.Addr.IsValid() || strings.ContainsAny(c.Helo, "\r\n <>")) {
			t.Errorf("client %+v from %q", c, b)
		}
		if _, err := NewKeyer(make([]byte, KeySize), "", h, cloudflare); err != nil {
			t.Error(err)
		}
	})
}

func TestFromVia(t *testing.T) {
	for head, want := range map[string]string{
		"From: Eve <s@b.example>\r\nSubject: x\r\n\r\n":      "Subject: x\r\nX-Original-From: Eve <s@b.example>\r\nReply-To: Eve <s@b.example>\r\nFrom: \"Eve via example.com\" <crm@example.com>\r\n\r\n",
		"Reply-To: r@b.example\r\nfrom: s@b.example\r\n\r\n": "Reply-To: r@b.example\r\nX-Original-From: s@b.example\r\nFrom: \"s@b.example via example.com\" <crm@example.com>\r\n\r\n",
		"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\nReply-To: r@b.example\r\n\r\n": "Reply-To: r@b.example\r\nX-Original-From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\n" +
			"From: =?utf-8?b?SsO8cmdlbiB2aWEgZXhhbXBsZS5jb20=?= <crm@example.com>\r\n\r\n",
		"From: not an address\r\nFrom: two\r\nReply-To: x\r\n\r\n": "Reply-To: x\r\nX-Original-From: not an address\r\nFrom: \"not an address via example.com\" <crm@example.com>\r\n\r\n",
		"Subject: x\r\n\r\n": "Subject: x\r\nFrom: \"via example.com\" <crm@example.com>\r\n\r\n",
	} {
		h := Parse([]byte(head))
		if got := string(FromVia(h, "crm@example.com").Apply(h)); got != want {
			t.Errorf("%q\n got %q\nwant %q", head, got, want)
		}
	}
}

func TestAuthorDomains(t *testing.T) {
	for from, want := range map[string]string{
		"From: a@B.example\r\n\r\n": "b.example", "From: A <a@b.example>, c@d.example\r\n\r\n": "b.example d.example",
		"Subject: x\r\n\r\n": "", "From: nobody\r\n\r\n": "", "From: a@b.example\r\nFrom: c@d.example\r\n\r\n": "",
	} {
		if got := strings.Join(Parse([]byte(from)).AuthorDomains(), " "); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}

// FuzzFromVia changes any header section into one whose only author is ours.
func FuzzFromVia(f *testing.F) {
	f.Add([]byte("From: Eve <s@b.example>\r\nSubject: x\r\n\r\n"))
	f.Add([]byte("From:0:; "))
	f.Add([]byte("From: \xff\r\n =?x?q?y?= <\r\nfrom: a, b: c;\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := Length(b); n >= 0 {
			b = b[:n]
		}
		h := Parse(b)
		out := Parse(FromVia(h, "crm@example.com").Apply(h))
		domains := out.AuthorDomains()
		if out.Count("From") != 1 || len(domains) != 1 || domains[0] != "example.com" {
			t.Errorf("%q becomes %q", b, out.Fields)
		}
	})
}
