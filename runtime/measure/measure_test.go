package measure

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func measure(name string, take func(context.Context) ([]prometheus.Metric, error)) *Measurement {
	return &Measurement{Name: name, Take: take, Log: slog.New(slog.DiscardHandler)}
}

// queued is what postqueue -j of Postfix 3.10 prints, with the line ends of a terminal.
const queued = `{"queue_name": "deferred", "queue_id": "4XyZ", "arrival_time": 1000, "message_size": 325, "forced_expire": false, "sender": "alice@example.com", "recipients": [{"address": "x@partner.example", "delay_reason": "connect to smtp.sendgrid.net[192.0.2.1]:587: Connection refused"}]}` + "\r\n" +
	`{"queue_name": "active", "queue_id": "4Xya", "arrival_time": 4000, "message_size": 325, "forced_expire": false, "sender": "alice@example.com", "recipients": []}` + "\r\n" +
	`{"queue_name": "hold", "queue_id": "4Xyb", "arrival_time": 1, "message_size": 325, "forced_expire": false, "sender": "", "recipients": []}` + "\r\n"

func TestQueue(t *testing.T) {
	now := func() time.Time { return time.Unix(4600, 0) }
	list := func(context.Context) ([]byte, error) { return []byte(queued), nil }
	want := `# HELP mailpland_measurement_failed Whether something could not be measured.
# TYPE mailpland_measurement_failed gauge
mailpland_measurement_failed{what="queue"} 0
# HELP mailpland_queue_messages Messages that wait in a queue of Postfix.
# TYPE mailpland_queue_messages gauge
mailpland_queue_messages{queue="active"} 1
mailpland_queue_messages{queue="deferred"} 1
mailpland_queue_messages{queue="hold"} 1
mailpland_queue_messages{queue="incoming"} 0
mailpland_queue_messages{queue="maildrop"} 0
# HELP mailpland_queue_oldest_seconds For how long the oldest message waits to be relayed, those on hold aside.
# TYPE mailpland_queue_oldest_seconds gauge
mailpland_queue_oldest_seconds 3600
`
	if err := testutil.CollectAndCompare(measure("queue", Queue(list, now)), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestFails holds that a failure shows as one, not as an empty queue, and that the host is not asked at every scrape.
func TestFails(t *testing.T) {
	asked := 0
	m := measure("queue", Queue(func(context.Context) ([]byte, error) { asked++; return nil, errors.New("no such container") }, time.Now))
	want := `# HELP mailpland_measurement_failed Whether something could not be measured.
# TYPE mailpland_measurement_failed gauge
mailpland_measurement_failed{what="queue"} 1
`
	for range 3 {
		if err := testutil.CollectAndCompare(m, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times within half a minute", asked)
	}
}

func TestDisks(t *testing.T) {
	if n := testutil.CollectAndCount(measure("disks", Disks([]string{t.TempDir()})), "mailpland_disk_free_bytes", "mailpland_disk_size_bytes"); n != 2 {
		t.Errorf("%d values of a disk", n)
	}
	if n := testutil.CollectAndCount(measure("disks", Disks([]string{"/no/such/folder"})), "mailpland_disk_free_bytes"); n != 0 {
		t.Error("a folder that is not there has free space")
	}
}

func TestSignatures(t *testing.T) {
	for said, want := range map[string]int{"ClamAV 1.4.3/27450/Sun Nov 22 09:41:21 2026": 1, "ClamAV 1.4.3": 0} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 64))
			_, _ = conn.Write([]byte(said + "\x00"))
		}()
		m := measure("signatures", Signatures(ln.Addr().String()))
		if got := testutil.CollectAndCount(m, "mailpland_signatures_timestamp_seconds"); got != want {
			t.Errorf("%s: %d values, want %d", said, got, want)
		}
		ln.Close()
	}
	if at, err := signaturesMade("ClamAV 1.4.3/27450/Sun Nov 22 09:41:21 2026"); err != nil || at.Unix() != 1795340481 {
		t.Errorf("made at %v %v", at.Unix(), err)
	}
}
