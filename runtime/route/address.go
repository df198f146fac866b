// Package route turns a recipient address into the mailboxes and outside addresses that its mail goes
// to, by the compiled recipient table; aliases are expanded once, loops end. It must not know how mail
// is carried. Addresses are those of RFC 5321, subaddresses those of RFC 5233.
package route

import (
	"errors"
	"strings"
)

// Address is a localpart and a domain.
type Address struct{ Localpart, Domain string }

// String is localpart@domain; empty for the null reverse path.
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	return a.Localpart + "@" + a.Domain
}

// ErrAddress says that a text is no address of RFC 5321.
var ErrAddress = errors.New("not an address")

// ErrNonASCII says that an address would need SMTPUTF8 (RFC 6531), which the way in does not speak.
var ErrNonASCII = errors.New("address is not ASCII")

// maxAddress is the limit of RFC 5321 for a path. Its 64 octets for a localpart are not enforced: it
// asks to take longer ones where possible, and bounce addresses of bulk senders are longer.
const maxAddress = 254

// ParseAddress reads an address without angle brackets. It is as generous as mail systems are with
// dots in localparts, and strict about everything that could break out of an SMTP command. The domain
// is lowered, the localpart is not.
func ParseAddress(s string) (Address, error) {
	if err := checkBytes(s); err != nil {
		return Address{}, err
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > maxAddress {
		return Address{}, ErrAddress
	}
	a := Address{Localpart: s[:at], Domain: strings.ToLower(s[at+1:])}
	if !isDomain(a.Domain) || !isLocalpart(a.Localpart) {
		return Address{}, ErrAddress
	}
	return a, nil
}

// ParseReversePath reads a reverse path; "" and "<>" are the null one.
func ParseReversePath(s string) (Address, error) {
	if s == "" || s == "<>" {
		return Address{}, nil
	}
	return ParseAddress(s)
}

func checkBytes(s string) error {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return ErrNonASCII
		}
		if c < ' ' || c == 0x7f {
			return ErrAddress
		}
	}
	return nil
}

func isLocalpart(s string) bool {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return isQuoted(s[1 : len(s)-1])
	}
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+-/=?^_`{|}~") == ""
}

func isQuoted(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return false
		case '\\':
			if i++; i == len(s) {
				return false
			}
		}
	}
	return true
}

func isDomain(s string) bool {
	if literal, ok := strings.CutPrefix(s, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		return ok && literal != "" && strings.Trim(literal, "abcdefipv0123456789.:") == ""
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
