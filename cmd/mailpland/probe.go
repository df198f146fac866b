package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/probe"
)

func newProbeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "probe [DOMAIN...]",
		Short: "Send a test message for each domain through the running daemon; exit 1 unless all arrive",
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conf, err := config.Load(*path)
		if err != nil {
			return err
		}
		p, err := newProber(conf)
		if err != nil {
			return err
		}
		all, err := probed(conf)
		if err != nil {
			return err
		}
		domains := args
		if len(domains) == 0 {
			domains = all
		}
		var failed []error
		for _, d := range domains {
			if !slices.Contains(all, d) {
				failed = append(failed, fmt.Errorf("%s has no address for test messages", d))
				continue
			}
			start := time.Now()
			if err := p.Once(cmd.Context(), d); err != nil {
				failed = append(failed, fmt.Errorf("a test message for %s: %w", d, err))
				continue
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: arrived in %.2fs\n", d, time.Since(start).Seconds())
		}
		return errors.Join(failed...)
	}
	return cmd
}

func newProber(conf *config.Config) (*probe.Prober, error) {
	if conf.Probe == nil || conf.Ingest == nil {
		return nil, errors.New("the configuration has no section probe, or none for the ingest")
	}
	return probe.New(conf.Probe, conf.Ingest.Auth, localURL(conf.Ingest.Listen))
}

// probed are the domains for which there are test messages: the table says so.
func probed(conf *config.Config) ([]string, error) {
	table, err := config.LoadTable(conf.Ingest.Table)
	if err != nil {
		return nil, err
	}
	return conf.Probe.In(table), nil
}

// startProbes sends test messages until ctx ends, where the configuration wants them.
func startProbes(ctx context.Context, conf *config.Config, log *slog.Logger, registry *prometheus.Registry) error {
	if conf.Probe == nil {
		return nil
	}
	p, err := newProber(conf)
	if err != nil {
		return err
	}
	probe.NewSchedule(p, func() ([]string, error) { return probed(conf) }, log, registry).Run(ctx)
	return nil
}
