package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/plan"
)

// grace is how long the former secret of a token stays good while a new one is on its way to the script.
const grace = time.Hour

// bring makes the live script what the site wants: one upload, then what no upload sets.
func (p *Plane) bring(ctx context.Context, c plan.Change) error {
	w, proof, err := p.wanted(ctx)
	if err != nil {
		return err
	}
	live, public, err := p.current(ctx, c)
	if err != nil {
		return err
	}
	if !same(object(live, held(live), false), object(w, proof, false)) {
		if err := p.upload(ctx, w, proof, held(live)); err != nil {
			return err
		}
	}
	if public {
		if err := p.Edge.SetPublic(ctx, w.Name, false); err != nil {
			return err
		}
	}
	return p.dropSecrets(ctx, live)
}

func same(a, b plan.Object) bool { return string(a.Value) == string(b.Value) }

// current reads the script that an update or an interrupted creation finds.
func (p *Plane) current(ctx context.Context, c plan.Change) (edge.Worker, bool, error) {
	if err := p.list(ctx); err != nil {
		return edge.Worker{}, false, err
	}
	i := slices.IndexFunc(p.workers, func(w edge.WorkerInfo) bool { return w.Name == c.ID })
	if i < 0 {
		return edge.Worker{}, true, nil // a new one is public
	}
	w, err := p.Edge.Worker(ctx, p.workers[i])
	if err != nil {
		return w, false, err
	}
	public, err := p.Edge.Public(ctx, c.ID)
	return w, public, err
}

// upload sends code, bindings, secrets and their proof. The token's secret is asked for anew unless the script has it.
func (p *Plane) upload(ctx context.Context, w edge.Worker, proof, had string) error {
	secrets, err := p.secrets()
	if err != nil {
		return err
	}
	_, token, _ := strings.Cut(proof, " ")
	if _, hadToken, _ := strings.Cut(had, " "); token != hadToken {
		if err := p.tokenSecrets(ctx, secrets); err != nil {
			return err
		}
	}
	w.Bindings = append(w.Bindings, edge.Binding{Name: credentials, Type: plainText, Value: proof})
	info, err := p.Edge.Upload(ctx, w, secrets)
	if err != nil {
		return err
	}
	for _, handler := range p.Want.Handlers {
		if !slices.Contains(info.Handlers, handler) {
			return fmt.Errorf("worker %s: the provider found no handler %s in its code", w.Name, handler)
		}
	}
	return nil
}

// tokenSecrets adds the Access token's id and a new secret.
func (p *Plane) tokenSecrets(ctx context.Context, secrets map[string]string) error {
	t, ok, err := p.token(ctx)
	if !ok || err != nil {
		return err
	}
	secret, err := p.Edge.RotateServiceToken(ctx, t, time.Now().Add(grace).UTC().Truncate(time.Second))
	if err != nil {
		return err
	}
	for _, b := range p.Want.Bindings {
		switch {
		case b.ServiceToken == "":
		case b.Name == cloudflare.AccessClientID:
			secrets[b.Name] = t.ClientID
		default:
			secrets[b.Name] = secret
		}
	}
	return nil
}

// dropSecrets removes those that an upload keeps and nothing wants.
func (p *Plane) dropSecrets(ctx context.Context, live edge.Worker) error {
	for _, b := range live.Bindings {
		wanted := slices.ContainsFunc(p.Want.Bindings, func(w cloudflare.Binding) bool { return w.Name == b.Name })
		if b.Type != secretText || wanted {
			continue
		}
		if err := p.Edge.DeleteSecret(ctx, live.Name, b.Name); err != nil {
			return err
		}
	}
	return nil
}
