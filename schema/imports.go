package schema

import (
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// resolve finds what a site imports: the schema is the embedded one, other packages are in the site's own
// module. A registry is never asked.
func (l *loader) resolve(pos token.Pos, importPath string) *build.Instance {
	if importPath == ImportPath {
		return instance(l.schema)
	}
	if first, _, _ := strings.Cut(importPath, "/"); !strings.Contains(first, ".") {
		return nil // the standard library
	}
	inst, err := l.imported(importPath)
	if err == nil && inst.Err == nil || err == nil && inst.Err.Position().IsValid() {
		return inst
	}
	if err == nil {
		err = inst.Err
	}
	return &build.Instance{Err: errors.Newf(pos, "import %q: not found in this site's cue.mod (nothing is fetched): %v", importPath, err)}
}

// overlayRoot is where the module seems to lie for CUE's loader, which finds vendored packages in folders
// and overlays, but not in an fs.FS.
const overlayRoot = "/mailplan.site"

func (l *loader) imported(importPath string) (*build.Instance, error) {
	overlay := map[string]load.Source{}
	err := fs.WalkDir(l.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".cue"):
			return nil
		}
		data, err := fs.ReadFile(l.fsys, name)
		overlay[path.Join(overlayRoot, name)] = load.FromBytes(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	site := path.Join(overlayRoot, l.sub)
	insts := load.Instances([]string{importPath}, &load.Config{
		Dir: site, Overlay: overlay, Env: []string{"CUE_REGISTRY=none"},
		ParseFile: func(name string, src any, cfg parser.Config) (*ast.File, error) {
			return parser.ParseFile(l.at(strings.TrimPrefix(name, site)), src, cfg)
		},
	})
	return insts[0], nil
}
