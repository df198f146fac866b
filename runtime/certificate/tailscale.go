package certificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate/pair"
)

// Tailscale is an Authority by way of `tailscale cert`: the tailnet has the certificate of the host's own name issued, and
// its daemon holds it.
type Tailscale struct {
	Program string      // called as tailscale would be
	Folder  pair.Folder // with what is in place
}

// Obtain asks for what is there, or for a new one where what is in place comes from there already: that has less than half
// of its time left when it is to be renewed, so a certificate good for half of it must be another.
func (t *Tailscale) Obtain(ctx context.Context, names []string, _ *x509.Certificate) (*pair.Pair, error) {
	if len(names) != 1 {
		return nil, fmt.Errorf("tailscale has certificates for one name, not for %d", len(names))
	}
	argv := []string{"cert", "--cert-file=-", "--key-file=-"}
	last, err := t.Folder.Load()
	renew := err == nil && !last.Placeholder() && len(last.Lacks(names)) == 0
	if renew {
		life := last.Leaf.NotAfter.Sub(last.Leaf.NotBefore)
		argv = append(argv, "--min-validity="+(life/2).Truncate(time.Second).String())
	}
	out, err := t.run(ctx, append(argv, names[0])...)
	if err != nil {
		return nil, err
	}
	issued, err := split(out)
	if err != nil {
		return nil, fmt.Errorf("what tailscale printed: %w", err)
	}
	if renew && issued.Fingerprint() == last.Fingerprint() {
		return nil, errors.New("tailscale gave the certificate that is in place, and not a new one")
	}
	return issued, nil
}

func (t *Tailscale) run(ctx context.Context, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, t.Program, argv...)
	cmd.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer // said apart from out, which holds the key
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	text := strings.TrimSpace(said.String()[max(0, said.Len()-1000):])
	if strings.Contains(text, "does not support getting TLS certs") {
		text += "; enable HTTPS certificates on the DNS page of the tailnet's admin console"
	}
	return nil, fmt.Errorf("tailscale cert: %w: %s", err, text)
}

// split parts the chain from the key.
func split(text []byte) (*pair.Pair, error) {
	var chain, key []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			chain = append(chain, pem.EncodeToMemory(block)...)
		} else {
			key = pem.EncodeToMemory(block)
		}
	}
	return pair.Parse(chain, key)
}

// Window says nothing: the tailnet's daemon renews what it holds when it is asked.
func (t *Tailscale) Window(context.Context, *x509.Certificate) (Window, error) {
	return Window{}, ErrNoWindow
}

// Sweep has nothing to do: the tailnet writes no records into our zones.
func (t *Tailscale) Sweep(context.Context) error { return nil }
