package sandbox

import (
	"path/filepath"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// Lock keeps a second apply off the sandbox until unlock is called or the process ends.
func Lock(dir, holder string) (unlock func(), err error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	return host.Lock(filepath.Join(dir, "lock"), holder)
}
