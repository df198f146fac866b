// Package worker is the part of the edge plane that is the Email Worker: its code with the set of recipients, its
// bindings and its secrets, as one object of a plan, since one upload sets them all. It is ours by a tag.
//
// No secret can be read back. So the script carries a binding of its own, credentials, with a digest of all its secrets
// keyed with these secrets themselves: who has them can tell whether the script has the same, and nobody else learns
// anything. Of an Access token it holds the client id's digest, which says whose secret was uploaded; when it is not
// the live token's, the upload asks for a new secret.
package worker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	script "github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kind of the objects.
const Kind = "worker"

// credentials is the binding that says which secrets the script has.
const credentials = "CREDENTIALS"

const (
	plainText  = "plain_text"
	secretText = "secret_text"
	moduleType = "application/javascript+module"
)

// Plane holds the script that a site wants. Secret gives a value by name, Token finds an Access service token; both
// are asked only when a script is wanted. Needs are what must be there before the script. It keeps what it last read and
// what it made since, for reads may lag.
type Plane struct {
	Site   *model.Site
	Want   cloudflare.Worker
	Edge   *edge.Edge
	Secret func(name string) (string, error)
	Token  func(ctx context.Context, name string) (edge.ServiceToken, bool, error)
	Needs  []string

	known   bool
	workers []edge.WorkerInfo
	live    edge.Worker // the one of the wanted name; empty while there is none
	public  bool
}

// value is what is compared and applied.
type value struct {
	Code          string    `json:"code"` // digest of the modules
	Compatibility string    `json:"compatibility"`
	Bindings      []binding `json:"bindings"`
	Credentials   string    `json:"credentials"`
	Public        bool      `json:"public"` // answers on workers.dev
}

type binding struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value,omitempty"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Edge }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{Kind} }

// Ref names a script of that name as something that others need.
func Ref(name string) string { return plan.Object{Plane: plan.Edge, Kind: Kind, ID: name}.Ref() }

// Desired is the one script.
func (p *Plane) Desired(ctx context.Context) ([]plan.Object, error) {
	w, proof, err := p.wanted(ctx)
	if err != nil {
		return nil, err
	}
	o := object(w, proof, false)
	o.From, o.Sole, o.Needs = p.Want.From, true, p.Needs
	// It takes what the ingest and Dovecot know already: so after them, and before the mail is led to it.
	o.Effects = []string{plan.EffectRecipients}
	return []plan.Object{o}, nil
}

func object(w edge.Worker, proof string, public bool) plan.Object {
	v := value{Code: w.Digest(), Compatibility: w.CompatibilityDate, Bindings: []binding{}, Credentials: proof, Public: public}
	for _, b := range w.Bindings {
		if b.Name != credentials {
			v.Bindings = append(v.Bindings, binding(b))
		}
	}
	return plan.Object{Plane: plan.Edge, Kind: Kind, ID: w.Name, Value: plan.Encode(v), Show: show(len(w.Modules), v), Phase: plan.Switch, Text: text(w, v)}
}

func show(modules int, v value) string {
	s := fmt.Sprintf("%d modules, %d bindings", modules, len(v.Bindings))
	if v.Credentials != "" {
		s += fmt.Sprintf(", secrets %.8s", v.Credentials)
	}
	if v.Public {
		s += ", on workers.dev"
	}
	return s
}

// text is all that people would compare, for counting lines.
func text(w edge.Worker, v value) []byte {
	var b strings.Builder
	fmt.Fprintln(&b, v.Credentials)
	for _, x := range v.Bindings {
		fmt.Fprintf(&b, "%s %s %s\n", x.Name, x.Type, x.Value)
	}
	for _, m := range slices.SortedFunc(slices.Values(w.Modules), func(a, b edge.Module) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(&b, "%s\n%s\n", m.Name, m.Content)
	}
	return []byte(b.String())
}

// wanted is the whole script, with the proof of its secrets as it is when the live token's secret is in it.
func (p *Plane) wanted(ctx context.Context) (edge.Worker, string, error) {
	key, err := p.Secret(p.Site.Edge.Worker.DigestKey.Secret)
	if err != nil {
		return edge.Worker{}, "", fmt.Errorf("worker %s: %w", p.Want.Name, err)
	}
	modules, err := script.Modules(p.Site, []byte(key))
	if err != nil {
		return edge.Worker{}, "", err
	}
	w := edge.Worker{Name: p.Want.Name, Main: p.Want.MainModule, CompatibilityDate: p.Want.CompatibilityDate, Tags: []string{cloudflare.Mark(p.Site)}}
	for _, m := range modules {
		w.Modules = append(w.Modules, edge.Module{Name: m.Name, Type: moduleType, Content: m.Content})
	}
	for _, b := range p.Want.Bindings {
		w.Bindings = append(w.Bindings, edge.Binding{Name: b.Name, Type: b.Type, Value: b.Text + b.Bucket + b.Queue})
	}
	slices.SortFunc(w.Bindings, func(a, b edge.Binding) int { return strings.Compare(a.Name, b.Name) })
	proof, err := p.proof(ctx)
	return w, proof, err
}

// secrets are those of the site, by the names of their bindings.
func (p *Plane) secrets() (map[string]string, error) {
	values := map[string]string{}
	for _, b := range p.Want.Bindings {
		if b.Secret == "" {
			continue
		}
		v, err := p.Secret(b.Secret)
		if err != nil {
			return nil, fmt.Errorf("worker %s: %w", p.Want.Name, err)
		}
		values[b.Name] = v
	}
	return values, nil
}

// proof is the keyed digest of the site's secrets, and after a space that of the token's client id.
func (p *Plane) proof(ctx context.Context) (string, error) {
	values, err := p.secrets()
	if err != nil {
		return "", err
	}
	key := sha256.New()
	names := make([]string, 0, len(values))
	for _, b := range p.Want.Bindings {
		if v, ok := values[b.Name]; ok {
			fmt.Fprintf(key, "%d:%s", len(v), v)
			names = append(names, b.Name)
		}
	}
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write([]byte(strings.Join(names, " ")))
	out := hex.EncodeToString(mac.Sum(nil)[:16])
	t, ok, err := p.token(ctx)
	if ok {
		sum := sha256.Sum256([]byte(t.ClientID))
		out += " " + hex.EncodeToString(sum[:8])
	}
	return out, err
}

// token is the Access token that the script carries; ok is false if it carries none, or there is none yet.
func (p *Plane) token(ctx context.Context) (t edge.ServiceToken, ok bool, err error) {
	i := slices.IndexFunc(p.Want.Bindings, func(b cloudflare.Binding) bool { return b.ServiceToken != "" })
	if i < 0 {
		return t, false, nil
	}
	return p.Token(ctx, p.Want.Bindings[i].ServiceToken)
}

// Live reads the script of the site's name, and lists those of other names that bear its tag.
func (p *Plane) Live(ctx context.Context) ([]plan.Object, error) {
	if err := p.list(ctx); err != nil {
		return nil, err
	}
	p.live, p.public = edge.Worker{}, true // as a new one is
	var objects []plan.Object
	for _, info := range p.workers {
		ours := info.Owner() == p.Site.Name
		switch {
		case info.Name == p.Want.Name:
			o, err := p.read(ctx, info)
			if err != nil {
				return nil, err
			}
			o.Foreign = !ours
			objects = append(objects, o)
		case ours:
			objects = append(objects, plan.Object{Plane: plan.Edge, Kind: Kind, ID: info.Name, Value: plan.Encode(info.Etag), Phase: plan.Switch})
		}
	}
	return objects, nil
}

func (p *Plane) list(ctx context.Context) (err error) {
	p.workers, err = p.Edge.Workers(ctx)
	p.known = err == nil
	return err
}

// read takes three calls.
func (p *Plane) read(ctx context.Context, info edge.WorkerInfo) (plan.Object, error) {
	var err error
	if p.live, err = p.Edge.Worker(ctx, info); err != nil {
		return plan.Object{}, err
	}
	if p.public, err = p.Edge.Public(ctx, info.Name); err != nil {
		return plan.Object{}, err
	}
	return object(p.live, held(p.live), p.public), nil
}

// held is the proof that a live script carries.
func held(w edge.Worker) string {
	i := slices.IndexFunc(w.Bindings, func(b edge.Binding) bool { return b.Name == credentials && b.Type == plainText })
	if i < 0 {
		return ""
	}
	return w.Bindings[i].Value
}

// Ours says whether a script is the site's: by its tag, or because it is the wanted one that is still to be made. It
// reads the account only if nothing did before.
func (p *Plane) Ours(ctx context.Context, name string) (bool, error) {
	if !p.known {
		if err := p.list(ctx); err != nil {
			return false, err
		}
	}
	i := slices.IndexFunc(p.workers, func(w edge.WorkerInfo) bool { return w.Name == name })
	if i < 0 {
		return name == p.Want.Name, nil
	}
	return p.workers[i].Owner() == p.Site.Name, nil
}

// Apply uploads the script, or removes one that is no longer wanted.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		var err error
		if c.Verb == plan.Delete {
			err = p.Edge.DeleteWorker(ctx, c.ID)
		} else {
			err = p.bring(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
