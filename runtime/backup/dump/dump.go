// Package dump turns a MariaDB database into an SQL file which is complete or not there, and loads such
// a file. It drives the server's own programs; it knows nothing of backups.
//
// A dump which a TRUNCATE or a copying ALTER runs into ends in the middle (error 1412); so one counts
// only when the program says success and the file ends with its completion line.
package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/runtime/config"
)

// AccountsFile is the file with the server's accounts.
const AccountsFile = "accounts.sql"

// Server is how to reach a MariaDB server and its programs.
type Server struct {
	config.BackupDatabase
	Options string // folder for the programs' option files; empty for the system's
}

// Dump writes NAME.sql for each declared database into dir. On an error the file of that database is
// not there, and the others are.
func (s Server) Dump(ctx context.Context, dir string) error {
	var errs []error
	for _, name := range s.Databases {
		args := []string{"--single-transaction", "--quick", "--routines", "--events", "--triggers",
			"--hex-blob", "--skip-dump-date", name}
		errs = append(errs, s.dump(ctx, filepath.Join(dir, name+".sql"), args))
	}
	if s.Accounts {
		errs = append(errs, s.dump(ctx, filepath.Join(dir, AccountsFile), []string{"--system=users", "--skip-dump-date"}))
	}
	return errors.Join(errs...)
}

// dump tries a few times: a change of a table's structure in the middle is over soon.
func (s Server) dump(ctx context.Context, path string, args []string) error {
	const attempts = 3
	var err error
	for range attempts {
		if err = s.dumpOnce(ctx, path, args); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("dump %s: %w", filepath.Base(path), err)
	}
	return nil
}

func (s Server) dumpOnce(ctx context.Context, path string, args []string) error {
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	defer file.Close()
	if err := s.run(ctx, s.DumpProgram, args, nil, file); err != nil {
		return err
	}
	if err := complete(file, args); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// complete looks for the line the program writes last. A dump of accounts alone has none.
func complete(file *os.File, args []string) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	tail := make([]byte, min(end, 200))
	if _, err := file.ReadAt(tail, end-int64(len(tail))); err != nil {
		return err
	}
	if args[0] != "--system=users" && !bytes.Contains(tail, []byte("-- Dump completed")) {
		return errors.New("the dump ends in the middle: no completion line")
	}
	if len(tail) == 0 {
		return errors.New("the dump is empty")
	}
	return nil
}

// run starts a program with the connection in an option file of its own, so that the password shows in
// no list of processes.
func (s Server) run(ctx context.Context, program string, args []string, in io.Reader, out io.Writer) error {
	options, err := s.optionFile()
	if err != nil {
		return err
	}
	defer os.Remove(options)
	cmd := exec.CommandContext(ctx, program, append([]string{"--defaults-file=" + options}, args...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, firstLines(said.String()))
	}
	return nil
}

func firstLines(s string) string {
	const limit = 400
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), limit)]
}

func (s Server) optionFile() (string, error) {
	var b strings.Builder
	// Else the locale of whoever runs it would decide, and C means Latin 1.
	b.WriteString("[client]\ndefault-character-set=utf8mb4\n")
	set := func(key, value string) {
		fmt.Fprintf(&b, "%s=\"%s\"\n", key, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value))
	}
	set("user", s.User)
	if s.Socket != "" {
		set("socket", s.Socket)
	} else {
		host, port, err := net.SplitHostPort(s.Address)
		if err != nil {
			return "", err
		}
		set("host", host)
		set("port", port)
		set("protocol", "tcp")
	}
	if s.PasswordFile != "" {
		password, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("database password: %w", err)
		}
		set("password", strings.TrimRight(string(password), "\r\n"))
	}
	file, err := os.CreateTemp(s.Options, "mailpland-*.cnf") // made 0600
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(b.String())
	return file.Name(), errors.Join(err, file.Close())
}
