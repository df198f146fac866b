package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/spf13/cobra"

	"github.com/mailplan/mailplan/runtime/accounts"
	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/runtime/config"
)

func newAccountsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Read and change the rows of domains, users and aliases, for mailplan apply",
	}
	cmd.AddCommand(newAccountsReadCmd(), newAccountsApplyCmd(), newAccountsEditsCmd(), newAccountsAnswerCmd())
	return cmd
}

func newAccountsReadCmd() *cobra.Command {
	var path *string
	cmd := &cobra.Command{
		Use:   "read",
		Short: "Print all rows as JSON; never a password",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAccounts(cmd.Context(), *path, func(db *sql.DB) error {
				rows, err := mariadb.Read(cmd.Context(), db)
				if err != nil {
					return err
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
			})
		},
	}
	path = configFlag(cmd)
	return cmd
}

func newAccountsApplyCmd() *cobra.Command {
	var path *string
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Carry out the changes on standard input (JSON), all or none",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var changes []accounts.Change
			in := json.NewDecoder(cmd.InOrStdin())
			in.DisallowUnknownFields()
			if err := in.Decode(&changes); err != nil {
				return fmt.Errorf("read changes: %w", err)
			}
			return withAccounts(cmd.Context(), *path, func(db *sql.DB) error { return mariadb.Apply(cmd.Context(), db, changes) })
		},
	}
	path = configFlag(cmd)
	return cmd
}

func newAccountsEditsCmd() *cobra.Command {
	var path *string
	cmd := &cobra.Command{
		Use:   "edits",
		Short: "Print the edits of the site that wait for mailplan, as JSON",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAccounts(cmd.Context(), *path, func(db *sql.DB) error {
				list, err := mariadb.Edits(cmd.Context(), db)
				if err != nil {
					return err
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			})
		},
	}
	path = configFlag(cmd)
	return cmd
}

func newAccountsAnswerCmd() *cobra.Command {
	var path *string
	cmd := &cobra.Command{
		Use:   "answer",
		Short: "Write down mailplan's answers to edits, from standard input (JSON)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answers []accounts.EditAnswer
			in := json.NewDecoder(cmd.InOrStdin())
			in.DisallowUnknownFields()
			if err := in.Decode(&answers); err != nil {
				return fmt.Errorf("read answers: %w", err)
			}
			return withAccounts(cmd.Context(), *path, func(db *sql.DB) error { return mariadb.AnswerEdits(cmd.Context(), db, answers) })
		},
	}
	path = configFlag(cmd)
	return cmd
}

func withAccounts(ctx context.Context, path string, use func(*sql.DB) error) error {
	c, err := config.Load(path)
	if err != nil {
		return err
	}
	if c.Accounts == nil {
		return errors.New("the configuration has no accounts section")
	}
	db, err := openAccounts(*c.Accounts)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("the account database %s: %w", c.Accounts.Address, err)
	}
	return use(db)
}

func openAccounts(a config.Accounts) (*sql.DB, error) {
	password, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("read the database password: %w", err)
	}
	if _, _, err := net.SplitHostPort(a.Address); err != nil {
		return nil, fmt.Errorf("the account database's address: %w", err)
	}
	m := mysql.NewConfig()
	m.Net, m.Addr, m.User, m.DBName = "tcp", a.Address, a.User, a.Database
	m.Passwd = strings.TrimRight(string(password), "\n")
	m.Timeout, m.ReadTimeout, m.WriteTimeout = 10*time.Second, time.Minute, time.Minute
	m.Collation = "utf8mb4_bin"
	connector, err := mysql.NewConnector(m)
	if err != nil {
		return nil, fmt.Errorf("the account database: %w", err)
	}
	return sql.OpenDB(connector), nil
}
