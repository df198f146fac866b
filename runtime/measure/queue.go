package measure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// queues of Postfix: a mail is in one of them (QSHAPE_README).
var queues = []string{"maildrop", "hold", "incoming", "active", "deferred"}

// Queue measures what waits in Postfix; list returns what postqueue -j prints, one line of JSON a message.
func Queue(list func(context.Context) ([]byte, error), now func() time.Time) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) ([]prometheus.Metric, error) {
		out, err := list(ctx)
		if err != nil {
			return nil, err
		}
		count, oldest, err := readQueue(out, now())
		if err != nil {
			return nil, err
		}
		metrics := []prometheus.Metric{gauge("mailpland_queue_oldest_seconds", "For how long the oldest message waits to be relayed, those on hold aside.", oldest.Seconds())}
		for _, q := range queues {
			metrics = append(metrics, gauge("mailpland_queue_messages", "Messages that wait in a queue of Postfix.", float64(count[q]), "queue", q))
		}
		return metrics, nil
	}
}

func readQueue(out []byte, now time.Time) (count map[string]int, oldest time.Duration, err error) {
	count = map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20) // a message may have many recipients
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var m struct {
			Queue   string `json:"queue_name"`
			Arrival int64  `json:"arrival_time"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, 0, fmt.Errorf("read the queue: %w: %.100q", err, line)
		}
		count[m.Queue]++
		if m.Queue != "hold" {
			oldest = max(oldest, now.Sub(time.Unix(m.Arrival, 0)))
		}
	}
	return count, oldest, lines.Err()
}
