package tailnet

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"tailscale.com/client/tailscale/v2"

	"github.com/mailplan/mailplan/compiler/apply/polite"
)

// DefaultBaseURL is Tailscale's API.
const DefaultBaseURL = "https://api.tailscale.com"

// patience is how long one call may take, with the pauses that Tailscale asks for.
const patience = 3 * time.Minute

// Config says which tailnet is meant and with which credential it is written.
type Config struct {
	BaseURL string // empty means DefaultBaseURL
	Tailnet string // "-" is the credential's own
	Secret  string // of an OAuth client: tskey-client-ID-…
	// Transport carries the requests; nil means a polite one.
	Transport http.RoundTripper
}

// NewClient makes Tailscale's own client.
func NewClient(c Config) (*tailscale.Client, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("address of the API: %w", err)
	}
	if c.Transport == nil {
		c.Transport = &polite.Transport{Repeatable: Repeatable}
	}
	return &tailscale.Client{BaseURL: base, Tailnet: c.Tailnet, Auth: credential(c.Secret),
		HTTP: &http.Client{Transport: c.Transport, Timeout: patience}}, nil
}

// Repeatable names the requests that change nothing, or the same again, although they are POSTs.
func Repeatable(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/oauth/token") || strings.HasSuffix(r.URL.Path, "/acl/validate") || strings.HasSuffix(r.URL.Path, "/tags")
}

// credential is the secret of an OAuth client (RFC 6749 4.4). The library's own type would fetch tokens by the
// process' default HTTP client, past every pause and every stand-in.
type credential string

// HTTPClient implements tailscale.Auth.
func (c credential) HTTPClient(orig *http.Client, baseURL string) *http.Client {
	id, _, _ := strings.Cut(strings.TrimPrefix(string(c), "tskey-client-"), "-") // the secret contains the id
	config := clientcredentials.Config{ClientID: id, ClientSecret: string(c), TokenURL: baseURL + "/api/v2/oauth/token",
		AuthStyle: oauth2.AuthStyleInHeader}
	client := config.Client(context.WithValue(context.Background(), oauth2.HTTPClient, orig))
	client.Timeout = orig.Timeout
	return client
}
