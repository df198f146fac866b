package config

import (
	"net/url"
	"strings"
)

// Certificate keeps the certificate of the mail names in force.
type Certificate struct {
	Names    []string `json:"names"`            // that it is for
	Folder   string   `json:"folder"`           // where servers read fullchain.pem and privkey.pem
	UID      int      `json:"uid"`              // of the folder, beside root
	GID      int      `json:"gid"`              //
	State    string   `json:"state"`            // folder for the account's key and the memory of attempts
	WarnDays int      `json:"warnDays"`         // before its end
	Reload   string   `json:"reload,omitempty"` // program that has servers read it again
	// Who issues it, one of these; without, somebody else puts it in place.
	ACME      *ACME      `json:"acme,omitempty"`
	Tailscale *Tailscale `json:"tailscale,omitempty"`
}

// Tailscale has the tailnet issue a certificate, for the host's own name there.
type Tailscale struct {
	Program string `json:"program"` // called as tailscale would be
}

// ACME is a certificate authority (RFC 8555) that is shown names by DNS records.
type ACME struct {
	Directory string   `json:"directory"`       // URL
	Email     string   `json:"email,omitempty"` // told about trouble
	Mark      string   `json:"mark"`            // comment of our records in the zones; the site's alone
	Zones     []string `json:"zones"`           // that the names lie in
	TokenFile string   `json:"tokenFile"`       // file with the Cloudflare token: Zone Read and DNS Write on these zones
}

func (c *Certificate) problems(at string) (found Problems) {
	if len(c.Names) == 0 {
		found.add(at+".names", "name at least one")
	}
	absolute(&found, at+".folder", c.Folder)
	absolute(&found, at+".state", c.State)
	positive(&found, at+".warnDays", int64(c.WarnDays))
	if c.ACME != nil {
		c.ACME.check(&found, at+".acme", c.Names)
	}
	if c.Tailscale != nil {
		absolute(&found, at+".tailscale.program", c.Tailscale.Program)
		if len(c.Names) > 1 {
			found.add(at+".names", "tailscale gives certificates for one name")
		}
		if c.ACME != nil {
			found.add(at+".tailscale", "acme is there already")
		}
	}
	return found
}

func (a *ACME) check(found *Problems, at string, names []string) {
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		found.add(at+".directory", "%q is no https URL", a.Directory)
	}
	required(found, at+".mark", a.Mark)
	absolute(found, at+".tokenFile", a.TokenFile)
	for _, name := range names {
		if !a.holds(name) {
			found.add(at+".zones", "%s lies in none of them", name)
		}
	}
}

func (a *ACME) holds(name string) bool {
	for _, z := range a.Zones {
		if name == z || strings.HasSuffix(name, "."+z) {
			return true
		}
	}
	return false
}
