package dump

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Load runs a dump in the database of that name, which is made when it is missing.
func (s Server) Load(ctx context.Context, name, path string) error {
	return s.load(ctx, name, path, "CREATE DATABASE IF NOT EXISTS "+quote(name), "")
}

// Replace has the database of that name hold what the dump holds, and nothing else. It is one call of the client, which
// may be a container's.
func (s Server) Replace(ctx context.Context, name, path string) error {
	return s.load(ctx, name, path, "DROP DATABASE IF EXISTS "+quote(name)+"; CREATE DATABASE "+quote(name), "")
}

// Try loads a dump into a database of that name, which is not there afterwards.
func (s Server) Try(ctx context.Context, name, path string) error {
	return s.load(ctx, name, path, "DROP DATABASE IF EXISTS "+quote(name)+"; CREATE DATABASE "+quote(name), "\nDROP DATABASE "+quote(name)+";\n")
}

// load runs a dump in a database, with statements before and after it. The first line of a dump switches the client's
// sandbox mode on; one from before May 2024 stops there, and gets the rest alone: the files are signed, so nothing is lost.
func (s Server) load(ctx context.Context, name, path, before, after string) error {
	err := s.loadOnce(ctx, name, path, before, after, false)
	if err != nil && strings.Contains(err.Error(), `Unknown command '\-'`) {
		err = s.loadOnce(ctx, name, path, before, after, true)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}

func (s Server) loadOnce(ctx context.Context, name, path, before, after string, bare bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text := bufio.NewReaderSize(file, 1<<20)
	head, err := text.Peek(64)
	if err != nil && err != io.EOF {
		return err
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if bare && bytes.HasPrefix(line, []byte("/*")) && bytes.Contains(line, []byte(`999999\-`)) {
		if _, err := text.ReadString('\n'); err != nil {
			return err
		}
	}
	in := io.MultiReader(strings.NewReader(before+"; USE "+quote(name)+";\n"), text, strings.NewReader(after))
	return s.run(ctx, s.Client, nil, in, io.Discard)
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

// Exists reports whether there is a database of that name.
func (s Server) Exists(ctx context.Context, name string) (bool, error) {
	rows, err := s.Query(ctx, "SELECT schema_name FROM information_schema.schemata WHERE schema_name="+text(name))
	return err == nil && rows[0] != "", err
}
