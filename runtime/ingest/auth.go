package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailplan/mailplan/runtime/access"
	"github.com/mailplan/mailplan/runtime/config"
)

// gate decides who may post. Secrets can be read again while it is in use.
type gate struct {
	conf    config.Auth
	secrets atomic.Pointer[secrets]
	nonces  *nonces
	access  *access.Gate
	now     func() time.Time
}

type secrets struct {
	tokens [][32]byte // SHA-256, so that comparing takes the same time for every length
	keys   [][]byte
}

func newGate(conf config.Auth) (*gate, error) {
	g := &gate{conf: conf, now: time.Now, nonces: newNonces()}
	if conf.Access != nil {
		g.access = access.New(conf.Access.Issuer, conf.Access.Audience, access.URL(conf.Access.Issuer))
	}
	return g, g.reload()
}

// reload reads the token and key files again. After an error the old secrets stay in use.
func (g *gate) reload() error {
	var s secrets
	for _, path := range g.conf.TokenFiles {
		token, err := ReadSecret(path)
		if err != nil {
			return err
		}
		s.tokens = append(s.tokens, sha256.Sum256([]byte("Bearer "+string(token))))
	}
	if g.conf.Signature != nil {
		for _, path := range g.conf.Signature.KeyFiles {
			key, err := ReadSecret(path)
			if err != nil {
				return err
			}
			s.keys = append(s.keys, key)
		}
	}
	g.secrets.Store(&s)
	return nil
}

const minSecret = 16

// ReadSecret reads a file with one secret; white space around it does not count.
func ReadSecret(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if len(secret) < minSecret {
		return nil, fmt.Errorf("secret in %s is shorter than %d bytes", path, minSecret)
	}
	return []byte(secret), nil
}

// bearer checks the token against each valid one, always all of them.
func (g *gate) bearer(h http.Header) bool {
	got := sha256.Sum256([]byte(h.Get("Authorization")))
	ok := 0
	for _, want := range g.secrets.Load().tokens {
		ok |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return ok == 1 && len(h.Values("Authorization")) == 1
}

var (
	errDigest    = errors.New("Content-Digest is missing or not of the form sha-256=:BASE64: of RFC 9530")
	errStamp     = errors.New("X-Mailplan-Timestamp is missing, not a number or too far from now")
	errNonce     = errors.New("X-Mailplan-Nonce is missing or not 16 to 64 of A-Z a-z 0-9 _ -")
	errSignature = errors.New("X-Mailplan-Signature is missing or not valid")
	errReplay    = errors.New("X-Mailplan-Nonce was used before")
)

// cloudflareAccess checks the Access token, when the configuration asks for one.
func (g *gate) cloudflareAccess(ctx context.Context, h http.Header) error {
	if g.access == nil {
		return nil
	}
	_, err := g.access.Identity(ctx, h)
	return err
}

// signature checks a signed request up to its body's digest, which the caller compares at the end.
func (g *gate) signature(h http.Header) error {
	if g.conf.Signature == nil {
		return nil
	}
	stamp, nonce := h.Get("X-Mailplan-Timestamp"), h.Get("X-Mailplan-Nonce")
	if _, ok, err := parseDigest(h); err != nil || !ok {
		return errDigest
	}
	skew := g.conf.Signature.MaxSkew.Or(5 * time.Minute)
	if at, err := strconv.ParseInt(stamp, 10, 64); err != nil || g.now().Sub(time.Unix(at, 0)).Abs() > skew {
		return errStamp
	}
	if !isNonce(nonce) {
		return errNonce
	}
	if !g.signed(h.Get("X-Mailplan-Signature"), signedText(h)) {
		return errSignature
	}
	if !g.nonces.use(nonce, g.now(), 2*skew) {
		return errReplay
	}
	return nil
}

func (g *gate) signed(header, text string) bool {
	got, err := hex.DecodeString(strings.TrimPrefix(header, "v1="))
	ok := false
	for _, key := range g.secrets.Load().keys {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		ok = hmac.Equal(got, m.Sum(nil)) || ok
	}
	return ok && err == nil && strings.HasPrefix(header, "v1=")
}

// Sign adds the headers of a signed request for a body with this SHA-256. The envelope headers must
// already be there.
func Sign(h http.Header, key []byte, body [32]byte, nonce string, at time.Time) {
	h.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(body[:])+":")
	h.Set("X-Mailplan-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("X-Mailplan-Nonce", nonce)
	m := hmac.New(sha256.New, key)
	m.Write([]byte(signedText(h)))
	h.Set("X-Mailplan-Signature", "v1="+hex.EncodeToString(m.Sum(nil)))
}

// signedText is what the signature covers: every header that decides what happens, one per line.
func signedText(h http.Header) string {
	return strings.Join([]string{"mailplan-v1", "POST /v1/ingest", h.Get("X-Mailplan-Timestamp"),
		h.Get("X-Mailplan-Nonce"), h.Get("Content-Digest"), h.Get("X-Mail-From"),
		strings.Join(h.Values("X-Rcpt-To"), ", "), ""}, "\n")
}

func isNonce(s string) bool {
	return len(s) >= 16 && len(s) <= 64 &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// parseDigest reads Content-Digest (RFC 9530) in its sha-256 form.
func parseDigest(h http.Header) (sum [32]byte, given bool, err error) {
	value := h.Get("Content-Digest")
	if value == "" {
		return sum, false, nil
	}
	text, ok := strings.CutPrefix(value, "sha-256=:")
	text, ok2 := strings.CutSuffix(text, ":")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || !ok2 || err != nil || len(raw) != len(sum) {
		return sum, false, errDigest
	}
	return [32]byte(raw), true, nil
}

// nonces remembers which nonces were used within the time that a stamp is good for.
type nonces struct {
	mu    sync.Mutex
	seen  map[string]time.Time
	swept time.Time
}

const maxNonces = 1 << 20

func newNonces() *nonces { return &nonces{seen: map[string]time.Time{}} }

// use says whether a nonce is new, and makes it old. A full memory takes nothing more.
func (n *nonces) use(nonce string, now time.Time, keep time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.swept) > time.Minute {
		n.swept = now
		for old, until := range n.seen {
			if now.After(until) {
				delete(n.seen, old)
			}
		}
	}
	if _, used := n.seen[nonce]; used || len(n.seen) >= maxNonces {
		return false
	}
	n.seen[nonce] = now.Add(keep)
	return true
}
