package revision

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/revlist"
)

// maxBundle bounds a bundle, which is held in memory.
const maxBundle = 64 << 20

// errTooLarge stops the writing of a bundle.
var errTooLarge = fmt.Errorf("the history has more than %d MiB", maxBundle>>20)

// Bundle is the history of the commit that dir's work tree is at, as `git bundle` writes it (gitformat-bundle, version
// 2) and `git clone` reads it: with it a host alone can give the declarations back.
func Bundle(dir string) ([]byte, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true})
	if err != nil {
		return nil, fmt.Errorf("%s is in no Git repository: %w", dir, err)
	}
	head, err := repo.Head()
	if err != nil {
		return nil, fmt.Errorf("%s has no commit yet: %w", dir, err)
	}
	if shallow, err := repo.Storer.Shallow(); err != nil || len(shallow) > 0 {
		return nil, errors.Join(fmt.Errorf("the clone around %s is shallow; git fetch --unshallow brings its history", dir), err)
	}
	objects, err := revlist.Objects(repo.Storer, []plumbing.Hash{head.Hash()}, nil)
	if err != nil {
		return nil, fmt.Errorf("list the history of %s: %w", dir, err)
	}
	out := &bounded{}
	fmt.Fprintf(out, "# v2 git bundle\n%s HEAD\n", head.Hash())
	if head.Name().IsBranch() {
		fmt.Fprintf(out, "%s %s\n", head.Hash(), head.Name())
	}
	fmt.Fprintln(out)
	if _, err := packfile.NewEncoder(out, repo.Storer, false).Encode(objects, packWindow); err != nil {
		return nil, fmt.Errorf("pack the history of %s: %w", dir, err)
	}
	return out.Bytes(), nil
}

// packWindow is how many objects Git compares each with, by default.
const packWindow = 10

// bounded is a buffer up to maxBundle.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBundle {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}
