// Package compiler joins the parts: a site's folder is loaded (schema), decoded (decode, model), checked (check)
// and emitted (emit/*). It reads the site and writes nothing.
package compiler

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"

	"github.com/mailplan/mailplan/compiler/check"
	"github.com/mailplan/mailplan/compiler/decode"
	"github.com/mailplan/mailplan/compiler/emit"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/schema"
)

// Site is a loaded, decoded and checked site.
type Site struct {
	Source   *schema.Source
	Model    *model.Site
	Findings []check.Finding
}

// Load reads the site in a folder. An error that is schema.Problems is its author's to mend.
func Load(dir string) (*Site, error) { return checked(schema.Load(dir)) }

// LoadEdited reads the site in a folder with some of its files, by name, as they would be after an edit.
func LoadEdited(dir string, edited map[string][]byte) (*Site, error) {
	return checked(schema.LoadEdited(dir, edited))
}

// LoadFS reads the site at the root of a file system, such as a commit's tree; positions begin with name.
func LoadFS(fsys fs.FS, name string) (*Site, error) { return checked(schema.LoadFS(fsys, name)) }

func checked(src *schema.Source, err error) (*Site, error) {
	if err != nil {
		return nil, err
	}
	m, err := decode.Site(src)
	if err != nil {
		return nil, err
	}
	names, _ := src.SecretNames()
	return &Site{Source: src, Model: m, Findings: check.Site(m, check.Facts{SecretNames: names})}, nil
}

// Pos is the line to look at for a finding: where its path is written, else its other path, else the site's beginning.
func (s *Site) Pos(f check.Finding) schema.Pos {
	pos := s.Source.Pos(f.Path)
	if f.OrPath != "" && pos == s.Source.Pos("") {
		return s.Source.Pos(f.OrPath)
	}
	return pos
}

// Tree emits everything that follows from the site.
func (s *Site) Tree() (model.Tree, error) { return emit.Tree(s.Model) }

// Digest identifies a tree: SHA-256 over paths, modes, owners and contents.
func Digest(t model.Tree) string {
	h := sha256.New()
	for _, f := range t.Files {
		fmt.Fprintf(h, "%q %o %d %d %d\n", f.Path, f.Mode, f.UID, f.GID, len(f.Content))
		h.Write(f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}
