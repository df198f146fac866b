package accounts

import "time"

// Edit is a change of the site's repository that an administrator asks for in the console. The console cannot make it:
// `mailplan edits`, where the repository is, proposes it on a branch, and makes it once it is confirmed.
type Edit struct {
	ID      int64     `json:"id"`
	By      string    `json:"by"`     // address of who asks
	Domain  string    `json:"domain"` // A-labels, of the address; its administrators see the edit
	At      time.Time `json:"at"`
	Verb    EditVerb  `json:"verb"`
	Address string    `json:"address"`           // or, of an edit of a domain, its name
	Name    string    `json:"name,omitempty"`    // of a new user
	QuotaMB *int      `json:"quotaMB,omitempty"` // nil leaves it as it is
	Targets []string  `json:"targets,omitempty"` // of an alias
	Heir    string    `json:"heir,omitempty"`    // takes the place of a user who retires

	Postmaster string  `json:"postmaster,omitempty"` // of a new domain: an address, or its first user
	CatchAll   *string `json:"catchAll,omitempty"`   // nil leaves it as it is, empty takes it away
	DMARC      string  `json:"dmarc,omitempty"`      // the policy; empty leaves it
	MTASTS     string  `json:"mtaSTS,omitempty"`     // the mode; empty leaves it
	Selector   string  `json:"selector,omitempty"`   // of a DKIM key
	Algorithm  string  `json:"algorithm,omitempty"`  // of a new one: rsa, ed25519
	KeyState   string  `json:"keyState,omitempty"`   // active, retired, revoked

	State  EditState  `json:"state"`
	Answer EditAnswer `json:"answer"`
}

// EditVerb is what an edit does.
type EditVerb string

// The verbs.
const (
	AddUser     EditVerb = "add-user"
	SetUser     EditVerb = "set-user"
	RetireUser  EditVerb = "retire-user"
	SetAlias    EditVerb = "set-alias" // declares it, or replaces its targets
	RemoveAlias EditVerb = "remove-alias"

	AddDomain    EditVerb = "add-domain"
	SetDomain    EditVerb = "set-domain"
	RetireDomain EditVerb = "retire-domain"
	AddSelector  EditVerb = "add-selector"
	SetSelector  EditVerb = "set-selector"
)

// OfDomain says whether a verb is about a domain or its keys, and not about an address.
func (v EditVerb) OfDomain() bool {
	switch v {
	case AddDomain, SetDomain, RetireDomain, AddSelector, SetSelector:
		return true
	}
	return false
}

// Overall says whether only who administers the whole site may ask for it.
func (v EditVerb) Overall() bool { return v == AddDomain || v == RetireDomain }

// EditState is how far an edit has come.
type EditState string

// The states. An edit is asked, then proposed or refused; what is proposed is confirmed or discarded, and then done,
// refused or dropped.
const (
	Asked     EditState = "asked"
	Proposed  EditState = "proposed"
	Refused   EditState = "refused"
	Confirmed EditState = "confirmed"
	Discarded EditState = "discarded"
	Done      EditState = "done"
	Dropped   EditState = "dropped"
)

// EditAnswer is what mailplan says to an edit: what it does line by line and in mail terms, or why it can't be.
type EditAnswer struct {
	ID      int64     `json:"id"`
	State   EditState `json:"state"`
	Branch  string    `json:"branch,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Lines   []string  `json:"lines,omitempty"` // FILE:LINE: - or + TEXT
	Mail    string    `json:"mail,omitempty"`  // what happens to addresses
	Plan    string    `json:"plan,omitempty"`  // what happens on every plane
	Problem string    `json:"problem,omitempty"`
}
