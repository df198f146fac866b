package watch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/report"
)

// What is read of a program, in bytes.
const (
	maxOutput    = 64 << 20
	maxComplaint = 4 << 10
)

var errTooMuch = errors.New("it prints too much")

// limited is a buffer that ends its writer when it is full. It embeds none, whose own ReadFrom would know no limit.
type limited struct {
	buffer bytes.Buffer
	left   int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errTooMuch
	}
	l.left -= len(p)
	return l.buffer.Write(p)
}

// run returns what a program prints.
func run(ctx context.Context, path string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.WaitDelay = 5 * time.Second
	out, complaint := limited{left: maxOutput}, limited{left: maxComplaint}
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w %s", path, err, strings.TrimSpace(complaint.buffer.String()))
	}
	return out.buffer.Bytes(), nil
}

// readQueue takes `postqueue -j` apart: one JSON object a line.
func readQueue(out []byte) (*report.Queue, error) {
	q := &report.Queue{}
	in := json.NewDecoder(bytes.NewReader(out))
	for {
		var m struct {
			Queue      string `json:"queue_name"`
			ID         string `json:"queue_id"`
			Came       int64  `json:"arrival_time"`
			Size       int64  `json:"message_size"`
			Sender     string `json:"sender"`
			Recipients []struct {
				Address string `json:"address"`
				Reason  string `json:"delay_reason"`
			} `json:"recipients"`
		}
		err := in.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the queue: %w", err)
		}
		message := report.Message{ID: m.ID, Queue: queueName(m.Queue), Came: time.Unix(m.Came, 0).UTC(), Size: m.Size, Sender: m.Sender}
		for i, r := range m.Recipients {
			if i == report.MaxRecipients {
				message.More = len(m.Recipients) - i
				break
			}
			message.Recipients = append(message.Recipients, report.Recipient{Address: r.Address, Reason: r.Reason})
		}
		q.Total++
		q.Messages = append(q.Messages, message)
	}
	slices.SortStableFunc(q.Messages, func(a, b report.Message) int { return cmp.Or(a.Came.Compare(b.Came), strings.Compare(a.ID, b.ID)) })
	q.Messages = q.Messages[:min(len(q.Messages), report.MaxMessages)]
	return q, nil
}

// queueName is a queue that people know of.
func queueName(name string) string {
	if slices.Contains([]string{"maildrop", "active", "deferred", "hold"}, name) {
		return name
	}
	return "incoming"
}

// readUsage takes `doveadm -f json quota get -A` apart: one object for each mailbox and kind, numbers as text, STORAGE in KiB.
func readUsage(out []byte) (*report.Usage, error) {
	var rows []struct {
		User  string `json:"username"`
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		return nil, fmt.Errorf("read the quotas: %w", err)
	}
	usage := report.Usage{}
	for _, r := range rows {
		n, err := strconv.ParseInt(r.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the quotas: %s of %s is %.40q", r.Type, r.User, r.Value)
		}
		box := usage[r.User]
		switch r.Type {
		case "STORAGE":
			box.Bytes = n << 10
		case "MESSAGE":
			box.Messages = n
		}
		usage[r.User] = box
	}
	return &usage, nil
}
