package remote

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// maxFile bounds what is read of one file: nothing that mailplan wrote is near it.
const maxFile = 64 << 20

// Files is the file system of the host, for host.Host. New content is prepared in the folder stage, which must be on
// the file system of the files and is closed to others, because SFTP can't make a file with its mode at once.
func (c *Conn) Files(stage string) host.Files { return files{c, c.files, stage} }

type files struct {
	conn  *Conn
	sftp  *sftp.Client
	stage string
}

// Digest has the host digest a file, so that a large one need not come over.
func (f files) Digest(name string) (string, error) {
	out, err := f.conn.Run(context.Background(), nil, "sha256sum", "--", name)
	if err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(string(out), " ")
	return sum, nil
}

func (f files) Stat(name string, follow bool) (host.Info, error) {
	stat := f.sftp.Lstat
	if follow {
		stat = f.sftp.Stat
	}
	info, err := stat(name)
	if err != nil {
		return host.Info{}, err
	}
	to := host.Info{Mode: info.Mode()}
	if s, ok := info.Sys().(*sftp.FileStat); ok {
		to.UID, to.GID = int(s.UID), int(s.GID)
	}
	return to, nil
}

func (f files) ReadFile(name string) ([]byte, error) {
	r, err := f.sftp.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return data, err
}

func (f files) WriteFile(name string, content []byte, to host.Info) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if err := f.MakeDirectory(f.stage, host.Info{Mode: 0o700, UID: -1}); err != nil {
		return err
	}
	if err := f.sftp.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	temp, err := f.prepare(content, to)
	if err != nil {
		return err
	}
	if err := f.sftp.PosixRename(temp, name); err != nil {
		return errors.Join(err, f.sftp.Remove(temp))
	}
	return nil
}

// prepare writes a file of a new name. The server syncs it to its disk if it can be told to.
func (f files) prepare(content []byte, to host.Info) (name string, err error) {
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	name = path.Join(f.stage, "new-"+hex.EncodeToString(random))
	w, err := f.sftp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.sftp.Remove(name))
		}
	}()
	err = errors.Join(f.fill(w, content, to), w.Close())
	return name, err
}

func (f files) fill(w *sftp.File, content []byte, to host.Info) error {
	if err := w.Chmod(0o600); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := f.own(w.Name(), to); err != nil {
		return err
	}
	if err := w.Chmod(to.Mode); err != nil {
		return err
	}
	if _, ok := f.sftp.HasExtension("fsync@openssh.com"); ok {
		return w.Sync()
	}
	return nil
}

func (f files) own(name string, to host.Info) error {
	if to.UID < 0 {
		return nil
	}
	if now, err := f.Stat(name, false); err == nil && now.UID == to.UID && now.GID == to.GID {
		return nil
	}
	if err := f.sftp.Chown(name, to.UID, to.GID); err != nil {
		return fmt.Errorf("set the owner to %d:%d (connect as root): %w", to.UID, to.GID, err)
	}
	return nil
}

func (f files) MakeDirectory(name string, to host.Info) error {
	now, err := f.Stat(name, true)
	if errors.Is(err, fs.ErrNotExist) {
		err = f.sftp.MkdirAll(name)
	}
	if err != nil {
		return err
	}
	if now.Mode.Perm() != to.Mode.Perm() || !now.Mode.IsDir() {
		if err := f.sftp.Chmod(name, to.Mode); err != nil {
			return err
		}
	}
	return f.own(name, to)
}

func (f files) Remove(name string) error { return f.sftp.Remove(name) }
