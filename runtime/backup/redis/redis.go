// Package redis takes a consistent copy of a running Redis: it has the server write its snapshot (BGSAVE), checks
// that the file is whole, and lays it out as a data folder which a Redis with an append-only file starts from. The
// files of a running server cannot be copied as they lie: it appends to one and replaces others meanwhile. The package
// knows nothing of backups; RESP is its protocol (redis.io/docs/reference/protocol-spec).
package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Names in a data folder, Redis' own defaults. A server with an append-only file starts from that alone, whatever
// Dump holds (Redis 7 and later), so a copy has the same snapshot as the file's base, too.
const (
	Dump     = "dump.rdb"
	appends  = "appendonlydir"
	base     = "appendonly.aof.1.base.rdb"
	manifest = "appendonly.aof.manifest"
)

// Server is a running Redis.
type Server struct {
	Address  string // HOST:PORT
	Password string // empty for none
	Data     string // its data folder, as we see it
}

// timeout bounds one snapshot.
const timeout = 10 * time.Minute

// Copy has the server write a snapshot and lays a data folder with it out below dir, with the owners and modes of the
// server's own files.
func (s Server) Copy(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	written, dump := filepath.Join(s.Data, Dump), filepath.Join(dir, Dump)
	before, err := os.Stat(written)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.save(ctx); err != nil {
		return fmt.Errorf("redis %s: %w", s.Address, err)
	}
	if now, err := os.Stat(written); err == nil && before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) {
		return fmt.Errorf("redis %s does not write its snapshot to %s", s.Address, written)
	}
	if err := copyFile(written, dump); err != nil {
		return err
	}
	if err := Check(dump); err != nil {
		return err
	}
	return s.layOut(dir)
}

// layOut adds the append-only file, and gives everything the owners of the server's own folder.
func (s Server) layOut(dir string) error {
	folder := filepath.Join(dir, appends)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(dir, Dump), filepath.Join(folder, base)); err != nil {
		return err
	}
	list := "file " + base + " seq 1 type b\n"
	if err := os.WriteFile(filepath.Join(folder, manifest), []byte(list), 0o644); err != nil {
		return err
	}
	info, err := os.Stat(s.Data)
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, info.Mode().Perm()); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// save has the server write its snapshot, and waits for it.
func (s Server) save(ctx context.Context) error {
	c, err := dial(ctx, s.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	if s.Password != "" {
		if _, err := c.do("AUTH", s.Password); err != nil {
			return err
		}
	}
	if err := c.start(ctx); err != nil {
		return err
	}
	for {
		info, err := c.persistence()
		if err != nil {
			return err
		}
		if info["rdb_bgsave_in_progress"] == "0" {
			if status := info["rdb_last_bgsave_status"]; status != "ok" {
				return fmt.Errorf("BGSAVE: %s; the server's log says why", status)
			}
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// start starts a snapshot of the data as they are now: one already going on began earlier and is waited for first.
func (c *connection) start(ctx context.Context) error {
	for {
		said, err := c.do("BGSAVE")
		if err == nil && strings.HasPrefix(said, "Background saving started") {
			return nil
		}
		var refused refusal
		if err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), "in progress") && !strings.Contains(err.Error(), "AOF")) {
			return err
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("BGSAVE was not begun: %s: %w", said, errors.Join(refused, err))
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// connection speaks RESP, as far as a snapshot needs it.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// refusal is an error the server answers with.
type refusal string

func (r refusal) Error() string { return string(r) }

func dial(ctx context.Context, address string) (*connection, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return &connection{conn, bufio.NewReader(conn)}, nil
}

// do sends a command and returns its answer, a simple or a bulk string.
func (c *connection) do(words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "+"):
		return line[1:], nil
	case strings.HasPrefix(line, "-"):
		return "", refusal(words[0] + ": " + line[1:])
	case strings.HasPrefix(line, "$"):
		return c.bulk(line[1:])
	}
	return "", fmt.Errorf("%s: unexpected answer %.20q", words[0], line)
}

func (c *connection) bulk(length string) (string, error) {
	const most = 1 << 20
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > most {
		return "", fmt.Errorf("an answer of %.20q bytes", length)
	}
	text := make([]byte, n+2)
	_, err = io.ReadFull(c.in, text)
	return string(text[:n]), err
}

func (c *connection) persistence() (map[string]string, error) {
	text, err := c.do("INFO", "persistence")
	if err != nil {
		return nil, err
	}
	info := map[string]string{}
	for _, line := range strings.Split(text, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			info[key] = value
		}
	}
	return info, nil
}
