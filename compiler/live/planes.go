package live

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/accounts"
	"github.com/mailplan/mailplan/compiler/apply/certificate"
	"github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/apply/relay"
	"github.com/mailplan/mailplan/compiler/apply/tailnet"
	"github.com/mailplan/mailplan/compiler/apply/units"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/compiler/secrets"
	people "github.com/mailplan/mailplan/runtime/accounts"
)

// planes makes all of the site's, in the order in which they are read: first the edge, last those that wait for the
// world outside. A plane that is not chosen needs no token.
func planes(ctx context.Context, o Options, store *secrets.Store, h *host.Host, run host.Runner) ([]apply.Plane, error) {
	list, err := edgePlanes(ctx, o, store, h)
	if err != nil {
		return nil, err
	}
	engine := containers.Docker{Run: run, Dir: o.Site.Host.Root}
	users, err := accountsPlane(o, store, engine)
	if err != nil {
		return nil, err
	}
	var programs []host.Program
	if o.Programs != "" && o.chose(plan.Host) {
		if programs, err = host.RunnablePrograms(o.Programs); err != nil {
			return nil, err
		}
	}
	list = append(list, &host.Plane{Host: h, Tree: o.Tree, Directories: o.Site.HostDirectories(), Programs: programs},
		&certificate.Plane{Site: o.Site, Host: h, Run: run, Now: time.Now, Programs: programs},
		&units.Plane{Run: run, Host: h, Tree: o.Tree, Programs: programs},
		&containers.Plane{Host: h, Tree: o.Tree, Engine: engine, Programs: programs, Proof: proof(o.Site, engine)}, users)
	smarthost := &relay.Plane{Site: o.Site}
	if o.Site.Relay.Provider == "sendgrid" && o.chose(plan.Relay) {
		key, err := store.Value(o.Site.Relay.Password.Secret)
		if err != nil {
			return nil, err
		}
		smarthost.Client = &relay.Client{BaseURL: o.Env("MAILPLAN_SENDGRID_URL"), Key: key}
	}
	offsite, err := cloudPlane(o)
	if err != nil {
		return nil, err
	}
	network, err := tailnetPlane(o, store)
	return append(list, offsite, smarthost, network), err
}

// edgePlanes are those of the account, which gives the host what only it knows.
func edgePlanes(ctx context.Context, o Options, store *secrets.Store, h *host.Host) (list []apply.Plane, err error) {
	token, err := store.Value(o.Site.Edge.Token.Secret)
	if err != nil && o.chose(plan.Edge) {
		return nil, err
	}
	var account *edge.Edge
	if err == nil {
		account = edge.New(edge.Config{Token: token, AccountID: o.Site.Edge.AccountID, BaseURL: o.Env("MAILPLAN_CLOUDFLARE_URL")})
	}
	if o.chose(plan.Edge) {
		keys := cloudflare.Secrets{Value: store.Value, PublicKey: store.PublicKey}
		past, err := cloudflare.ReadPast(o.Site, h.Read)
		if err != nil {
			return nil, err
		}
		if list, err = cloudflare.Planes(o.Site, account, keys, past, h.RoutesRef()); err != nil {
			return nil, err
		}
	}
	h.Secrets, err = cloudflare.WithGiven(ctx, o.Site, account, list, store.Value)
	return list, err
}

// accountsPlane keys fingerprints of passwords with a secret that is on no host.
func accountsPlane(o Options, store *secrets.Store, engine containers.Docker) (_ *accounts.Plane, err error) {
	p := &accounts.Plane{Site: o.Site, Secrets: store.Value, Store: database{engine: engine, project: o.Site.Name, Runtime: behind(engine)}}
	if !o.chose(plan.Accounts) {
		return p, nil
	}
	p.Keys, err = accounts.Keys(o.Site, store.Value)
	return p, err
}

// proof sends a test message for each domain, where the site has any for them; many only for some, which share their way.
func proof(s *model.Site, engine containers.Docker) func(context.Context) error {
	domains := s.ProbeDomains()
	if len(domains) == 0 {
		return nil
	}
	argv := append([]string{"/mailpland", "probe", "--config", "/etc/mailpland/mailpland.json"}, domains[:min(len(domains), proofs)]...)
	return func(ctx context.Context) error {
		_, err := engine.Exec(ctx, "mailserver-api", nil, argv...)
		return err
	}
}

// proofs are the domains that one change is proven for.
const proofs = 5

// behind is the database behind the keeper.
func behind(engine containers.Docker) accounts.Runtime {
	return accounts.Runtime{Run: func(ctx context.Context, verb string, stdin io.Reader) ([]byte, error) {
		return engine.Exec(ctx, keeper, stdin, "/mailpland", "accounts", verb, "--config", "/etc/mailpland/mailpland.json")
	}}
}

// Accounts reaches the account database of a site on its host, and opens no secret for it. Close is to be called once.
func Accounts(ctx context.Context, s *model.Site, env func(string) string) (r accounts.Runtime, close func() error, err error) {
	t := &Target{}
	machine, err := t.connect(ctx, Options{Site: s, Env: env})
	if err != nil {
		return r, nil, err
	}
	return behind(containers.Docker{Run: machine.run, Dir: s.Host.Root}), t.Close, nil
}

// keeper is the service whose mailpland may change the account database.
const keeper = "usermgmt"

// database is the one behind the keeper. Before the keeper's container was ever made it is empty.
type database struct {
	accounts.Runtime
	engine  containers.Docker
	project string
}

// Read is as accounts.Store wants it.
func (d database) Read(ctx context.Context) (rows people.Rows, err error) {
	list, err := d.engine.Containers(ctx, d.project)
	if err != nil || !slices.ContainsFunc(list, func(c containers.Container) bool { return c.Service == keeper }) {
		return rows, err
	}
	return d.Runtime.Read(ctx)
}

func tailnetPlane(o Options, store *secrets.Store) (*tailnet.Plane, error) {
	p := &tailnet.Plane{Site: o.Site}
	if o.Site.Tailnet == nil || !o.chose(plan.Tailnet) {
		return p, nil
	}
	secret, err := store.Value(o.Site.Tailnet.OAuth.Secret)
	if err != nil {
		return nil, err
	}
	p.Client, err = tailnet.NewClient(tailnet.Config{BaseURL: o.Env("MAILPLAN_TAILSCALE_URL"), Tailnet: o.Site.Tailnet.Name, Secret: secret})
	return p, err
}

// chose says whether a plane is among those to work on.
func (o Options) chose(p plan.Plane) bool {
	return len(o.Planes) == 0 || slices.Contains(o.Planes, string(p))
}
