package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
)

// Run runs a program on this machine and returns what it prints. Its error holds what it said on standard error.
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
