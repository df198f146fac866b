package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
)

// mailplan answers what waits, as `mailplan edits` does.
func (s *site) mailplan(t testing.TB, answer func(accounts.Edit) accounts.EditAnswer) {
	t.Helper()
	list, err := mariadb.Edits(context.Background(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	var answers []accounts.EditAnswer
	for _, e := range list {
		a := answer(e)
		a.ID = e.ID
		answers = append(answers, a)
	}
	if err := mariadb.AnswerEdits(context.Background(), s.db, answers); err != nil {
		t.Fatal(err)
	}
}

func proposal(e accounts.Edit) accounts.EditAnswer {
	if e.State == accounts.Confirmed {
		return accounts.EditAnswer{State: accounts.Done, Commit: "0123456789ab"}
	}
	return accounts.EditAnswer{State: accounts.Proposed, Branch: fmt.Sprintf("console/%d", e.ID), Commit: "0123456789ab",
		Lines: []string{`b-example.cue:5: + 		` + e.Address + `: {quotaMB: 512} // <script>`}, Mail: "home: 1 address gained\n  + " + e.Address + "  -> mailbox\n",
		Plan: "plan 0123456789ab: 1 to create, 11 to update, 0 to delete, 145 unchanged\n"}
}

// TestEdit goes the whole way of an edit: asked, proposed with what it does, confirmed, made. The accounts themselves do
// not change by it.
func TestEdit(t *testing.T) {
	s := start(t)
	before, err := mariadb.Read(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	b := s.signIn(t, "boss@b.example")
	b.get("/edits/new?verb=add-user")
	resp := b.post("/edits", "verb", "add-user", "address", "Carol@b.example ", "name", "Carol Ω", "quota", "512")
	path := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(path, "/edits/") {
		t.Fatalf("%s to %q: %s", resp.Status, path, b.page)
	}
	if b.get(path); !strings.Contains(b.page, "waits for mailplan") || !strings.Contains(b.page, "hx-trigger") {
		t.Errorf("the page does not wait: %s", b.page)
	}
	list, err := mariadb.Edits(t.Context(), s.db)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	want := accounts.Edit{ID: list[0].ID, At: list[0].At, By: "boss@b.example", Domain: "b.example", Verb: accounts.AddUser,
		Address: "carol@b.example", Name: "Carol Ω", QuotaMB: new(512), State: accounts.Asked}
	if d := cmp.Diff(want, list[0]); d != "" {
		t.Error(d)
	}
	s.mailplan(t, proposal)
	b.get(path)
	for _, part := range []string{"1 address gained", "carol@b.example  -&gt; mailbox", "b-example.cue:5: &#43;", "&lt;script&gt;", "145 unchanged", "console/"} {
		if !strings.Contains(b.page, part) {
			t.Errorf("the page lacks %q:\n%s", part, b.page)
		}
	}
	if resp := b.post(path, "decision", "confirm"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("confirm: %s", resp.Status)
	}
	b.get(path)
	if resp := b.post(path, "decision", "discard"); resp.StatusCode != http.StatusConflict {
		t.Errorf("a second decision: %s", resp.Status)
	}
	s.mailplan(t, proposal)
	if b.get(path); !strings.Contains(b.page, "takes effect with the next apply") {
		t.Errorf("it is not made: %s", b.page)
	}
	after, err := mariadb.Read(t.Context(), s.db)
	if d := cmp.Diff(before, after); err != nil || d != "" {
		t.Errorf("the accounts changed: %s %v", d, err)
	}
	s.audited(t, `"edit"`, `"asked"`, "boss@b.example", "carol@b.example")
	s.audited(t, `"edit"`, `"confirmed"`, "boss@b.example")
	s.clean(t)
}

// TestForeignEdits holds that nobody asks for, sees or decides what is not of his domain, nor without the form.
func TestForeignEdits(t *testing.T) {
	s := start(t)
	root, boss, user := s.signIn(t, "root@a.example"), s.signIn(t, "boss@b.example"), s.signIn(t, "alice@a.example")
	root.get("/edits/new?verb=retire-user&address=alice@a.example")
	path := root.post("/edits", "verb", "retire-user", "address", "alice@a.example", "heir", "root@a.example").Header.Get("Location")
	s.mailplan(t, proposal)

	boss.get("/edits/new?verb=add-user")
	if resp := boss.post("/edits", "verb", "add-user", "address", "eve@a.example"); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an edit of another domain: %s", resp.Status)
	}
	s.audited(t, `"edit"`, `"not his"`, "boss@b.example", "eve@a.example")
	for _, b := range []*client{boss, user} {
		if resp := b.get(path); resp.StatusCode != http.StatusNotFound || strings.Contains(b.page, "alice@a.example:") {
			t.Errorf("another domain's edit: %s", resp.Status)
		}
	}
	boss.get("/edits")
	if strings.Contains(boss.page, "alice@a.example") {
		t.Error("another domain's edit is listed")
	}
	if resp := boss.post(path, "decision", "confirm"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a decision on another domain's edit: %s", resp.Status)
	}
	user.get("/")
	for _, p := range []string{"/edits", "/edits/new?verb=add-user"} {
		if resp := user.get(p); resp.StatusCode != http.StatusNotFound {
			t.Errorf("a user gets %s: %s", p, resp.Status)
		}
	}
	root.get(path)
	if resp := root.post(path, "decision", "confirm", "token", "forged"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a forged form: %s", resp.Status)
	}
	if list, err := mariadb.EditsOf(t.Context(), s.db, "", 10); err != nil || len(list) != 1 || list[0].State != accounts.Proposed {
		t.Errorf("%v %v", list, err)
	}
}

func TestHostileEdits(t *testing.T) {
	s := start(t)
	b := s.signIn(t, "root@a.example")
	b.get("/edits/new?verb=add-user")
	for why, fields := range map[string][]string{
		"no address":       {"verb", "add-user"},
		"no localpart":     {"verb", "add-user", "address", "@a.example"},
		"two ats":          {"verb", "add-user", "address", "a@b@a.example"},
		"line end":         {"verb", "add-user", "address", "a\n@a.example"},
		"unknown domain":   {"verb", "add-user", "address", "a@nowhere.example"},
		"long":             {"verb", "add-user", "address", strings.Repeat("a", 9000) + "@a.example"},
		"negative quota":   {"verb", "set-user", "address", "alice@a.example", "quota", "-1"},
		"quota in letters": {"verb", "set-user", "address", "alice@a.example", "quota", "much"},
		"no targets":       {"verb", "set-alias", "address", "x@a.example", "targets", " , "},
		"many targets":     {"verb", "set-alias", "address", "x@a.example", "targets", strings.Repeat("a ", 300)},
		"hostile name":     {"verb", "add-user", "address", "x@a.example", "name", "x\x00y"},
	} {
		if resp := b.post("/edits", fields...); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", why, resp.Status)
		}
	}
	if resp := b.post("/edits", "verb", "drop-tables", "address", "x@a.example"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown verb: %s", resp.Status)
	}
	list, err := mariadb.Edits(t.Context(), s.db)
	if err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	for i := range 101 {
		b.get("/edits")
		resp := b.post("/edits", "verb", "add-user", "address", fmt.Sprintf("u%d@a.example", i))
		if (resp.StatusCode == http.StatusSeeOther) != (i < 100) {
			t.Fatalf("edit %d: %s", i, resp.Status)
		}
	}
}

// TestAnswers holds that an answer only reaches an edit that waits for it.
func TestAnswers(t *testing.T) {
	db := database(t)
	seed(t, db)
	id, ok, err := mariadb.Ask(t.Context(), db, accounts.Edit{By: "root@a.example", Domain: "a.example", Verb: accounts.AddUser, Address: "x@a.example"})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var states []accounts.EditState
	for _, state := range []accounts.EditState{accounts.Done, accounts.Proposed, accounts.Refused, accounts.Dropped} {
		if err := mariadb.AnswerEdits(t.Context(), db, []accounts.EditAnswer{{ID: id, State: state}}); err != nil {
			t.Fatal(err)
		}
		e, err := mariadb.EditOf(t.Context(), db, "a.example", id)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, e.State)
	}
	if want := []accounts.EditState{accounts.Asked, accounts.Proposed, accounts.Proposed, accounts.Proposed}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	if err := mariadb.AnswerEdits(t.Context(), db, []accounts.EditAnswer{{ID: id, State: "owned"}}); err == nil {
		t.Error("a state that is no answer was taken")
	}
}
