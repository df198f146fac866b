// Package password makes and checks password hashes in the forms that Dovecot stores: a scheme in braces before the
// hash. New ones are ARGON2ID (RFC 9106) with the cost that webmail uses too. It must not know whose they are.
package password

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// What a person may choose, in characters and bytes.
const (
	MinLength = 12
	maxBytes  = 256
)

// Errors of [Acceptable], which a person can put right.
var (
	ErrShort   = fmt.Errorf("a password has at least %d characters", MinLength)
	ErrLong    = fmt.Errorf("a password has at most %d bytes", maxBytes)
	ErrControl = errors.New("a password has no control characters")
	ErrGuess   = errors.New("a password is not the address or one character again and again")
)

// Acceptable says what is wrong with a new password for an address, or nil.
func Acceptable(plain, address string) error {
	localpart, _, _ := strings.Cut(address, "@")
	lower := strings.ToLower(plain)
	switch {
	case len(plain) > maxBytes:
		return ErrLong
	case utf8.RuneCountInString(plain) < MinLength:
		return ErrShort
	case !utf8.ValidString(plain) || strings.ContainsFunc(plain, unicode.IsControl):
		return ErrControl
	case lower == address || lower == localpart || strings.Trim(plain, plain[:1]) == "":
		return ErrGuess
	}
	return nil
}

// Checker checks passwords, a few at a time since each takes 64 MiB of memory. The zero value is not ready: use
// [NewChecker].
type Checker struct {
	slots chan struct{}
	cost  Cost
}

// NewChecker checks up to n passwords at once, others wait; cost is that of new hashes and of unknown accounts.
func NewChecker(n int, cost Cost) *Checker {
	return &Checker{slots: make(chan struct{}, n), cost: cost}
}

// Check says whether plain is the password of stored. A stored hash that nobody can sign in with (empty, "!", an
// unknown scheme) costs as much as one that is wrong, so that time does not tell which accounts exist. The error is
// that of ctx.
func (c *Checker) Check(ctx context.Context, plain, stored string) (bool, error) {
	if err := c.enter(ctx); err != nil {
		return false, err
	}
	defer c.leave()
	scheme, hash := split(stored)
	if !strings.HasPrefix(scheme, "ARGON2") {
		c.cost.spend(plain)
	}
	return len(plain) <= maxBytes && match(scheme, hash, plain, c.cost), nil
}

// Hash is the stored form of a new password.
func (c *Checker) Hash(ctx context.Context, plain string) (string, error) {
	if err := c.enter(ctx); err != nil {
		return "", err
	}
	defer c.leave()
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return "{ARGON2ID}" + encodeArgon2(c.cost, salt, c.cost.key(plain, salt, keyBytes)), nil
}

func (c *Checker) enter(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn to check a password: %w", ctx.Err())
	}
}

func (c *Checker) leave() { <-c.slots }

func split(stored string) (scheme, hash string) {
	rest, ok := strings.CutPrefix(stored, "{")
	if !ok {
		return "", ""
	}
	scheme, hash, _ = strings.Cut(rest, "}")
	return strings.ToUpper(scheme), hash
}

func match(scheme, hash, plain string, cost Cost) bool {
	switch {
	case scheme == "ARGON2ID" || scheme == "ARGON2I":
		return matchArgon2(hash, plain, cost)
	case scheme == "BLF-CRYPT" || scheme == "CRYPT" && strings.HasPrefix(hash, "$2"):
		return len(plain) <= 72 && bcrypt.CompareHashAndPassword([]byte(hash), []byte(plain)) == nil
	case scheme == "SHA512-CRYPT" || scheme == "CRYPT" && strings.HasPrefix(hash, "$6$"):
		want, ok := sha512Crypt(plain, hash)
		return ok && subtle.ConstantTimeCompare([]byte(want), []byte(hash)) == 1
	}
	return false
}

// Random is a new app password: 24 letters and digits in groups, 120 bits, easy to copy by hand.
func Random() string {
	raw := make([]byte, 24)
	rand.Read(raw)
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	var b strings.Builder
	for i, v := range raw {
		if i > 0 && i%6 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[v%32])
	}
	return b.String()
}

// Fast is the stored form of a password that was made by [Random]: nobody can guess those, so that a salted SHA-512
// does, and mail clients that sign in all the time cost little.
func Fast(random string) string {
	salt := make([]byte, 16)
	rand.Read(salt)
	sum := sha512.Sum512(append([]byte(random), salt...))
	return "{SSHA512}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

// Selector finds the row of an app password without telling it: the first four hex digits of its SHA-256.
func Selector(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:2])
}
