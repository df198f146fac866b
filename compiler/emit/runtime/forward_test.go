package runtime_test

import (
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	emitted "github.com/mailplan/mailplan/compiler/emit/runtime"
)

// TestForwardFrom has the site say whether the relay takes authors of other domains.
func TestForwardFrom(t *testing.T) {
	for policy, want := range map[string]bool{"rewrite": true, "keep": false} {
		s := emittest.Site()
		s.Relay.ForwardFrom = policy
		if in := parse(t, emittest.Emit(t, emitted.Files, s), "config/runtime/mailpland.json").Ingest; in.Smarthost.OwnFrom != want {
			t.Errorf("%s: %+v", policy, in.Smarthost)
		}
	}
}
