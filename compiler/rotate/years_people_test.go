package rotate_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
	"github.com/mailplan/mailplan/runtime/accounts"
)

// signIn begins a session of the day at the console, by the key that it signs with, and in webmail. It ends the next day.
func (w *world) signIn() {
	now := map[string]string{}
	for secret, lies := range map[string]string{
		model.SecretConsoleSession: w.services["usermgmt"],
		model.SecretRoundcubeDES:   w.text("config/roundcube"),
	} {
		first := len(lies) // what comes first is for new sessions
		for _, value := range w.ever[secret] {
			if i := strings.Index(lies, value); i >= 0 && i < first {
				first, now[secret] = i, value
			}
		}
	}
	w.session = now
}

// signedIn holds that nobody was signed out by a change of keys.
func (w *world) signedIn(when string) {
	w.Helper()
	for secret, value := range w.session {
		lies := w.services["usermgmt"]
		if secret == model.SecretRoundcubeDES {
			lies = w.text("config/roundcube")
		}
		if value == "" || !strings.Contains(lies, value) {
			w.Fatalf("%s, %s: %s has changed, and people are signed out", w.now.Format(time.DateOnly), when, secret)
		}
	}
}

// accounts holds that rotations leave accounts as they are, but for fingerprints of passwords by the last key.
func (w *world) accounts(changes []plan.Change) {
	w.Helper()
	for _, c := range changes {
		if c.Plane != plan.Accounts || w.loaded == nil {
			continue
		}
		var before, after accounts.Row
		w.check(json.Unmarshal(c.Old, &before))
		w.check(json.Unmarshal(c.New, &after))
		if before.User == nil || after.User == nil || !strings.HasSuffix(c.Before, "password from Git by the last key") {
			w.Fatalf("%s: a rotation changes an account: %v", w.now.Format(time.DateOnly), c)
		}
		before.User.Password = after.User.Password
		if d := cmp.Diff(before, after); d != "" {
			w.Fatalf("%s: a rotation changes an account: %s", w.now.Format(time.DateOnly), d)
		}
		w.renewed++
	}
}
