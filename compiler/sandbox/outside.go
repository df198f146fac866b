package sandbox

import (
	"net/http"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/polite"
	"github.com/mailplan/mailplan/compiler/apply/relay"
	"github.com/mailplan/mailplan/compiler/apply/tailnet"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/sandbox/sendgrid"
	"github.com/mailplan/mailplan/compiler/sandbox/tailscale"
)

// openRelay is SendGrid, which looks names up in the zones of the sandbox, and leads a domain's names to where the
// site says it does.
func openRelay(dir string, s *model.Site, secret func(name string) (string, error), lookup func(host string) (target string, ok bool)) (apply.Plane, error) {
	p := &relay.Plane{Site: s}
	if s.Relay.Provider != "sendgrid" {
		return p, nil
	}
	key, err := secret(s.Relay.Password.Secret)
	if err != nil {
		return nil, err
	}
	account, err := sendgrid.New(filepath.Join(dir, "relay"), key, lookup)
	if err != nil {
		return nil, err
	}
	for _, d := range s.Domains {
		if d.RelayAuth == nil {
			continue
		}
		if err := account.Assign(d.Name, d.RelayAuth.ReturnPath.Target); err != nil {
			return nil, err
		}
	}
	p.Client = &relay.Client{BaseURL: sendgrid.BaseURL, Key: key, HTTP: &http.Client{Transport: &polite.Transport{Base: account}}}
	return p, nil
}

// openTailnet is Tailscale, with the site's host in the tailnet and the groups that the site names defined.
func openTailnet(dir string, s *model.Site, value func(name string) (string, error)) (apply.Plane, error) {
	p := &tailnet.Plane{Site: s}
	if s.Tailnet == nil {
		return p, nil
	}
	secret, err := value(s.Tailnet.OAuth.Secret)
	if err != nil {
		return nil, err
	}
	net, err := tailscale.New(filepath.Join(dir, "tailnet"), secret)
	if err != nil {
		return nil, err
	}
	if err := net.Join(s.Tailnet.Hostname, s.Tailnet.Address); err != nil {
		return nil, err
	}
	for _, name := range append(append([]string{}, s.Tailnet.Clients...), s.Tailnet.Admins...) {
		if !strings.HasPrefix(name, "group:") {
			continue
		}
		if err := net.AddGroup(name); err != nil {
			return nil, err
		}
	}
	p.Client, err = tailnet.NewClient(tailnet.Config{BaseURL: tailscale.BaseURL, Tailnet: s.Tailnet.Name, Secret: secret,
		Transport: &polite.Transport{Base: net, Repeatable: tailnet.Repeatable}})
	return p, err
}
