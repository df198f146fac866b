package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func files(t *testing.T, root, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDeliversEveryByteOnce(t *testing.T) {
	s := Store{Root: t.TempDir()}
	const body = "Subject: \xff\r\n\r\nbare\nLF, no end"
	m := func() Message { return Message{Mailbox: "alice@example.com", ID: "abc", Body: strings.NewReader(body)} }
	if err := s.Deliver(m(), false); err != nil {
		t.Fatal(err)
	}
	got := files(t, s.Root, "example.com/alice/new")
	if len(got) != 1 {
		t.Fatalf("%v", got)
	}
	if b, _ := os.ReadFile(got[0]); string(b) != body {
		t.Errorf("stored %q", b)
	}
	if err := s.Deliver(m(), true); err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(s.Root, "example.com/alice/cur", filepath.Base(got[0])+":2,S")
	if err := os.Rename(got[0], seen); err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(m(), true); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, s.Root, "example.com/alice/new")) + len(files(t, s.Root, "example.com/alice/cur")); n != 1 {
		t.Errorf("%d copies after tries that were in doubt", n)
	}
}

func TestJunkHasItsFolder(t *testing.T) {
	s := Store{Root: t.TempDir()}
	if err := s.Deliver(Message{Mailbox: "a@x.example", Junk: true, ID: "1", Body: strings.NewReader("x")}, false); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, s.Root, "x.example/a/.Junk/new")); n != 1 {
		t.Errorf("%d messages in Junk", n)
	}
}

func TestBrokenBodyLeavesNothing(t *testing.T) {
	s := Store{Root: t.TempDir()}
	err := s.Deliver(Message{Mailbox: "a@x.example", ID: "1", Body: iotest.ErrReader(errors.New("cut"))}, false)
	if err == nil || len(files(t, s.Root, "x.example/a/new"))+len(files(t, s.Root, "x.example/a/tmp")) != 0 {
		t.Errorf("%v, %v", err, files(t, s.Root, "x.example/a/*"))
	}
}

func TestNamesStayInside(t *testing.T) {
	s := Store{Root: t.TempDir()}
	for _, name := range []string{"../../etc@x", "a/b@x", "a@..", "a@x/../y", ".Junk@x", "a", "@x", "a@", "a\x00@x"} {
		if err := s.Deliver(Message{Mailbox: name, ID: "1", Body: strings.NewReader("x")}, false); !errors.Is(err, ErrMailbox) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all := files(t, filepath.Dir(s.Root), "etc*"); len(all) != 0 {
		t.Errorf("%v", all)
	}
}
