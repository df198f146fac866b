package schema

import (
	"cmp"
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
	"cuelang.org/go/cue/parser"
)

// Load reads and checks the site in a folder. An error that is Problems is the site author's to mend;
// any other comes from the machine.
func Load(dir string) (*Source, error) { return LoadEdited(dir, nil) }

// LoadEdited is Load with some of the folder's files (by name) as they would be after an edit.
func LoadEdited(dir string, edited map[string][]byte) (*Source, error) {
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
	if len(edited) > 0 {
		below := make(map[string][]byte, len(edited))
		for name, content := range edited {
			below[path.Join(l.sub, name)] = content
		}
		l.fsys = Overlay(l.fsys, below)
	}
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
	schema   []*ast.File
	shapes   *shapes // of the schema, once the files are read
}

// load goes the whole way; steps add to the problems, so that one run tells them all.
func (l *loader) load(dir string) (*Source, error) {
	files, err := l.parse()
	if err != nil {
		return nil, err
	}
	readable := len(l.problems) == 0
	l.schema = definitions()
	l.shapes = newShapes(l.schema)
	layout, err := newUserLayout(l.shapes)
	if err != nil {
		return nil, err
	}
	src := &Source{Dir: dir, shown: l.shown, root: rootSpot(files), written: map[string]bool{}}
	for _, f := range files {
		src.written[f.Filename] = true
	}
	if err := l.data(src, layout); err != nil {
		return nil, err
	}
	if readable {
		src.lift(layout, l.shapes, files)
		l.guarded(func() { l.evaluate(src, files) })
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	if err := cmp.Or(src.export(layout), l.secrets(src)); err != nil {
		return nil, err
	}
	src.Files = l.files
	return src, l.problems.Err()
}

// guarded turns a panic of the evaluator, which no site should be able to cause, into a problem of the site.
func (l *loader) guarded(evaluate func()) {
	defer func() {
		if fault := recover(); fault != nil {
			l.problems = append(l.problems, Problem{Pos: Pos{File: l.shown}, Message: fmt.Sprintf("the CUE evaluator failed on this site: %v", fault)})
		}
	}()
	evaluate()
}

// evaluate unifies the site with the schema as cue vet does: by embedding it.
func (l *loader) evaluate(src *Source, files []*ast.File) {
	ctx := cuecontext.New()
	bound, err := parser.ParseFile("schema/binding.cue", binding(files[0].PackageName()))
	if err != nil {
		panic(fmt.Sprintf("embedded binding: %v", err))
	}
	v, err := l.build(ctx, append(slices.Clone(files), bound))
	if err != nil {
		l.tell(err)
		return
	}
	src.Value = v
	refused := v.Validate(cue.Concrete(true), cue.Final())
	if refused == nil {
		return
	}
	raw, _ := l.build(ctx, files)
	p := presenter{src: src, shapes: l.shapes}
	l.problems = append(l.problems, p.present(raw, refused)...)
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

// parse reads all CUE files and unbinds them; what is wrong with their syntax or package is told.
func (l *loader) parse() ([]*ast.File, error) {
	names, err := l.list()
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		data, err := l.read(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(l.at(name), data)
		if err != nil {
			l.tell(err)
			continue
		}
		unbind(file)
		files = append(files, file)
	}
	l.checkPackages(files)
	return files, nil
}

// checkPackages wants one package, as CUE would leave files of others out without a word.
func (l *loader) checkPackages(files []*ast.File) {
	pkg := "site"
	if !slices.ContainsFunc(files, func(f *ast.File) bool { return f.PackageName() == pkg }) && len(files) > 0 {
		pkg = cmp.Or(files[0].PackageName(), pkg)
	}
	for _, f := range files {
		problem := Problem{Pos: Pos{File: f.Filename, Line: 1}, Hint: "begin the file with: package " + pkg}
		switch name := f.PackageName(); name {
		case pkg:
			continue
		case "":
			problem.Message = "no package clause, so CUE would leave this file out"
		default:
			problem.Message = fmt.Sprintf("package %s, but the site's other files are package %s", name, pkg)
		}
		l.problems = append(l.problems, problem)
	}
}

// tell takes what CUE says before it evaluates: syntax, imports, references.
func (l *loader) tell(err error) {
	for _, e := range errors.Errors(err) {
		if format, _ := e.Msg(); format == "import failed" {
			if cause, ok := errors.Unwrap(e).(errors.Error); ok {
				e = cause
			}
		}
		l.problems = append(l.problems, Problem{Pos: posOf(e.Position()), Message: messageOf(e), Hint: l.referenceHint(e)})
	}
}

// referenceHint helps with a name that is nowhere in the package: what only the schema fills in can be
// referred to once it stands in the author's files too.
func (l *loader) referenceHint(e errors.Error) string {
	format, args := e.Msg()
	if format != "reference %q not found" || len(args) != 1 || l.shapes == nil {
		return ""
	}
	name, known := fmt.Sprint(args[0]), l.shapes.of("#Site").only(kindStruct).fields.order
	if slices.Contains(known, name) {
		return "to refer to what the schema fills in, declare the name in this package: " + name + ": _"
	}
	if near := nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// build compiles files to a value; its error is about syntax, imports and references, not about values.
func (l *loader) build(ctx *cue.Context, files []*ast.File) (cue.Value, error) {
	inst := build.NewContext().NewInstance(l.shown, l.resolve)
	for _, f := range files {
		_ = inst.AddSyntax(f) // kept in inst.Err
	}
	_ = inst.Complete()
	if inst.Err != nil {
		return cue.Value{}, inst.Err
	}
	v := ctx.BuildInstance(inst)
	if inst.Err != nil {
		return cue.Value{}, inst.Err
	}
	return v, nil
}
