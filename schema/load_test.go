package schema_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue"
	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/schema"
	"github.com/mailplan/mailplan/test/need"
)

const base = `package site

name: "home"
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: "0123456789abcdef0123456789abcdef"
`

func memory(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func load(t testing.TB, files map[string]string) *schema.Source {
	t.Helper()
	src, err := schema.LoadFS(memory(files), "site")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func describe(src *schema.Source) []string {
	var users []string
	for _, u := range src.Users {
		quota, _ := u.Int("quotaMB")
		users = append(users, fmt.Sprintf("%s@%s %s name=%q password=%s/%s quota=%d state=%s since=%s role=%s sendAs=%v", u.Localpart, u.Domain, u.Pos,
			u.Text("name"), u.Text("password"), u.Secret("password"), quota, u.Text("state"), u.Text("since"), u.Text("role"), u.Texts("sendAs")))
	}
	return users
}

// TestFormats reads the same two users from each kind of data file.
func TestFormats(t *testing.T) {
	for file, test := range map[string]struct {
		text   string
		places [2]string
	}{
		"users.json": {"[\n  {\"address\": \"bob@a.example\", \"quotaMB\": 5, \"password\": {\"secret\": \"users/bob\"}, \"sendAs\": [\"x@a.example\", \"y@a.example\"]},\n" +
			"  {\"name\": \"Carol, C.\",\n   \"address\": \"carol@b.example\", \"state\": \"retired\", \"since\": \"2026-01-31\"}\n]\n",
			[2]string{"site/users.json:2", "site/users.json:3"}},
		"users.yaml": {"- address: bob@a.example\n  quotaMB: 5\n  password: {secret: users/bob}\n  sendAs: [x@a.example, y@a.example]\n" +
			"- {address: carol@b.example, name: 'Carol, C.', state: retired, since: 2026-01-31}\n",
			[2]string{"site/users.yaml:1:3", "site/users.yaml:5:3"}},
		"users.csv": {"\ufeffaddress,quotaMB,password,sendAs,name,state,since\nbob@a.example,5,secret:users/bob,x@a.example y@a.example,,,\n\n" +
			"carol@b.example,,,,\"Carol, C.\",retired,2026-01-31\n",
			[2]string{"site/users.csv:2", "site/users.csv:4"}},
	} {
		t.Run(file, func(t *testing.T) {
			src := load(t, map[string]string{"site.cue": base + `domains: {"a.example": {}, "b.example": {}}`, file: test.text})
			want := []string{
				"bob@a.example " + test.places[0] + ` name="" password=/users/bob quota=5 state=active since= role=user sendAs=[x@a.example y@a.example]`,
				"carol@b.example " + test.places[1] + ` name="Carol, C." password=self/ quota=0 state=retired since=2026-01-31 role=user sendAs=[]`,
			}
			if diff := cmp.Diff(want, describe(src)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"site.cue", file}, src.Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPos asks for the lines of paths, written, inside what is written, and not written.
func TestPos(t *testing.T) {
	src := load(t, map[string]string{
		"site.cue": base + `domains: "a.example": {
	dmarc: policy: "none"
	users: {
		alice: {password: "self", quotaMB: 4096}
		for i in [1, 2] {"user\(i)": quotaMB: i}
	}
	aliases: sales: ["alice", "crm@partner.example"]
}
domains: "a.example": users: bob: {}
domains: "b.example": users: carol: quotaMB: 5
host: _big & {cpus: 4}
_big: memory: "8G"
`,
		"users.csv": "address\ndave@a.example\n",
		"x.cue":     "package site\n\nmonitoring: {\n\tprobeMinutes: 5\n}\n",
	})
	for path, want := range map[string]string{
		"name":                                              "site/site.cue:3:7",
		"relay":                                             "site/site.cue:4:1",
		"relay.password.secret":                             "site/site.cue:4:26",
		"relay.port":                                        "site/site.cue:4:1",
		`domains."a.example"`:                               "site/site.cue:6:10",
		`domains."a.example".dmarc.policy`:                  "site/site.cue:7:17",
		`domains."a.example".dmarc.percent`:                 "site/site.cue:7:2",
		`domains."a.example".users.alice`:                   "site/site.cue:9:3",
		`domains."a.example".users.alice.quotaMB`:           "site/site.cue:9:38",
		`domains."a.example".users.bob`:                     "site/site.cue:14:30",
		`domains."a.example".users.user1`:                   "site/site.cue:8:2",
		`domains."a.example".users.dave`:                    "site/users.csv:2",
		`domains."a.example".users.dave.quotaMB`:            "site/users.csv:2",
		`domains."a.example".users.nobody`:                  "site/site.cue:8:2",
		`domains."b.example".users.carol`:                   "site/site.cue:15:30",
		`domains."b.example".users.carol.quotaMB`:           "site/site.cue:15:46",
		`domains."a.example".aliases.sales`:                 "site/site.cue:12:18",
		`domains."a.example".aliases.sales[1]`:              "site/site.cue:12:28",
		`domains."c.example"`:                               "site/site.cue:6:1",
		"host.cpus":                                         "site/site.cue:16:21",
		"host.memory":                                       "site/site.cue:16:1",
		"monitoring.probeMinutes":                           "site/x.cue:4:16",
		"backup.local.path":                                 "site/site.cue:1:1",
		"not a path":                                        "site",
		`domains."a.example".dkim.selectors.mail2026.since`: "site/site.cue:6:10",
	} {
		if got := src.Pos(path).String(); got != want {
			t.Errorf("%s stands at %s, want %s", path, got, want)
		}
	}
}

// TestSecretNames reads the names of a SOPS file without its values.
func TestSecretNames(t *testing.T) {
	site := map[string]string{"site.cue": base + `domains: "a.example": {}`}
	if names, ok := load(t, site).SecretNames(); ok || names != nil {
		t.Errorf("without a file: %v, %v", names, ok)
	}
	site["secrets.sops.yaml"] = "SENDGRID_API_KEY: ENC[AES256_GCM,data:x]\nusers:\n  alice: ENC[x]\n  team:\n    bob: ENC[y]\ndkim/a.example/m: ENC[z]\nsops:\n  age: []\n  version: 3.9.0\n"
	names, ok := load(t, site).SecretNames()
	if diff := cmp.Diff([]string{"SENDGRID_API_KEY", "users/alice", "users/team/bob", "dkim/a.example/m"}, names); diff != "" || !ok {
		t.Error(ok, diff)
	}
}

// TestImports loads a site that uses the standard library, a package of its own, the schema's defaults and
// the binding that init lays out.
func TestImports(t *testing.T) {
	files := map[string]string{
		"site.cue": `package site

import (
	"strings"

	"example.org/people"
	"github.com/mailplan/mailplan/schema"
)

_staff: schema.#User & {quotaMB: 7}
name: strings.ToLower("HOME")
relay: password: secret: "SENDGRID_API_KEY"
edge: accountID: strings.Repeat("0123456789abcdef", 2)
host: _
backup: local: path: host.storage.bulk + "/backup"
domains: "a.example": users: {for name in people.all {"\(name)": _staff}}
`,
		"cue.mod/pkg/example.org/people/people.cue": "package people\n\nall: [\"alice\", \"bob\"]\n",
	}
	for name, data := range schema.Vendor() {
		files[name] = string(data)
	}
	src := load(t, files)
	if len(src.Users) != 2 || src.Users[1].Localpart != "bob" {
		t.Errorf("users are %v", describe(src))
	}
	if quota, _ := src.Users[0].Int("quotaMB"); quota != 7 {
		t.Errorf("quota is %d", quota)
	}
	if path, err := src.Value.LookupPath(cue.ParsePath("backup.local.path")).String(); path != "/mnt/hdd/mailserver/backup" {
		t.Errorf("backup.local.path is %q, %v", path, err)
	}
	dir := write(t, files)
	if src, err := schema.Load(dir); err != nil || len(src.Users) != 2 {
		t.Errorf("from a folder: %v", err)
	}
}

// TestVendor lets the CUE command judge a site that init laid out.
func TestVendor(t *testing.T) {
	program := need.Program(t, "cue")
	files := map[string]string{"site.cue": base + "domains: \"a.example\": users: alice: {}\n_mine: 1\n#Mine: 2\nlet x = 3\nmonitoring: probeMinutes: x\n"}
	for name, data := range schema.Vendor() {
		files[name] = string(data)
	}
	dir := write(t, files)
	if out, err := vet(program, dir); err != nil {
		t.Fatalf("cue vet refuses a good site: %v\n%s", err, out)
	}
	for _, mistake := range []string{"montoring: {}", `domains: "a.example": users: alice: quotaMb: 5`, `domains: "a.example": dmarc: policy: "no"`, "host: cpus: 0", "domains: \"b.example\": users: Bob: {}"} {
		if err := os.WriteFile(filepath.Join(dir, "mistake.cue"), []byte("package site\n\n"+mistake+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := vet(program, dir); err == nil {
			t.Errorf("cue vet accepts %s\n%s", mistake, out)
		}
		if _, err := schema.Load(dir); err == nil {
			t.Errorf("Load accepts %s", mistake)
		}
	}
}

func vet(program, dir string) ([]byte, error) {
	cmd := exec.Command(program, "vet", "-c", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CUE_REGISTRY=none")
	return cmd.CombinedOutput()
}

// TestLoadShowsRelativeFiles prints positions as one would name the file from here.
func TestLoadShowsRelativeFiles(t *testing.T) {
	dir := write(t, map[string]string{"mail/site.cue": base + `domains: "a.example": quotaMB: -1`, "cue.mod/module.cue": "module: \"a.example/x\"\nlanguage: version: \"v0.17.0\"\n"})
	t.Chdir(dir)
	_, err := schema.Load("mail")
	want := "mail/site.cue:6:32: domains.\"a.example\".quotaMB: -1 is not a whole number of at least 0\n    schema/domain.cue:12:11"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := schema.Load("nowhere"); err == nil || os.IsExist(err) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := schema.Load("mail/site.cue"); err == nil {
		t.Error("a file is taken for a folder")
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// FuzzLoadFS wants any content to be loaded or refused, never a panic.
func FuzzLoadFS(f *testing.F) {
	f.Add([]byte(base+`domains: "a.example": users: alice: {}`), []byte("address\nbob@a.example\n"), uint8(0))
	f.Add([]byte("package site\n"), []byte("[{}]"), uint8(1))
	f.Add([]byte(base+"domains: [string]: #X\n#X: users: #X"), []byte("- {address: [}"), uint8(2))
	f.Add([]byte("package site\nname: name\ndomains: {for d, _ in domains {\"x\\(d)\": {}}}"), []byte("a,b\n\"x\ny\",z\n"), uint8(0))
	f.Add([]byte("package site\n\nimport \"a.example/b@v0\"\nb"), []byte("sops: {}\n? [a]\n: b\n"), uint8(3))
	names := []string{"users.csv", "users.json", "users.yaml", "secrets.sops.yaml"}
	f.Fuzz(func(t *testing.T, site, data []byte, kind uint8) {
		if len(site) > 4096 || len(data) > 4096 {
			return
		}
		files := memory(map[string]string{"base.cue": base, "site.cue": string(site), names[int(kind)%len(names)]: string(data)})
		src, err := schema.LoadFS(files, "site")
		if err == nil && src == nil {
			t.Error("neither a site nor an error")
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
