package apply_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/plan"
)

// fake is a plane of one kind that remembers its runs.
type fake struct {
	kind string
	runs []string
	fail string // an ID at which it stops
}

func (f *fake) Name() plan.Plane                               { return plan.Host }
func (f *fake) Kinds() []string                                { return []string{f.kind} }
func (f *fake) Desired(context.Context) ([]plan.Object, error) { return nil, nil }
func (f *fake) Live(context.Context) ([]plan.Object, error)    { return nil, nil }
func (f *fake) Apply(_ context.Context, c []plan.Change) error {
	var ids []string
	for _, change := range c {
		if change.ID == f.fail {
			return errors.New("the disk is full")
		}
		ids = append(ids, change.ID)
	}
	f.runs = append(f.runs, strings.Join(ids, " "))
	return nil
}

func change(kind, id string, phase plan.Phase, verb plan.Verb) plan.Change {
	return plan.Change{Plane: plan.Host, Kind: kind, ID: id, Phase: phase, Verb: verb}
}

func journal(t *testing.T) (*apply.Journal, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "journal")
	return apply.Open(file), file
}

func silent(int, int, plan.Change) {}

var changes = []plan.Change{
	change("a", "1", plan.Publish, plan.Create), change("a", "2", plan.Publish, plan.Update),
	change("b", "3", plan.Publish, plan.Create), change("b", "4", plan.Place, plan.Create),
	change("b", "5", plan.Place, plan.Create), change("b", "6", plan.Place, plan.Delete),
}

func TestNeighboursGoTogether(t *testing.T) {
	a, b := &fake{kind: "a"}, &fake{kind: "b"}
	j, _ := journal(t)
	if err := apply.Run(context.Background(), plan.Plan{Changes: changes}, []apply.Plane{a, b}, j, silent); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1 2"}, a.runs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"3", "4 5", "6"}, b.runs); d != "" {
		t.Error(d)
	}
	if cut, err := j.CutOff(); cut != "" || err != nil {
		t.Errorf("a finished apply is called cut off: %q, %v", cut, err)
	}
}

func TestFailureStopsAndIsJournalled(t *testing.T) {
	a, b := &fake{kind: "a"}, &fake{kind: "b", fail: "4"}
	j, file := journal(t)
	err := apply.Run(context.Background(), plan.Plan{Changes: changes}, []apply.Plane{a, b}, j, silent)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("error %v", err)
	}
	if d := cmp.Diff([]string{"3"}, b.runs); d != "" {
		t.Errorf("steps after the failed one were done: %s", d)
	}
	if cut, err := apply.Open(file).CutOff(); err != nil || !strings.Contains(cut, "after 3 of 6 steps") {
		t.Errorf("cut off %q, %v", cut, err)
	}
}

func TestEndingStopsBetweenTwoRuns(t *testing.T) {
	a, b := &fake{kind: "a"}, &fake{kind: "b"}
	ctx, cancel := context.WithCancel(context.Background())
	j, _ := journal(t)
	err := apply.Run(ctx, plan.Plan{Changes: changes}, []apply.Plane{a, b}, j, func(done, _ int, _ plan.Change) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stopped after 3 of 6 steps; run apply again to go on") {
		t.Errorf("error %v", err)
	}
}

func TestNothingIsDoneThatNobodyCanDo(t *testing.T) {
	a := &fake{kind: "a"}
	j, _ := journal(t)
	err := apply.Run(context.Background(), plan.Plan{Changes: changes}, []apply.Plane{a}, j, silent)
	if err == nil || len(a.runs) > 0 {
		t.Errorf("error %v, runs %v: want it refused before the first step", err, a.runs)
	}
}

func TestJournalSurvivesACutLine(t *testing.T) {
	_, file := journal(t)
	text := `{"event":"begin","plan":"abc","total":4}` + "\n" + `{"event":"start","from":0,"to":2}` + "\n" + `{"event":"do`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if cut, err := apply.Open(file).CutOff(); err != nil || cut != "plan abc was cut off after 0 of 4 steps" {
		t.Errorf("cut off %q, %v", cut, err)
	}
}
