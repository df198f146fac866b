package watch

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/report"
)

// Resolver asks the DNS; *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

const (
	lookupsAtOnce = 8
	lookupTime    = 5 * time.Second
	maxFound      = 600 // characters of a record that are told
)

// look compares domains with what is published of them.
type look struct {
	resolver Resolver
	keys     string // folder of private keys, DOMAIN.SELECTOR.key; empty for none
}

// published compares the domains that are declared now, since an apply does not restart who looks.
func published(ctx context.Context, c config.Watch, r Resolver) (*report.DNS, error) {
	d, err := config.LoadDeclared(c.Declared)
	if err != nil {
		return nil, err
	}
	return look{resolver: r, keys: c.DKIMKeys}.all(ctx, d.Domains)
}

// all asks for every record of every domain, some at a time.
func (l look) all(ctx context.Context, declared []config.DeclaredDomain) (*report.DNS, error) {
	out := &report.DNS{Domains: make([]report.Domain, len(declared))}
	slots := make(chan struct{}, lookupsAtOnce)
	var wait sync.WaitGroup
	for i, d := range declared {
		wants := l.wants(d)
		out.Domains[i] = report.Domain{Name: d.Name, Records: make([]report.Record, len(wants))}
		for j, w := range wants {
			wait.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				out.Domains[i].Records[j] = w.ask(ctx, l.resolver)
			})
		}
	}
	wait.Wait()
	return out, ctx.Err()
}

// want is one record that is declared.
type want struct {
	kind, owner, text string
	mine              func(record string) bool // whether a TXT record of the name is of this kind
	good              func(record string) bool
	absent            bool // it may be missing
}

func (l look) wants(d config.DeclaredDomain) []want {
	prefix := func(p string) func(string) bool {
		return func(r string) bool { return strings.HasPrefix(strings.ToLower(r), p) }
	}
	list := []want{
		{kind: "mx", owner: d.Name, text: "*" + routingMX},
		{kind: "spf", owner: d.Name, text: "v=spf1 … " + d.SPF, mine: prefix("v=spf1"), good: func(r string) bool { return strings.HasSuffix(strings.TrimSpace(r), d.SPF) }},
		{kind: "dmarc", owner: "_dmarc." + d.Name, text: "p=" + d.DMARC, mine: prefix("v=dmarc1"), good: func(r string) bool { return tag(r, "p") == d.DMARC }},
	}
	if d.MTASTS != "none" {
		list = append(list, want{kind: "mtasts", owner: "_mta-sts." + d.Name, text: "v=STSv1; id=…", mine: prefix("v=stsv1"), good: func(r string) bool { return tag(r, "id") != "" }})
	}
	for _, s := range d.Selectors {
		list = append(list, l.selector(d.Name, s))
	}
	return list
}

// selector is one DKIM key: the very key with which is signed, where it is at hand.
func (l look) selector(domain string, s config.DeclaredSelector) want {
	w := want{kind: "dkim", owner: s.Name + "._domainkey." + domain, text: "v=DKIM1; k=" + s.Algorithm + "; p=…",
		mine: func(r string) bool { return strings.Contains(r, "p=") }}
	if s.State == "revoked" {
		w.text, w.absent = "v=DKIM1; p=", true
		w.good = func(r string) bool { return tag(r, "p") == "" }
		return w
	}
	p := l.public(domain, s.Name)
	w.good = func(r string) bool {
		k := tag(r, "k")
		return tag(r, "p") != "" && (k == s.Algorithm || k == "" && s.Algorithm == "rsa") && (p == "" || tag(r, "p") == p)
	}
	return w
}

// routingMX ends the names of Email Routing's hosts.
const routingMX = ".mx.cloudflare.net"

// ask compares what is published with what is wanted.
func (w want) ask(ctx context.Context, r Resolver) report.Record {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	out := report.Record{Kind: w.kind, Owner: w.owner, Want: w.text}
	var found []string
	var good bool
	var err error
	if w.kind == "mx" {
		found, good, err = hosts(ctx, r, w.owner)
	} else {
		found, good, err = w.texts(ctx, r)
	}
	out.Found = strings.Join(found, "\n")
	if len(out.Found) > maxFound {
		out.Found = strings.ToValidUTF8(out.Found[:maxFound], "") + "…"
	}
	var refused *net.DNSError
	switch {
	case errors.As(err, &refused) && refused.IsNotFound, err == nil && len(found) == 0:
		out.State = map[bool]report.RecordState{true: report.Same, false: report.Absent}[w.absent]
	case err != nil:
		out.State, out.Found = report.Unknown, ""
	case good:
		out.State = report.Same
	default:
		out.State = report.Differs
	}
	return out
}

func hosts(ctx context.Context, r Resolver, name string) (found []string, good bool, err error) {
	list, err := r.LookupMX(ctx, name)
	good = true
	for _, mx := range list {
		host := strings.TrimSuffix(strings.ToLower(mx.Host), ".")
		found, good = append(found, host), good && strings.HasSuffix(host, routingMX)
	}
	slices.Sort(found)
	return found, good, err
}

// texts are the TXT records of the kind. Two of one kind are as bad as a wrong one: verifiers take neither.
func (w want) texts(ctx context.Context, r Resolver) (found []string, good bool, err error) {
	list, err := r.LookupTXT(ctx, w.owner)
	for _, text := range list {
		if w.mine(text) {
			found = append(found, strings.ToValidUTF8(text, "?"))
		}
	}
	return found, len(found) == 1 && w.good(found[0]), err
}

// tag is a value of a tag list (RFC 6376 section 3.2), without white space.
func tag(record, name string) string {
	for part := range strings.SplitSeq(record, ";") {
		key, value, _ := strings.Cut(part, "=")
		if strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// public is the p= value of a selector's private key; empty where the key is not here.
func (l look) public(domain, selector string) string {
	if l.keys == "" {
		return ""
	}
	private, err := os.ReadFile(filepath.Join(l.keys, filepath.Base(domain+"."+selector+".key")))
	if err != nil {
		return ""
	}
	if seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(private))); err == nil && len(seed) == ed25519.SeedSize {
		return base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	}
	block, _ := pem.Decode(private)
	if block == nil {
		return ""
	}
	var key any
	if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if k, ok := key.(*rsa.PrivateKey); ok && err == nil {
		if der, err := x509.MarshalPKIXPublicKey(&k.PublicKey); err == nil {
			return base64.StdEncoding.EncodeToString(der)
		}
	}
	return ""
}
