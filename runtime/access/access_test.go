package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	issuer   = "https://team.cloudflareaccess.com"
	audience = "our-aud"
)

// signer is a key of a team's.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newRSA(t *testing.T, id string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, jose.RS256, key}
}

func newEC(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, jose.ES256, key}
}

func (s signer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	j, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := j.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// set is what the issuer publishes of some keys.
func set(t *testing.T, all ...signer) []byte {
	t.Helper()
	var s jose.JSONWebKeySet
	for _, k := range all {
		s.Keys = append(s.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": issuer, "aud": []string{audience}, "email": "Alice@A.example", "type": "app",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "sub": "1"}
	for k, v := range change {
		c[k] = v
	}
	return c
}

func TestIdentity(t *testing.T) {
	old, fresh, stranger := newRSA(t, "old"), newEC(t, "new"), newRSA(t, "old")
	published := set(t, old, fresh)
	gate := New(issuer, audience, func(context.Context) ([]byte, error) { return published, nil })
	for name, c := range map[string]struct {
		token string
		good  bool
	}{
		"RS256":               {old.token(t, claims(nil)), true},
		"ES256":               {fresh.token(t, claims(nil)), true},
		"another audience":    {old.token(t, claims(map[string]any{"aud": []string{"other"}})), false},
		"another team":        {old.token(t, claims(map[string]any{"iss": "https://evil.cloudflareaccess.com"})), false},
		"no end":              {old.token(t, claims(map[string]any{"exp": nil})), false},
		"over":                {old.token(t, claims(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})), false},
		"not yet":             {old.token(t, claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})), false},
		"of the whole team":   {old.token(t, claims(map[string]any{"type": "org"})), false},
		"signed by another":   {stranger.token(t, claims(nil)), false},
		"of an unknown key":   {signer{"nobody", old.alg, old.key}.token(t, claims(nil)), false},
		"signed with HMAC":    {forged(t, "HS256", published), false},
		"signed with nothing": {forged(t, "none", nil), false},
		"none":                {"", false},
		"garbage":             {"a.b.c", false},
		"far too long":        {strings.Repeat("x", maxToken+1), false},
	} {
		email, err := gate.Identity(t.Context(), http.Header{Header: {c.token}})
		if c.good && (err != nil || email != "alice@a.example") || !c.good && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %q, %v", name, email, err)
		}
	}
	good := old.token(t, claims(nil))
	if _, err := gate.Identity(t.Context(), http.Header{Header: {good, good}}); !errors.Is(err, ErrRefused) {
		t.Errorf("two tokens: %v", err)
	}
	if email, err := gate.Identity(t.Context(), http.Header{Header: {old.token(t, claims(map[string]any{"email": nil}))}}); email != "" || err != nil {
		t.Errorf("a service token: %q, %v", email, err)
	}
}

// forged is a token as one who holds no key would make it.
func forged(t *testing.T, alg string, key []byte) string {
	t.Helper()
	if alg == "none" {
		return "eyJhbGciOiJub25lIiwia2lkIjoib2xkIn0.eyJpc3MiOiJ4In0."
	}
	j, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "old"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := j.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKeys change, and made-up ids do not make us ask without end.
func TestKeys(t *testing.T) {
	first, second := newRSA(t, "first"), newEC(t, "second")
	var published []byte
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/cdn-cgi/access/certs" || published == nil {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		w.Write(published)
	}))
	defer web.Close()
	k := newKeys(URL(web.URL))
	now := time.Now()
	k.now = func() time.Time { return now }
	verify := func(s signer, want bool, times int32) {
		t.Helper()
		_, err := k.VerifySignature(t.Context(), s.token(t, claims(nil)))
		if (err == nil) != want || asked.Load() != times {
			t.Errorf("%s: %v, asked %d times, want %d", s.id, err, asked.Load(), times)
		}
	}
	verify(first, false, 1) // the issuer does not answer
	published = set(t, first)
	verify(first, false, 1)
	now = now.Add(restTime)
	verify(first, true, 2)
	for range 100 {
		verify(second, false, 2)
	}
	published = set(t, first, second)
	now = now.Add(restTime)
	verify(second, true, 3)
	now = now.Add(freshTime)
	published = nil
	verify(first, true, 4) // the old set stays good
	published = []byte(`{"keys":[]}`)
	now = now.Add(restTime)
	verify(first, true, 5)
}

// FuzzIdentity holds that no token that we did not sign is one.
func FuzzIdentity(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "old", Algorithm: "RS256"}}})
	if err != nil {
		f.Fatal(err)
	}
	gate := New(issuer, audience, func(context.Context) ([]byte, error) { return data, nil })
	f.Add("eyJhbGciOiJub25lIiwia2lkIjoib2xkIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := gate.Identity(t.Context(), http.Header{Header: {token}}); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
