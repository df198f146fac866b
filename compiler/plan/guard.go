package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Refusal is a plan that goes too far without being told so by name.
type Refusal struct {
	Guard string   `json:"guard"` // what --allow must name
	Why   string   `json:"why"`
	Names []string `json:"names"` // who or what is concerned
}

// Guards that --allow may name.
const (
	GuardAddresses = "lose-addresses"
	GuardUsers     = "lock-out"
	GuardDomains   = "lose-domains"
	GuardPurge     = "purge"
	GuardBackup    = "untested-backup" // is no budget: apply asks the host whether a restore was tried of late
)

// share is the part of the users or addresses that a plan may take without being told: one in ten, at least one.
const share = 10

// Guard says what a plan does to people beyond its budget.
func (h Headline) Guard(before, after model.Accounts) []Refusal {
	var out []Refusal
	if gone := lostDomains(before, after); len(gone) > 0 {
		out = append(out, Refusal{GuardDomains, "whole domains stop receiving mail (declared retired first, their records are taken down with them)", gone})
	}
	if n, had := len(h.Lost), len(before.Destinations()); n > budget(had) {
		out = append(out, Refusal{GuardAddresses, fmt.Sprintf("%d of %d addresses are lost, %d are within budget", n, had, budget(had)), names(h.Lost)})
	}
	if n, had := len(h.LockedOut), len(before.SignIns()); n > budget(had) {
		out = append(out, Refusal{GuardUsers, fmt.Sprintf("%d of %d users are locked out, %d are within budget", n, had, budget(had)), h.LockedOut})
	}
	if gone := purged(before, after); len(gone) > 0 {
		out = append(out, Refusal{GuardPurge, "mailboxes are deleted for good", gone})
	}
	return out
}

func budget(had int) int { return max(1, had/share) }

func names(changes []AddressChange) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Address
	}
	return list
}

// lostDomains had addresses and have none.
func lostDomains(before, after model.Accounts) []string {
	has := func(a model.Accounts) map[string]bool {
		domains := map[string]bool{}
		for address := range a.Destinations() {
			_, domain, _ := model.SplitAddress(address)
			domains[domain] = true
		}
		return domains
	}
	now := has(after)
	var gone []string
	for domain := range has(before) {
		if !now[domain] {
			gone = append(gone, domain)
		}
	}
	slices.Sort(gone)
	return gone
}

func purged(before, after model.Accounts) []string {
	was := map[string]model.State{}
	for _, u := range before.Users {
		was[u.Address] = u.State
	}
	var gone []string
	for _, u := range after.Users {
		if state, ok := was[u.Address]; u.State == model.Purged && ok && state != model.Purged {
			gone = append(gone, u.Address)
		}
	}
	return gone
}

// String is one line for people.
func (r Refusal) String() string { return fmt.Sprintf("%s [%s]", r.names(), r.Guard) }

// names lists at most twenty.
func (r Refusal) names() string {
	shown := r.Names
	if len(shown) > 20 {
		shown = append(shown[:20:20], fmt.Sprintf("and %d more", len(r.Names)-20))
	}
	return r.Why + ": " + strings.Join(shown, ", ")
}
