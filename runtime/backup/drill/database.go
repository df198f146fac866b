package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mailplan/mailplan/runtime/backup/dump"
	"github.com/mailplan/mailplan/runtime/config"
)

// databases loads every dump into a throw-away server and counts its rows.
func (d *Drill) databases(ctx context.Context, r *Receipt, scratch string) {
	for _, c := range d.of("mariadb") {
		detail, err := d.database(ctx, c, filepath.Join(scratch, c.Name))
		r.add("database "+c.Name, detail, err)
	}
}

func (d *Drill) database(ctx context.Context, c config.BackupClass, dumps string) (string, error) {
	server, stop, err := d.startMariaDB(ctx, filepath.Dir(dumps))
	if err != nil {
		return "", err
	}
	defer stop()
	var said []string
	for _, name := range c.Database.Databases {
		if err := server.Load(ctx, name, filepath.Join(dumps, name+".sql")); err != nil {
			return "", err
		}
		rows, err := server.Rows(ctx, name)
		if err != nil {
			return "", err
		}
		var sum int64
		for _, n := range rows {
			sum += n
		}
		if len(rows) == 0 || sum < d.Config.Drill.MinimumRows {
			return "", fmt.Errorf("database %s came back with %d rows in %d tables: at least %d are expected", name, sum, len(rows), d.Config.Drill.MinimumRows)
		}
		said = append(said, fmt.Sprintf("%s: %d rows in %d tables", name, sum, len(rows)))
	}
	return strings.Join(said, "; "), nil
}

// startMariaDB starts a server on a socket, without a network port, with its data in the scratch folder: all it
// touches lies there, so that the programs may be ones which run in containers and see nothing else.
func (d *Drill) startMariaDB(ctx context.Context, scratch string) (dump.Server, func(), error) {
	me, err := user.Current()
	if err != nil {
		return dump.Server{}, nil, err
	}
	socket := filepath.Join(scratch, ".s")
	if longest := 107; len(socket) > longest { // sun_path of unix(7), less the NUL
		return dump.Server{}, nil, fmt.Errorf("drill.scratch: %s is too long for the path of a socket", scratch)
	}
	data := "--datadir=" + filepath.Join(scratch, ".mariadb")
	out, err := exec.CommandContext(ctx, d.Config.Drill.InstallDB, "--no-defaults", data, "--user="+me.Username, "--skip-test-db",
		"--skip-name-resolve", "--auth-root-authentication-method=normal").CombinedOutput()
	if err != nil {
		return dump.Server{}, nil, fmt.Errorf("%s: %w: %s", d.Config.Drill.InstallDB, err, lastLine(out))
	}
	var log bytes.Buffer
	cmd := exec.Command(d.Config.Drill.MariaDBD, "--no-defaults", data, "--user="+me.Username, "--socket="+socket, "--skip-networking",
		"--skip-name-resolve", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", "--pid-file="+filepath.Join(scratch, ".pid"))
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // docker run passes that on; SIGKILL it could not
	if err := cmd.Start(); err != nil {
		return dump.Server{}, nil, err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	stop := func() { end(cmd.Process, ended) }
	server := dump.Server{Options: scratch, BackupDatabase: config.BackupDatabase{Socket: socket, User: "root", Client: d.Config.Drill.Client}}
	if err := await(ctx, server, socket, ended); err != nil {
		stop()
		return dump.Server{}, nil, fmt.Errorf("%w: %s", err, lastLine(log.Bytes()))
	}
	return server, stop, nil
}

// end asks a process to end, and does not wait long: nothing of it is kept.
func end(p *os.Process, ended <-chan struct{}) {
	_ = p.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = p.Kill()
		<-ended
	}
}

// await waits for the server, and makes sure that the client talks to it: one that went to the live
// server instead would load the dumps there.
func await(ctx context.Context, server dump.Server, socket string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if said, err := server.Query(ctx, "SELECT @@socket"); err == nil {
			if said[0] != socket {
				return fmt.Errorf("%s goes to the server at %s, not to the throw-away one: nothing was loaded", server.Client, said[0])
			}
			return nil
		}
		select {
		case <-ended:
			return errors.New("the throw-away MariaDB ended")
		case <-ctx.Done():
			return errors.New("the throw-away MariaDB does not answer")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
