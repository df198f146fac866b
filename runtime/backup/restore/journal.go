package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mailplan/mailplan/runtime/durable"
)

// journal remembers which classes one restore has brought back, for a caller that is cut off and calls again. Within a
// class, the folders themselves tell how far it is.
type journal struct {
	path   string
	Head   string `json:"head"` // hash of the snapshot's head
	Report Report `json:"report"`
}

// openJournal takes up what the journal holds. Without one it forgets what it is told.
func (r *Restorer) openJournal() (*journal, error) {
	j := &journal{path: r.Options.Journal, Head: r.Snapshot.HeadHash}
	if j.path == "" {
		return j, nil
	}
	data, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	was := journal{path: j.path}
	if err := json.Unmarshal(data, &was); err != nil {
		return nil, fmt.Errorf("%s: %w", j.path, err)
	}
	if was.Head != j.Head {
		return nil, fmt.Errorf("%s is the journal of a restore of the backup of %s, run %d: name another file", j.path, was.Report.Snapshot, was.Report.Sequence)
	}
	r.report = was.Report
	return &was, nil
}

func (j *journal) note(report Report) error {
	if j.path == "" {
		return nil
	}
	j.Report = report
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return durable.Replace(j.path, append(data, '\n'))
}
