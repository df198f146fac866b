// Package issue makes keys at those who issue them, and takes them away again: SendGrid's API keys, Cloudflare's API
// tokens, the access keys of an IAM user, Tailscale's auth keys. It turns (the present key, a right to make keys) into a new
// key with the rights of the present one. The right is the caller's and stands in the environment of whoever rotates, never
// in a site: a key that can make keys is to lie on no mail server. The package knows no site's files and no plan.
package issue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/polite"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/rotate"
)

// Names of the environment: who may make keys.
const (
	SendGridParent   = "MAILPLAN_SENDGRID_PARENT"   // an API key with the scopes api_keys and those of the relay's
	CloudflareParent = "MAILPLAN_CLOUDFLARE_PARENT" // a token with API Tokens Write, of the user or the account
	TailscaleParent  = "MAILPLAN_TAILSCALE_PARENT"  // an OAuth client's secret with the scope auth_keys and the site's tags
	AWSParentID      = "MAILPLAN_AWS_PARENT_ID"     // an access key that may manage those of the backups' user
	AWSParentSecret  = "MAILPLAN_AWS_PARENT_SECRET"
)

// patience is how long one call may take, with the pauses that an issuer asks for.
const patience = time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Issuers are those for which the environment holds a right, by the secret that stands for the key. Transport carries the
// requests; nil means a polite one.
func Issuers(s *model.Site, env func(string) string, transport http.RoundTripper, now func() time.Time) map[string]rotate.Issuer {
	if transport == nil {
		transport = &polite.Transport{}
	}
	client := &http.Client{Transport: transport, Timeout: patience}
	// mark is what the names of made keys begin with, apart for each secret.
	mark := func(name string) string { return "mailplan " + s.Name + " " + name }
	out := map[string]rotate.Issuer{}
	add := func(name string, i rotate.Issuer) {
		if len(rotate.Issues(s, name)) > 0 {
			out[name] = i
		}
	}
	if key := env(SendGridParent); key != "" {
		add(s.Relay.Password.Secret, sendGrid{name: s.Relay.Password.Secret, mark: mark(s.Relay.Password.Secret), now: now,
			api: api{base: base(env, "MAILPLAN_SENDGRID_URL", "https://api.sendgrid.com"), key: key, http: client}})
	}
	if key := env(CloudflareParent); key != "" {
		for _, name := range []string{s.Edge.Token.Secret, s.Host.TLS.Token.Secret} {
			add(name, cloudflare{name: name, account: s.Edge.AccountID, mark: mark(name), now: now,
				api: api{base: base(env, "MAILPLAN_CLOUDFLARE_URL", "https://api.cloudflare.com/client/v4"), key: key, http: client}})
		}
	}
	if s.Tailnet != nil && env(TailscaleParent) != "" {
		add(model.SecretTailscaleAuth, newTailscale(s, base(env, "MAILPLAN_TAILSCALE_URL", ""), env(TailscaleParent), transport))
	}
	if off := s.Backup.Offsite; off != nil && env(AWSParentID) != "" {
		add(off.S3.AccessKeyID.Secret, newAWS(off.S3, base(env, "MAILPLAN_IAM_URL", "https://iam.amazonaws.com"), env, client, now))
	}
	return out
}

func base(env func(string) string, name, otherwise string) string {
	if v := env(name); v != "" {
		return strings.TrimSuffix(v, "/")
	}
	return otherwise
}

// api speaks JSON with a bearer's key.
type api struct {
	base, key string
	http      *http.Client
}

// refused is an answer that is no success.
type refused struct {
	status int
	said   string
}

func (r refused) Error() string { return fmt.Sprintf("answer %d %s", r.status, r.said) }

// gone says that what was asked for is not there.
func gone(err error) bool {
	r, ok := errors.AsType[refused](err)
	return ok && r.status == http.StatusNotFound
}

func (a api) with(key string) api {
	a.key = key
	return a
}

func (a api) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Content-Type", "application/json")
	return send(a.http, req, func(data []byte) error {
		if out == nil || len(data) == 0 {
			return nil
		}
		return json.Unmarshal(data, out)
	})
}

// send has the answer of a request read. Of a refusal it keeps some words, of a success none: it may hold a key.
func send(client *http.Client, req *http.Request, read func([]byte) error) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return refused{resp.StatusCode, strings.TrimSpace(string(data[:min(len(data), 300)]))}
	}
	if err := read(data); err != nil {
		return errors.New("the answer is not what it should be")
	}
	return nil
}

// settles waits until a new key is known everywhere, which may take some seconds.
func settles(ctx context.Context, good func() error) error {
	var err error
	for wait := 500 * time.Millisecond; wait < patience/2; wait *= 2 {
		if err = good(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
	return fmt.Errorf("the new key is not good yet: %w", err)
}
