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

	"github.com/mailplan/mailplan/runtime/accounts/mariadb"
	"github.com/mailplan/mailplan/runtime/config"
)

func newAccountsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Read and change the rows of domains, users and aliases, for mailplan apply",
	}
	cmd.AddCommand(
		prints("read", "Print all rows as JSON; never a password", mariadb.Read),
		takes("apply", "Carry out the changes on standard input (JSON), all or none", mariadb.Apply),
		prints("edits", "Print the edits of the site that wait for mailplan, as JSON", mariadb.Edits),
		takes("answer", "Write down mailplan's answers to edits, from standard input (JSON)", mariadb.AnswerEdits),
	)
	return cmd
}

// prints is a verb that prints what the database has.
func prints[Data any](use, short string, read func(context.Context, *sql.DB) (Data, error)) *cobra.Command {
	return accountsVerb(use, short, func(cmd *cobra.Command, with func(func(*sql.DB) error) error) error {
		return with(func(db *sql.DB) error {
			data, err := read(cmd.Context(), db)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(data)
		})
	})
}

// takes is a verb that puts what it reads into the database.
func takes[Data any](use, short string, put func(context.Context, *sql.DB, Data) error) *cobra.Command {
	return accountsVerb(use, short, func(cmd *cobra.Command, with func(func(*sql.DB) error) error) error {
		var data Data
		in := json.NewDecoder(cmd.InOrStdin())
		in.DisallowUnknownFields()
		if err := in.Decode(&data); err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		return with(func(db *sql.DB) error { return put(cmd.Context(), db, data) })
	})
}

// accountsVerb is a verb on the account database, which run opens when it is ready for it.
func accountsVerb(use, short string, run func(cmd *cobra.Command, with func(func(*sql.DB) error) error) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return run(cmd, func(use func(*sql.DB) error) error { return withAccounts(cmd.Context(), *path, use) })
	}
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
	m.ParseTime, m.Collation = true, "utf8mb4_bin"
	connector, err := mysql.NewConnector(m)
	if err != nil {
		return nil, fmt.Errorf("the account database: %w", err)
	}
	return sql.OpenDB(connector), nil
}
