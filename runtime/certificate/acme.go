package certificate

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/runtime/durable"
)

// ACME is an Authority that speaks RFC 8555, and RFC 9773 where the server does.
type ACME struct {
	Directory string // URL
	Email     string // may be empty
	KeyFile   string // the account's key; made when missing
	HTTP      *http.Client
	Solver    Solver
}

// Solver proves names, and removes what other runs left of that.
type Solver interface {
	acmez.Solver
	Sweep(ctx context.Context) error
}

// polling is how long the authority may take to look at a challenge.
const polling = 3 * time.Minute

func (a *ACME) client() *acmez.Client {
	return &acmez.Client{
		Client:           &acme.Client{Directory: a.Directory, HTTPClient: a.HTTP, UserAgent: "mailpland", PollTimeout: polling},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeDNS01: a.Solver},
	}
}

// Obtain has a certificate issued for a new key.
func (a *ACME) Obtain(ctx context.Context, names []string, replaces *x509.Certificate) (*pair.Pair, error) {
	client := a.client()
	account, err := a.account(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("account at %s: %w", a.Directory, err)
	}
	key, err := pair.NewKey()
	if err != nil {
		return nil, err
	}
	request, err := acmez.NewCSR(key, names)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	order, err := acmez.OrderParametersFromCSR(account, request)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	order.Replaces = replaces
	chains, err := client.ObtainCertificate(ctx, order)
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("the authority issued nothing")
	}
	return pair.New(chains[0].ChainPEM, key)
}

// Window asks when the authority wants the certificate renewed.
func (a *ACME) Window(ctx context.Context, leaf *x509.Certificate) (Window, error) {
	info, err := a.client().GetRenewalInfo(ctx, leaf)
	if errors.Is(err, acme.ErrUnsupported) {
		return Window{}, ErrNoWindow
	}
	if err != nil {
		return Window{}, err
	}
	w := Window{Start: info.SuggestedWindow.Start, End: info.SuggestedWindow.End, Why: info.ExplanationURL}
	if info.RetryAfter != nil {
		w.AskAgain = *info.RetryAfter
	}
	return w, nil
}

// Sweep is the solver's.
func (a *ACME) Sweep(ctx context.Context) error { return a.Solver.Sweep(ctx) }

// account registers the key, or finds what it is registered as: for the authority that is one request.
func (a *ACME) account(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	key, err := a.key()
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.Email != "" {
		account.Contact = []string{"mailto:" + a.Email}
	}
	return client.NewAccount(ctx, account)
}

func (a *ACME) key() (crypto.Signer, error) {
	data, err := os.ReadFile(a.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return a.newKey()
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM: remove it, and another account is made", a.KeyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.KeyFile, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key that cannot sign", a.KeyFile)
	}
	return signer, nil
}

func (a *ACME) newKey() (crypto.Signer, error) {
	key, err := pair.NewKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, durable.Replace(a.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
