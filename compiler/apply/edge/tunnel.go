package edge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
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
	all, err := directList[Tunnel](ctx, e, 1000, e.below("cfd_tunnel?is_deleted=false&"))
	return all, naming(err, "list tunnels")
}

// CreateTunnel makes a tunnel whose configuration the provider keeps.
func (e *Edge) CreateTunnel(ctx context.Context, name string) (Tunnel, error) {
	body := map[string]string{"name": name, "config_src": "cloudflare"}
	t, err := create(ctx, e, creation[Tunnel]{unique: true,
		post: func() (Tunnel, error) {
			return direct[Tunnel](ctx, e, "POST", e.below("cfd_tunnel"), body)
		},
		find: func() (Tunnel, bool, error) {
			return findIn(e.Tunnels(ctx))(func(t Tunnel) bool { return t.Name == name })
		},
	})
	return t, naming(err, "create tunnel %s", name)
}

// DeleteTunnel removes a tunnel; the provider refuses while a connector runs.
func (e *Edge) DeleteTunnel(ctx context.Context, t Tunnel) error {
	_, err := e.wire.send(ctx, "DELETE", e.below("cfd_tunnel/%s", t.ID), nil)
	return naming(removed(err), "delete tunnel %s", t.Name)
}

// TunnelToken reads the secret that a connector runs with.
func (e *Edge) TunnelToken(ctx context.Context, t Tunnel) (string, error) {
	token, err := direct[string](ctx, e, "GET", e.below("cfd_tunnel/%s/token", t.ID), nil)
	return token, naming(err, "read the token of tunnel %s", t.Name)
}

// tunnelSecret is how many random bytes a tunnel's token holds.
const tunnelSecret = 32

// RotateTunnel makes another token for a tunnel. The last one connects nobody any more; who is connected stays so.
func (e *Edge) RotateTunnel(ctx context.Context, t Tunnel) error {
	secret := make([]byte, tunnelSecret)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make a token for tunnel %s: %w", t.Name, err)
	}
	body := map[string]string{"name": t.Name, "tunnel_secret": base64.StdEncoding.EncodeToString(secret)}
	_, err := e.wire.send(ctx, "PATCH", e.below("cfd_tunnel/%s", t.ID), body)
	return naming(err, "make a token for tunnel %s", t.Name)
}

// Ingress reads the configuration of a tunnel; nil if it has none yet.
func (e *Edge) Ingress(ctx context.Context, t Tunnel) ([]Ingress, error) {
	type answer struct {
		Config struct{ Ingress []Ingress }
	}
	a, err := direct[answer](ctx, e, "GET", e.below("cfd_tunnel/%s/configurations", t.ID), nil)
	return a.Config.Ingress, naming(err, "read the configuration of tunnel %s", t.Name)
}

// SetIngress replaces the configuration of a tunnel.
func (e *Edge) SetIngress(ctx context.Context, t Tunnel, rules []Ingress) error {
	body := map[string]any{"config": map[string]any{"ingress": rules}}
	_, err := e.wire.send(ctx, "PUT", e.below("cfd_tunnel/%s/configurations", t.ID), body)
	return naming(err, "set the configuration of tunnel %s", t.Name)
}
