package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
)

// Runner runs a program on the host and returns what it prints; its error has what the program said.
type Runner func(ctx context.Context, stdin io.Reader, argv ...string) ([]byte, error)

// Run is the Runner of this machine.
func Run(ctx context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", argv[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return out, nil
}
