// Package ingest turns an HTTP request that carries one raw message and its envelope into deliveries,
// and their results into an answer with an SMTP status per recipient (openapi.yaml beside this file).
// It answers 2xx only for what the mail store has taken, refuses for good only what is proven hopeless,
// and asks to be tried again in every other case. It must not know Cloudflare's API or the site's
// declaration: only the daemon's configuration and the recipient table.
package ingest

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/health"
	"github.com/mailplan/mailplan/runtime/ledger"
	"github.com/mailplan/mailplan/runtime/lmtp"
	"github.com/mailplan/mailplan/runtime/maildir"
	"github.com/mailplan/mailplan/runtime/relay"
	"github.com/mailplan/mailplan/runtime/route"
	"github.com/mailplan/mailplan/runtime/scan"
	"github.com/mailplan/mailplan/runtime/socket"
	"github.com/mailplan/mailplan/runtime/srs"
)

//go:embed openapi.yaml
var openAPI []byte

// Server is the ingest endpoint. Make it with [New].
type Server struct {
	conf    *config.Ingest
	log     *slog.Logger
	gate    *gate
	table   tableFile
	scanner *scan.Scanner    // nil: no scan
	lmtp    *lmtp.Pool       // nil: maildir
	maildir *maildir.Store   // nil: lmtp
	outside *relay.Smarthost // nil: no outside targets
	srs     *srs.Rewriter    // nil: reverse paths stay
	ledger  *ledger.Ledger   // nil: nothing is remembered
	spill   spill
	busy    mailboxes
	slots   places // of messages that are worked on
	turns   places // of small messages that the mail store works on: more of them only keep each other from its processors
	edge    edgeSpool
	metrics *metrics
}

// New builds the endpoint: reads secrets and recipient table and opens the ledger. It reports all that
// is wrong with them at once and listens nowhere.
func New(conf *config.Ingest, log *slog.Logger, registry prometheus.Registerer) (*Server, error) {
	s := &Server{conf: conf, log: log, slots: make(places, conf.MaxDeliveries),
		spill: spill{dir: conf.Spill.Dir, max: conf.Spill.MaxBytes}}
	var errs []error
	var err error
	if s.gate, err = newGate(conf.Auth); err != nil {
		errs = append(errs, fmt.Errorf("ingest.auth: %w", err))
	}
	s.table.path = conf.Table
	if err := s.table.reload(); err != nil {
		errs = append(errs, fmt.Errorf("ingest.table: %w", err))
	}
	errs = append(errs, s.openTargets()...)
	if err := s.edge.open(conf); err != nil {
		log.Warn("what the edge told of its spool is not known any more; it tells again", "error", err)
	}
	if len(errs) == 0 && conf.Ledger != nil {
		if s.ledger, err = ledger.Open(conf.Ledger.Path, conf.Ledger.Keep.Or(14*24*time.Hour)); err != nil {
			errs = append(errs, fmt.Errorf("ingest.ledger: %w", err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.metrics = newMetrics(registry, s)
	return s, nil
}

func (s *Server) openTargets() (errs []error) {
	if c := s.conf.LMTP; c != nil {
		s.lmtp = &lmtp.Pool{Address: c.Address, Hostname: s.conf.Hostname, MaxIdle: cmp.Or(c.MaxIdle, 16),
			IdleTimeout: c.IdleTimeout.Or(time.Minute), Timeouts: lmtp.Timeouts{
				Connect: c.ConnectTimeout.Or(10 * time.Second), Envelope: c.EnvelopeTimeout.Or(75 * time.Second),
				Block: c.BlockTimeout.Or(time.Minute), Commit: c.CommitTimeout.Or(2 * time.Minute)}}
		s.turns = make(places, cmp.Or(c.Concurrency, 8))
	}
	if c := s.conf.Maildir; c != nil {
		s.maildir = &maildir.Store{Root: c.Root}
	}
	if s.conf.Scan != nil {
		s.scanner = scan.New(s.conf.Scan, s.conf.MaxDeliveries)
	}
	if c := s.conf.Smarthost; c != nil {
		s.outside = &relay.Smarthost{Address: c.Address, TLS: c.TLS, Username: c.Username,
			Hostname: s.conf.Hostname, Timeout: c.Timeout.Or(2 * time.Minute)}
		if c.PasswordFile != "" {
			password, err := os.ReadFile(c.PasswordFile)
			if err != nil {
				errs = append(errs, fmt.Errorf("ingest.smarthost.passwordFile: %w", err))
			}
			s.outside.Password = trimmed(password)
		}
	}
	if c := s.conf.SRS; c != nil {
		s.srs = &srs.Rewriter{Domain: c.Domain, MaxAge: c.MaxAge.Or(21 * 24 * time.Hour), Now: time.Now}
		for _, path := range c.KeyFiles {
			key, err := ReadSecret(path)
			if err != nil {
				errs = append(errs, fmt.Errorf("ingest.srs.keyFiles: %w", err))
			}
			s.srs.Keys = append(s.srs.Keys, key)
		}
	}
	return errs
}

// Reload reads the recipient table and the secrets again. What is wrong stays as it was.
func (s *Server) Reload() error { return errors.Join(s.table.reload(), s.gate.reload()) }

const watchEvery = 2 * time.Second

// Watch reads the recipient table again whenever its file changes, until ctx ends. A wrong file is told
// about once and the old table stays.
func (s *Server) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := s.table.refresh()
		switch {
		case err != nil:
			s.log.Error("recipient table is not usable, the old one stays", "error", err)
		case changed:
			s.log.Info("recipient table read again")
		}
	}
}

// Handler answers the endpoint's requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/ingest", s.serveIngest)
	mux.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		w.Write(openAPI)
	})
	mux.HandleFunc("GET /health", health.Live)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody { // who takes it moves this on; who does not, waits no longer for its end
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(headTimeout))
		}
		mux.ServeHTTP(w, r)
	})
}

// headTimeout is for the head of a request, and for a body that nobody asked for.
const headTimeout = 10 * time.Second

// Checks are what must work for mail to get through.
func (s *Server) Checks() []health.Check {
	var all []health.Check
	if s.lmtp != nil {
		all = append(all, health.Check{Name: "lmtp", Run: s.lmtp.Ping})
	}
	if s.scanner != nil {
		all = append(all, health.Check{Name: "scan", Run: s.scanner.Ping})
	}
	if s.ledger != nil {
		all = append(all, health.Check{Name: "ledger", Run: func(context.Context) error { return s.ledger.Err() }})
	}
	return all
}

// Snapshot writes a consistent copy of the ledger file.
func (s *Server) Snapshot(w io.Writer) error {
	if s.ledger == nil {
		return errors.New("there is no ledger")
	}
	return s.ledger.Snapshot(w)
}

// Authorized says whether a request carries a valid bearer token.
func (s *Server) Authorized(r *http.Request) bool { return s.gate.bearer(r.Header) }

// Serve answers on ln with handler, which contains [Server.Handler], until ctx ends. Then it finishes
// what it has accepted, for at most the configured time, and closes the server.
func (s *Server) Serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	web := &http.Server{Handler: handler, ReadHeaderTimeout: headTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(socket.Listener{Listener: ln}) }()
	select {
	case err := <-failed:
		return errors.Join(err, s.Close())
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.conf.StopTimeout.Or(2*time.Minute))
	defer cancel()
	if err := web.Shutdown(limit); err != nil {
		web.Close()
		s.log.Warn("stopped with messages under way; they will be sent again", "error", err)
	}
	return s.Close()
}

// Close lets go of connections and ledger.
func (s *Server) Close() error {
	if s.lmtp != nil {
		s.lmtp.Close()
	}
	if s.ledger != nil {
		return s.ledger.Close()
	}
	return nil
}

// tableFile is the recipient table and the file that it is read from.
type tableFile struct {
	path    string
	current atomic.Pointer[route.Table]

	mu   sync.Mutex
	last fileStamp
}

// fileStamp changes when a file is replaced or written.
type fileStamp struct {
	size  int64
	mtime time.Time
}

func (t *tableFile) reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("read recipient table: %w", err)
	}
	t.last = fileStamp{info.Size(), info.ModTime()}
	file, err := config.LoadTable(t.path)
	if err != nil {
		return err
	}
	table, err := route.New(file)
	if err != nil {
		return fmt.Errorf("recipient table %s: %w", t.path, err)
	}
	t.current.Store(table)
	return nil
}

// refresh reads the file again if it has changed.
func (t *tableFile) refresh() (changed bool, err error) {
	info, err := os.Stat(t.path)
	if err != nil {
		return false, nil // being replaced; a missing table must not take the old one away
	}
	t.mu.Lock()
	same := t.last == fileStamp{info.Size(), info.ModTime()}
	t.mu.Unlock()
	if same {
		return false, nil
	}
	return true, t.reload()
}
