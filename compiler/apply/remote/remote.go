// Package remote reaches a host over SSH (RFC 4251, known_hosts checked): its file system by SFTP, as the host plane
// wants it, and programs on it. It knows no plane and no file of mailplan's.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// dialTimeout is for the connection and the handshake together.
const dialTimeout = 20 * time.Second

// Conn is a connection to a host.
type Conn struct {
	client *ssh.Client
	files  *sftp.Client
	name   string
	close  func()
}

// Dial connects to "ssh://user@host[:port]" with the keys and known hosts of whoever runs mailplan.
func Dial(ctx context.Context, target string, env func(string) string) (*Conn, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "ssh" || u.User.Username() == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("connect to %q: want ssh://user@host[:port]", target)
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	c, err := dial(ctx, u.User.Username(), net.JoinHostPort(u.Hostname(), port), env)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	c.name = u.Host
	return c, nil
}

func dial(ctx context.Context, user, address string, env func(string) string) (*Conn, error) {
	known, err := knownHosts(address, env)
	if err != nil {
		return nil, err
	}
	auth, done, err := authMethods(env)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: known.check, HostKeyAlgorithms: known.algorithms, Timeout: dialTimeout}
	client, err := handshake(ctx, address, config)
	if err != nil {
		done()
		return nil, err
	}
	files, err := sftp.NewClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start SFTP: %w", err), client.Close())
	}
	if _, ok := files.HasExtension("posix-rename@openssh.com"); !ok {
		return nil, errors.Join(errors.New("its SFTP server can't replace a file in one step (posix-rename@openssh.com)"), client.Close())
	}
	return &Conn{client: client, files: files, close: done}, nil
}

// handshake bounds the connection by the context, and the handshake by dialTimeout.
func handshake(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(c, channels, requests), conn.SetDeadline(time.Time{})
}

// Close ends the connection, and with it every program started over it that still runs.
func (c *Conn) Close() error {
	c.close()
	return errors.Join(c.files.Close(), c.client.Close())
}

// Run runs a program on the host and returns what it prints. Its error holds what it said on standard error.
func (c *Conn) Run(ctx context.Context, stdin io.Reader, argv ...string) ([]byte, error) {
	session, err := c.client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	defer session.Close()
	var out, said bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = stdin, &out, &said
	ended := make(chan error, 1)
	go func() { ended <- session.Run(quote(argv)) }()
	select {
	case <-ctx.Done(): // the host closes its side only when the program has ended: not waited for
		return nil, errors.Join(fmt.Errorf("%s on %s: %w", argv[0], c.name, ctx.Err()), session.Signal(ssh.SIGTERM))
	case err := <-ended:
		if err != nil {
			return out.Bytes(), fmt.Errorf("%s on %s: %w: %s", argv[0], c.name, err, bytes.TrimSpace(said.Bytes()))
		}
		return out.Bytes(), nil
	}
}

// quote makes one line for the shell of the host, in which no word has a meaning of its own.
func quote(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}
