package issue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// cloudflare issues API tokens, a user's or the account's.
type cloudflare struct {
	api
	name, account, mark string
	now                 func() time.Time
}

// cloudflareToken has its rights as the API gives them, to be given again.
type cloudflareToken struct {
	ID        string          `json:"id,omitempty"`
	Value     string          `json:"value,omitempty"`
	Name      string          `json:"name"`
	Status    string          `json:"status,omitempty"`
	Policies  json.RawMessage `json:"policies,omitempty"`
	Condition json.RawMessage `json:"condition,omitempty"`
	LastUsed  *time.Time      `json:"last_used_on,omitempty"`
}

// owned is the prefix of tokens that an account owns.
const owned = "cfat_"

// tokens is where the tokens of a kind are.
func (c cloudflare) tokens(value string) string {
	if strings.HasPrefix(value, owned) {
		return "/accounts/" + c.account + "/tokens"
	}
	return "/user/tokens"
}

func (c cloudflare) ask(ctx context.Context, method, path string, in, out any) error {
	answer := struct {
		Result any `json:"result"`
	}{out}
	return c.do(ctx, method, path, in, &answer)
}

// verify asks a token who it is.
func (c cloudflare) verify(ctx context.Context, value string) (cloudflareToken, error) {
	var t cloudflareToken
	self := c
	self.api = c.with(value)
	err := self.ask(ctx, "GET", c.tokens(value)+"/verify", nil, &t)
	if err == nil && t.Status != "active" {
		err = fmt.Errorf("the token is %s", t.Status)
	}
	return t, err
}

// Issue is as rotate.Issuer wants it. The new token gets the policies and conditions of the present one.
func (c cloudflare) Issue(ctx context.Context, present map[string]string) (map[string]string, error) {
	value := present[c.name]
	self, err := c.verify(ctx, value)
	if err != nil {
		return nil, fmt.Errorf("look at the present token: %w", err)
	}
	at := c.tokens(value)
	var now cloudflareToken
	if err := c.ask(ctx, "GET", at+"/"+self.ID, nil, &now); err != nil {
		return nil, fmt.Errorf("look at the rights of the present token: %w", err)
	}
	if err := c.clear(ctx, at, self.ID); err != nil {
		return nil, err
	}
	in := cloudflareToken{Name: c.mark + " " + c.now().Format(time.DateOnly), Policies: now.Policies, Condition: now.Condition}
	var made cloudflareToken
	if err := c.ask(ctx, "POST", at, in, &made); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	now.Name, now.Value, now.LastUsed = c.last(), "", nil
	if err := c.ask(ctx, "PUT", at+"/"+self.ID, now, nil); err != nil {
		return nil, fmt.Errorf("name the present token: %w", err)
	}
	return map[string]string{c.name: made.Value}, settles(ctx, func() error {
		_, err := c.verify(ctx, made.Value)
		return err
	})
}

// clear takes away what an earlier try made and nobody got to know.
func (c cloudflare) clear(ctx context.Context, at, present string) error {
	all, err := c.list(ctx, at)
	if err != nil {
		return err
	}
	for _, t := range all {
		if !strings.HasPrefix(t.Name, c.mark+" ") || t.ID == present {
			continue
		}
		if err := c.ask(ctx, "DELETE", at+"/"+t.ID, nil, nil); err != nil && !gone(err) {
			return fmt.Errorf("take away the token %s: %w", t.Name, err)
		}
	}
	return nil
}

// last is the name of the token that was in use before: a token tells its id to itself only, and to ask it would be to use it.
func (c cloudflare) last() string { return c.mark + " last" }

// Idle is as rotate.Issuer wants it.
func (c cloudflare) Idle(ctx context.Context, key map[string]string, since time.Time) (bool, error) {
	t, ok, err := c.old(ctx, c.tokens(key[c.name]))
	return err == nil && (!ok || t.LastUsed == nil || t.LastUsed.Before(since)), err
}

// Retire is as rotate.Issuer wants it.
func (c cloudflare) Retire(ctx context.Context, key map[string]string) (bool, error) {
	at := c.tokens(key[c.name])
	t, ok, err := c.old(ctx, at)
	if err != nil || !ok {
		return err == nil, err
	}
	if err := c.ask(ctx, "DELETE", at+"/"+t.ID, nil, nil); err != nil && !gone(err) {
		return false, fmt.Errorf("take away the last token: %w", err)
	}
	return true, nil
}

func (c cloudflare) old(ctx context.Context, at string) (t cloudflareToken, ok bool, err error) {
	all, err := c.list(ctx, at)
	for _, t := range all {
		if t.Name == c.last() {
			return t, true, nil
		}
	}
	return t, false, err
}

// list pages through all tokens that the parent sees.
func (c cloudflare) list(ctx context.Context, at string) (all []cloudflareToken, err error) {
	const page = 50
	for n := 1; ; n++ {
		var some []cloudflareToken
		if err := c.ask(ctx, "GET", fmt.Sprintf("%s?per_page=%d&page=%d", at, page, n), nil, &some); err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		if all = append(all, some...); len(some) < page {
			return all, nil
		}
	}
}
