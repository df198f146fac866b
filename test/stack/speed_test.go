//go:build stack

package stack_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSpeed measures what an apply takes beside Docker alone, in the same run; it wants a quiet machine:
//
//	MAILPLAN_SPEED=1 .ci/stack -run TestSpeed -v
func TestSpeed(t *testing.T) {
	if os.Getenv("MAILPLAN_SPEED") == "" {
		t.Skip("MAILPLAN_SPEED is not set")
	}
	b := newBench(t)
	timed := func(args ...string) time.Duration {
		start := time.Now()
		b.run(0, args...)
		return time.Since(start)
	}
	cold := timed("apply")
	b.settled()
	var idle []time.Duration
	for range 5 {
		idle = append(idle, timed("apply"))
	}
	slices.Sort(idle)
	t.Logf("nothing to do: %.2fs (median of 5, from %.2fs to %.2fs)", idle[2].Seconds(), idle[0].Seconds(), idle[4].Seconds())
	if idle[2] > 3*time.Second {
		t.Error("an apply with nothing to do takes more than 3s")
	}
	change := b.oneFile()
	t.Logf("a file of Rspamd changed: %.2fs", change.Seconds())
	alone := b.alone()
	t.Logf("cold apply %.1fs, docker compose up --wait alone %.1fs: ratio %.2f", cold.Seconds(), alone.Seconds(), cold.Seconds()/alone.Seconds())
	if cold > alone*3/2 {
		t.Error("a cold apply takes more than 1.5 times what Docker takes")
	}
}

// oneFile changes one file of one service and wants every container to stay as it is, that service's too.
func (b *bench) oneFile() time.Duration {
	b.t.Helper()
	all := func() []string {
		return strings.Fields(b.docker.Must("", append([]string{"inspect", "--format", "{{.Name}}={{.Id}}={{.State.StartedAt}}={{.RestartCount}}"},
			strings.Fields(b.docker.Must("", "ps", "--all", "--quiet"))...)...))
	}
	before := all()
	b.edit("relay: password:", "relay: ratePerUserPerHour: 123\nrelay: password:")
	start := time.Now()
	out := b.run(0, "apply")
	took := time.Since(start)
	if !strings.Contains(out, "service rspamd") || !strings.Contains(out, "(reload)") {
		b.t.Errorf("the plan: %s", out)
	}
	if diff := cmp.Diff(before, all()); diff != "" {
		b.t.Errorf("containers (-before +after): %s", diff)
	}
	b.settled()
	return took
}

// alone has Docker bring the same project up from empty data and without the images that are built of it.
func (b *bench) alone() time.Duration {
	b.t.Helper()
	b.compose("down", "--volumes")
	for _, own := range []string{"mailserver-api:1", "usermgmt:1"} {
		b.docker.Must("", "image", "rm", "--force", own)
	}
	for _, d := range b.site.Model.Directories() {
		if strings.HasSuffix(d.Path, "/tls") {
			continue
		}
		entries, err := os.ReadDir(d.Path)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(d.Path, e.Name())); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	start := time.Now()
	b.compose("up", "--detach", "--wait", "--wait-timeout", "600")
	return time.Since(start)
}
