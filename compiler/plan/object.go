// Package plan compares what is declared with what lives and makes an ordered list of changes of the difference:
// objects in, plan out. It is pure: it reads no plane, writes none, and knows no provider; everything in a plan
// is plain data that can be saved, shown, hashed and tested.
package plan

import (
	"encoding/json"
	"fmt"
)

// Plane is one place where the declared meets the live.
type Plane string

// The planes, in the order in which a plan shows them.
const (
	Edge       Plane = "edge"
	Relay      Plane = "relay"
	Cloud      Plane = "cloud"
	Tailnet    Plane = "tailnet"
	Host       Plane = "host"
	Containers Plane = "containers"
	Accounts   Plane = "accounts"
)

var planes = []Plane{Edge, Relay, Cloud, Tailnet, Host, Containers, Accounts}

// Object is one thing of a plane, live or desired.
type Object struct {
	Plane Plane
	Kind  string // directory, file, record, tunnel …
	// ID names the object within its plane and kind, as people know it: a path, "TXT _dmarc.example.com".
	// Objects may share an ID, as the MX records of one name do.
	ID string
	// Value is what is compared and what is applied, canonical JSON.
	Value json.RawMessage
	// Show is the value in a few words; never a secret.
	Show string
	// From is the site path that asks for it; empty for live objects.
	From string
	// Phase places the object's creation and deletion in the order of a plan; UpdatePhase, where it is not
	// zero, its update.
	Phase       Phase
	UpdatePhase Phase
	// Needs are the Refs of objects that must be there first.
	Needs []string
	// Effects are what the object's change does to mail: see EffectMX and its neighbours.
	Effects []string
	// Irreversible says what can't be undone when the object is changed; empty for nothing.
	Irreversible string
	// Text is the content of a text file, for counting changed lines; it never enters a plan.
	Text []byte
	// Handle is the provider's own identifier of a live object.
	Handle string
	// Foreign marks a live object that is not mailplan's: it is never changed.
	Foreign bool
	// Keep says that the object outlives its declaration: no plan deletes it.
	Keep bool
	// InTurn says that the object is deleted in its phase, as it is updated, because others read what is left: a file of a
	// folder.
	InTurn bool
	// Sole says that only one object may bear this ID, such as the SPF record of a name (RFC 7208 3.2),
	// so that a foreign one is a conflict.
	Sole bool
}

// Encode makes a canonical value of plain data. It panics only for what JSON can't hold, a programming error.
func Encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("plan: %T is no plain data: %v", v, err))
	}
	return data
}

type key struct {
	plane Plane
	kind  string
	id    string
}

func (o Object) key() key { return key{o.Plane, o.Kind, o.ID} }
