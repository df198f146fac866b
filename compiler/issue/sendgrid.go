package issue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sendGrid issues API keys. A key is SG.ID.SECRET.
type sendGrid struct {
	api
	name, mark string
	now        func() time.Time
}

type sendGridKey struct {
	ID     string   `json:"api_key_id,omitempty"`
	Key    string   `json:"api_key,omitempty"`
	Name   string   `json:"name"`
	Scopes []string `json:"scopes,omitempty"`
}

// Issue is as rotate.Issuer wants it. The scopes are those that the present key was given; nobody gets more by a rotation.
func (s sendGrid) Issue(ctx context.Context, present map[string]string) (map[string]string, error) {
	id, err := sendGridID(present[s.name])
	if err != nil {
		return nil, err
	}
	var now sendGridKey
	if err := s.do(ctx, "GET", "/v3/api_keys/"+id, nil, &now); err != nil {
		return nil, fmt.Errorf("look at the present API key: %w", err)
	}
	if err := s.clear(ctx, id); err != nil {
		return nil, err
	}
	scopes := slices.DeleteFunc(now.Scopes, func(scope string) bool { // SendGrid's own notes, which no key can be given
		return strings.HasPrefix(scope, "2fa_") || strings.HasPrefix(scope, "sender_verification_")
	})
	var made sendGridKey
	if err := s.do(ctx, "POST", "/v3/api_keys", sendGridKey{Name: s.mark + " " + s.now().Format(time.DateOnly), Scopes: scopes}, &made); err != nil {
		return nil, fmt.Errorf("make an API key: %w", err)
	}
	var has struct{ Scopes []string }
	err = settles(ctx, func() error { return s.with(made.Key).do(ctx, "GET", "/v3/scopes", nil, &has) })
	if err == nil && !slices.Contains(has.Scopes, "mail.send") {
		err = errors.New("the new API key may not send mail")
	}
	return map[string]string{s.name: made.Key}, err
}

// clear takes away what an earlier try made and nobody got to know.
func (s sendGrid) clear(ctx context.Context, present string) error {
	var all struct{ Result []sendGridKey }
	if err := s.do(ctx, "GET", "/v3/api_keys", nil, &all); err != nil {
		return fmt.Errorf("list API keys: %w", err)
	}
	for _, k := range all.Result {
		if !strings.HasPrefix(k.Name, s.mark+" ") || k.ID == present {
			continue
		}
		if err := s.do(ctx, "DELETE", "/v3/api_keys/"+k.ID, nil, nil); err != nil && !gone(err) {
			return fmt.Errorf("take away the API key %s: %w", k.Name, err)
		}
	}
	return nil
}

// Idle is as rotate.Issuer wants it: SendGrid does not tell when a key was used.
func (s sendGrid) Idle(context.Context, map[string]string, time.Time) (bool, error) { return true, nil }

// Retire is as rotate.Issuer wants it.
func (s sendGrid) Retire(ctx context.Context, key map[string]string) (bool, error) {
	id, err := sendGridID(key[s.name])
	if err != nil {
		return false, err
	}
	if err := s.do(ctx, "DELETE", "/v3/api_keys/"+id, nil, nil); err != nil && !gone(err) {
		return false, fmt.Errorf("take away the last API key: %w", err)
	}
	return true, nil
}

func sendGridID(key string) (string, error) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 || parts[0] != "SG" {
		return "", errors.New("the relay's password is no API key of SendGrid")
	}
	return parts[1], nil
}
