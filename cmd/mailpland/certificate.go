package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/certificate/challenge"
	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/health"
)

func newCertificateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Keep the certificate of the mail names: obtain, renew, and have servers read it",
		Long: `Keep the certificate of the mail names in force, until told to stop: obtain it by
ACME with DNS records, or from the tailnet, renew it in time, and have Dovecot and
Postfix read the new one while their sessions go on. The unit mailpland-certificate runs this.

--once makes one pass, which does what is due, also where an earlier failure
should rest. --placeholder only makes sure that servers find something to start
with. --status changes nothing: exit 0 if the certificate is usable (good or
ending), 1 if it is not (other-names, placeholder, ended, missing).

  mailpland certificate --status --config config/runtime/certificate.json
  mailpland certificate --once --config config/runtime/certificate.json

MAILPLAN_CLOUDFLARE_URL is the base URL of a stand-in for Cloudflare's API.`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	once := cmd.Flags().Bool("once", false, "make one pass and stop")
	placeholder := cmd.Flags().Bool("placeholder", false, "put a self-signed one in place where there is none, and stop")
	status := cmd.Flags().Bool("status", false, "only say how it is")
	asJSON := cmd.Flags().Bool("json", false, "print the status as JSON")
	cmd.MarkFlagsMutuallyExclusive("once", "placeholder", "status")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		k, err := keeper(*path, log)
		if err != nil {
			return err
		}
		switch {
		case *status:
		case *once:
			err = pass(cmd.Context(), k)
		case *placeholder:
			err = k.Provide(cmd.Context())
		default:
			return serveCertificate(cmd.Context(), *path, log)
		}
		return errors.Join(err, showCertificate(cmd.OutOrStdout(), k, *asJSON, *status))
	}
	return cmd
}

// patience is how long a pass by hand waits for one of the daemon to end.
const patience = 5 * time.Minute

// pass waits for another that is going on: that one may have begun before the configuration changed.
func pass(ctx context.Context, k *certificate.Keeper) error {
	for end := time.Now().Add(patience); ; {
		err := k.Pass(ctx, true)
		if !errors.Is(err, certificate.ErrBusy) || time.Now().After(end) {
			return err
		}
		if err := challenge.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

func showCertificate(w io.Writer, k *certificate.Keeper, asJSON, judge bool) error {
	s, err := k.Status()
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(w, s)
	} else {
		printCertificate(w, s)
	}
	if judge && !s.Usable() {
		err = errors.Join(err, fmt.Errorf("the certificate is not usable: %s", s.State))
	}
	return err
}

func printCertificate(w io.Writer, s certificate.Status) {
	day := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
	fmt.Fprintf(w, "%s: %s", s.State, strings.Join(s.Names, ", "))
	if !s.NotAfter.IsZero() {
		fmt.Fprintf(w, "; by %q until %s", s.Issuer, day(s.NotAfter))
	}
	if !s.RenewAt.IsZero() {
		fmt.Fprintf(w, ", to be renewed %s", day(s.RenewAt))
	}
	fmt.Fprintln(w)
	if len(s.Lacks) > 0 {
		fmt.Fprintf(w, "it is not for %s\n", strings.Join(s.Lacks, ", "))
	}
	if !s.Served && s.State != certificate.Missing {
		fmt.Fprintln(w, "servers have not been told to read it")
	}
	if s.LastError != "" {
		fmt.Fprintf(w, "%d failures, the last %s: %s\n", s.Failures, day(s.LastAttempt), s.LastError)
	}
}

// keeper is made anew for each pass, so that it follows the configuration and the token.
func keeper(path string, log *slog.Logger) (*certificate.Keeper, error) {
	conf, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if conf.Certificate == nil {
		return nil, fmt.Errorf("%s has no certificate part", path)
	}
	return newKeeper(*conf.Certificate, log)
}

func newKeeper(c config.Certificate, log *slog.Logger) (*certificate.Keeper, error) {
	var reload func(context.Context) error
	if c.Reload != "" {
		reload = func(ctx context.Context) error { return runProgram(ctx, c.Reload) }
	}
	switch {
	case c.Tailscale != nil:
		folder := pair.Folder{Path: c.Folder, UID: c.UID, GID: c.GID}
		return certificate.New(c, &certificate.Tailscale{Program: c.Tailscale.Program, Folder: folder}, reload, log), nil
	case c.ACME != nil:
		authority, err := newAuthority(c)
		if err != nil {
			return nil, err
		}
		return certificate.New(c, authority, reload, log), nil
	}
	return certificate.New(c, nil, reload, log), nil
}

func newAuthority(c config.Certificate) (*certificate.ACME, error) {
	token, err := os.ReadFile(c.ACME.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("token for the zones: %w", err)
	}
	client := &http.Client{Timeout: 30 * time.Second}
	solver := &challenge.Solver{Zones: c.ACME.Zones, Mark: c.ACME.Mark,
		DNS: &challenge.Cloudflare{API: cmp.Or(os.Getenv("MAILPLAN_CLOUDFLARE_URL"), challenge.DefaultAPI), HTTP: client, Sleep: challenge.Sleep,
			Token: strings.TrimSpace(string(token))},
		Names: challenge.Servers{Patience: 3 * time.Minute, Silence: 5 * time.Second, Pause: 2 * time.Second}}
	return &certificate.ACME{Directory: c.ACME.Directory, Email: c.ACME.Email, HTTP: client, Solver: solver,
		KeyFile: filepath.Join(c.State, "account.pem")}, nil
}

// runProgram says as its error what the program said.
func runProgram(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, program).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out[max(0, len(out)-1000):]))
	}
	return nil
}

// serveCertificate keeps it until ctx ends, and shows how it is where the configuration has a place for that.
func serveCertificate(ctx context.Context, path string, log *slog.Logger) error {
	conf, err := config.Load(path)
	if err != nil {
		return err
	}
	current := func() (*certificate.Keeper, error) { return keeper(path, log) }
	g, ctx := errgroup.WithContext(ctx)
	if conf.Health != nil {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), certificate.Metrics(current))
		ln, err := net.Listen("tcp", conf.Health.Listen)
		if err != nil {
			return fmt.Errorf("health.listen: %w", err)
		}
		g.Go(func() error { return serveUntil(ctx, ln, health.Handler(nil, registry)) })
	}
	g.Go(func() error { certificate.NewService(current, log).Run(ctx); return nil })
	return g.Wait()
}
