package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// PolicyText is the policy file that is served at https://mta-sts.DOMAIN/.well-known/mta-sts.txt
// (RFC 8461 section 3.2). The MX hosts are Email Routing's, all below one name.
func (m MTASTS) PolicyText() string {
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: *.mx.cloudflare.net\r\nmax_age: %d\r\n", m.Mode, m.MaxAgeSeconds)
}

// PolicyID is the id of the record _mta-sts.DOMAIN: it changes when the policy does, and only then.
func (m MTASTS) PolicyID() string {
	sum := sha256.Sum256([]byte(m.PolicyText()))
	return hex.EncodeToString(sum[:8])
}
