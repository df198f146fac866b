package throttle

import (
	"fmt"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	now := time.Now()
	th := New(3, time.Minute)
	th.now = func() time.Time { return now }
	for range 3 {
		if th.Wait("a") != 0 {
			t.Fatal("must wait too soon")
		}
		th.Failed("a")
	}
	if got := th.Wait("a"); got != time.Minute {
		t.Errorf("after 3 failures: wait %v", got)
	}
	if th.Wait("b") != 0 {
		t.Error("another must wait")
	}
	now = now.Add(time.Minute)
	if th.Wait("a") != 0 {
		t.Error("the window never ends")
	}
	th.Failed("a")
	if th.Wait("a") != 0 {
		t.Error("the old failures still count")
	}
	th.Failed("a")
	th.Failed("a")
	th.Forget("a")
	if th.Wait("a") != 0 {
		t.Error("a success is not forgotten to forget")
	}
}

// TestBounded: an attacker with endless addresses neither fills the memory nor makes others' counts forgotten.
func TestBounded(t *testing.T) {
	th := New(3, time.Minute)
	th.max = 100
	for range 3 {
		th.Failed("victim")
	}
	for i := range 1000 {
		th.Failed(fmt.Sprint("attacker", i))
	}
	if len(th.keys) > 101 {
		t.Errorf("%d keys", len(th.keys))
	}
	if th.Wait("victim") == 0 {
		t.Error("the flood made it forget")
	}
	if th.Wait("attacker5000") == 0 {
		t.Error("the flood is not throttled")
	}
}
