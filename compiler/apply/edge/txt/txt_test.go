package txt

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestDecode(t *testing.T) {
	long := strings.Repeat("k", 300)
	for _, tc := range []struct{ name, in, want string }{
		{"one string", `"v=spf1 -all"`, "v=spf1 -all"},
		{"unquoted is taken as it stands", `v=spf1 include:x -all`, "v=spf1 include:x -all"},
		{"strings are joined without a space", `"v=DKIM1; " "k=rsa"`, "v=DKIM1; k=rsa"},
		{"no space between strings", `"a""b"`, "ab"},
		{"tabs and outer blanks", "  \"a\"\t\"b\" ", "ab"},
		{"escaped quote", `"a\"b"`, `a"b`},
		{"escaped semicolon", `"v=DKIM1\; p=x"`, "v=DKIM1; p=x"},
		{"decimal escape", `"\195\169"`, "é"},
		{"raw UTF-8", `"é"`, "é"},
		{"empty", `""`, ""},
		{"over-long single string", `"` + long + `"`, long},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Decode(tc.in)
			if err != nil || got != tc.want {
				t.Fatalf("Decode(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestDecodeRefusesMalformed(t *testing.T) {
	for _, in := range []string{`"never closed`, `"a" b`, `"\`, `"\25"`, `"\256"`, `"\2x5"`} {
		if got, err := Decode(in); !errors.Is(err, ErrMalformed) {
			t.Errorf("Decode(%q) = %q, %v; want ErrMalformed", in, got, err)
		}
	}
}

func TestEncodeSplitsAt255Bytes(t *testing.T) {
	key := "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 600)
	chunks, err := Strings(Encode(key))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, c := range chunks {
		sizes = append(sizes, len(c))
	}
	if diff := cmp.Diff([]int{255, 255, 108}, sizes); diff != "" {
		t.Errorf("chunk sizes (-want +got):\n%s", diff)
	}
	if strings.Join(chunks, "") != key {
		t.Error("chunks do not join to the key")
	}
}

// FuzzRoundTrip holds Encode against an independent parser of zone files.
func FuzzRoundTrip(f *testing.F) {
	f.Add("v=spf1 -all")
	f.Add(`quote " backslash \ semicolon ; dollar $ paren (`)
	f.Add("é\x00\xff")
	f.Add(strings.Repeat("x", 511))
	f.Fuzz(func(t *testing.T, text string) {
		enc := Encode(text)
		if got, err := Decode(enc); err != nil || got != text {
			t.Fatalf("Decode(Encode(%q)) = %q, %v", text, got, err)
		}
		if len(text) > 4000 {
			return
		}
		rr, err := dns.NewRR("a.example. 300 IN TXT " + enc)
		if err != nil {
			t.Fatalf("zone parser refuses %q: %v", enc, err)
		}
		if got := wireText(t, rr); got != text {
			t.Fatalf("zone parser reads %q, want %q", got, text)
		}
	})
}

// wireText returns the bytes of a TXT record as they go over the wire.
func wireText(t *testing.T, rr dns.RR) string {
	buf := make([]byte, 65535)
	off, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	data := buf[off-int(rr.Header().Rdlength) : off]
	if rr.Header().Rdlength == 0 {
		data = data[:0]
	}
	var b strings.Builder
	for len(data) > 0 {
		n := int(data[0])
		b.Write(data[1 : 1+n])
		data = data[1+n:]
	}
	return b.String()
}

// FuzzDecode must never panic, and what it accepts must survive a round trip.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`"a" "b"`, `"\"`, `"\999"`, `x`, ``, `" `} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := Decode(s)
		if err != nil {
			return
		}
		if again, err := Decode(Encode(text)); err != nil || again != text {
			t.Fatalf("%q: round trip gives %q, %v", text, again, err)
		}
	})
}
