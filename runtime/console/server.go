// Package console is the web site of the mail server: people sign in with their mailbox and keep what they own
// (password, app passwords, second factor), administrators see what is declared and how it is. Pages are rendered here
// and work without JavaScript. It changes nothing that the site's repository declares: what administrators want changed it
// writes down for mailplan, and shows what mailplan answers. It knows no compiler.
package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console/password"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/health"
)

// Server is the web site. Make it by [New].
type Server struct {
	people    *people.Store
	passwords *password.Checker
	declared  *config.Declared
	proxies   []netip.Prefix
	keys      [][]byte // the first signs, what any of them signed is good
	idle      time.Duration
	life      time.Duration
	patience  time.Duration // every refused sign-in takes at least so long
	attempts  *attempts
	vouching  *vouching // nil where Access need not vouch for requests
	reports   *reports
	pages     *pages
	log       *slog.Logger
	metrics   *metrics
}

// Defaults, and what is allowed.
const (
	standardIdle     = 30 * time.Minute
	standardLife     = 12 * time.Hour
	standardPatience = time.Second
	checksAtOnce     = 2 // 64 MiB each
	minKeyBytes      = 16
	maxFormBytes     = 16 << 10
)

// New reads key and declared file and makes the site, which answers as long as the store does.
func New(c *config.Console, store *people.Store, log *slog.Logger, registry prometheus.Registerer) (*Server, error) {
	keys, err := readKeys(c)
	if err != nil {
		return nil, err
	}
	vouching, err := newVouching(c.Access)
	if err != nil {
		return nil, err
	}
	s := &Server{
		people: store, passwords: password.NewChecker(checksAtOnce, password.Standard()), declared: &config.Declared{}, keys: keys,
		idle: c.IdleTimeout.Or(standardIdle), life: c.SessionTimeout.Or(standardLife), patience: standardPatience,
		attempts: newAttempts(), vouching: vouching, reports: newReports(c.Reports), log: log, metrics: newMetrics(registry),
	}
	if c.Declared != "" {
		if s.declared, err = config.LoadDeclared(c.Declared); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Proxies {
		network, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("console.proxies: %w", err)
		}
		s.proxies = append(s.proxies, network)
	}
	s.pages, err = loadPages()
	return s, err
}

func readKeys(c *config.Console) (keys [][]byte, err error) {
	for _, file := range append([]string{c.SessionKeyFile}, c.FormerKeyFiles...) {
		key, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("console.sessionKeyFile: %w", err)
		}
		key = []byte(strings.TrimSpace(string(key)))
		if len(key) < minKeyBytes {
			return nil, fmt.Errorf("console.sessionKeyFile %s: the key has %d bytes, want %d or more", file, len(key), minKeyBytes)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Checks are what must work for people to sign in.
func (s *Server) Checks() []health.Check {
	return []health.Check{{Name: "accounts", Run: s.people.Ready}}
}

// Handler answers the site's requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health.Live)
	mux.Handle("GET /static/", static())
	mux.HandleFunc("POST /language", s.setLanguage)
	mux.HandleFunc("GET /sign-in", s.showSignIn)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("GET /code", s.half(s.showCode))
	mux.HandleFunc("POST /code", s.half(s.checkCode))
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /{$}", s.signedIn(s.showAccount))
	mux.HandleFunc("GET /password", s.signedIn(s.showPassword))
	mux.HandleFunc("POST /password", s.signedIn(s.changePassword))
	mux.HandleFunc("GET /factor", s.signedIn(s.showFactor))
	mux.HandleFunc("POST /factor", s.signedIn(s.addFactor))
	mux.HandleFunc("POST /factor/remove", s.signedIn(s.removeFactor))
	mux.HandleFunc("GET /app-passwords", s.signedIn(s.showApps))
	mux.HandleFunc("POST /app-passwords", s.signedIn(s.addApp))
	mux.HandleFunc("POST /app-passwords/revoke", s.signedIn(s.revokeApp))
	mux.HandleFunc("GET /vacation", s.signedIn(s.showVacation))
	mux.HandleFunc("POST /vacation", s.signedIn(s.setVacation))
	mux.HandleFunc("GET /users", s.administrator(s.listUsers))
	mux.HandleFunc("GET /users/{address}", s.administrator(s.showUser))
	mux.HandleFunc("POST /users/{address}/factor/remove", s.administrator(s.helpUser))
	mux.HandleFunc("POST /users/{address}/link", s.administrator(s.makeLink))
	mux.HandleFunc("GET /welcome/{token}", s.showWelcome)
	mux.HandleFunc("POST /welcome/{token}", s.welcome)
	mux.HandleFunc("GET /aliases", s.administrator(s.listAliases))
	mux.HandleFunc("GET /domains", s.administrator(s.listDomains))
	mux.HandleFunc("GET /domains/{name}", s.administrator(s.showDomain))
	mux.HandleFunc("GET /state", s.administrator(s.showState))
	mux.HandleFunc("GET /state/dns", s.administrator(s.showDNS))
	mux.HandleFunc("GET /state/queue", s.overall(s.showQueue))
	mux.HandleFunc("GET /state/spool", s.overall(s.showSpool))
	mux.HandleFunc("GET /state/backups", s.overall(s.showBackups))
	mux.HandleFunc("GET /state/drift", s.overall(s.showDrift))
	mux.HandleFunc("GET /edits", s.administrator(s.listEdits))
	mux.HandleFunc("POST /edits", s.administrator(s.askEdit))
	mux.HandleFunc("GET /edits/new", s.administrator(s.newEdit))
	mux.HandleFunc("GET /edits/{id}", s.administrator(s.showEdit))
	mux.HandleFunc("POST /edits/{id}", s.administrator(s.decideEdit))
	mux.HandleFunc("/", s.notFound)
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(s.crossOrigin))
	return s.observe(harden(s.vouched(origin.Handler(mux))))
}

// Serve answers on ln until ctx ends, then waits for the requests under way.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	web := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		done <- web.Shutdown(stop)
	}()
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: %w", err)
	}
	return <-done
}

// sign is a keyed digest for one purpose, as text.
func (s *Server) sign(purpose, value string) string { return sign(s.keys[0], purpose, value) }

// signed says whether one of our keys made a digest: a session outlives the change of the key.
func (s *Server) signed(purpose, value, digest string) bool {
	return slices.ContainsFunc(s.keys, func(key []byte) bool { return hmac.Equal([]byte(digest), []byte(sign(key, purpose, value))) })
}

func sign(key []byte, purpose, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
