package worker

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
)

// Recipients answers like model.Routes whether an address receives mail, and reveals no address: it holds the
// first bytes of HMAC-SHA-256 over each one.
type Recipients struct {
	// Domains that take mail, and how they treat what is not in the set.
	Domains map[string]Domain `json:"domains"`
	// Width of an accepted digest in bytes, as few as falseAcceptance allows.
	Width int `json:"width"`
	// Accepted digests, sorted, Width bytes each: users and aliases that lead to a mailbox or outside.
	Accepted []byte `json:"accepted"`
	// RefusedWidth is wide, since a false refusal would lose mail for good.
	RefusedWidth int `json:"refusedWidth"`
	// Refused digests, sorted: declared addresses that the domain's catch-all must not take (retired users).
	Refused []byte `json:"refused"`
}

// Domain says what becomes of an address that is not in the set.
type Domain struct {
	Subaddress bool `json:"subaddress"` // user+detail is as good as user
	CatchAll   bool `json:"catchAll"`   // the rest is taken too
	Bounces    bool `json:"bounces"`    // rewritten reverse paths (SRS) are taken; the ingest looks at their signature
}

const (
	// falseAcceptance bounds the chance that an unknown address is taken in the session; the ingest refuses it then.
	falseAcceptance = 1e-6
	refusedWidth    = 16
	minKey          = 16
)

// nobody is a localpart that no site can declare: what happens to it happens to every unknown address.
const nobody = "\x00"

// NewRecipients builds the set, linear in users and aliases. The key must have 16 bytes at least.
func NewRecipients(s *model.Site, key []byte) (*Recipients, error) {
	key = bytes.TrimSpace(key)
	if len(key) < minKey {
		return nil, fmt.Errorf("edge.worker.digestKey: %d bytes are too few to hide addresses, make it %d or more", len(key), minKey)
	}
	accepted, refused, domains := split(s)
	r := &Recipients{Domains: domains, Width: width(len(accepted)), RefusedWidth: refusedWidth}
	r.Accepted = digests(accepted, key, r.Width)
	r.Refused = digests(refused, key, r.RefusedWidth)
	return r, nil
}

// split asks the routes about every declared address of every active domain.
func split(s *model.Site) (accepted, refused []string, domains map[string]Domain) {
	routes := model.NewRoutes(s)
	taken := func(address string) bool { return routes.Resolve(address).Refused == "" }
	domains = map[string]Domain{}
	for _, d := range s.Domains {
		if d.State != model.Active {
			continue
		}
		set := Domain{Subaddress: d.Subaddress, CatchAll: taken(nobody + "@" + d.Name), Bounces: d.Name == routes.SRSDomain()}
		domains[d.Name] = set
		add := func(address string) {
			if taken(address) {
				accepted = append(accepted, address)
			} else if set.CatchAll {
				refused = append(refused, address)
			}
		}
		for _, u := range d.Users {
			add(u.Address())
		}
		for _, a := range d.Aliases {
			add(a.Address())
		}
	}
	return accepted, refused, domains
}

// width is the fewest bytes with which n digests keep the bound. An address is looked up twice
// at most: as it is, and without its detail.
func width(n int) int {
	bytes, values := 1, 256.0
	for float64(2*n)/values > falseAcceptance {
		bytes, values = bytes+1, values*256
	}
	return bytes
}

// digests are sorted and each there once.
func digests(addresses []string, key []byte, width int) []byte {
	list := make([][]byte, len(addresses))
	mac := hmac.New(sha256.New, key)
	for i, a := range addresses {
		mac.Reset()
		mac.Write([]byte(a))
		list[i] = mac.Sum(nil)[:width]
	}
	slices.SortFunc(list, bytes.Compare)
	return bytes.Join(slices.CompactFunc(list, bytes.Equal), nil)
}

// Module is the set as an ES module. It is not of the tree: without the key there is none.
func (r *Recipients) Module(s *model.Site) []byte {
	// Strings, numbers, bytes and a map with sorted keys: encoding them cannot fail.
	set, _ := json.MarshalIndent(r, "", "  ")
	return fmt.Appendf(nil, "%s// Who receives mail, as keyed digests; lookup.mjs reads them.\nexport default %s;\n", head(s), set)
}
