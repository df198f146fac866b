package edge

import (
	"context"

	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/zero_trust"
)

// Tunnel is a tunnel that the provider configures.
type Tunnel struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Status is inactive, degraded, healthy or down. It is read only.
	Status string `json:"status"`
}

// Host returns the name that the CNAME of a published host points to.
func (t Tunnel) Host() string { return t.ID + ".cfargotunnel.com" }

// Ingress sends the requests for one host name, and optionally one path, to a
// service behind the tunnel. The last of a list has neither and takes the rest.
type Ingress struct {
	Hostname string `json:"hostname,omitempty"`
	Path     string `json:"path,omitempty"`
	// Service is an address as http://nginx:80, or http_status:404.
	Service string `json:"service"`
	Origin  Origin `json:"originRequest,omitzero"`
}

// Origin says how cloudflared speaks to a service.
type Origin struct {
	HostHeader string `json:"httpHostHeader,omitempty"`
	// ConnectTimeout is in seconds; 0 means the provider's 30.
	ConnectTimeout  int           `json:"connectTimeout,omitempty"`
	NoTLSVerify     bool          `json:"noTLSVerify,omitempty"`
	DisableChunking bool          `json:"disableChunkedEncoding,omitempty"`
	Access          *OriginAccess `json:"access,omitempty"`
}

// OriginAccess makes cloudflared itself check the token that Access adds.
type OriginAccess struct {
	Required bool     `json:"required"`
	Team     string   `json:"teamName"`
	AUD      []string `json:"audTag"`
}

// Tunnels lists the account's tunnels, deleted ones left out.
func (e *Edge) Tunnels(ctx context.Context) ([]Tunnel, error) {
	var p zero_trust.TunnelCloudflaredListParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.IsDeleted.Value, p.IsDeleted.Present = false, true
	all, err := list[Tunnel](1000, func(opts ...option.RequestOption) error {
		_, err := e.tunnels.List(ctx, p, opts...)
		return err
	})
	return all, naming(err, "list tunnels")
}

// CreateTunnel makes a tunnel whose configuration the provider keeps.
func (e *Edge) CreateTunnel(ctx context.Context, name string) (Tunnel, error) {
	var p zero_trust.TunnelCloudflaredNewParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.Name.Value, p.Name.Present = name, true
	p.ConfigSrc.Value, p.ConfigSrc.Present = zero_trust.TunnelCloudflaredNewParamsConfigSrcCloudflare, true
	t, err := create(ctx, e, creation[Tunnel]{unique: true,
		post: func() (Tunnel, error) {
			return result[Tunnel](func(opts ...option.RequestOption) error {
				_, err := e.tunnels.New(ctx, p, opts...)
				return err
			})
		},
		find: func() (Tunnel, bool, error) {
			return findIn(e.Tunnels(ctx))(func(t Tunnel) bool { return t.Name == name })
		},
	})
	return t, naming(err, "create tunnel %s", name)
}

// DeleteTunnel removes a tunnel; the provider refuses while a connector runs.
func (e *Edge) DeleteTunnel(ctx context.Context, t Tunnel) error {
	var p zero_trust.TunnelCloudflaredDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.tunnels.Delete(ctx, t.ID, p, opts...)
		return err
	})
	return naming(removed(err), "delete tunnel %s", t.Name)
}

// TunnelToken reads the secret that a connector runs with.
func (e *Edge) TunnelToken(ctx context.Context, t Tunnel) (string, error) {
	var p zero_trust.TunnelCloudflaredTokenGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	token, err := result[string](func(opts ...option.RequestOption) error {
		_, err := e.tunnels.Token.Get(ctx, t.ID, p, opts...)
		return err
	})
	return token, naming(err, "read the token of tunnel %s", t.Name)
}

// Ingress reads the configuration of a tunnel; nil if it has none yet.
func (e *Edge) Ingress(ctx context.Context, t Tunnel) ([]Ingress, error) {
	var p zero_trust.TunnelCloudflaredConfigurationGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	type answer struct {
		Config struct{ Ingress []Ingress }
	}
	a, err := result[answer](func(opts ...option.RequestOption) error {
		_, err := e.tunnels.Configurations.Get(ctx, t.ID, p, opts...)
		return err
	})
	return a.Config.Ingress, naming(err, "read the configuration of tunnel %s", t.Name)
}

// SetIngress replaces the configuration of a tunnel.
func (e *Edge) SetIngress(ctx context.Context, t Tunnel, rules []Ingress) error {
	var p zero_trust.TunnelCloudflaredConfigurationUpdateParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	body, err := jsonBody(map[string]any{"config": map[string]any{"ingress": rules}})
	if err != nil {
		return err
	}
	err = discard(func(opts ...option.RequestOption) error {
		_, err := e.tunnels.Configurations.Update(ctx, t.ID, p, append(opts, body)...)
		return err
	})
	return naming(err, "set the configuration of tunnel %s", t.Name)
}
