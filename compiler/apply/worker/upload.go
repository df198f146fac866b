package worker

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
)

// grace is how long the former secret of a token stays good while a new one is on its way to the script.
const grace = time.Hour

// bring makes the live script what the site wants: one upload, then what no upload sets.
func (p *Plane) bring(ctx context.Context) error {
	w, proof, err := p.wanted(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(object(p.live, held(p.live), false).Value, object(w, proof, false).Value) {
		if err := p.upload(ctx, w, proof); err != nil {
			return err
		}
	}
	if p.public {
		if err := p.Edge.SetPublic(ctx, w.Name, false); err != nil {
			return err
		}
		p.public = false
	}
	return nil
}

// upload sends code, bindings, secrets and their proof. The token's secret is asked for anew unless the script has it.
func (p *Plane) upload(ctx context.Context, w edge.Worker, proof string) error {
	if err := p.dropSecrets(ctx); err != nil {
		return err
	}
	secrets, err := p.secrets()
	if err != nil {
		return err
	}
	_, token, _ := strings.Cut(proof, " ")
	if _, hadToken, _ := strings.Cut(held(p.live), " "); token != hadToken {
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
	p.live, p.workers = w, append(p.workers, info)
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

// dropSecrets removes those that an upload would keep and nothing wants.
func (p *Plane) dropSecrets(ctx context.Context) error {
	for _, b := range p.live.Bindings {
		wanted := slices.ContainsFunc(p.Want.Bindings, func(w cloudflare.Binding) bool { return w.Name == b.Name })
		if b.Type != secretText || wanted {
			continue
		}
		if err := p.Edge.DeleteSecret(ctx, p.live.Name, b.Name); err != nil {
			return err
		}
	}
	return nil
}
