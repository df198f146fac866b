package cloudflare

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// account is the document of everything that belongs to no zone.
type account struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Zones []zoneHead `json:"zones"`

	Addresses []address `json:"addresses"`
	Scripts   []script  `json:"scripts"`
	Queues    []queue   `json:"queues"`
	Buckets   []bucket  `json:"buckets"`
	Tunnels   []tunnel  `json:"tunnels"`

	ServiceTokens []serviceToken `json:"service_tokens"`
	Policies      []accessPolicy `json:"policies"`
	Apps          []accessApp    `json:"apps"`
}

// zoneHead is what a list of zones shows.
type zoneHead struct {
	ID                  string         `json:"id"`
	Name                string         `json:"name"`
	Status              string         `json:"status"`
	Paused              bool           `json:"paused"`
	Type                string         `json:"type"`
	DevelopmentMode     int            `json:"development_mode"`
	NameServers         []string       `json:"name_servers"`
	OriginalNameServers []string       `json:"original_name_servers"`
	OriginalRegistrar   *string        `json:"original_registrar"`
	OriginalDNSHost     *string        `json:"original_dnshost"`
	CreatedOn           time.Time      `json:"created_on"`
	ModifiedOn          time.Time      `json:"modified_on"`
	ActivatedOn         time.Time      `json:"activated_on"`
	Meta                map[string]any `json:"meta"`
	Owner               map[string]any `json:"owner"`
	Account             accountRef     `json:"account"`
	Plan                plan           `json:"plan"`
}

type accountRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type plan struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	LegacyID string `json:"legacy_id"`
}

// Plan is a zone's subscription; it sets the zone's limits.
type Plan string

// Plans of the provider.
const (
	Free Plan = "free"
	Pro  Plan = "pro"
)

// records a zone of the plan may hold.
func (p Plan) records() int {
	if p == Free {
		return 200
	}
	return 3500
}

// operations a batch of the plan may hold.
func (p Plan) operations() int { return p.records() }

// comment length that the plan allows, in characters.
func (p Plan) comment() int {
	if p == Free {
		return 100
	}
	return 500
}

// zone is the document of one zone.
type zone struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Plan    Plan     `json:"plan"`
	Records []record `json:"records"`

	Email  emailRouting     `json:"email"`
	Phases map[string]phase `json:"phases"`
}

// AccountID returns the account's identifier, made on first use.
func (s *Server) AccountID() (string, error) {
	var id string
	err := s.seed(func(c *call) error {
		a, err := c.editAccount()
		if err == nil {
			id = a.ID
		}
		return err
	})
	return id, err
}

// AddZone makes an active zone, or returns the one of that name.
func (s *Server) AddZone(name string, p Plan) (id string, err error) {
	err = s.seed(func(c *call) error {
		a, err := c.editAccount()
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(a.Zones, func(z zoneHead) bool { return z.Name == name }); i >= 0 {
			id = a.Zones[i].ID
			return nil
		}
		head := newZone(name, p, a, s.now())
		id, a.Zones = head.ID, append(a.Zones, head)
		c.edited["zone-"+id] = &zone{ID: id, Name: name, Plan: p}
		return nil
	})
	return id, err
}

func newZone(name string, p Plan, a *account, now time.Time) zoneHead {
	return zoneHead{
		ID: newID(), Name: name, Status: "active", Type: "full",
		NameServers:         []string{"ada.ns.cloudflare.com", "rob.ns.cloudflare.com"},
		OriginalNameServers: []string{}, CreatedOn: now, ModifiedOn: now, ActivatedOn: now,
		Meta: map[string]any{"step": 2}, Owner: map[string]any{"id": a.ID, "type": "user", "email": nil},
		Account: accountRef{a.ID, a.Name},
		Plan:    plan{ID: string(p), Name: string(p) + " website", LegacyID: string(p)},
	}
}

// seed changes the state outside any request, in one transaction.
func (s *Server) seed(change func(*call) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{s: s, r: &http.Request{Method: http.MethodPost}, zones: map[string]*zone{}, edited: map[string]any{}}
	if err := change(c); err != nil {
		return fmt.Errorf("seed the stand-in: %w", err)
	}
	return c.commit()
}

// account returns the account's document.
func (c *call) account() (*account, error) {
	if c.acct != nil {
		return c.acct, nil
	}
	a := &account{}
	if _, err := c.load("account", a); err != nil {
		return nil, err
	}
	if a.ID == "" && c.reading() {
		// A lagging read from before the account existed sees the present one.
		if err := json.Unmarshal(c.s.store.docs["account"], a); err != nil {
			return nil, fmt.Errorf("decode account: %w", err)
		}
	}
	c.acct = a
	return a, nil
}

// editAccount returns the account's document to change, made on first use.
func (c *call) editAccount() (*account, error) {
	a := &account{}
	if c.s.store.docs["account"] == nil {
		a.ID, a.Name = newID(), "stand-in"
		c.acct = a
	}
	a, err := c.account()
	if err == nil {
		c.edited["account"] = a
	}
	return a, err
}

// checkAccount refuses a request for another account.
func (c *call) checkAccount() error {
	a, err := c.account()
	if err != nil {
		return err
	}
	if c.r.PathValue("account") != a.ID {
		return &apiError{status: http.StatusForbidden, code: 10000, message: "Authentication error"}
	}
	return nil
}

// zone returns the zone named in the path.
func (c *call) zone() (*zone, error) { return c.zoneByID(c.r.PathValue("zone")) }

func (c *call) zoneByID(id string) (*zone, error) {
	if z, ok := c.zones[id]; ok {
		return z, nil
	}
	z := &zone{}
	ok, err := c.load("zone-"+id, z)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound(7003, "Could not route to %s, perhaps your object identifier is invalid?", c.r.URL.Path)
	}
	c.zones[id] = z
	return z, nil
}

// editZone returns the zone named in the path, to change.
func (c *call) editZone() (*zone, error) {
	z, err := c.zone()
	if err == nil {
		c.edited["zone-"+z.ID] = z
	}
	return z, err
}

func listZones(c *call) (any, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	found := slices.DeleteFunc(slices.Clone(a.Zones), func(z zoneHead) bool {
		return q.Get("name") != "" && z.Name != strings.ToLower(q.Get("name")) ||
			q.Get("account.id") != "" && z.Account.ID != q.Get("account.id") ||
			q.Get("status") != "" && z.Status != q.Get("status")
	})
	slices.SortFunc(found, func(a, b zoneHead) int { return strings.Compare(a.Name, b.Name) })
	return listed(found, 5, 50, 20), nil
}

func getZone(c *call) (any, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(a.Zones, func(h zoneHead) bool { return h.ID == z.ID })
	return a.Zones[i], nil
}
