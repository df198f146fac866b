package cloudflare

import (
	"slices"
	"strings"
)

// VerifyAddress does what the owner of a destination address does by following
// the link that the provider sends; it makes the address if absent.
func (s *Server) VerifyAddress(email string) error {
	return s.seed(func(c *call) error {
		a, err := c.editAccount()
		if err != nil {
			return err
		}
		now := s.now()
		i := slices.IndexFunc(a.Addresses, func(d address) bool { return d.Email == email })
		if i < 0 {
			i, a.Addresses = len(a.Addresses), append(a.Addresses, address{ID: newID(), Email: email, Created: now})
			a.Addresses[i].Tag = a.Addresses[i].ID
		}
		a.Addresses[i].Verified, a.Addresses[i].Modified = &now, now
		return nil
	})
}

func listAddresses(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	return listed(a.Addresses, 5, 50, 20), nil
}

func createAddress(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	var in struct {
		Email string `json:"email"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, _, ok := cutAddress(in.Email); !ok {
		return nil, refuse(2030, "Invalid email: %q is not an address", in.Email)
	}
	if slices.ContainsFunc(a.Addresses, func(d address) bool { return strings.EqualFold(d.Email, in.Email) }) {
		return nil, conflict(2031, "The destination address already exists")
	}
	if len(a.Addresses) >= maxAddresses {
		return nil, refuse(2032, "At most %d destination addresses are allowed", maxAddresses)
	}
	d := address{ID: newID(), Email: in.Email, Created: c.s.now(), Modified: c.s.now()}
	d.Tag = d.ID
	a.Addresses = append(a.Addresses, d)
	return d, nil
}

// deleteAddress also disables the rules that forward to the address.
func deleteAddress(c *call) (any, error) {
	a, err := c.ownAccount(true)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(a.Addresses, func(d address) bool { return d.ID == c.r.PathValue("id") })
	if i < 0 {
		return nil, notFound(2033, "Destination address not found")
	}
	gone := a.Addresses[i]
	a.Addresses = slices.Delete(a.Addresses, i, i+1)
	for _, head := range a.Zones {
		if err := c.disableForwards(head.ID, gone.Email); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

func (c *call) disableForwards(zoneID, email string) error {
	z, err := c.zoneByID(zoneID)
	if err != nil {
		return err
	}
	for i, r := range z.Email.Rules {
		if r.Actions[0].Type == "forward" && r.Actions[0].Value[0] == email {
			z.Email.Rules[i].Enabled = false
			c.edited["zone-"+zoneID] = z
		}
	}
	return nil
}

// ownAccount returns the account of the path, which must be the caller's.
func (c *call) ownAccount(edit bool) (*account, error) {
	if err := c.checkAccount(); err != nil {
		return nil, err
	}
	if edit {
		return c.editAccount()
	}
	return c.account()
}
