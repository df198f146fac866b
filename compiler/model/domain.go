package model

import "strings"

// State of a user, a domain or a selector; the schema lists which apply to which.
type State string

// The states that the schema knows.
const (
	Active    State = "active"
	Disabled  State = "disabled"
	Retired   State = "retired"
	Purged    State = "purged"
	Published State = "published"
	Revoked   State = "revoked"
)

// Domain is one mail domain. Name is the A-label form (RFC 5890), Unicode what the user wrote.
type Domain struct {
	Name       string     `json:"-"`
	Unicode    string     `json:"-"`
	State      State      `json:"state"`
	Zone       string     `json:"zone,omitempty"` // filled in a complete model
	QuotaMB    int        `json:"quotaMB"`
	Users      []User     `json:"-"`
	Aliases    []Alias    `json:"-"`
	CatchAll   string     `json:"-"` // a full address, or empty
	Subaddress bool       `json:"subaddress"`
	Selectors  []Selector `json:"-"`
	KeyDays    int        `json:"-"` // how long a retired key stays in DNS
	SPF        SPF        `json:"spf"`
	DMARC      DMARC      `json:"dmarc"`
	MTASTS     MTASTS     `json:"mtaSTS"`
	TLSRPT     TLSRPT     `json:"tlsRPT"`
	Autoconfig bool       `json:"autoconfig"`
	RelayAuth  *RelayAuth `json:"relayAuth,omitempty"`
	Records    []Record   `json:"records"`
}

// MainDomain is the first that is in use: it stands for the site where one must. localhost while none is.
func (s *Site) MainDomain() string {
	for _, d := range s.Domains {
		if d.State == Active {
			return d.Name
		}
	}
	return "localhost"
}

// User is one mailbox.
type User struct {
	Localpart string   `json:"-"`
	Domain    string   `json:"-"` // A-label form
	Name      string   `json:"name,omitempty"`
	Password  Password `json:"-"`
	QuotaMB   int      `json:"quotaMB"` // mebibytes, 0 without bound; the domain's default filled in
	State     State    `json:"state"`
	Since     string   `json:"since,omitempty"` // YYYY-MM-DD
	Role      string   `json:"role"`
	SendAs    []string `json:"sendAs"`
}

// Address is the user's address with the domain as A-labels.
func (u User) Address() string { return u.Localpart + "@" + u.Domain }

// Receives says whether mail to this user is delivered.
func (u User) Receives() bool { return u.State == Active || u.State == Disabled }

// SignsIn says whether the user may sign in.
func (u User) SignsIn() bool { return u.State == Active }

// Password is who sets a user's password: its owner (empty Secret) or Git, by the secret's name.
type Password struct {
	Secret string
}

// Self says that the owner sets it, so that it never is drift.
func (p Password) Self() bool { return p.Secret == "" }

// Alias leads from an address to targets, all full addresses.
type Alias struct {
	Localpart string
	Domain    string
	Targets   []string
}

// Address is the alias' own address.
func (a Alias) Address() string { return a.Localpart + "@" + a.Domain }

// Selector is one DKIM key of a domain.
type Selector struct {
	Name      string     `json:"-"`
	State     State      `json:"state"`
	Since     string     `json:"since,omitempty"`
	Algorithm string     `json:"algorithm"`
	Bits      int        `json:"bits"`
	PublicKey string     `json:"publicKey,omitempty"`
	Key       *SecretRef `json:"key,omitempty"` // filled in a complete model
}

// Signing is the domain's active selector, if it has one.
func (d Domain) Signing() (Selector, bool) {
	for _, s := range d.Selectors {
		if s.State == Active {
			return s, true
		}
	}
	return Selector{}, false
}

// SPF is the sender policy.
type SPF struct {
	Include    []string `json:"include"`
	Mechanisms []string `json:"mechanisms"`
	All        string   `json:"all"`
}

// DMARC is the domain's policy.
type DMARC struct {
	Policy          string   `json:"policy"`
	SubdomainPolicy string   `json:"subdomainPolicy,omitempty"`
	Percent         int      `json:"percent"`
	RUA             []string `json:"rua"`
	RUF             []string `json:"ruf"`
	Alignment       string   `json:"alignment"`
}

// MTASTS is the strict transport policy.
type MTASTS struct {
	Mode          string `json:"mode"`
	MaxAgeSeconds int    `json:"maxAgeSeconds"`
}

// TLSRPT asks for reports on TLS failures.
type TLSRPT struct {
	RUA []string `json:"rua"`
}

// RelayAuth are the names with which the relay authenticates a domain.
type RelayAuth struct {
	ReturnPath CNAME   `json:"returnPath"`
	DKIM       []CNAME `json:"dkim"`
}

// CNAME is one alias record below the domain.
type CNAME struct {
	Label  string `json:"label"`
	Target string `json:"target"`
}

// Record is a DNS record of the user's own. Priority is nil where the type has none.
type Record struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Content  string `json:"content"`
	TTL      int    `json:"ttl"`
	Priority *int   `json:"priority,omitempty"`
	Proxied  bool   `json:"proxied"`
}

// SplitAddress parts localpart and domain at the last @; ok is false without one.
func SplitAddress(address string) (localpart, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}
