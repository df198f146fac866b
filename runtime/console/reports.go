package console

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/report"
)

// reports are what the host says. Each is read again when its file has changed: no page waits for more than a local file.
type reports struct {
	queue  *told[report.Queue]
	spool  *told[report.Spool]
	backup *told[report.Backup]
	dns    *told[report.DNS]
	drift  *told[report.Drift]
	usage  *told[report.Usage]
}

func newReports(path string) *reports {
	f := report.Folder{Path: path}
	return &reports{queue: tells[report.Queue](f, report.Queued, 5*time.Minute), spool: tells[report.Spool](f, report.Spooled, 25*time.Hour),
		backup: tells[report.Backup](f, report.Backups, 5*time.Minute), dns: tells[report.DNS](f, report.Published, time.Hour),
		drift: tells[report.Drift](f, report.Drifted, 25*time.Hour), usage: tells[report.Usage](f, report.Used, 3*time.Hour)}
}

// told is one report as it was read last.
type told[Data any] struct {
	folder report.Folder
	name   report.Name
	late   time.Duration // older data is out of date

	mu   sync.Mutex
	seen os.FileInfo
	last report.File[Data]
	err  error
}

func tells[Data any](f report.Folder, name report.Name, late time.Duration) *told[Data] {
	return &told[Data]{folder: f, name: name, late: late}
}

var errNoReports = errors.New("no folder of reports is configured")

// get is the newest report; of one that is not there or is broken, the error.
func (t *told[Data]) get() (report.File[Data], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.folder.Path == "" {
		return t.last, errNoReports
	}
	info, err := os.Stat(t.folder.File(t.name))
	if err != nil {
		t.seen = nil
		return report.File[Data]{}, err
	}
	if t.seen == nil || !info.ModTime().Equal(t.seen.ModTime()) || info.Size() != t.seen.Size() || !os.SameFile(info, t.seen) {
		t.last, t.err = report.Get[Data](t.folder, t.name)
		t.seen = info
	}
	return t.last, t.err
}

// news is one report as a page shows it.
type news[Data any] struct {
	Data    *Data     // nil where nothing is known
	Known   time.Time // when Data was so
	At      time.Time // when it was last looked
	Problem string    // why that did not work
	Late    bool      // Data is older than it should be
	Silent  bool      // nobody has ever told
}

// news is what is known now.
func (t *told[Data]) news() news[Data] {
	f, err := t.get()
	if err != nil || f.At.IsZero() {
		return news[Data]{Silent: true}
	}
	return news[Data]{Data: f.Data, Known: f.Known, At: f.At, Problem: f.Problem, Late: f.Data != nil && time.Since(f.Known) > t.late}
}

// Doubtful says whether the reader must be told that the data may not be so any more.
func (n news[Data]) Doubtful() bool { return n.Silent || n.Late || n.Problem != "" || n.Data == nil }

// usageOf is how full a mailbox is, nil where that is not known.
func (r *reports) usageOf(address string) *report.Mailbox {
	f, err := r.usage.get()
	if err != nil || f.Data == nil {
		return nil
	}
	if m, ok := (*f.Data)[address]; ok {
		return &m
	}
	return nil
}
