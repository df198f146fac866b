package schema

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"
	"github.com/google/go-cmp/cmp"
)

// judge asks shapes and CUE about the same row.
type judge struct {
	shape  *shape
	user   cue.Value
	layout *userLayout
}

func newJudge() judge {
	defs := definitions()
	v := cuecontext.New().BuildInstance(instance(defs))
	shapes := newShapes(defs)
	layout, err := newUserLayout(shapes)
	if err != nil {
		panic(err)
	}
	return judge{shapes.of("#User"), v.LookupPath(cue.ParsePath("#User")), layout}
}

// disagree says how the two differ over a row; empty when they do not.
func (j judge) disagree(n *node) string {
	v := cuecontext.New().BuildExpr(n.expr()).Unify(j.user)
	valid := v.Validate(cue.Concrete(true), cue.Final()) == nil
	proved := j.shape.proves(n)
	e := &explainer{}
	e.explain(j.shape, n, nil)
	switch {
	case proved && !valid:
		return "the shapes prove what CUE refuses"
	case valid && !proved:
		return "CUE accepts what the shapes don't prove"
	case !valid && len(e.mistakes) == 0:
		return "nothing explains why CUE refuses it"
	case !valid:
		return ""
	}
	evaluated := valueNode(v)
	ours, theirs := j.layout.user("", "", Pos{}, n), j.layout.user("", "", Pos{}, &evaluated)
	return cmp.Diff(theirs.values, ours.values)
}

// TestAgree compares the shapes with CUE on thousands of generated rows, most of them nearly right.
func TestAgree(t *testing.T) {
	j := newJudge()
	r := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		n := randomRow(r)
		if why := j.disagree(&n); why != "" {
			t.Fatalf("%s: %s", why, dump(&n))
		}
	}
}

var pieces = map[string][]node{
	"name":     {textNode("Alice"), textNode(""), textNode("a\nb"), textNode(strings.Repeat("ü", 100)), textNode(strings.Repeat("x", 101)), intNode(5)},
	"password": {textNode("self"), textNode("hunter2"), secretNode("users/alice"), secretNode("a b"), secretNode(""), {kind: kindStruct}, {kind: kindNull}},
	"quotaMB":  {intNode(0), intNode(-1), intNode(10485760), intNode(10485761), textNode("5"), {kind: kindFloat, num: 5}, {kind: kindFloat, num: 0.5}},
	"state":    {textNode("active"), textNode("disabled"), textNode("retired"), textNode("purged"), textNode("gone"), {kind: kindBool, truth: true}},
	"since":    {textNode("2026-12-31"), textNode("2026-13-01"), textNode("2026-02-31"), textNode("26-1-1")},
	"role":     {textNode("user"), textNode("domainAdmin"), textNode("admin"), textNode("root")},
	"sendAs": {{kind: kindList}, {kind: kindList, list: []node{textNode("a@b.example")}}, {kind: kindList, list: []node{textNode("a@b.example"), textNode("no")}},
		{kind: kindList, list: []node{intNode(5)}}, {kind: kindStruct}, textNode("a@b.example")},
	"quota": {intNode(5)},
}

func secretNode(name string) node {
	return node{kind: kindStruct, fields: []field{{"secret", textNode(name)}}}
}

func randomRow(r *rand.Rand) node {
	n := node{kind: kindStruct}
	for _, name := range []string{"name", "password", "quotaMB", "state", "since", "role", "sendAs", "quota"} {
		choices := pieces[name]
		switch roll := r.IntN(10); {
		case roll < 4 && name != "quota":
			n.fields = append(n.fields, field{name, choices[0]})
		case roll < 6 && (name != "quota" || roll == 5):
			n.fields = append(n.fields, field{name, choices[r.IntN(len(choices))]})
		}
	}
	return n
}

func dump(n *node) string {
	data, err := format.Node(n.expr())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// TestNothingToExplain walks good sites as if CUE had refused them: the shapes must find no mistake in what
// CUE accepts.
func TestNothingToExplain(t *testing.T) {
	sites := map[string]fs.FS{"../site": os.DirFS("../site")}
	examples, err := filepath.Glob("../examples/*/site")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range examples {
		sites[dir] = os.DirFS(dir)
	}
	for i, text := range []string{
		`domains: "a.example": {quotaMB: *5 | 6, users: {for i in [1] {"u\(i)": quotaMB: i}}}`,
		`domains: "a.example": {users: [string]: name: "x", _h: 1, #D: 2, users: alice: _h: 3}`,
		`host: {cpus: 2.5, tls: names: ["a.example"]}, containers: {wiki: {image: "w:1", publish: [{address: "::1", port: 1}]}}; domains: {}`,
		`relay: port: 465; _x: secret: "y"; edge: token: _x; domains: "a.example": aliases: {a: ["b"], b: ["c@d.example", "a+x@a.example"]}`,
		`tailnet: {address: "100.64.0.1", hostname: "a.b.ts.net"}; backup: {offsite: s3: bucket: "abc", classes: ["tls"]}; domains: {}`,
		`edge: ingest: token: secret: "T"; domains: "a.example": records: [{name: "@", type: "MX", content: "m.example", priority: 5, ttl: 60}]`,
	} {
		text = base + strings.ReplaceAll(text, "; ", "\n")
		sites[fmt.Sprint("text ", i)] = fstest.MapFS{"site.cue": {Data: []byte(text)}}
	}
	for name, fsys := range sites {
		t.Run(name, func(t *testing.T) { nothingToExplain(t, fsys) })
	}
}

func nothingToExplain(t *testing.T, fsys fs.FS) {
	if _, err := LoadFS(fsys, "site"); err != nil {
		t.Fatalf("CUE refuses it: %v", err)
	}
	l := loader{fsys: fsys, sub: ".", shown: "site", schema: definitions()}
	files, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.build(cuecontext.New(), files)
	if err != nil {
		t.Fatal(err)
	}
	n := writtenNode(raw, rootSpot(files), nil)
	e := &explainer{}
	e.explain(newShapes(l.schema).of("#Site"), &n, nil)
	for _, m := range e.mistakes {
		t.Errorf("%s: %s", m.at, m.message)
	}
}

// FuzzRow reads any JSON object as a row and wants the shapes and CUE to agree on it.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{`{}`, `{"quotaMB": 5, "password": {"secret": "users/a"}}`, `{"sendAs": ["a@b.example", 5], "state": "gone"}`,
		`{"name": "\u0000", "since": "2026-01-01"}`, `{"quotaMB": 1e3}`, `{"quotaMB": -0}`, `{"quotaMB": 99999999999999999999}`, `{"": null}`,
		`{"_x": 1, "#y": 2, "name": "\ud800"}`, `{"password": {"secret": "a", "more": {}}}`} {
		f.Add([]byte(seed))
	}
	j := newJudge()
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || len(data) > 4096 {
			return
		}
		rows, _ := readJSON("users.json", append(append([]byte("["), data...), ']'), nil)
		for i := range rows {
			if why := j.disagree(&rows[i].fields); why != "" {
				t.Fatalf("%s: %s", why, data)
			}
		}
	})
}
