package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFolder holds that a report is whole, shared with nobody but the group, and keeps what was known.
func TestFolder(t *testing.T) {
	f := Folder{Path: filepath.Join(t.TempDir(), "reports"), Group: os.Getgid()}
	if _, err := Get[Drift](f, Drifted); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing told yet: %v", err)
	}
	first := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	if err := Put(f, Drifted, first, &Drift{Site: "home"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := Put[Drift](f, Drifted, first.Add(time.Hour), nil, errors.New(strings.Repeat("x", 2*maxProblem))); err != nil {
		t.Fatal(err)
	}
	got, err := Get[Drift](f, Drifted)
	if err != nil || got.Data == nil || got.Data.Site != "home" || !got.Known.Equal(first) || len(got.Problem) > maxProblem+3 {
		t.Errorf("%+v, %v", got, err)
	}
	info, err := os.Stat(f.File(Drifted))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := f.Lay(Queued, make([]byte, maxBytes+1)); err == nil {
		t.Error("a report without end is laid down")
	}
	for name, content := range map[Name]string{Spooled: "{", Queued: `{"at": 5}`} {
		if err := f.Lay(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Get[Spool](f, Spooled); err == nil {
		t.Error("half a report is one")
	}
	if _, err := Get[Queue](f, Queued); err == nil {
		t.Error("a wrong type is one")
	}
	if left, err := os.ReadDir(f.Path); err != nil || len(left) != 3 {
		t.Errorf("%v, %v", left, err)
	}
}
