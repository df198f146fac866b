// Package rotate says how old each secret of a site is and what its next step of rotation is. It turns (site, what is
// observed, a day) into statuses and steps; a step edits a draft of the site and the secrets file, an apply brings it
// to life, and the step after it waits until that is seen. It asks nobody itself and keeps no state of its own: the site's
// selectors and secrets: names are the state, so that a rotation may be stopped and resumed by anybody at any time.
package rotate

import (
	"context"
	"slices"
	"time"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/model"
)

// Kind is how a secret can be rotated.
type Kind string

// The kinds.
const (
	DKIM     Kind = "dkim"     // stage and publish, switch once seen in DNS, retire, remove
	Overlap  Kind = "overlap"  // both sides are ours: stage, both accepted, switch, retire
	Previous Kind = "previous" // one side, ours: the last value stays good for a while
	Signer   Kind = "signer"   // signs backups: stage and publish, switch, destroy; what it signed is believed as long as it is kept
	Replace  Kind = "replace"  // one step; services that use it restart
	Plane    Kind = "plane"    // a plane makes another one, in the apply after its day is written down
	Key      Kind = "key"      // others issue it, by an API: issue, switch, and take the old one away
	Issued   Kind = "issued"   // others issue it: a person gets a new one, then secret set
	People   Kind = "people"   // keys of people, whose other halves mailplan never sees
)

// State is how a secret stands.
type State string

// The states, from good to bad.
const (
	OK       State = "ok"
	Rotating State = "rotating" // between two steps
	Soon     State = "soon"     // due within the site's warning time
	Unknown  State = "unknown"  // nobody wrote down when it was set
	Overdue  State = "overdue"
)

// Status is what is known of one secret. Days are calendar days; Set and Due are empty where they are not known.
type Status struct {
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Set     string `json:"set,omitempty"` // YYYY-MM-DD
	AgeDays int    `json:"ageDays"`       // -1 where it is not known
	Period  int    `json:"periodDays"`
	Due     string `json:"due,omitempty"`
	State   State  `json:"state"`
	Next    string `json:"next"`
	Path    string `json:"-"` // site path that needs it
}

// Reader gives the values of secrets.
type Reader interface {
	Value(name string) (string, error)
}

// Values holds the values of secrets; a Store of package secrets does.
type Values interface {
	Reader
	Set(name, value string) error
	Remove(name string) error
}

// Step is one step of a rotation. Do makes it in a draft of the site and in the values.
type Step struct {
	Name  string // the secret
	Stage string // record, stage, publish, switch, retire, replace
	Text  string // what it does, for people
	Do    func(*draft.Draft, Values) error
}

// Observed is what is known of the live system. Both are asked only where a step depends on them.
type Observed struct {
	// Applied says whether what lives is as the site declares: a step rests until the one before it is in effect
	// on every plane.
	Applied func() (bool, error)

	// DNS says whether as many resolvers as the site wants answer for a selector with the public half of the key.
	DNS func(domain, selector, key string) (bool, error)

	// Signers are the public keys that signed the backups which the host keeps.
	Signers func() ([]string, error)
}

// Issuer makes keys at who issues them, and takes them away again. It has rights of its own for that.
type Issuer interface {
	// Issue makes a key with the rights of the present one, and returns the values of the secrets that it is made of. What
	// an earlier try left behind goes.
	Issue(ctx context.Context, present map[string]string) (map[string]string, error)

	// Idle says whether nobody has used a key since a day; where that is not told, that is so.
	Idle(ctx context.Context, key map[string]string, since time.Time) (bool, error)

	// Retire takes a key away: done is false when it is barred only, and goes the next time. One that is not there is
	// no error.
	Retire(ctx context.Context, key map[string]string) (done bool, err error)
}

// settle is how long a step rests before the next: what answered late, or from a cache, has had its time.
const settle = 1

// Statuses tells of every secret, sorted by name, and then of what only people can change.
func Statuses(s *model.Site, now time.Time) []Status {
	var list []Status
	for _, e := range s.Inventory() {
		if isAlso(s, e.Name) || follows(s, e.Name) {
			continue // told with the one it stands beside
		}
		st := Status{Name: e.Name, Kind: kind(s, e), Period: e.RotateDays, AgeDays: -1, Path: e.Path}
		if sel, ok := selector(s, e.Name); ok && sel.State != model.Active {
			continue // so is a key that does not sign
		}
		st.measure(set(s, e.Name), s.Secrets.WarnDays, now)
		begun := rotating(s, e.Name)
		if begun && st.State != Overdue { // one that got stuck is late all the same
			st.State = Rotating
		}
		st.Next = next(st, s, begun)
		list = append(list, st)
	}
	return append(list, keysOfPeople(s)...)
}

// keysOfPeople are no secrets of the site, and have no age that it knows.
func keysOfPeople(s *model.Site) (list []Status) {
	for _, k := range []struct {
		name, path string
		of         []string
	}{{"backup: recipients", "backup.recipients", s.Backup.Recipients}, {"secrets: recipients", "secrets.recipients", s.Secrets.Recipients}} {
		if len(k.of) > 0 {
			list = append(list, Status{Name: k.name, Kind: People, AgeDays: -1, State: OK, Path: k.path,
				Next: "age keys of people: add the next one beside the last (mailplan docs secrets)"})
		}
	}
	return list
}

// measure works out age and due day.
func (st *Status) measure(day string, warn int, now time.Time) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		st.State = Unknown
		return
	}
	due := at.AddDate(0, 0, st.Period)
	st.Set, st.Due, st.AgeDays = day, due.Format(time.DateOnly), days(at, now)
	switch {
	case st.AgeDays > st.Period:
		st.State = Overdue
	case st.AgeDays >= st.Period-warn:
		st.State = Soon
	default:
		st.State = OK
	}
}

// days is how many calendar days lie between a day and a moment.
func days(day, now time.Time) int {
	y, m, d := now.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(day).Hours() / 24)
}

func since(day string, now time.Time) int {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return -1
	}
	return days(at, now)
}

// next says what is to be done.
func next(st Status, s *model.Site, begun bool) string {
	switch {
	case begun:
		return "mailplan secret rotate goes on, after an apply"
	case st.State == Unknown && st.Kind == Issued:
		return "mailplan secret set " + st.Name + " records the day"
	case st.State == Unknown:
		return "mailplan secret rotate records the day"
	case st.State == OK:
		return "nothing before " + dayBefore(st.Due, s.Secrets.WarnDays)
	case st.Kind == Issued:
		return byHand(s, st.Name)
	}
	return "mailplan secret rotate"
}

func dayBefore(day string, n int) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return at.AddDate(0, 0, -n).Format(time.DateOnly)
}

// twofold are the passwords of fixed names that the side which asks for them takes two of, or the side that offers them has
// two of: MariaDB's accounts, Redis' user, Rspamd's controller.
var twofold = []string{model.SecretMariaDBRoot, model.SecretRoundcubeDB, model.SecretAccountsDB, model.SecretDovecotDB,
	model.SecretPostfixDB, model.SecretPasswordDB, model.SecretRedisPassword, model.SecretRspamdPassword}

// lasting are those of which a last value goes on being good: what was made with it comes back, or is there.
var lasting = []string{model.SecretSRS, model.SecretBackupDrill, model.SecretConsoleSession, model.SecretRoundcubeDES, model.SecretFingerprints}

// kind knows which secrets have a far side of ours, which an API gives, and which neither.
func kind(s *model.Site, e model.Secret) Kind {
	_, dkim := selector(s, e.Name)
	switch {
	case dkim:
		return DKIM
	case byField(s, e.Name) != "", slices.Contains(twofold, e.Name):
		return Overlap
	case slices.Contains(lasting, e.Name):
		return Previous
	case e.Name == model.SecretBackupSigning:
		return Signer
	case e.MadeBy != "":
		return Plane
	case len(Issues(s, e.Name)) > 0:
		return Key
	case !e.Generated, e.OfUser():
		return Issued // a person must know the new one
	}
	return Replace
}

// byField is the site's field that names a secret, of those which rotate by naming another one.
func byField(s *model.Site, name string) string {
	switch name {
	case s.Edge.Ingest.Token.Secret:
		return "edge.ingest.token"
	case s.Edge.Ingest.SigningKey.Secret:
		return "edge.ingest.signingKey"
	}
	return ""
}

// set is the day since which a secret has its value.
func set(s *model.Site, name string) string {
	if day := s.Secrets.Names[name].Rotated; day != "" {
		return day
	}
	if sel, ok := selector(s, name); ok {
		return sel.Since
	}
	return ""
}

// selector is the key that a secret is.
func selector(s *model.Site, name string) (model.Selector, bool) {
	for _, d := range s.Domains {
		for _, sel := range d.Selectors {
			if sel.Key.Secret == name {
				return sel, true
			}
		}
	}
	return model.Selector{}, false
}

func isAlso(s *model.Site, name string) bool {
	for _, rule := range s.Secrets.Names {
		if rule.Also == name {
			return true
		}
	}
	return false
}

// rotating says whether a rotation has begun and waits for its next step.
func rotating(s *model.Site, name string) bool {
	if s.Secrets.Names[name].Also != "" {
		return true
	}
	for _, d := range s.Domains {
		if slices.ContainsFunc(d.Selectors, func(sel model.Selector) bool { return sel.Key.Secret == name }) {
			_, ok := waiting(d)
			return ok
		}
	}
	return false
}

// waiting is the key of a domain that is published and will sign next: the newest of several.
func waiting(d model.Domain) (newest model.Selector, ok bool) {
	for _, sel := range d.Selectors {
		if sel.State == model.Published && (!ok || sel.Since >= newest.Since) {
			newest, ok = sel, true
		}
	}
	return newest, ok
}
