package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/heal"
	"github.com/mailplan/mailplan/runtime/health"
	"github.com/mailplan/mailplan/runtime/measure"
)

func newHealCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "heal",
		Short: "Restart unhealthy services of the stack, and measure its host, until told to stop (SIGTERM)",
		Args:  cobra.NoArgs,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, err := config.Load(*path)
		if err != nil {
			return err
		}
		if conf.Heal == nil {
			return errors.New("the configuration has no section heal")
		}
		return serveHealer(cmd.Context(), conf, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
	}
	return cmd
}

// serveHealer runs the healer, with its metrics where the configuration has them.
func serveHealer(ctx context.Context, conf *config.Config, log *slog.Logger) error {
	c := conf.Heal
	engine := heal.NewDocker(c.Socket)
	healer := heal.New(heal.Settings{Project: c.Project, Every: c.Every.Or(config.HealEvery), Settle: c.Settle.Or(config.HealSettle),
		Rejoin: c.Rejoin.Or(config.HealRejoin), Pause: c.Pause.Or(config.HealPause), Hourly: c.RestartsPerHour}, engine, log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), healer)
	for _, m := range measurements(c, engine) {
		m.Log = log
		registry.MustRegister(m)
	}
	g, ctx := errgroup.WithContext(ctx)
	if conf.Health != nil {
		ln, err := net.Listen("tcp", conf.Health.Listen)
		if err != nil {
			return fmt.Errorf("health.listen: %w", err)
		}
		g.Go(func() error { return serveUntil(ctx, ln, health.Handler(nil, registry)) })
	}
	g.Go(func() error { healer.Run(ctx); return nil })
	return g.Wait()
}

func measurements(c *config.Heal, engine heal.Docker) (list []*measure.Measurement) {
	if len(c.Disks) > 0 {
		list = append(list, &measure.Measurement{Name: "disks", Take: measure.Disks(c.Disks)})
	}
	if c.Signatures != "" {
		list = append(list, &measure.Measurement{Name: "signatures", Take: measure.Signatures(c.Signatures)})
	}
	if c.Queue != "" {
		queued := func(ctx context.Context) ([]byte, error) { return postqueue(ctx, engine, c) }
		list = append(list, &measure.Measurement{Name: "queue", Take: measure.Queue(queued, time.Now)})
	}
	return list
}

// postqueue lists the queue in the container of Postfix.
func postqueue(ctx context.Context, engine heal.Docker, c *config.Heal) ([]byte, error) {
	list, err := engine.Containers(ctx, c.Project)
	if err != nil {
		return nil, err
	}
	for _, container := range list {
		if container.Service == c.Queue && container.State == "running" {
			return engine.Run(ctx, container.ID, "timeout", "15", "postqueue", "-j")
		}
	}
	return nil, fmt.Errorf("%s does not run", c.Queue)
}
