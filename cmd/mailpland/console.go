package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/console"
	"github.com/mailplan/mailplan/runtime/console/people"
	"github.com/mailplan/mailplan/runtime/health"
)

func newConsoleCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Serve the web site for people and administrators until it is told to stop (SIGTERM)",
		Args:  cobra.NoArgs,
	}
	path := configFlag(cmd)
	check := cmd.Flags().Bool("check", false, "only check the configuration and what it names")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, err := config.Load(*path)
		if err != nil {
			return err
		}
		return serveConsole(cmd.Context(), conf, *check, cmd.ErrOrStderr())
	}
	return cmd
}

// serveConsole runs the site, and the operator's endpoints beside it. The database may come later than the site: until
// then pages say so, and /ready does.
func serveConsole(ctx context.Context, conf *config.Config, checkOnly bool, stderr io.Writer) error {
	if conf.Console == nil || conf.Accounts == nil {
		return errors.New("the configuration has no console: give the sections console and accounts")
	}
	db, err := openAccounts(*conf.Accounts)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(5 * time.Minute)
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	site, err := console.New(conf.Console, people.New(db), log, registry)
	if err != nil || checkOnly {
		return err
	}
	return listenConsole(ctx, conf, site, registry, log)
}

func listenConsole(ctx context.Context, conf *config.Config, site *console.Server, registry *prometheus.Registry, log *slog.Logger) error {
	ln, err := net.Listen("tcp", conf.Console.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	if conf.Health != nil {
		operator, err := net.Listen("tcp", conf.Health.Listen)
		if err != nil {
			return errors.Join(fmt.Errorf("health.listen: %w", err), ln.Close())
		}
		g.Go(func() error { return serveUntil(ctx, operator, health.Handler(site.Checks(), registry)) })
	}
	log.Info("listening", "console", ln.Addr().String())
	g.Go(func() error { return site.Serve(ctx, ln) })
	return g.Wait()
}

// serveUntil answers on ln until ctx ends.
func serveUntil(ctx context.Context, ln net.Listener, handler http.Handler) error {
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
