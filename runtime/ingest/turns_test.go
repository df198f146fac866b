package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestSmallMessagesTakeTurns holds that a mail store is given no more small messages at once than it is said to work on,
// and that those who wait get in.
func TestSmallMessagesTakeTurns(t *testing.T) {
	const users, atOnce = 6, 2
	conf := settings(t)
	conf.Table = filepath.Join(t.TempDir(), "table.json")
	names := `"u0", "u1", "u2", "u3", "u4", "u5"`
	if err := os.WriteFile(conf.Table, []byte(`{"domains": {"example.com": {"users": [`+names+`]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	address, opened, release := gatedSink(t)
	conf.LMTP = &config.LMTP{Address: address, Concurrency: atOnce}
	e := start(t, conf)

	var all sync.WaitGroup
	for i := range users {
		all.Go(func() {
			code, res := e.post(t, "s@b.example", []string{fmt.Sprintf("u%d@example.com", i)}, bodies()["plain"])
			if code != http.StatusOK {
				t.Errorf("u%d: %d %+v", i, code, res)
			}
		})
	}
	for opened.Load() < atOnce {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	if n := opened.Load(); n != atOnce {
		t.Errorf("%d at once, want %d", n, atOnce)
	}
	close(release)
	all.Wait()
}

// gatedSink takes every message once release is closed, and counts its connections.
func gatedSink(t *testing.T) (address string, opened *atomic.Int64, release chan struct{}) {
	t.Helper()
	sink := mailstore.StartSink(t)
	opened, release = new(atomic.Int64), make(chan struct{})
	return mailstore.Serve(t, func(in net.Conn, _ *bufio.Reader) {
		opened.Add(1)
		<-release
		out, err := net.Dial("tcp", sink)
		if err != nil {
			return
		}
		defer out.Close()
		go io.Copy(out, in)
		io.Copy(in, out)
	}), opened, release
}
