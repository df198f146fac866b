package password

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailplan/mailplan/test/need"
)

// cheap is for tests whose cost does not matter.
func cheap() Cost { return Cost{Memory: 64, Passes: 1, Threads: 1} }

func check(t *testing.T, plain, stored string) bool {
	t.Helper()
	ok, err := NewChecker(1, cheap()).Check(t.Context(), plain, stored)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestDovecotAgrees asks Dovecot for hashes, and Dovecot about ours.
func TestDovecotAgrees(t *testing.T) {
	doveadm := need.Program(t, "doveadm")
	for _, plain := range []string{"パスワードは長いほどよい", strings.Repeat("long ", 14)} {
		for _, scheme := range []string{"ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT"} {
			out, err := exec.Command(doveadm, "-O", "pw", "-s", scheme, "-p", plain).CombinedOutput()
			if err != nil {
				t.Fatalf("doveadm pw: %v: %s", err, out)
			}
			stored, hash := split(strings.TrimSpace(string(out)))
			if !match(stored, hash, plain, cheap()) {
				t.Errorf("%s of %q is not known again", scheme, plain)
			}
			if match(stored, hash, plain[1:], cheap()) {
				t.Errorf("%s: a wrong password is taken", scheme)
			}
		}
	}
	ours, err := NewChecker(1, cheap()).Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	app := Random()
	for plain, stored := range map[string]string{"correct horse battery": ours, app: Fast(app)} {
		if out, err := exec.Command(doveadm, "-O", "pw", "-t", stored, "-p", plain).CombinedOutput(); err != nil {
			t.Errorf("dovecot does not know %s: %v: %s", stored[:12], err, out)
		}
	}
}

// TestSHA512Crypt has vectors of the algorithm's specification.
func TestSHA512Crypt(t *testing.T) {
	tests := []struct{ setting, plain, want string }{
		{"$6$saltstring", "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
		{"$6$rounds=10000$saltstringsaltstring", "Hello world!", "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
		{"$6$rounds=10$roundstoolow", "the minimum number is still observed", "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."},
	}
	for _, tt := range tests {
		if got, ok := sha512Crypt(tt.plain, tt.setting); !ok || got != tt.want {
			t.Errorf("%s: %s, want %s", tt.setting, got, tt.want)
		}
	}
}

func TestNobodySignsInWith(t *testing.T) {
	for _, stored := range []string{"", "!", "{PLAIN}x", "{ARGON2ID}", "{ARGON2ID}$argon2id$v=19$m=4294967295,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYWFh",
		"{ARGON2ID}$argon2id$v=19$m=8,t=0,p=0$$", "{SHA512-CRYPT}$6$rounds=999999999$x$y", "{CRYPT}x", "plain", "{BLF-CRYPT}$2y$"} {
		if check(t, "x", stored) || check(t, "", stored) {
			t.Errorf("%q lets somebody in", stored)
		}
	}
}

// TestUnknownCostsTheSame holds that time does not tell whether there is such an account.
func TestUnknownCostsTheSame(t *testing.T) {
	c := NewChecker(1, Standard())
	known, err := c.Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	least := map[string]time.Duration{}
	for range 3 {
		for _, stored := range []string{known, "!", "{BLF-CRYPT}$2y$"} {
			begin := worked(t)
			if _, err := c.Check(t.Context(), "wrong", stored); err != nil {
				t.Fatal(err)
			}
			if took := worked(t) - begin; least[stored] == 0 || took < least[stored] {
				least[stored] = took
			}
		}
	}
	for stored, took := range least {
		if ratio := float64(took) / float64(least[known]); ratio > 3 || ratio < 0.33 {
			t.Errorf("%q takes %v, a known account %v", stored, took, least[known])
		}
	}
}

// worked is the processor time of this program so far; other programs' load does not show in it.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano())
}

func TestAcceptable(t *testing.T) {
	tests := map[string]error{
		"correct horse battery": nil, "パスワードは長いほどよい": nil,
		"short": ErrShort, "パスワードは長い": ErrShort, strings.Repeat("ab", 200): ErrLong, "correct\nhorse battery": ErrControl,
		"alice@example.com": ErrGuess, "Alice@Example.com": ErrGuess, "aaaaaaaaaaaaaaa": ErrGuess, "\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe": ErrControl,
	}
	for plain, want := range tests {
		if got := Acceptable(plain, "alice@example.com"); !errors.Is(got, want) {
			t.Errorf("%q: %v, want %v", plain, got, want)
		}
	}
}

func TestWaitEnds(t *testing.T) {
	c := NewChecker(1, cheap())
	c.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Check(ctx, "x", "!"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("x", "$argon2id$v=19$t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYWFh")
	f.Add("x", "$6$salt$hash")
	f.Fuzz(func(t *testing.T, plain, hash string) {
		if strings.Contains(hash, "m=") || strings.HasPrefix(hash, "$2") || strings.Contains(hash, "rounds=") {
			return // may ask for long work, within the bounds
		}
		for _, scheme := range []string{"ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT", "CRYPT", ""} {
			match(scheme, hash, plain, cheap())
		}
	})
}
