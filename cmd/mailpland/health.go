package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/config"
)

// newHealthCmd is a container's health check where there is neither shell nor curl.
func newHealthCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "health", Short: "Ask the running daemon how it is; exit 1 unless it is well", Args: cobra.NoArgs}
	path := configFlag(cmd)
	ready := cmd.Flags().Bool("ready", false, "ask whether mail gets through, not only whether the daemon is there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf, err := config.Load(*path)
		if err != nil {
			return err
		}
		endpoint := "/health"
		if *ready {
			endpoint = "/ready"
		}
		return askHealth(cmd.Context(), operatorURL(conf)+endpoint, cmd.OutOrStdout())
	}
	return cmd
}

func askHealth(ctx context.Context, url string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	stdout.Write(body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("daemon answers %s", resp.Status)
	}
	return nil
}

// operatorURL is where a process on this host reaches the operator's endpoints.
func operatorURL(conf *config.Config) string {
	if conf.Health != nil {
		return localURL(conf.Health.Listen)
	}
	if conf.Ingest != nil {
		return localURL(conf.Ingest.Listen)
	}
	if conf.Console != nil {
		return localURL(conf.Console.Listen)
	}
	return ""
}

// localURL turns a listen address into one that can be called: 0.0.0.0 and an empty host are this host.
func localURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
