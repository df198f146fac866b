package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/health"
	"github.com/mailplan/mailplan/runtime/ingest"
	"github.com/mailplan/mailplan/runtime/logline"
)

func newServeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon until it is told to stop (SIGTERM); SIGHUP reads table and secrets again",
		Args:  cobra.NoArgs,
	}
	path := configFlag(cmd)
	check := cmd.Flags().Bool("check", false, "only check the configuration and what it names")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, err := config.Load(*path)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), conf, *check, cmd.ErrOrStderr())
	}
	return cmd
}

// serve runs every configured part. Nothing listens before all of it is known to be right.
func serve(ctx context.Context, conf *config.Config, checkOnly bool, stderr io.Writer) error {
	if conf.Ingest == nil && conf.Backup == nil && conf.Watch == nil {
		return errors.New("the configuration has no part to serve: give ingest, backup or watch")
	}
	lines := logline.New(stderr)
	defer lines.Flush()
	log := slog.New(lines)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if conf.Ingest == nil {
		return serveHost(ctx, conf, checkOnly, log, registry)
	}
	if checkOnly {
		conf.Ingest.Ledger = nil // it is the running daemon's, and what looks at the configuration may stand beside that
	}
	server, err := ingest.New(conf.Ingest, log, registry)
	if err != nil {
		return err
	}
	registry.MustRegister(health.Metrics(server.Checks()))
	if checkOnly {
		return errors.Join(checkBackups(conf.Backup), server.Close())
	}
	ln, err := net.Listen("tcp", conf.Ingest.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("ingest.listen: %w", err), server.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	handler := server.Handler()
	if conf.Health == nil {
		handler = withOperator(handler, server, registry)
	} else {
		operator, err := net.Listen("tcp", conf.Health.Listen)
		if err != nil {
			return errors.Join(fmt.Errorf("health.listen: %w", err), server.Close())
		}
		g.Go(func() error { return serveOperator(ctx, operator, server, registry) })
	}
	log.Info("listening", "ingest", ln.Addr().String())
	g.Go(func() error { return server.Serve(ctx, ln, handler) })
	g.Go(func() error { server.Watch(ctx); return nil })
	g.Go(func() error { return startProbes(ctx, conf, log, registry) })
	if conf.Backup != nil {
		if err := startBackups(ctx, g, conf.Backup, log, registry); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	g.Go(func() error { reloadOnHangup(ctx, server, log); return nil })
	return g.Wait()
}

// withOperator adds the operator's endpoints to the ingest listener, for want of one of their own.
func withOperator(public http.Handler, server *ingest.Server, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	operator := health.Handler(server.Checks(), registry)
	mux.Handle("/ready", operator)
	mux.Handle("/metrics", operator)
	mux.Handle("/", public)
	return mux
}

// serveOperator answers /health, /ready, /metrics and, to who has a token, /ledger.
func serveOperator(ctx context.Context, ln net.Listener, server *ingest.Server, registry *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.Handle("/", health.Handler(server.Checks(), registry))
	mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, r *http.Request) {
		if !server.Authorized(r) {
			http.Error(w, "bearer token is missing or not valid", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		copied := &pieces{w: w, patience: 30 * time.Second}
		if err := server.Snapshot(copied); err != nil {
			if copied.begun {
				panic(http.ErrAbortHandler) // who reads must not take it for whole
			}
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		web.Close()
	}()
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pieces is an answer whose reader must take each piece in time: while the ledger is being read, it cannot grow.
type pieces struct {
	w        http.ResponseWriter
	patience time.Duration
	begun    bool
}

// Write waits until the reader has taken what came before, and no longer than patience.
func (p *pieces) Write(b []byte) (int, error) {
	p.begun = true
	deadline := http.NewResponseController(p.w)
	if err := deadline.SetWriteDeadline(time.Now().Add(p.patience)); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	return n, errors.Join(err, deadline.SetWriteDeadline(time.Time{}))
}

func reloadOnHangup(ctx context.Context, server *ingest.Server, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		if err := server.Reload(); err != nil {
			log.Error("what could not be read again stays as it was", "error", err)
		} else {
			log.Info("table and secrets read again")
		}
	}
}
