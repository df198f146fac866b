package accounts

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/runtime/accounts"
)

func (p *Plane) object(r accounts.Row, from string) plan.Object {
	o := plan.Object{Plane: plan.Accounts, Value: plan.Encode(r), From: from, Phase: plan.Open}
	switch {
	case r.Domain != nil:
		o.Kind, o.ID, o.Show = KindDomain, r.Domain.Name, r.Domain.State
		o.Phase = plan.Start // before its users
	case r.User != nil:
		p.describe(&o, r.User)
	default:
		o.Kind, o.ID, o.Show = KindAlias, r.Alias.Source, r.Alias.Destination
	}
	return o
}

// describe a user: a mailbox that stops receiving goes after every table that led to it.
func (p *Plane) describe(o *plan.Object, u *accounts.User) {
	o.Kind, o.ID, o.Show = KindUser, u.Address, show(u)
	if u.State == string(model.Active) || u.State == string(model.Disabled) {
		o.Effects = []string{plan.EffectBox(u.Address)}
	} else {
		o.UpdatePhase, o.Effects = plan.Leave, []string{plan.EffectUnbox(u.Address)}
	}
	if u.State == string(model.Purged) {
		o.Irreversible = "the mailbox of " + u.Address + " is deleted"
	}
}

// Note says that a purge takes a mailbox, which only a backup would bring back.
func (p *Plane) Note(c *plan.Change) {
	if c.Irreversible != "" && c.Verb != plan.Create {
		c.Risk = c.Irreversible
	}
}

func show(u *accounts.User) string {
	quota := "without bound"
	if u.QuotaMB > 0 {
		quota = fmt.Sprintf("%d MiB", u.QuotaMB)
	}
	parts := []string{u.State, quota}
	if u.Role != "user" {
		parts = append(parts, u.Role)
	}
	switch u.Password {
	case "":
	case accounts.PasswordChanged:
		parts = append(parts, "password changed by hand")
	default:
		parts = append(parts, "password from Git")
	}
	if len(u.SendAs) > 0 {
		parts = append(parts, "sends as "+strings.Join(u.SendAs, ", "))
	}
	return strings.Join(parts, ", ")
}

// Parameters of Dovecot's own ARGON2ID: 64 MiB, three passes, one lane.
const (
	argonMemory = 64 * 1024 // KiB
	argonPasses = 3
	argonLanes  = 1
)

// argon2id makes a hash in Dovecot's form.
func argon2id(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("{ARGON2ID}$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}
