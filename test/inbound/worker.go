package inbound

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/need"
)

// Worker is the emitted Email Worker in workerd, behind a driver that plays Email Routing, with a bucket
// and queues when it has a spool.
type Worker struct {
	url string

	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// Settings are those that the Worker's test differ in.
type Settings struct {
	URL, Token, SigningKey string // of the ingest
	Timeout                time.Duration
	Spool                  bool // with it the queue tries again every second, or every Rest, a hundred times
	Rest                   time.Duration
}

const digestKey = "a key for tests only"

func (s Settings) options() map[string]any {
	bindings := map[string]string{"INGEST_URL": s.URL + "/v1/ingest", "INGEST_TOKEN": s.Token, "DIGEST_KEY": digestKey,
		"MAX_BYTES": "26214400", "TIMEOUT_MS": fmt.Sprint(s.Timeout.Milliseconds()), "SITE": "home"}
	if s.SigningKey != "" {
		bindings["SIGNING_KEY"] = s.SigningKey
	}
	all := map[string]any{"bindings": bindings}
	if !s.Spool {
		return all
	}
	bindings["RETRY_CAP_SECONDS"], bindings["DEAD_NAME"] = fmt.Sprint(max(1, int(s.Rest.Seconds()))), "home-spool-dead"
	all["r2Buckets"] = []string{"SPOOL"}
	all["queueProducers"] = map[string]string{"QUEUE": "home-spool", "DEAD": "home-spool-dead"}
	consumer := map[string]any{"maxBatchSize": 5, "maxBatchTimeout": 0, "maxRetries": 100}
	all["queueConsumers"] = map[string]any{"home-spool": consumer, "home-spool-dead": consumer}
	return all
}

// StartWorker runs the site's Worker until the test ends.
func StartWorker(t testing.TB, site *model.Site, settings Settings) *Worker {
	t.Helper()
	modules, err := worker.Modules(site, []byte(digestKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, m := range modules {
		write(t, filepath.Join(dir, m.Name), string(m.Content))
	}
	options, err := json.Marshal(settings.options())
	if err != nil {
		t.Fatal(err)
	}
	npm := filepath.Join(need.Cache(), "npm", "node_modules")
	if _, err := os.Stat(filepath.Join(npm, "miniflare")); err != nil {
		need.Missing(t, "the npm package miniflare")
	}
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "../../compiler/emit/worker/testdata/serve.mjs")
	cmd := exec.Command(need.Program(t, "node"), script)
	cmd.Env = append(os.Environ(), "NODE_MODULES="+npm, "WORKER_DIR="+dir, "OPTIONS="+string(options))
	cmd.Stderr = os.Stderr
	return runWorker(t, cmd)
}

func runWorker(t testing.TB, cmd *exec.Cmd) *Worker {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	w := &Worker{in: in, out: bufio.NewReaderSize(out, 1<<20)}
	line, err := w.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the Worker does not start: %v", err)
	}
	w.url = strings.TrimSpace(line)
	return w
}

// Seen is what a sender sees of a message: accepted, rejected or exception (a temporary error).
type Seen struct {
	Outcome string
	Rejects []string
	Error   string
}

// Send gives the Worker one message, as Email Routing would.
func (w *Worker) Send(from, to string, message []byte) (seen Seen, err error) {
	req, err := http.NewRequest(http.MethodPost, w.url, bytes.NewReader(message))
	if err != nil {
		return seen, err
	}
	req.Header.Set("X-From", from)
	req.Header.Set("X-To", to)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return seen, err
	}
	defer resp.Body.Close()
	return seen, json.NewDecoder(resp.Body).Decode(&seen)
}

// Spooled returns the subjects of the messages that lie in the bucket below a prefix, mail/ or dead/.
func (w *Worker) Spooled(prefix string) (subjects []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := fmt.Fprintln(w.in, prefix); err != nil {
		return nil, err
	}
	line, err := w.out.ReadString('\n')
	if err != nil {
		return nil, err
	}
	return subjects, json.Unmarshal([]byte(line), &subjects)
}
