package cloudflare

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// tunnel is one cloudflared tunnel; a deleted one stays listed.
type tunnel struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	ConfigSrc string          `json:"config_src"`
	Secret    string          `json:"secret"`
	Created   time.Time       `json:"created"`
	Deleted   *time.Time      `json:"deleted"`
	Version   int             `json:"version"`
	Config    json.RawMessage `json:"config"`
	// Connected tells whether a connector is running.
	Connected bool `json:"connected"`
}

// ingress is one rule of a tunnel's configuration, as far as it is checked.
type ingress struct {
	Hostname      string         `json:"hostname"`
	Path          string         `json:"path"`
	Service       string         `json:"service"`
	OriginRequest map[string]any `json:"originRequest"`
}

type tunnelConfig struct {
	Ingress       []ingress       `json:"ingress"`
	OriginRequest map[string]any  `json:"originRequest"`
	WarpRouting   json.RawMessage `json:"warp-routing"`
}

func (t *tunnel) view(accountID string) map[string]any {
	status := "inactive"
	if t.Connected {
		status = "healthy"
	}
	return map[string]any{
		"id": t.ID, "account_tag": accountID, "name": t.Name, "config_src": t.ConfigSrc,
		"remote_config": t.ConfigSrc == "cloudflare", "tun_type": "cfd_tunnel", "status": status,
		"created_at": t.Created, "deleted_at": t.Deleted, "connections": []any{}, "metadata": map[string]any{},
	}
}

// token is what a connector runs with: account, tunnel and secret.
func (t *tunnel) token(accountID string) string {
	b, _ := json.Marshal(map[string]string{"a": accountID, "t": t.ID, "s": t.Secret})
	return base64.StdEncoding.EncodeToString(b)
}

// ConnectTunnel starts or stops the connector of a tunnel.
func (s *Server) ConnectTunnel(id string, connected bool) error {
	return s.seed(func(c *call) error {
		a, err := c.editAccount()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(a.Tunnels, func(t tunnel) bool { return t.ID == id })
		if i < 0 {
			return notFound(1003, "Tunnel not found")
		}
		a.Tunnels[i].Connected = connected
		return nil
	})
}

// TunnelToken is what a connector of the tunnel of that name must have; empty where there is none.
func (s *Server) TunnelToken(name string) (token string, err error) {
	err = s.seed(func(c *call) error {
		a, err := c.account()
		if err != nil {
			return err
		}
		for i := range a.Tunnels {
			if t := &a.Tunnels[i]; t.Name == name && t.Deleted == nil {
				token = t.token(a.ID)
			}
		}
		return nil
	})
	return token, err
}

func (c *call) pathTunnel(edit bool) (*account, *tunnel, error) {
	a, err := c.ownAccount(edit)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(a.Tunnels, func(t tunnel) bool { return t.ID == c.r.PathValue("id") && t.Deleted == nil })
	if i < 0 {
		return nil, nil, notFound(1003, "Tunnel not found")
	}
	return a, &a.Tunnels[i], nil
}

func listTunnels(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	views := []map[string]any{}
	for i := range a.Tunnels {
		t := &a.Tunnels[i]
		gone := t.Deleted != nil
		if q.Get("name") != "" && t.Name != q.Get("name") || q.Get("is_deleted") == "false" && gone || q.Get("is_deleted") == "true" && !gone {
			continue
		}
		views = append(views, t.view(a.ID))
	}
	return listed(views, 1, 1000, 100), nil
}

func createTunnel(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name      string `json:"name"`
		ConfigSrc string `json:"config_src"`
		Secret    string `json:"tunnel_secret"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Name == "":
		return nil, refuse(1001, "name is required")
	case in.ConfigSrc != "cloudflare" && in.ConfigSrc != "local":
		return nil, refuse(1001, "config_src must be local or cloudflare")
	case slices.ContainsFunc(a.Tunnels, func(t tunnel) bool { return t.Name == in.Name && t.Deleted == nil }):
		return nil, conflict(1013, "You already have a tunnel with this name")
	}
	t := tunnel{ID: newUUID(), Name: in.Name, ConfigSrc: in.ConfigSrc, Secret: in.Secret, Created: c.s.now()}
	if t.Secret == "" {
		t.Secret = base64.StdEncoding.EncodeToString([]byte(newID()))
	}
	a.Tunnels = append(a.Tunnels, t)
	view := t.view(a.ID)
	view["token"] = t.token(a.ID)
	return view, nil
}

func getTunnel(c *call) (any, error) {
	a, t, err := c.pathTunnel(false)
	if err != nil {
		return nil, err
	}
	return t.view(a.ID), nil
}

func deleteTunnel(c *call) (any, error) {
	a, t, err := c.pathTunnel(true)
	if err != nil {
		return nil, err
	}
	if t.Connected {
		return nil, refuse(1022, "Cannot delete tunnel because it has active connections")
	}
	now := c.s.now()
	t.Deleted = &now
	return t.view(a.ID), nil
}

// editTunnel gives a tunnel another name or secret. Its connectors stay connected.
func editTunnel(c *call) (any, error) {
	a, t, err := c.pathTunnel(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name   string `json:"name"`
		Secret string `json:"tunnel_secret"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Secret != "" {
		secret, err := base64.StdEncoding.DecodeString(in.Secret)
		if err != nil || len(secret) < 32 {
			return nil, refuse(1001, "tunnel_secret must be at least 32 bytes in base64")
		}
		t.Secret = in.Secret
	}
	if in.Name != "" {
		t.Name = in.Name
	}
	return t.view(a.ID), nil
}

func tunnelToken(c *call) (any, error) {
	a, t, err := c.pathTunnel(false)
	if err != nil {
		return nil, err
	}
	return t.token(a.ID), nil
}

// tunnelConfiguration reads, and with PUT replaces, the configuration.
func tunnelConfiguration(c *call) (any, error) {
	a, t, err := c.pathTunnel(c.r.Method == http.MethodPut)
	if err != nil {
		return nil, err
	}
	if c.r.Method == http.MethodPut {
		var in struct {
			Config json.RawMessage `json:"config"`
		}
		if err := c.decode(&in); err != nil {
			return nil, err
		}
		if err := checkTunnelConfig(in.Config); err != nil {
			return nil, err
		}
		t.Config, t.Version = in.Config, t.Version+1
	}
	var config any
	if t.Config != nil {
		config = t.Config
	}
	return map[string]any{
		"account_id": a.ID, "tunnel_id": t.ID, "version": t.Version, "config": config,
		"source": t.ConfigSrc, "created_at": t.Created,
	}, nil
}

// checkTunnelConfig asks what cloudflared asks: a rule for each host name and a
// last one that takes everything else.
func checkTunnelConfig(raw json.RawMessage) error {
	var config tunnelConfig
	if err := strictJSON(raw, &config); err != nil {
		return refuse(1056, "Bad Configuration: %v", err)
	}
	if len(config.Ingress) == 0 {
		return refuse(1056, "Bad Configuration: no ingress rules were defined")
	}
	for i, rule := range config.Ingress {
		last := i == len(config.Ingress)-1
		if all := (rule.Hostname == "" || rule.Hostname == "*") && rule.Path == ""; all != last {
			return refuse(1056, "Bad Configuration: the last ingress rule, and only it, must match all URLs (rule %d)", i+1)
		}
		if rule.Hostname != "" && !validName(strings.ToLower(rule.Hostname), true) {
			return refuse(1056, "Bad Configuration: hostname %q is invalid", rule.Hostname)
		}
		if err := checkService(rule.Service); err != nil {
			return err
		}
		if err := checkOriginRequest(rule.OriginRequest); err != nil {
			return err
		}
	}
	return checkOriginRequest(config.OriginRequest)
}

func checkService(service string) error {
	if code, ok := strings.CutPrefix(service, "http_status:"); ok && len(code) == 3 {
		return nil
	}
	u, err := url.Parse(service)
	schemes := []string{"http", "https", "tcp", "ssh", "rdp", "smb", "unix", "unix+tls"}
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && !strings.HasPrefix(u.Scheme, "unix") {
		return refuse(1056, "Bad Configuration: service %q is not an address", service)
	}
	return nil
}

// checkOriginRequest knows that durations go over the wire as whole seconds.
func checkOriginRequest(o map[string]any) error {
	for _, name := range []string{"connectTimeout", "tlsTimeout", "keepAliveTimeout", "tcpKeepAlive", "keepAliveConnections"} {
		v, there := o[name]
		if f, ok := v.(float64); there && (!ok || f != float64(int(f)) || f < 0) {
			return refuse(1056, "Bad Configuration: originRequest.%s must be a whole number of seconds", name)
		}
	}
	return nil
}

// newUUID makes a random identifier of the form of RFC 9562 version 4.
func newUUID() string {
	id := []byte(newID())
	id[12], id[16] = '4', 'a'
	return strings.Join([]string{string(id[:8]), string(id[8:12]), string(id[12:16]), string(id[16:20]), string(id[20:])}, "-")
}
