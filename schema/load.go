package schema

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// Load reads and checks the site in a folder. An error that is Problems is the site author's to mend;
// any other comes from the machine.
func Load(dir string) (*Source, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("load site: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("load site: %s is a file; name the folder it is in", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("load site: %w", err)
	}
	root := moduleRoot(abs)
	sub, err := filepath.Rel(root, abs)
	if err != nil {
		return nil, fmt.Errorf("load site: %w", err)
	}
	l := loader{fsys: os.DirFS(root), sub: filepath.ToSlash(sub), shown: shown(dir, abs)}
	return l.load(dir)
}

// LoadFS is Load of a site at the root of a file system, such as the tree of a Git commit. Positions begin
// with name.
func LoadFS(fsys fs.FS, name string) (*Source, error) {
	l := loader{fsys: fsys, sub: ".", shown: name}
	return l.load(name)
}

// moduleRoot is the nearest folder with a cue.mod, else the folder itself.
func moduleRoot(abs string) string {
	for dir := abs; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cue.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return abs
		}
	}
}

// shown is the folder as positions name it: relative to the current one unless that is longer.
func shown(dir, abs string) string {
	cwd, err := os.Getwd()
	if err != nil {
		return dir
	}
	rel, err := filepath.Rel(cwd, abs)
	if err != nil || len(rel) > len(abs) {
		return abs
	}
	return rel
}

type loader struct {
	fsys  fs.FS  // the CUE module's root
	sub   string // the site's folder in it
	shown string // the site's folder in positions

	files    []string // names in the site's folder that were read
	problems Problems
}

func (l *loader) load(dir string) (*Source, error) {
	names, err := l.list()
	if err != nil {
		return nil, err
	}
	asts, err := l.parse(names)
	if err != nil {
		return nil, err
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	src := &Source{Dir: dir, asts: asts}
	ctx := cuecontext.New()
	raw, err := l.build(ctx, asts)
	if err != nil {
		return nil, err
	}
	src.schema = compile(ctx)
	src.raw = raw
	src.Value = raw.Unify(src.schema.LookupPath(cue.ParsePath("#Site")))
	if err := src.Value.Validate(cue.Concrete(true), cue.Final()); err != nil {
		l.problems = append(l.problems, present(src, err)...)
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	src.Files = l.files
	if err := src.collectUsers(); err != nil {
		return nil, err
	}
	return src, nil
}

// list names the CUE files of the site's folder.
func (l *loader) list() ([]string, error) {
	entries, err := fs.ReadDir(l.fsys, l.sub)
	if err != nil {
		return nil, fmt.Errorf("read the site's folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || name[0] == '.' || name[0] == '_' || !strings.HasSuffix(name, ".cue") ||
			strings.HasSuffix(name, "_tool.cue") || strings.HasSuffix(name, "_test.cue") {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, Problems{{Pos: Pos{File: l.shown}, Message: "no .cue file here", Hint: "mailplan init " + l.shown + " lays out a site"}}
	}
	return names, nil
}

// at is how positions name a file of the site.
func (l *loader) at(name string) string { return path.Join(filepath.ToSlash(l.shown), name) }

func (l *loader) read(name string) ([]byte, error) {
	data, err := fs.ReadFile(l.fsys, path.Join(l.sub, name))
	if err != nil {
		return nil, fmt.Errorf("read the site: %w", err)
	}
	l.files = append(l.files, name)
	return data, nil
}

// parse reads all files and unbinds them; syntax errors become problems.
func (l *loader) parse(names []string) ([]*ast.File, error) {
	var asts []*ast.File
	for _, name := range names {
		data, err := l.read(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(l.at(name), data)
		if err != nil {
			l.syntax(err)
			continue
		}
		unbind(file)
		asts = append(asts, file)
	}
	return asts, nil
}

func (l *loader) syntax(err error) {
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		l.problems = append(l.problems, Problem{Pos: posOf(e.Position()), Message: fmt.Sprintf(format, args...)})
	}
}

func (l *loader) build(ctx *cue.Context, asts []*ast.File) (cue.Value, error) {
	inst := build.NewContext().NewInstance(l.shown, l.resolve)
	for _, f := range asts {
		if err := inst.AddSyntax(f); err != nil {
			l.syntax(err)
		}
	}
	if err := inst.Complete(); err != nil {
		l.syntax(err)
	}
	if err := l.problems.Err(); err != nil {
		return cue.Value{}, err
	}
	v := ctx.BuildInstance(inst)
	if v.Err() != nil && !v.Exists() {
		l.syntax(v.Err())
		return v, l.problems.Err()
	}
	return v, nil
}

// resolve finds a package that a site imports in its own module; it never asks a registry.
func (l *loader) resolve(pos token.Pos, importPath string) *build.Instance {
	if first, _, _ := strings.Cut(importPath, "/"); !strings.Contains(first, ".") {
		return nil // the standard library
	}
	cfg := &load.Config{FS: l.fsys, Dir: "/" + l.sub, Env: []string{"CUE_REGISTRY=none"},
		FromFSPath: func(p string) string { return l.at(strings.TrimPrefix(p, "/")) }}
	insts := load.Instances([]string{importPath}, cfg)
	return insts[0]
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
