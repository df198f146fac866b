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
	Address string    `json:"address"`
	Name    string    `json:"name,omitempty"`    // of a new user
	QuotaMB *int      `json:"quotaMB,omitempty"` // nil leaves it as it is
	Targets []string  `json:"targets,omitempty"` // of an alias
	Heir    string    `json:"heir,omitempty"`    // takes the place of a user who retires

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
)

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
