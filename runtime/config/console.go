package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
)

// Console is the web site on which people keep their own passwords and administrators see what is declared. It
// needs the section accounts too.
type Console struct {
	Listen         string         `json:"listen"`                   // host:port of the site, in clear text behind the tunnel
	SessionKeyFile string         `json:"sessionKeyFile"`           // signs the cookies
	FormerKeyFiles []string       `json:"formerKeyFiles,omitempty"` // signed them before; sessions of other keys have ended
	Proxies        []string       `json:"proxies,omitempty"`        // networks whose CF-Connecting-IP header is believed
	Declared       string         `json:"declared,omitempty"`       // file of what is declared about the domains, see Declared
	Reports        string         `json:"reports,omitempty"`        // folder of what the host says, see package report
	Access         *ConsoleAccess `json:"access,omitempty"`         // every request carries a Cloudflare Access token
	IdleTimeout    Duration       `json:"idleTimeout,omitempty"`    // a session that is not used ends; default 30m
	SessionTimeout Duration       `json:"sessionTimeout,omitempty"` // every session ends; default 12h
}

// ConsoleAccess asks for a Cloudflare Access application token (JWT) besides all else.
type ConsoleAccess struct {
	Issuer       string `json:"issuer"`                 // https://TEAM.cloudflareaccess.com
	Audience     string `json:"audience,omitempty"`     // the application's AUD tag
	AudienceFile string `json:"audienceFile,omitempty"` // or a file with it
	KeysFile     string `json:"keysFile,omitempty"`     // the issuer's keys; left out, they are fetched from it
	SignIn       bool   `json:"signIn,omitempty"`       // the mail address that Access vouches for signs in without a password
}

func (c *Console) problems(at string) (found Problems) {
	checkHostPort(&found, at+".listen", c.Listen)
	required(&found, at+".sessionKeyFile", c.SessionKeyFile)
	for i, p := range c.Proxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			found.add(fmt.Sprintf("%s.proxies[%d]", at, i), "%q is not a network such as 10.203.7.20/32", p)
		}
	}
	if c.Access != nil {
		checkURL(&found, at+".access.issuer", c.Access.Issuer)
		if (c.Access.Audience == "") == (c.Access.AudienceFile == "") {
			found.add(at+".access.audience", "name the AUD tag of the application, or in audienceFile a file with it")
		}
	}
	return found
}

// Declared is what the site says about its domains beyond the account database, for administrators to read.
type Declared struct {
	Site    string           `json:"site"`
	Webmail string           `json:"webmail,omitempty"` // host name of Roundcube, which has the vacation page
	Domains []DeclaredDomain `json:"domains"`
}

// DeclaredDomain is one domain with what stands in the DNS for it.
type DeclaredDomain struct {
	Name      string             `json:"name"`    // A-labels
	Unicode   string             `json:"unicode"` // as it was written
	Selectors []DeclaredSelector `json:"selectors,omitempty"`
	DMARC     string             `json:"dmarc"` // the policy: none, quarantine, reject
	CatchAll  string             `json:"catchAll,omitempty"`
	SPF       string             `json:"spf"`    // how it ends: -all, ~all, ?all
	MTASTS    string             `json:"mtaSTS"` // the mode: none, testing, enforce
}

// DeclaredSelector is one DKIM key.
type DeclaredSelector struct {
	Name      string `json:"name"`
	State     string `json:"state"` // published, active, retired, revoked
	Since     string `json:"since,omitempty"`
	Algorithm string `json:"algorithm"`
}

// LoadDeclared reads the file at path; unknown keys are refused.
func LoadDeclared(path string) (*Declared, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what is declared: %w", err)
	}
	var d Declared
	if found := decode(data, &d); len(found) > 0 {
		return nil, fmt.Errorf("what is declared, %s: %w", path, found)
	}
	return &d, nil
}

// Bytes is the file as it stands in the tree.
func (d *Declared) Bytes() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write what is declared: %w", err)
	}
	return append(b, '\n'), nil
}
