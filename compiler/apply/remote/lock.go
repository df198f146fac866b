package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// lockWait is how long the host may take to say whether the lock is free.
const lockWait = 20 * time.Second

// lockScript holds the lock as long as its standard input is open. The host closes that when the connection ends, so
// no killed run leaves a lock behind. The lock itself is flock(2), as host.Lock on the host itself takes it. Who has it
// sweeps out what a killed run prepared.
const lockScript = `exec 9>>"$1" || exit 1
if flock -n 9; then : >"$1"; printf '%s\n' "$2" >&9; rm -f "${1%/*}"/new-*; echo held; cat >/dev/null; else echo taken; cat "$1"; fi`

// Lock takes the lock of a file in the folder stage of Files, which must be there. Holder is what others are told.
func (c *Conn) Lock(ctx context.Context, file, holder string) (unlock func(), err error) {
	session, err := c.client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", c.name, err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.Start(quote([]string{"sh", "-c", lockScript, "sh", file, holder})); err != nil {
		return nil, fmt.Errorf("lock %s: %w", c.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	lines := bufio.NewReader(out)
	word, err := lines.ReadString('\n')
	stop()
	switch {
	case err != nil:
		session.Close()
		return nil, fmt.Errorf("lock %s on %s (flock of util-linux must be there): %w", file, c.name, errors.Join(err, ctx.Err()))
	case word != "held\n":
		who, _ := lines.ReadString('\n')
		session.Close()
		return nil, fmt.Errorf("%w on %s: %s", host.ErrLocked, c.name, strings.TrimSpace(who))
	}
	return func() {
		in.Close()
		session.Wait()
		session.Close()
	}, nil
}
