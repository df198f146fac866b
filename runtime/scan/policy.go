package scan

import (
	"slices"
	"strings"
)

// Deed is what is to be done with a message.
type Deed string

// The deeds that a policy can name.
const (
	Deliver  Deed = "deliver"
	Junk     Deed = "junk"     // deliver, marked X-Spam: Yes
	Reject   Deed = "reject"   // refuse for good
	TempFail Deed = "tempfail" // refuse for now
)

// Decision is a deed and why.
type Decision struct {
	Deed   Deed
	Why    string // for the log: the action or symbol that decided
	Answer string // for the sender, when refused; without codes
}

// Decide applies the site's policy to the outcome of [Scanner.Scan]. The strictest of what applies
// counts: virus and failure symbols weigh beside the action.
func (s *Scanner) Decide(v Verdict, err error) Decision {
	p := s.conf.Policy
	if err != nil {
		return Decision{Deed(p.Down), "scanner down", "message could not be scanned, try again later"}
	}
	d := s.byAction(v)
	if name := firstOf(v.Symbols, s.conf.FailureSymbols); name != "" {
		d = stricter(d, Decision{Deed(p.Failure), name, "message could not be scanned, try again later"})
	}
	if name := firstOf(v.Symbols, s.conf.VirusSymbols); name != "" {
		return stricter(Decision{Deed(p.Virus), name, "message contains malware"}, dropFailure(d))
	}
	return d
}

// dropFailure keeps a found virus from being answered with "try again".
func dropFailure(d Decision) Decision {
	if d.Deed == TempFail {
		return Decision{Deed: Deliver}
	}
	return d
}

func (s *Scanner) byAction(v Verdict) Decision {
	p, answer := s.conf.Policy, printable(v.Said)
	switch v.Action {
	case "reject":
		return Decision{Deed(p.Reject), v.Action, or(answer, "message is rejected as spam")}
	case "soft reject":
		return Decision{Deed(p.SoftReject), v.Action, or(answer, "try again later")}
	case "add header":
		return Decision{Deed(p.AddHeader), v.Action, or(answer, "message looks like spam")}
	case "rewrite subject":
		return Decision{Deed(p.RewriteSubject), v.Action, or(answer, "message looks like spam")}
	case "no action", "greylist":
		// greylist without a greylisting module is only a score band
		return Decision{Deed: Deliver, Why: v.Action}
	}
	return Decision{Deed(p.Failure), "unknown action", "message could not be scanned, try again later"}
}

func stricter(a, b Decision) Decision {
	order := []Deed{Deliver, Junk, TempFail, Reject}
	if slices.Index(order, b.Deed) > slices.Index(order, a.Deed) {
		return b
	}
	return a
}

func firstOf(have, wanted []string) string {
	for _, name := range have {
		if slices.Contains(wanted, name) {
			return name
		}
	}
	return ""
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, s)
	return s[:min(len(s), 200)]
}
