package revision

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// Change is one file of a commit, by its name below the site's folder. Before is nil for a new file.
type Change struct {
	Name          string
	Before, After []byte
}

// Commit records changes, and nothing else that may be staged or lie around, as one commit.
type Commit struct {
	Dir     string // the site's folder, in a Git repository
	Branch  string // made or moved on, without touching the work tree; empty: the current one
	Message string
	Author  object.Signature
	Changes []Change
}

// Prepared is a commit that is written and that no branch leads to yet.
type Prepared struct {
	Hash   string
	commit Commit
	repo   *git.Repository
	tip    tip
	sub    string
}

// Prepare writes the commit's objects. It refuses files that have changes of somebody else's which are not committed.
func (c Commit) Prepare() (*Prepared, error) {
	repo, err := open(c.Dir)
	if err != nil {
		return nil, err
	}
	p := &Prepared{commit: c, repo: repo}
	if p.tip, err = tipOf(repo, c.Branch); err != nil {
		return nil, err
	}
	if p.sub, err = below(repo, c.Dir); err != nil {
		return nil, err
	}
	hash, err := c.write(repo, p.tip.commit, p.sub)
	p.Hash = hash.String()
	return p, err
}

// Publish moves the branch to the commit, if it is still where it was. On the current branch the work tree is
// taken to have the new content already.
func (p *Prepared) Publish() error {
	name := p.tip.name
	if err := p.repo.Storer.CheckAndSetReference(plumbing.NewHashReference(name, plumbing.NewHash(p.Hash)), p.tip.old); err != nil {
		return fmt.Errorf("move %s: somebody else moved it meanwhile: %w", name.Short(), err)
	}
	if p.commit.Branch == "" {
		return p.commit.stage(p.repo, p.sub)
	}
	return nil
}

// Base is the commit that a commit on the branch would follow: the branch's tip, else the current commit.
func Base(dir, branch string) (string, error) {
	repo, err := open(dir)
	if err != nil {
		return "", err
	}
	tip, err := tipOf(repo, branch)
	if err != nil {
		return "", err
	}
	return tip.commit.Hash.String(), nil
}

// Author is who commits: GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, else what git config says.
func Author(dir string, env func(string) string, now time.Time) (object.Signature, error) {
	sig := object.Signature{Name: env("GIT_AUTHOR_NAME"), Email: env("GIT_AUTHOR_EMAIL"), When: now}
	if sig.Name != "" && sig.Email != "" {
		return sig, nil
	}
	repo, err := open(dir)
	if err != nil {
		return sig, err
	}
	conf, err := repo.ConfigScoped(config.SystemScope)
	if err != nil {
		return sig, fmt.Errorf("read git config: %w", err)
	}
	sig.Name = cmp.Or(sig.Name, conf.Author.Name, conf.User.Name)
	sig.Email = cmp.Or(sig.Email, conf.Author.Email, conf.User.Email)
	if sig.Name == "" || sig.Email == "" {
		return sig, errors.New("git does not know who you are: git config --global user.name and user.email say so")
	}
	return sig, nil
}

func open(dir string) (*git.Repository, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return nil, fmt.Errorf("%s is in no Git repository: %w", dir, err)
	}
	return repo, nil
}

// tip is where a branch stands; old is nil for a branch that is yet to be made.
type tip struct {
	name   plumbing.ReferenceName
	old    *plumbing.Reference
	commit *object.Commit
}

func tipOf(repo *git.Repository, branch string) (tip, error) {
	head, err := repo.Head()
	if err != nil {
		return tip{}, fmt.Errorf("the repository has no commit yet: %w", err)
	}
	t := tip{name: head.Name(), old: head}
	at := head.Hash()
	if branch != "" {
		t.name, t.old = plumbing.NewBranchReferenceName(branch), nil
		if err := t.name.Validate(); err != nil {
			return tip{}, fmt.Errorf("branch %q: %w", branch, err)
		}
		if t.name == head.Name() {
			return tip{}, fmt.Errorf("%s is checked out here: use --commit without --branch", branch)
		}
		ref, err := repo.Reference(t.name, true)
		if err == nil {
			t.old, at = ref, ref.Hash()
		} else if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return tip{}, err
		}
	}
	if t.commit, err = repo.CommitObject(at); err != nil {
		return tip{}, fmt.Errorf("read commit %s: %w", at, err)
	}
	return t, nil
}

func (c Commit) write(repo *git.Repository, base *object.Commit, sub string) (plumbing.Hash, error) {
	tree, err := base.Tree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	root := tree.Hash
	for _, ch := range c.Changes {
		name := path.Join(sub, ch.Name)
		if err := asBefore(tree, name, ch.Before); err != nil {
			return plumbing.ZeroHash, err
		}
		if root, err = put(repo.Storer, root, strings.Split(name, "/"), ch.After); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("commit %s: %w", name, err)
		}
	}
	message := strings.TrimRight(c.Message, "\n") + "\n"
	commit := object.Commit{Author: c.Author, Committer: c.Author, Message: message, TreeHash: root, ParentHashes: []plumbing.Hash{base.Hash}}
	return store(repo.Storer, commit.Encode)
}

// asBefore refuses to commit what somebody else wrote into the file and did not commit.
func asBefore(tree *object.Tree, name string, before []byte) error {
	f, err := tree.File(name)
	if errors.Is(err, object.ErrFileNotFound) && before == nil {
		return nil
	}
	committed := ""
	if err == nil {
		committed, err = f.Contents()
	}
	if err != nil || before == nil || committed != string(before) {
		return fmt.Errorf("%s has changes that are not committed: commit them first, or edit without --commit", name)
	}
	return nil
}

// put writes a tree with one file in another state and returns its hash.
func put(s storer.EncodedObjectStorer, tree plumbing.Hash, at []string, content []byte) (plumbing.Hash, error) {
	old := &object.Tree{}
	if !tree.IsZero() {
		var err error
		if old, err = object.GetTree(s, tree); err != nil {
			return tree, err
		}
	}
	entry := object.TreeEntry{Name: at[0], Mode: filemode.Regular}
	entries := slices.Clone(old.Entries)
	i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == at[0] })
	if i >= 0 {
		entry = entries[i]
		entries = slices.Delete(entries, i, i+1)
	}
	var err error
	if len(at) > 1 {
		entry.Mode = filemode.Dir
		entry.Hash, err = put(s, entry.Hash, at[1:], content)
	} else {
		entry.Hash, err = blob(s, content)
	}
	if err != nil {
		return tree, err
	}
	entries = append(entries, entry)
	slices.SortFunc(entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return store(s, (&object.Tree{Entries: entries}).Encode)
}

// sortName is how Git orders a tree: folders as if their names ended in a slash.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func blob(s storer.EncodedObjectStorer, content []byte) (plumbing.Hash, error) {
	o := s.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := w.Close(); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.SetEncodedObject(o)
}

func store(s storer.EncodedObjectStorer, encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := s.NewEncodedObject()
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.SetEncodedObject(o)
}

// stage brings the index to the commit for its files, so that they do not show as changed back.
func (c Commit) stage(repo *git.Repository, sub string) error {
	idx, err := repo.Storer.Index()
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	for _, ch := range c.Changes {
		name := path.Join(sub, ch.Name)
		hash := plumbing.ComputeHash(plumbing.BlobObject, ch.After)
		e, err := idx.Entry(name)
		if err != nil {
			e = &index.Entry{Name: name, Mode: filemode.Regular}
			idx.Entries = append(idx.Entries, e)
		}
		// Without times Git compares the content itself the next time it looks.
		e.Hash, e.Size, e.ModifiedAt, e.CreatedAt = hash, uint32(len(ch.After)), time.Time{}, time.Time{}
	}
	slices.SortFunc(idx.Entries, func(a, b *index.Entry) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	if err := repo.Storer.SetIndex(idx); err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	return nil
}

// DeleteBranch forgets a branch that is not checked out; one that is not there is no error.
func DeleteBranch(dir, branch string) error {
	repo, err := open(dir)
	if err != nil {
		return err
	}
	name := plumbing.NewBranchReferenceName(branch)
	if head, err := repo.Head(); err == nil && head.Name() == name {
		return fmt.Errorf("%s is checked out here", branch)
	}
	if err := repo.Storer.RemoveReference(name); err != nil {
		return fmt.Errorf("delete the branch %s: %w", branch, err)
	}
	return nil
}
