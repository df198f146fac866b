package secrets

import "github.com/mailplan/mailplan/compiler/model"

// MakeKey makes a DKIM key of a selector's algorithm and size, before the site declares the selector: RSA in PEM
// (PKCS #8), Ed25519 as Rspamd has it.
func MakeKey(sel model.Selector) (string, error) { return makeKey(sel) }
