package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file so that a reader, or a crash, sees the old or the new content and nothing between:
// temporary file in the same folder, content and mode, prepare (may be nil), fsync, rename, fsync of the folder.
func WriteFile(name string, content []byte, m fs.FileMode, prepare func(temp string) error) (err error) {
	// One name for all tries: what a crash leaves behind, the next try takes over.
	temp, err := os.OpenFile(Temporary(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if _, err = temp.Write(content); err != nil {
		return err
	}
	if err = temp.Chmod(m); err != nil {
		return err
	}
	if prepare != nil {
		if err = prepare(temp.Name()); err != nil {
			return err
		}
	}
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// Temporary is where WriteFile prepares a file.
func Temporary(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".mailplan")
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
