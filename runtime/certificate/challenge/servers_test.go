package challenge_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate/challenge"
)

// TestShow: it goes on when all name servers that answer show the record, and not before; one that cannot be asked is not
// waited for, and when none can be asked it goes on.
func TestShow(t *testing.T) {
	none := &net.DNSError{Err: "no such host", IsNotFound: true}
	for name, tt := range map[string]struct {
		says func(server string, look int) ([]string, error)
		want string
	}{
		"all at once": {says: func(string, int) ([]string, error) { return []string{"other", "proof"}, nil }},
		"one is late": {says: func(server string, look int) ([]string, error) {
			if server == "rob" && look < 3 {
				return nil, none
			}
			return []string{"proof"}, nil
		}},
		"one never has it": {want: "the name servers rob do not show _acme-challenge.x", says: func(server string, _ int) ([]string, error) {
			if server == "rob" {
				return []string{"of the last run"}, nil
			}
			return []string{"proof"}, nil
		}},
		"one is down": {says: func(server string, _ int) ([]string, error) {
			if server == "rob" {
				return nil, errors.New("timeout")
			}
			return []string{"proof"}, nil
		}},
		"none can be asked": {says: func(string, int) ([]string, error) { return nil, errors.New("no way out") }},
	} {
		looks := 0
		s := challenge.Servers{Patience: 100 * time.Millisecond, Silence: 20 * time.Millisecond, Pause: time.Millisecond,
			Texts: func(_ context.Context, server, _ string) ([]string, error) { looks++; return tt.says(server, looks/2) }}
		_, err := s.Show(t.Context(), []string{"ada", "rob"}, "_acme-challenge.x", "proof")
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
