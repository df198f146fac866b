// Package srs turns a reverse path into one of our own domain and back, so that mail which is sent on
// to an outside address passes SPF there and its bounces still find the sender: the Sender Rewriting
// Scheme, in the SRS0 and SRS1 forms that mail systems share. It must not know when to rewrite.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
)

// Rewriter signs addresses with the first of Keys and accepts all of them.
type Rewriter struct {
	Domain string        // the domain of rewritten addresses
	Keys   [][]byte      // at least one
	MaxAge time.Duration // how long a rewritten address is good
	Now    func() time.Time
}

var (
	// ErrForeign says that an address is not one that we rewrote.
	ErrForeign = errors.New("not a rewritten address")
	// ErrForged says that an address looks rewritten but its signature is not ours.
	ErrForged = errors.New("rewritten address has a wrong signature")
	// ErrExpired says that a rewritten address is too old.
	ErrExpired = errors.New("rewritten address has expired")
	// ErrTooLong says that the rewritten address would break the limits of RFC 5321.
	ErrTooLong = errors.New("address is too long to rewrite")
)

const (
	alphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	stampMod  = 1024 // days after which time stamps repeat
	signature = 8    // characters: 40 bits
	// The 64 octets of a localpart are left out of account, as mail systems do: bounce addresses of
	// bulk senders would not fit, and losing them would lose mail.
	maxAddress = 254
)

// Forward rewrites localpart@domain. An address of the own domain and the null reverse path stay.
func (w *Rewriter) Forward(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || strings.EqualFold(address[at+1:], w.Domain) {
		return address, nil
	}
	local, domain := address[:at], address[at+1:]
	tag, signed := "SRS0", w.stamp()+"="+domain+"="+local
	switch {
	case hasTag(local, "SRS0"):
		tag, signed = "SRS1", domain+"="+local[4:]
	case hasTag(local, "SRS1") && strings.Count(local[5:], "=") > 1:
		tag = "SRS1"
		_, signed, _ = strings.Cut(local[5:], "=") // another forwarder's signature gives way to ours
	}
	rewritten := tag + "=" + w.sign(signed) + "=" + signed + "@" + w.Domain
	if len(rewritten) > maxAddress {
		return "", ErrTooLong
	}
	return rewritten, nil
}

// Reverse gives back the address that [Rewriter.Forward] rewrote.
func (w *Rewriter) Reverse(address string) (string, error) {
	local, domain, _ := strings.Cut(address, "@")
	if !strings.EqualFold(domain, w.Domain) {
		return "", ErrForeign
	}
	switch {
	case hasTag(local, "SRS0"):
		return w.reverse0(local[5:])
	case hasTag(local, "SRS1"):
		return w.reverse1(local[5:])
	}
	return "", ErrForeign
}

func (w *Rewriter) reverse0(s string) (string, error) {
	sum, signed, _ := strings.Cut(s, "=")
	part := strings.SplitN(signed, "=", 3)
	if len(part) != 3 || part[1] == "" || part[2] == "" {
		return "", ErrForeign
	}
	if !w.verify(sum, signed) {
		return "", ErrForged
	}
	if !w.fresh(part[0]) {
		return "", ErrExpired
	}
	return part[2] + "@" + part[1], nil
}

func (w *Rewriter) reverse1(s string) (string, error) {
	sum, signed, _ := strings.Cut(s, "=")
	host, inner, _ := strings.Cut(signed, "=")
	if host == "" || inner == "" {
		return "", ErrForeign
	}
	if !w.verify(sum, signed) {
		return "", ErrForged
	}
	return "SRS0" + inner + "@" + host, nil
}

func hasTag(local, tag string) bool {
	return len(local) > 5 && strings.EqualFold(local[:4], tag) && strings.IndexByte("=+-", local[4]) >= 0
}

func (w *Rewriter) sign(text string) string { return sign(w.Keys[0], text) }

// sign ignores case, since some mail systems lower localparts on the way.
func sign(key []byte, text string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(strings.ToLower(text)))
	return base32.StdEncoding.EncodeToString(m.Sum(nil))[:signature]
}

func (w *Rewriter) verify(got, text string) bool {
	ok := false
	for _, key := range w.Keys {
		ok = hmac.Equal([]byte(strings.ToUpper(got)), []byte(sign(key, text))) || ok
	}
	return ok
}

func (w *Rewriter) day() int { return int(w.Now().Unix()/86400) % stampMod }

func (w *Rewriter) stamp() string {
	d := w.day()
	return string([]byte{alphabet[d>>5], alphabet[d&31]})
}

func (w *Rewriter) fresh(stamp string) bool {
	if len(stamp) != 2 {
		return false
	}
	stamp = strings.ToUpper(stamp)
	hi, lo := strings.IndexByte(alphabet, stamp[0]), strings.IndexByte(alphabet, stamp[1])
	if hi < 0 || lo < 0 {
		return false
	}
	age := (w.day() - (hi<<5 | lo) + stampMod) % stampMod
	return age <= int(w.MaxAge/(24*time.Hour))
}
