package daemon

import (
	"fmt"
	"regexp"
	"strings"
)

// complaint finds what a program grumbles about although it goes on: an unused or obsolete setting is
// as wrong in generated configuration as an unknown one.
var complaint = regexp.MustCompile(`(?im)^.*\b(warn|warning|error|fatal|obsolete|deprecated|emerg|panic)\b.*$`)

// refused returns the program's own words if it failed or complained, else nil. A complaint that
// matches one of the harmless texts does not count.
func (r Result) refused(harmless ...string) error {
	if r.Err != nil {
		return fmt.Errorf("%w: %s", r.Err, strings.TrimSpace(r.Stderr+r.Stdout))
	}
	var words []string
lines:
	for _, line := range complaint.FindAllString(r.Stderr, -1) {
		for _, text := range harmless {
			if strings.Contains(line, text) {
				continue lines
			}
		}
		words = append(words, line)
	}
	if words != nil {
		return fmt.Errorf("accepted, but: %s", strings.Join(words, "\n"))
	}
	return nil
}
