package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are those with which Access signs, or could: never a symmetric one, never none.
func algorithms() []string { return []string{string(jose.RS256), string(jose.ES256)} }

// Source gives a team's keys as a JSON Web Key Set.
type Source func(ctx context.Context) ([]byte, error)

const (
	fetchTime = 5 * time.Second
	maxKeySet = 1 << 20
)

// URL fetches the keys from the issuer.
func URL(issuer string) Source {
	address := strings.TrimRight(issuer, "/") + "/cdn-cgi/access/certs"
	return func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTime)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s answers %s", address, resp.Status)
		}
		return io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	}
}

// File reads the keys from where somebody lays them who has a way to the issuer.
func File(path string) Source {
	return func(context.Context) ([]byte, error) { return os.ReadFile(path) }
}

// Read takes a key set apart: the keys that can verify a token, by their id.
func Read(data []byte) (map[string]jose.JSONWebKey, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("keys of Access: %w", err)
	}
	byID := map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		if k.KeyID != "" && k.IsPublic() && k.Valid() {
			byID[k.KeyID] = k
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("keys of Access: there is none in the set")
	}
	return byID, nil
}

// keys remembers the set. A team's keys change every few weeks, the old one being good for some days more.
type keys struct {
	source Source
	now    func() time.Time

	mu    sync.Mutex
	byID  map[string]jose.JSONWebKey
	tried time.Time
	got   time.Time
	err   error // of the last try
}

const (
	freshTime = time.Hour
	restTime  = time.Minute // between two tries: made-up key ids must not make us ask without end
)

func newKeys(source Source) *keys { return &keys{source: source, now: time.Now} }

// key finds one by its id; one that is not known may be new.
func (k *keys) key(ctx context.Context, id string) (jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, ok := k.byID[id]
	now := k.now()
	if (!ok || now.Sub(k.got) >= freshTime) && now.Sub(k.tried) >= restTime {
		k.fetch(ctx, now)
		found, ok = k.byID[id]
	}
	if !ok {
		return found, errors.Join(fmt.Errorf("the team has no key %.64q", id), k.err)
	}
	return found, nil
}

// fetch renews the set; after an error the old one stays in use. A visitor who goes away ends no fetch.
func (k *keys) fetch(ctx context.Context, now time.Time) {
	k.tried = now
	data, err := k.source(context.WithoutCancel(ctx))
	if err == nil {
		var fresh map[string]jose.JSONWebKey
		if fresh, err = Read(data); err == nil {
			k.byID, k.got = fresh, now
		}
	}
	k.err = err
}

// VerifySignature is oidc.KeySet's.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	if len(signed.Signatures) != 1 {
		return nil, errors.New("the token has not one signature")
	}
	key, err := k.key(ctx, signed.Signatures[0].Header.KeyID)
	if err != nil {
		return nil, err
	}
	return signed.Verify(key)
}
