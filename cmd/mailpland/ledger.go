package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/ingest"
	"github.com/mailplan/mailplan/runtime/ledger"
)

func newLedgerCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Look into the memory of deliveries, and deliver kept messages again"}
	cmd.AddCommand(newLedgerListCmd(), newLedgerVerifyCmd(), newLedgerReplayCmd())
	return cmd
}

func newLedgerListCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List deliveries, oldest first", Args: cobra.NoArgs}
	path := configFlag(cmd)
	state := cmd.Flags().String("state", "", "only delivered, deferred, refused or in-doubt")
	mailbox := cmd.Flags().String("mailbox", "", "only of this mailbox")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object per line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withLedger(cmd.Context(), *path, func(f *ledger.File) error {
			return f.All(func(r ledger.Record) error {
				if *state != "" && r.State.String() != *state || *mailbox != "" && r.Mailbox != *mailbox {
					return nil
				}
				return printRecord(cmd.OutOrStdout(), r, *asJSON)
			})
		})
	}
	return cmd
}

func printRecord(w io.Writer, r ledger.Record, asJSON bool) error {
	if !asJSON {
		_, err := fmt.Fprintf(w, "%s  %-9s  %s  %s  %s\n", r.Time.Format(time.RFC3339), r.State, r.Mailbox,
			hex.EncodeToString(r.ID[:]), r.Reply)
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{"time": r.Time, "state": r.State.String(), "mailbox": r.Mailbox,
		"id": hex.EncodeToString(r.ID[:]), "content": hex.EncodeToString(r.Key.Content[:]), "reply": r.Reply})
}

func newLedgerVerifyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "verify", Short: "Check the whole ledger file and count its records by state", Args: cobra.NoArgs}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withLedger(cmd.Context(), *path, func(f *ledger.File) error {
			count, err := f.Verify()
			for _, s := range []ledger.State{ledger.Delivered, ledger.InDoubt, ledger.Deferred, ledger.Refused} {
				fmt.Fprintf(cmd.OutOrStdout(), "%-9s %d\n", s, count[s])
			}
			return err
		})
	}
	return cmd
}

func newLedgerReplayCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Hand kept messages to the running daemon again; what was delivered is not delivered twice",
		Args:  cobra.MinimumNArgs(1),
	}
	path := configFlag(cmd)
	from := cmd.Flags().String("from", "", "reverse path; empty is the null one")
	to := cmd.Flags().StringArray("to", nil, "recipient; may be repeated")
	cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		conf, err := loadIngest(*path)
		if err != nil {
			return err
		}
		var failed error
		for _, file := range files {
			answer, err := replay(cmd.Context(), conf, file, *from, *to)
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", file, answer)
			failed = errors.Join(failed, err)
		}
		return failed
	}
	return cmd
}

func loadIngest(path string) (*config.Config, error) {
	conf, err := config.Load(path)
	if err == nil && conf.Ingest == nil {
		err = fmt.Errorf("configuration %s has no ingest part", path)
	}
	return conf, err
}

// replay posts one message as the Worker would.
func replay(ctx context.Context, conf *config.Config, file, from string, to []string) (string, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return "not read", fmt.Errorf("replay: %w", err)
	}
	req, err := request(ctx, conf, http.MethodPost, localURL(conf.Ingest.Listen)+"/v1/ingest", bytes.NewReader(message))
	if err != nil {
		return "not sent", err
	}
	req.Header.Set("Content-Type", "message/rfc822")
	req.Header.Set("X-Mail-From", from)
	req.Header["X-Rcpt-To"] = to
	if s := conf.Ingest.Auth.Signature; s != nil {
		key, err := ingest.ReadSecret(s.KeyFiles[0])
		if err != nil {
			return "not sent", err
		}
		ingest.Sign(req.Header, key, sha256.Sum256(message), rand.Text(), time.Now())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "not sent", fmt.Errorf("replay %s: %w", file, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("replay %s: daemon answers %s", file, resp.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// request is one to the running daemon, with a token of its own configuration.
func request(ctx context.Context, conf *config.Config, method, url string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	token, err := ingest.ReadSecret(conf.Ingest.Auth.TokenFiles[0])
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	return req, nil
}

// withLedger opens the ledger file, or a copy of it that the running daemon gives out.
func withLedger(ctx context.Context, path string, use func(*ledger.File) error) error {
	conf, err := loadIngest(path)
	if err != nil {
		return err
	}
	if conf.Ingest.Ledger == nil {
		return fmt.Errorf("configuration %s has no ledger", path)
	}
	f, err := ledger.OpenFile(conf.Ingest.Ledger.Path)
	if errors.Is(err, ledger.ErrInUse) {
		var remove func()
		if f, remove, err = openCopy(ctx, conf); err == nil {
			defer remove()
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return use(f)
}

func openCopy(ctx context.Context, conf *config.Config) (*ledger.File, func(), error) {
	if conf.Health == nil {
		return nil, nil, errors.New("the running daemon holds the ledger and gives out no copy: configure health.listen")
	}
	req, err := request(ctx, conf, http.MethodGet, operatorURL(conf)+"/ledger", nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the daemon for its ledger: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("ask the daemon for its ledger: %s", resp.Status)
	}
	tmp, err := os.CreateTemp("", "mailpland-ledger-*")
	if err != nil {
		return nil, nil, fmt.Errorf("copy the ledger: %w", err)
	}
	remove := func() { os.Remove(tmp.Name()) }
	_, err = io.Copy(tmp, resp.Body)
	if err = errors.Join(err, tmp.Close()); err != nil {
		remove()
		return nil, nil, fmt.Errorf("copy the ledger: %w", err)
	}
	f, err := ledger.OpenFile(tmp.Name())
	if err != nil {
		remove()
	}
	return f, remove, err
}
