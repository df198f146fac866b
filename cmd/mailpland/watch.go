package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/report"
	"github.com/mailplan/mailplan/runtime/watch"
)

// startWatch looks at what the configuration names, if anything; at how backups stand, where it has them.
func startWatch(ctx context.Context, g *errgroup.Group, conf *config.Config, log *slog.Logger) error {
	if conf.Watch == nil {
		return nil
	}
	var standing func() (*report.Backup, error)
	if conf.Backup != nil {
		x, err := backup.New(*conf.Backup)
		if err != nil {
			return err
		}
		x.Log, standing = log, x.Standing
	}
	w := watch.New(*conf.Watch, standing, net.DefaultResolver, log)
	g.Go(func() error { w.Run(ctx); return nil })
	return nil
}

func newTellCmd() *cobra.Command {
	var path *string
	cmd := &cobra.Command{
		Use:   "tell drift|spool",
		Short: "Lay down for the console what mailplan found, from standard input (JSON)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := config.Load(*path)
			if err != nil {
				return err
			}
			if conf.Watch == nil {
				return fmt.Errorf("configuration %s has no section watch", *path)
			}
			to := report.Folder{Path: conf.Watch.Folder, Group: conf.Watch.Group}
			switch name := report.Name(args[0]); name {
			case report.Drifted:
				return tell[report.Drift](to, name, cmd.InOrStdin())
			case report.Spooled:
				return tell[report.Spool](to, name, cmd.InOrStdin())
			}
			return fmt.Errorf("nobody tells about %q", args[0])
		},
	}
	path = configFlag(cmd)
	return cmd
}

// tell takes a report from mailplan: its data, or why there is none.
func tell[Data any](to report.Folder, name report.Name, in io.Reader) error {
	var said report.File[Data]
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&said); err != nil {
		return fmt.Errorf("read what is told: %w", err)
	}
	var problem error
	if said.Problem != "" {
		problem = errors.New(said.Problem)
	}
	return report.Put(to, name, time.Now(), said.Data, problem)
}
