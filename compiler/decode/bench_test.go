package decode_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mailplan/mailplan/compiler/decode"
	"github.com/mailplan/mailplan/schema"
)

const head = `package site

name: "big"
relay: password: secret: "SENDGRID_API_KEY"
edge: {accountID: "0123456789abcdef0123456789abcdef", tunnel: hostnames: {webmail: "mail.d0.example", ingest: "mail-api.d0.example"}}
`

// inline is a site with all users in CUE, in 50 domains with 20 aliases each.
func inline(users int) fstest.MapFS {
	var b strings.Builder
	b.WriteString(head)
	for d := range 50 {
		fmt.Fprintf(&b, "domains: \"d%d.example\": {\n\tdkim: selectors: mail2026: {}\n\tusers: {\n", d)
		for u := range users / 50 {
			if u%2 == 0 {
				fmt.Fprintf(&b, "\t\tuser%d: quotaMB: %d\n", u, 1024+u)
			} else {
				fmt.Fprintf(&b, "\t\tuser%d: password: secret: \"users/d%d/user%d\"\n", u, d, u)
			}
		}
		b.WriteString("\t}\n\taliases: {\n")
		for a := range 20 {
			fmt.Fprintf(&b, "\t\talias%d: [\"user%d\", \"user%d\", \"out%d@partner.example\"]\n", a, a, a+1, a)
		}
		b.WriteString("\t}\n}\n")
	}
	return fstest.MapFS{"site.cue": {Data: []byte(b.String())}}
}

// fromFile is the same site with its users in a data file.
func fromFile(file string, users int) fstest.MapFS {
	files := inline(0)
	var b strings.Builder
	line, sep, tail := "", "", ""
	switch file {
	case "users.csv":
		b.WriteString("address,quotaMB,password\n")
		line = "user%[2]d@d%[1]d.example,%[3]d,secret:users/d%[1]d/user%[2]d\n"
	case "users.json":
		b.WriteString("[\n")
		line, sep, tail = "\t{\"address\": \"user%[2]d@d%[1]d.example\", \"quotaMB\": %[3]d, \"password\": {\"secret\": \"users/d%[1]d/user%[2]d\"}}", ",\n", "\n]\n"
	default:
		line = "- {address: user%[2]d@d%[1]d.example, quotaMB: %[3]d, password: {secret: users/d%[1]d/user%[2]d}}\n"
	}
	for i := range users {
		if i > 0 {
			b.WriteString(sep)
		}
		fmt.Fprintf(&b, line, i%50, i/50, 1024+i%1000)
	}
	b.WriteString(tail)
	files[file] = &fstest.MapFile{Data: []byte(b.String())}
	return files
}

func benchmark(b *testing.B, files fstest.MapFS, users int) {
	b.ReportAllocs()
	for b.Loop() {
		src, err := schema.LoadFS(files, "site")
		if err != nil {
			b.Fatal(err)
		}
		s, err := decode.Site(src)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, d := range s.Domains {
			n += len(d.Users)
		}
		if n != users {
			b.Fatalf("%d users", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(max(users, 1)), "ns/user")
}

func BenchmarkInline(b *testing.B) {
	for _, users := range []int{0, 10_000, 50_000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) { benchmark(b, inline(users), users) })
	}
}

func BenchmarkFile(b *testing.B) {
	for _, file := range []string{"users.csv", "users.json", "users.yaml"} {
		for _, users := range []int{10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", file, users), func(b *testing.B) { benchmark(b, fromFile(file, users), users) })
		}
	}
}
