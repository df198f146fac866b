// Package schema says what a site may declare, in CUE, and loads sites: a folder (or a Git tree) of CUE and
// data files becomes one checked value, or problems at the lines that the user wrote. The .cue files beside
// this code are the one source: what else is known of a site here (the row checker of data files, the words
// for a pattern, the allowed values of a field) is walked out of them. It imports only CUE and readers of
// file formats, and knows nothing of the typed model.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"
)

// ImportPath is how CUE packages name this schema.
const ImportPath = "github.com/mailplan/mailplan/schema"

// Files are the definitions.
//
//go:embed *.cue
var Files embed.FS

// definitions parses the embedded files; broken ones are a fault of the program.
func definitions() []*ast.File {
	var files []*ast.File
	for _, name := range definitionFiles() {
		file, err := parser.ParseFile("schema/"+name, definition(name), parser.ParseComments)
		if err != nil {
			panic(fmt.Sprintf("embedded schema/%s: %v", name, err))
		}
		files = append(files, file)
	}
	return files
}

// instance is the schema as a package that sites import.
func instance(files []*ast.File) *build.Instance {
	inst := build.NewContext().NewInstance("schema", nil)
	for _, file := range files {
		if err := inst.AddSyntax(file); err != nil {
			panic(fmt.Sprintf("embedded %s: %v", file.Filename, err))
		}
	}
	if err := inst.Complete(); err != nil {
		panic(fmt.Sprintf("embedded schema: %v", err))
	}
	inst.ImportPath = ImportPath
	return inst
}

func definitionFiles() []string {
	names, err := fs.Glob(Files, "*.cue")
	if err != nil {
		panic(fmt.Sprintf("embedded schema: %v", err))
	}
	return names
}

func definition(name string) []byte {
	data, err := Files.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("embedded schema/%s: %v", name, err))
	}
	return data
}

// Vendor are the files that bind a site's package to the schema, by path below the site's folder: with
// them plain `cue vet` and the CUE language server work on it. Load looks past the copy to its own schema.
func Vendor() map[string][]byte {
	files := map[string][]byte{
		"cue.mod/module.cue": []byte("module: \"site.example/mail\"\nlanguage: version: \"v0.17.0\"\n"),
		"schema.cue":         []byte("// Binds this package to mailplan's schema, for cue vet and editors.\n" + binding("site")),
	}
	for _, name := range definitionFiles() {
		files[path.Join("cue.mod/pkg", ImportPath, name)] = definition(name)
	}
	return files
}

// binding is a file that makes a package a site. An embedded definition alone would let the package add
// fields at any depth, mistyped ones too; close makes them errors. Hidden fields, definitions and let stay
// the author's.
func binding(pkg string) string {
	return "package " + pkg + "\n\nimport \"" + ImportPath + "\"\n\nclose({schema.#Site})\n"
}

// unbind removes what embeds the schema in a site's file, and its import unless it is used for more.
func unbind(file *ast.File) {
	local := ""
	for spec := range file.ImportSpecs() {
		if isSchema(spec) {
			local = "schema"
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return
	}
	used := false
	file.Decls = slices.DeleteFunc(file.Decls, func(d ast.Decl) bool {
		_, embeds := d.(*ast.EmbedDecl)
		_, imports := d.(*ast.ImportDecl)
		speaks := !imports && mentions(d, local)
		used = used || speaks && !embeds
		return speaks && embeds
	})
	if !used {
		file.Decls = slices.DeleteFunc(file.Decls, dropImport)
	}
}

// dropImport takes the schema out of an import declaration and says whether nothing is left of it.
func dropImport(d ast.Decl) bool {
	x, ok := d.(*ast.ImportDecl)
	if !ok {
		return false
	}
	x.Specs = slices.DeleteFunc(x.Specs, isSchema)
	return len(x.Specs) == 0
}

func isSchema(spec *ast.ImportSpec) bool { return spec.Path.Value == `"`+ImportPath+`"` }

func mentions(n ast.Node, name string) bool {
	found := false
	ast.Walk(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	}, nil)
	return found
}
