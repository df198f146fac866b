package maildir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHolds(t *testing.T) {
	root := filepath.Join(t.TempDir(), "Maildir")
	holds := func(id string, since int64) bool {
		t.Helper()
		there, err := Holds(root, "X-Mailplan-Delivery", id, time.Unix(since, 0))
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	if holds("aa", 0) {
		t.Error("a Maildir that is not there holds a message")
	}
	for name, text := range map[string]string{
		"new/1700000100.M1P1.host,S=9":         "Return-Path: <>\r\nX-Mailplan-Delivery: aa\r\nSubject: x\r\n\r\n",
		"cur/1700000200.M2P1.host:2,S":         "Return-Path: <>\nX-Mailplan-Delivery: bb\nSubject: x\n\nX-Mailplan-Delivery: no\n",
		".Junk/cur/1700000300.M3P1.host:2,":    "X-Mailplan-Delivery: cc\r\n\r\n",
		".Junk/tmp/1700000300.M4P1.host":       "X-Mailplan-Delivery: dd\r\n\r\n",
		"new/1700000400.M5P1.host,S=9":         "Subject: no X-Mailplan-Delivery: ee\r\n\r\n",
		"new/1700000500.M6P1.host,S=9":         "X-Mailplan-Delivery: ffff\r\n\r\n",
		".A folder/new/1700000600.M7P1.host,S": "X-Mailplan-Delivery: gg",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]bool{"aa": true, "bb": true, "cc": true, "dd": false, "ee": false, "ff": false, "gg": true, "no": false} {
		if got := holds(id, 1_700_000_050); got != want {
			t.Errorf("holds %s: %v, want %v", id, got, want)
		}
	}
	if holds("aa", 1_700_000_101) {
		t.Error("found a message that is older than asked for")
	}
}

// A message that a client marks as seen while it is looked for has another name when it is opened.
func TestHoldsFollowsARename(t *testing.T) {
	root := t.TempDir()
	for _, sub := range []string{"new", "cur"} {
		if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "cur/1700000100.M1P1.host:2,S"), []byte("X-Mailplan-Delivery: aa\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"1700000100.M1P1.host": true, "1700000100.M9P1.host": false} {
		if got, err := fileHolds(filepath.Join(root, "new"), name, []byte("\nX-Mailplan-Delivery: aa")); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
	}
}
