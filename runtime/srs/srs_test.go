package srs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func rewriter(now string, keys ...string) *Rewriter {
	w := &Rewriter{Domain: "fwd.example", MaxAge: 21 * 24 * time.Hour}
	for _, k := range keys {
		w.Keys = append(w.Keys, []byte(k))
	}
	w.Now = func() time.Time { t, _ := time.Parse(time.DateOnly, now); return t }
	return w
}

func TestBouncesFindTheSender(t *testing.T) {
	w := rewriter("2026-11-21", "key")
	for _, sender := range []string{"bob@sender.example", "a=b=c@sender.example", "x+y-z@a-b.example"} {
		out, err := w.Forward(sender)
		if err != nil || !strings.HasSuffix(out, "@fwd.example") {
			t.Fatalf("Forward(%s) = %s, %v", sender, out, err)
		}
		for _, way := range []string{out, strings.ToLower(out)} {
			if back, err := w.Reverse(way); err != nil || !strings.EqualFold(back, sender) {
				t.Errorf("Reverse(%s) = %s, %v, want %s", way, back, err, sender)
			}
		}
	}
}

func TestSecondForwarderPointsToTheFirst(t *testing.T) {
	first := &Rewriter{Domain: "first.example", Keys: [][]byte{[]byte("1")}, MaxAge: time.Hour * 24 * 21, Now: time.Now}
	w := rewriter("2026-11-21", "key")
	one, _ := first.Forward("bob@s.example")
	two, err := w.Forward(one)
	if err != nil || !strings.HasPrefix(two, "SRS1=") {
		t.Fatalf("Forward(%s) = %s, %v", one, two, err)
	}
	third := &Rewriter{Domain: "third.example", Keys: [][]byte{[]byte("3")}, MaxAge: time.Hour, Now: time.Now}
	three, err := third.Forward(two)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := third.Reverse(three); err != nil || back != one {
		t.Errorf("Reverse(%s) = %s, %v, want %s", three, back, err, one)
	}
}

func TestWhatIsNotRewritten(t *testing.T) {
	w := rewriter("2026-11-21", "key")
	for _, own := range []string{"", "alice@fwd.example"} {
		if got, err := w.Forward(own); got != own || err != nil {
			t.Errorf("Forward(%q) = %q, %v", own, got, err)
		}
	}
	if _, err := w.Forward(strings.Repeat("a", 230) + "@sender.example"); !errors.Is(err, ErrTooLong) {
		t.Errorf("long localpart: %v", err)
	}
}

func TestForgedAndOldAddressesAreRefused(t *testing.T) {
	out, _ := rewriter("2026-11-01", "key").Forward("bob@sender.example")
	for _, c := range []struct {
		name, address string
		w             *Rewriter
		want          error
	}{
		{"another key", out, rewriter("2026-11-02", "other"), ErrForged},
		{"another sender", strings.Replace(out, "bob", "eve", 1), rewriter("2026-11-02", "key"), ErrForged},
		{"another cut", strings.Replace(out, "sender.example=bob", "sender.exampl=ebob", 1), rewriter("2026-11-02", "key"), ErrForged},
		{"too old", out, rewriter("2026-11-30", "key"), ErrExpired},
		{"other domain", strings.Replace(out, "fwd", "else", 1), rewriter("2026-11-02", "key"), ErrForeign},
		{"plain", "bob@fwd.example", rewriter("2026-11-02", "key"), ErrForeign},
		{"old key kept for verification", out, rewriter("2026-11-02", "new", "key"), nil},
	} {
		if _, err := c.w.Reverse(c.address); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzReverse(f *testing.F) {
	w := rewriter("2026-11-21", "key")
	out, _ := w.Forward("bob@sender.example")
	f.Add(out)
	f.Add("SRS0=AAAAAAAA=AB=x=y@fwd.example")
	f.Add("srs1=AAAA=h==x=y=z=u@fwd.example")
	f.Fuzz(func(t *testing.T, s string) {
		back, err := w.Reverse(s)
		if err != nil {
			return
		}
		if again, err := w.Forward(back); err == nil && !strings.HasPrefix(again, "SRS") && again != back {
			t.Errorf("%q came back as %q, which goes out as %q", s, back, again)
		}
	})
}
