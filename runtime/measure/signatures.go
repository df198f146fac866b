package measure

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Signatures asks clamd at an address when its daily signatures were made. Where it has none of ClamAV's own, nothing is
// shown.
func Signatures(address string) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) ([]prometheus.Metric, error) {
		said, err := clamd(ctx, address, "VERSION")
		if err != nil {
			return nil, err
		}
		made, err := signaturesMade(said)
		if err != nil || made.IsZero() {
			return nil, err
		}
		return []prometheus.Metric{gauge("mailpland_signatures_timestamp_seconds", "When the malware signatures in use were made.", float64(made.Unix()))}, nil
	}
}

// clamd sends one command and reads the answer (clamd(8)).
func clamd(ctx context.Context, address, command string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("ask clamd: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintf(conn, "z%s\x00", command); err != nil {
		return "", fmt.Errorf("ask clamd: %w", err)
	}
	said, err := io.ReadAll(io.LimitReader(conn, 4<<10))
	if err != nil {
		return "", fmt.Errorf("ask clamd: %w", err)
	}
	return strings.TrimRight(string(said), "\x00\n"), nil
}

// signaturesMade reads the time of "ClamAV 1.4.3/27450/Sun Nov 22 09:41:21 2026".
func signaturesMade(version string) (time.Time, error) {
	parts := strings.SplitN(version, "/", 3)
	if len(parts) < 3 {
		return time.Time{}, nil
	}
	made, err := time.Parse(time.ANSIC, parts[2])
	if err != nil {
		return made, fmt.Errorf("clamd says %q: %w", version, err)
	}
	return made, nil
}
