package converge

import (
	"fmt"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// Where the site's history lies below the host's root, and the commit that it ends with.
const (
	historyFile = "site.bundle"
	historyHead = ".mailplan/bundled"
)

// KeepHistory lays the history of the site on the host, where every backup takes it along. One that ends with the same
// commit is not sent again.
func (t *Target) KeepHistory(head string, bundle func() ([]byte, error)) error {
	known, err := t.Host.Read(historyHead)
	if err != nil {
		return fmt.Errorf("read which history the host has: %w", err)
	}
	if head != "" && string(known) == head {
		return nil
	}
	content, err := bundle()
	if err != nil {
		return err
	}
	private := host.Info{Mode: 0o600, UID: -1, GID: -1}
	if err := t.Host.Write(historyFile, content, private); err != nil {
		return fmt.Errorf("lay %s on the host: %w", historyFile, err)
	}
	if err := t.Host.Write(historyHead, []byte(head), private); err != nil {
		return fmt.Errorf("note which history the host has: %w", err)
	}
	return nil
}
