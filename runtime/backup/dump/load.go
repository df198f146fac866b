package dump

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Load runs a dump in the database of that name, which is made when it is missing.
func (s Server) Load(ctx context.Context, name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := s.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(name)); err != nil {
		return err
	}
	in, err := s.readable(ctx, bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return err
	}
	if err := s.run(ctx, s.Client, []string{name}, in, io.Discard); err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}

// readable drops the first line of a dump, which switches the sandbox mode on, for a client from before
// May 2024, which would stop there. The files are signed, so nothing is lost.
func (s Server) readable(ctx context.Context, dump *bufio.Reader) (io.Reader, error) {
	head, err := dump.Peek(64)
	if err != nil && err != io.EOF {
		return nil, err
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.HasPrefix(line, []byte("/*")) || !bytes.Contains(line, []byte(`999999\-`)) {
		return dump, nil
	}
	help, err := exec.CommandContext(ctx, s.Client, "--no-defaults", "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w", s.Client, err)
	}
	if bytes.Contains(help, []byte("--sandbox")) {
		return dump, nil
	}
	_, err = dump.ReadString('\n')
	return dump, err
}

// Exec runs statements.
func (s Server) Exec(ctx context.Context, sql string) error {
	return s.run(ctx, s.Client, nil, strings.NewReader(sql), io.Discard)
}

// Query runs a statement and returns its rows as lines with tabs.
func (s Server) Query(ctx context.Context, sql string) ([]string, error) {
	var out bytes.Buffer
	if err := s.run(ctx, s.Client, []string{"--batch", "--skip-column-names"}, strings.NewReader(sql), &out); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), nil
}

// Rows counts the rows of every table of a database, exactly.
func (s Server) Rows(ctx context.Context, name string) (map[string]int64, error) {
	tables, err := s.Query(ctx, "SELECT table_name FROM information_schema.tables WHERE table_type='BASE TABLE' AND table_schema="+text(name))
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, table := range tables {
		if table == "" {
			continue
		}
		count, err := s.Query(ctx, "SELECT COUNT(*) FROM "+quote(name)+"."+quote(table))
		if err != nil {
			return nil, err
		}
		if rows[table], err = strconv.ParseInt(count[0], 10, 64); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// quote makes a name an SQL identifier.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// text makes a string an SQL literal.
func text(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// Drop removes a database, if it is there.
func (s Server) Drop(ctx context.Context, name string) error {
	return s.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name))
}

// Exists reports whether there is a database of that name.
func (s Server) Exists(ctx context.Context, name string) (bool, error) {
	rows, err := s.Query(ctx, "SELECT schema_name FROM information_schema.schemata WHERE schema_name="+text(name))
	return err == nil && rows[0] != "", err
}
