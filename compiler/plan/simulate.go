package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Effects are what a change moves from its old to its new state, in mail terms. A plane writes them into
// its objects; the simulator reads them.
const (
	EffectRecipients = "recipients" // the Worker's set of valid addresses
	EffectRoutes     = "routes"     // the ingest's table of addresses
	EffectSigning    = "signing"    // which selector signs for each domain
	effectMX         = "mx "
	effectBox        = "box "
	effectUnbox      = "unbox "
	effectKey        = "key "
)

// EffectMX is that mail for a domain is led to the edge.
func EffectMX(domain string) string { return effectMX + domain }

// EffectBox is that an address has a mailbox that takes mail.
func EffectBox(address string) string { return effectBox + address }

// EffectUnbox is that an address has a mailbox that takes no mail.
func EffectUnbox(address string) string { return effectUnbox + address }

// EffectKey is that a DKIM key is in DNS, by the name of its record.
func EffectKey(name string) string { return effectKey + name }

// Check walks every prefix of the plan, as a crash could leave it, and says which step breaks the promise: an address
// valid before and after bounces, or a signature made before no longer verifies. nil is good. Live and desired are
// what the plan was made of; before and after say who receives mail.
func (p Plan) Check(before, after model.Accounts, live, desired []Object) error {
	w := newWorld(before, after)
	w.observe(live, desired)
	for i, c := range p.Changes {
		for _, effect := range c.Effects {
			w.apply(effect, c.Verb)
		}
		if broken := w.broken(); broken != "" {
			return fmt.Errorf("step %d (%s %s %s) breaks the order: %s", i+1, c.Plane, c.Verb, c.title(), broken)
		}
	}
	return nil
}

// world is the mail system in the middle of an apply: each part is in its old or its new state.
type world struct {
	new        routing
	recipients *routing        // nil when not watched
	routes     *routing        // nil when not watched
	boxes      map[string]bool // nil when not watched
	mx         map[string]bool
	keys       map[string]bool   // nil when not watched
	signed     map[string]string // domain -> record that signatures in flight need
	signing    map[string]string
	next       map[string]string
	watch      []string // addresses valid before and after
	recheck    bool
}

// routing is who receives mail, by the tables of one state.
type routing struct {
	to map[string][]string // address or *@domain -> where it goes; itself for a mailbox
}

func newRouting(a model.Accounts) routing {
	r := routing{to: map[string][]string{}}
	for address, words := range a.Destinations() {
		if words == "mailbox" {
			r.to[address] = []string{address}
		} else {
			r.to[address] = strings.Split(words, ", ")
		}
	}
	return r
}

// resolve follows an address to mailboxes; ok is false when it is refused.
func (r routing) resolve(address string, depth int, into map[string]bool) bool {
	targets, ok := r.to[address]
	if !ok {
		_, domain, _ := model.SplitAddress(address)
		if targets, ok = r.to["*@"+domain]; !ok {
			return false
		}
	}
	if len(targets) == 1 && targets[0] == address {
		into[address] = true
		return true
	}
	if depth > 16 {
		return true
	}
	for _, t := range targets {
		r.resolve(t, depth+1, into)
	}
	return true
}

// newWorld is the state before the first step, as far as the accounts tell it.
func newWorld(before, after model.Accounts) *world {
	w := &world{boxes: map[string]bool{}, mx: map[string]bool{}, keys: map[string]bool{},
		new: newRouting(after), signed: before.Signing(), signing: before.Signing(), next: after.Signing()}
	old := newRouting(before)
	w.recipients, w.routes = &old, &old
	for address, to := range old.to {
		if len(to) == 1 && to[0] == address {
			w.boxes[address] = true
		}
		_, domain, _ := model.SplitAddress(address)
		w.mx[domain] = true
		if _, stays := w.new.to[address]; stays {
			w.watch = append(w.watch, address)
		}
	}
	for _, name := range w.signed {
		w.keys[name] = true
	}
	slices.Sort(w.watch)
	return w
}

// observe adds the keys that already are in DNS. Where the plan was made without a plane (no object of it, live or
// desired, has such an effect), what that plane does is taken as done.
func (w *world) observe(live, desired []Object) {
	watched := map[string]bool{}
	for i, o := range slices.Concat(live, desired) {
		for _, effect := range o.Effects {
			class, _, _ := strings.Cut(effect, " ")
			watched[class] = true
			if i < len(live) && strings.HasPrefix(effect, effectKey) {
				w.keys[effect[len(effectKey):]] = true
			}
		}
	}
	if !watched[strings.TrimSpace(effectBox)] {
		w.boxes = nil
	}
	if !watched[EffectRecipients] {
		w.recipients = nil
	}
	if !watched[EffectRoutes] {
		w.routes = nil
	}
	if !watched[strings.TrimSpace(effectKey)] {
		w.keys = nil
	}
}

func (w *world) apply(effect string, verb Verb) {
	w.recheck = true
	switch {
	case effect == EffectRecipients:
		w.recipients = &w.new
	case effect == EffectRoutes:
		w.routes = &w.new
	case effect == EffectSigning:
		w.signing = w.next
	case strings.HasPrefix(effect, effectMX):
		w.mx[effect[len(effectMX):]] = verb != Delete
	case strings.HasPrefix(effect, effectBox):
		if w.boxes != nil {
			w.boxes[effect[len(effectBox):]] = verb != Delete
		}
	case strings.HasPrefix(effect, effectUnbox):
		if w.boxes != nil {
			w.boxes[effect[len(effectUnbox):]] = false
		}
	case strings.HasPrefix(effect, effectKey):
		if w.keys != nil {
			w.keys[effect[len(effectKey):]] = verb != Delete
		}
	}
}

// broken says what no longer holds.
func (w *world) broken() string {
	if !w.recheck {
		return ""
	}
	w.recheck = false
	for _, address := range w.watch {
		if why := w.bounces(address); why != "" {
			return address + " bounces: " + why
		}
	}
	if w.keys == nil {
		return ""
	}
	for _, domain := range slices.Sorted(maps.Keys(w.signed)) {
		if name := w.signed[domain]; !w.keys[name] {
			return "signatures made with " + name + " no longer verify"
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(w.signing)) {
		if name := w.signing[domain]; !w.keys[name] {
			return domain + " signs with " + name + ", which is not in DNS"
		}
	}
	return ""
}

func (w *world) bounces(address string) string {
	_, domain, _ := model.SplitAddress(address)
	if !w.mx[domain] {
		return "its domain has no MX"
	}
	ask := strings.Replace(address, "*@", "mailplan-no-such-user@", 1)
	if w.recipients != nil && !w.recipients.resolve(ask, 0, map[string]bool{}) {
		return "the Worker refuses it"
	}
	if w.routes == nil {
		return ""
	}
	boxes := map[string]bool{}
	if !w.routes.resolve(ask, 0, boxes) {
		return "the ingest refuses it"
	}
	for _, box := range slices.Sorted(maps.Keys(boxes)) {
		if w.boxes != nil && !w.boxes[box] {
			return "Dovecot has no mailbox " + box
		}
	}
	return ""
}
