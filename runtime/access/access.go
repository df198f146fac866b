// Package access verifies what Cloudflare Access says about a request: the header Cf-Access-Jwt-Assertion holds a JSON Web
// Token (RFC 7519) for one application of one team, signed with a key of the team's (RFC 7517). Whoever reaches the server past
// Access has none. It must not know what the request is for.
package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Header carries the token.
const Header = "Cf-Access-Jwt-Assertion"

// ErrRefused is in every error about a token that is missing or not good.
var ErrRefused = errors.New("the Access token is missing or not valid")

// maxToken bounds what is parsed: tokens have about a kilobyte.
const maxToken = 16 << 10

// Gate lets those requests through that Access has let through.
type Gate struct{ verifier *oidc.IDTokenVerifier }

// New makes a gate for an application's AUD tag at an issuer, https://TEAM.cloudflareaccess.com, whose keys source gives.
func New(issuer, audience string, source Source) *Gate {
	return &Gate{oidc.NewVerifier(strings.TrimRight(issuer, "/"), newKeys(source),
		&oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms()})}
}

// Identity is the mail address that Access has asked for, in lower case; empty for a machine with a service token.
func (g *Gate) Identity(ctx context.Context, h http.Header) (email string, err error) {
	values := h.Values(Header)
	if len(values) != 1 || len(values[0]) > maxToken {
		return "", ErrRefused
	}
	token, err := g.verifier.Verify(ctx, values[0])
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var said struct {
		Email string `json:"email"`
		Type  string `json:"type"`
	}
	if err := token.Claims(&said); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if said.Type != "" && said.Type != "app" {
		return "", fmt.Errorf("%w: it is a token of type %.20q, not of an application", ErrRefused, said.Type)
	}
	return strings.ToLower(said.Email), nil
}
