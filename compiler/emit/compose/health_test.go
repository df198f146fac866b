package compose_test

import (
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/test/daemon"
)

// watching is a container's first process: it runs the emitted check while the service is not up yet, while
// it is, and while it has died, and says what becomes of itself.
const watching = `
set +e
trap 'echo ended; exit 0' TERM
check() { "$@" >/dev/null 2>&1; }
for i in 1 2 3 4 5 6 7 8; do check "$@" && echo "well too early"; done
echo waited
touch /tmp/up
check "$@" || echo "ill too early"
rm /tmp/up
for i in 1 2 3 4 5; do check "$@" && echo "well too late"; done
touch /tmp/up; check "$@"; rm /tmp/up
for i in 1 2 3 4 5; do check "$@"; done
echo patient
check "$@"
echo survived
`

// TestWatched holds that a check ends a service that was well and died, and nothing else.
func TestWatched(t *testing.T) {
	p := load(t, emittest.Site())
	r := daemon.NewHostRoot(t)
	r.Write("/usr/local/bin/clamdcheck.sh", "#!/bin/sh\n[ -e /tmp/up ]\n", 0o755)
	result := r.Script(watching, p.Services["clamav"].HealthCheck.Test[1:]...)
	if want := "waited\npatient\nended\n"; result.Stdout != want {
		t.Errorf("said %q (%v, %s), want %q", result.Stdout, result.Err, result.Stderr, want)
	}
}
