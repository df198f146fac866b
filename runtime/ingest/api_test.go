package ingest

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/mailplan/mailplan/runtime/config"
)

// openapi is the part of the document that the tests hold the implementation to.
type openapi struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		Parameters []struct{ Name, In string }
		Responses  map[string]any
	}
	Components struct {
		Schemas map[string]struct {
			Required             []string
			AdditionalProperties bool `yaml:"additionalProperties"`
			Properties           map[string]struct{ Enum []string }
		}
	}
}

func document(t *testing.T) openapi {
	t.Helper()
	var doc openapi
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocumentMatchesTheAnswers compares the fields and words of the document with those of the code,
// and its statuses with those that the bad requests get.
func TestDocumentMatchesTheAnswers(t *testing.T) {
	doc := document(t)
	for name, of := range map[string]reflect.Type{"Result": reflect.TypeFor[result](), "Recipient": reflect.TypeFor[recipientResult]()} {
		schema := doc.Components.Schemas[name]
		var fields, required []string
		for _, f := range reflect.VisibleFields(of) {
			tag := f.Tag.Get("json")
			if tag == "" {
				continue
			}
			key, options, _ := strings.Cut(tag, ",")
			fields = append(fields, key)
			if options != "omitempty" {
				required = append(required, key)
			}
		}
		documented := make([]string, 0, len(schema.Properties))
		for key := range schema.Properties {
			documented = append(documented, key)
		}
		slices.Sort(fields)
		slices.Sort(documented)
		slices.Sort(required)
		slices.Sort(schema.Required)
		if diff := cmp.Diff(fields, documented) + cmp.Diff(required, schema.Required); diff != "" || schema.AdditionalProperties {
			t.Errorf("%s: -code +document\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{statusDelivered, statusPartial, statusRefused, statusDeferred, statusInvalid},
		doc.Components.Schemas["Result"].Properties["status"].Enum); diff != "" {
		t.Errorf("status: -code +document\n%s", diff)
	}
	responses := doc.Paths["/v1/ingest"]["post"].Responses
	for _, c := range badRequests() {
		if _, ok := responses[fmt.Sprint(c.want)]; !ok && c.want != 431 {
			t.Errorf("status %d of %q is not documented", c.want, c.name)
		}
	}
	for _, header := range []string{"X-Mail-From", "X-Rcpt-To", "Content-Digest", "X-Mailplan-Timestamp", "X-Mailplan-Nonce", "X-Mailplan-Signature"} {
		if !slices.ContainsFunc(doc.Paths["/v1/ingest"]["post"].Parameters, func(p struct{ Name, In string }) bool { return p.Name == header && p.In == "header" }) {
			t.Errorf("header %s is not documented", header)
		}
	}
}

func TestDocumentIsServed(t *testing.T) {
	conf := settings(t)
	conf.Maildir = &config.Maildir{Root: t.TempDir()}
	e := start(t, conf)
	for path := range document(t).Paths {
		resp, err := http.Get(e.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			t.Errorf("%s is documented and not served", path)
		}
	}
	if resp, err := http.Get(e.URL + "/health"); err != nil || resp.StatusCode != 200 {
		t.Errorf("/health: %v %v", resp, err)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("a@b.example", "c@d.example, \"x,y\"@d.example")
	f.Add("<>", "<a@b>,,")
	f.Fuzz(func(t *testing.T, from, to string) {
		_, rcpts, err := parseEnvelope(http.Header{"X-Mail-From": {from}, "X-Rcpt-To": {to}}, 10)
		if err != nil {
			return
		}
		if len(rcpts) == 0 || len(rcpts) > 10 || slices.Contains(rcpts, "") {
			t.Errorf("%q gave %q", to, rcpts)
		}
	})
}

func fixedNow() time.Time { return time.Unix(1_700_000_000, 0) }

func FuzzSignature(f *testing.F) {
	f.Add("v1=00", "nonce-0000000000000001", "1700000000", "sha-256=:AAAA:")
	f.Fuzz(func(t *testing.T, signature, nonce, stamp, digest string) {
		g := &gate{conf: config.Auth{Signature: &config.Signature{}}, now: fixedNow, nonces: newNonces()}
		g.secrets.Store(&secrets{keys: [][]byte{[]byte("a-key-nobody-can-guess")}})
		h := http.Header{"X-Mailplan-Signature": {signature}, "X-Mailplan-Nonce": {nonce}, "X-Mailplan-Timestamp": {stamp}, "Content-Digest": {digest}}
		if err := g.signature(h); err == nil {
			t.Errorf("taken: %q", h)
		}
	})
}
