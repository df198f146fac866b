package certificate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailplan/mailplan/runtime/durable"
)

// ErrBusy says that another process is at it.
var ErrBusy = errors.New("another process looks after the certificate right now")

// memory is what one pass tells the next, on disk.
type memory struct {
	// Fingerprint is of the certificate that RenewAt, AskAt and Suggested are about.
	Fingerprint string    `json:"fingerprint,omitempty"`
	RenewAt     time.Time `json:"renewAt,omitzero"`
	WindowStart time.Time `json:"windowStart,omitzero"` // what the authority suggested, if it did
	WindowEnd   time.Time `json:"windowEnd,omitzero"`
	AskAt       time.Time `json:"askAt,omitzero"` // when to ask it again
	// Trying is set while an attempt is going on: found by the next pass, that attempt was killed.
	Trying      bool      `json:"trying,omitempty"`
	LastAttempt time.Time `json:"lastAttempt,omitzero"`
	LastError   string    `json:"lastError,omitempty"`
	Failures    int       `json:"failures,omitempty"` // since the last success
	NextTry     time.Time `json:"nextTry,omitzero"`
	// Served is the fingerprint of the certificate that servers were told to read.
	Served string `json:"served,omitempty"`
	// Warned is when somebody was last told of its end.
	Warned time.Time `json:"warned,omitzero"`
}

func (k *Keeper) path(name string) string { return filepath.Join(k.Config.State, name) }

func (k *Keeper) recall() (m memory, err error) {
	data, err := os.ReadFile(k.path("certificate.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w; remove it to begin anew", k.path("certificate.json"), err)
	}
	return m, nil
}

func (k *Keeper) remember(m memory) error {
	data, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	return durable.Replace(k.path("certificate.json"), append(data, '\n'))
}

// lock keeps every other process out until unlock is called. The kernel gives it back when the process dies.
func (k *Keeper) lock() (unlock func(), err error) {
	if err := os.MkdirAll(k.Config.State, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(k.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (%s)", ErrBusy, file.Name()), file.Close())
	}
	return func() { file.Close() }, nil
}
