package edit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

func TestSetRow(t *testing.T) {
	quota := []Field{{"quotaMB", 9}}
	for _, test := range []struct {
		name, file, before, address string
		fields                      []Field
		after                       string
	}{
		{"csv cell", "users.csv", "address,quotaMB,name\r\na@e.org,1,\"A, B\"\r\nb@e.org,,\r\n", "a@e.org", quota,
			"address,quotaMB,name\r\na@e.org,9,\"A, B\"\r\nb@e.org,,\r\n"},
		{"csv row in order", "users.csv", "address,quotaMB\na@e.org,1\nc@e.org,\n", "b@e.org", quota,
			"address,quotaMB\na@e.org,1\nb@e.org,9\nc@e.org,\n"},
		{"csv row at the end, which has no line end", "users.csv", "quotaMB,address\n1,z@e.org\n2,a@e.org", "b@e.org", quota,
			"quotaMB,address\n1,z@e.org\n2,a@e.org\n9,b@e.org"},
		{"csv new column", "users.csv", "\ufeffaddress\na@e.org\n\nb@e.org\n", "b@e.org", []Field{{"sendAs", []string{"x@e.org", "y@e.org"}}},
			"\ufeffaddress,sendAs\na@e.org,\n\nb@e.org,x@e.org y@e.org\n"},
		{"csv quotes", "users.csv", "address,name\n", "a@e.org", []Field{{"name", `A "the" B, C`}},
			"address,name\na@e.org,\"A \"\"the\"\" B, C\"\n"},
		{"csv quoted line end and spaces", "users.csv", "address,  name , quotaMB\n\"a@e.org\" , \"A\nB\" , 1\n", "a@e.org", quota,
			"address,  name , quotaMB\n\"a@e.org\" , \"A\nB\" , 9\n"},
		{"csv value taken out", "users.csv", "address,state\na@e.org,retired\n", "a@e.org", []Field{{"state", nil}}, "address,state\na@e.org,\n"},
		{"json member", "users.json", "[\n  {\"address\": \"a@e.org\",  \"quotaMB\" : 1},\n  {\"address\": \"b@e.org\"}\n]\n", "a@e.org", quota,
			"[\n  {\"address\": \"a@e.org\",  \"quotaMB\" : 9},\n  {\"address\": \"b@e.org\"}\n]\n"},
		{"json new member on lines", "users.json", "[\n  {\n    \"address\": \"a@e.org\"\n  }\n]\n", "a@e.org", []Field{{"password", Secret("users/a")}},
			"[\n  {\n    \"address\": \"a@e.org\",\n    \"password\": {\"secret\": \"users/a\"}\n  }\n]\n"},
		{"json row at the end", "users.json", "[\n  {\"address\": \"a@e.org\"}\n]\n", "b@e.org", quota,
			"[\n  {\"address\": \"a@e.org\"},\n  {\"address\": \"b@e.org\", \"quotaMB\": 9}\n]\n"},
		{"json row in order", "users.json", "[\n  {\"address\": \"a@e.org\"},\n  {\"address\": \"c@e.org\"}\n]\n", "b@e.org", nil,
			"[\n  {\"address\": \"a@e.org\"},\n  {\"address\": \"b@e.org\"},\n  {\"address\": \"c@e.org\"}\n]\n"},
		{"json first row", "users.json", "[]\n", "b@e.org", quota, "[{\"address\": \"b@e.org\", \"quotaMB\": 9}]\n"},
		{"json last member out", "users.json", "[{\"address\": \"a@e.org\", \"state\": \"retired\"}]", "a@e.org", []Field{{"state", nil}},
			"[{\"address\": \"a@e.org\"}]"},
		{"yaml value", "users.yaml", "# all\n- address: a@e.org\n  quotaMB: 1 # small\n  name: A\n- address: b@e.org\n", "a@e.org", quota,
			"# all\n- address: a@e.org\n  quotaMB: 9 # small\n  name: A\n- address: b@e.org\n"},
		{"yaml new field", "users.yaml", "- address: a@e.org\n  name: A\n\n# the other\n- address: b@e.org\n", "a@e.org", quota,
			"- address: a@e.org\n  name: A\n  quotaMB: 9\n\n# the other\n- address: b@e.org\n"},
		{"yaml list replaced", "users.yaml", "- address: a@e.org\n  sendAs:\n    - x@e.org\n    - y@e.org\n  name: A\n", "a@e.org", []Field{{"sendAs", []string{"z@e.org"}}},
			"- address: a@e.org\n  sendAs: [\"z@e.org\"]\n  name: A\n"},
		{"yaml row in order", "users.yaml", "-   address: a@e.org\n\n# last\n-   address: c@e.org", "b@e.org", []Field{{"name", "true"}},
			"-   address: a@e.org\n\n-   address: b@e.org\n    name: \"true\"\n# last\n-   address: c@e.org"},
		{"yaml row at the end, which has no line end", "users.yml", "- address: c@e.org", "b@e.org", quota,
			"- address: c@e.org\n- address: b@e.org\n  quotaMB: 9\n"},
		{"yaml field out", "users.yaml", "- name: A\n  state: retired\n  address: a@e.org\n", "a@e.org", []Field{{"state", nil}},
			"- name: A\n  address: a@e.org\n"},
		{"yaml flow value", "users.yaml", "- {address: a@e.org, quotaMB: 1, name: 'O''Neil, \u00e9'} # small\n- {address: b@e.org}\n", "a@e.org", quota,
			"- {address: a@e.org, quotaMB: 9, name: 'O''Neil, \u00e9'} # small\n- {address: b@e.org}\n"},
		{"yaml flow value behind wide characters", "users.yaml", "- { name: \"\u00e9 }\\\", {\" , address: a@e.org, quotaMB: 1 }\n", "a@e.org", quota,
			"- { name: \"\u00e9 }\\\", {\" , address: a@e.org, quotaMB: 9 }\n"},
		{"yaml flow new field", "users.yaml", "- {address: a@e.org}\n- { address: b@e.org, sendAs: [x@e.org, y@e.org] }\n", "b@e.org", []Field{{"name", "B, b"}},
			"- {address: a@e.org}\n- { address: b@e.org, sendAs: [x@e.org, y@e.org], name: \"B, b\" }\n"},
		{"yaml flow list replaced", "users.yaml", "- {address: b@e.org, sendAs: [x@e.org, y@e.org], name: quotaMB}\n", "b@e.org", []Field{{"sendAs", []string{"z@e.org"}}, {"quotaMB", 1}},
			"- {address: b@e.org, sendAs: [\"z@e.org\"], name: quotaMB, quotaMB: 1}\n"},
		{"yaml flow field out", "users.yaml", "- {state: retired, address: a@e.org, name: A}\n", "a@e.org", []Field{{"state", nil}, {"name", nil}, {"quotaMB", nil}},
			"- {address: a@e.org}\n"},
		{"yaml flow row in order", "users.yaml", "- {address: a@e.org}\n- {address: c@e.org}\n", "b@e.org", []Field{{"quotaMB", 1}, {"name", "B"}},
			"- {address: a@e.org}\n- {address: b@e.org, quotaMB: 1, name: B}\n- {address: c@e.org}\n"},
		{"yaml flow value on several lines", "users.yaml", "- {address: a@e.org,   # the boss\n   quotaMB: 1 , # small\n   sendAs: [x@e.org, # one\n      y@e.org]}\n- {address: b@e.org}\n", "a@e.org", quota,
			"- {address: a@e.org,   # the boss\n   quotaMB: 9 , # small\n   sendAs: [x@e.org, # one\n      y@e.org]}\n- {address: b@e.org}\n"},
		{"yaml flow new field on several lines", "users.yaml", "- {\n    address: a@e.org, # boss\n    name: A # short\n  }\n", "a@e.org", quota,
			"- {\n    address: a@e.org, # boss\n    name: A, # short\n    quotaMB: 9\n  }\n"},
		{"yaml flow new field behind a last comma", "users.yaml", "- {\n    address: a@e.org,\n    name: A, # short\n  }\n", "a@e.org", quota,
			"- {\n    address: a@e.org,\n    name: A, # short\n    quotaMB: 9,\n  }\n"},
		{"yaml flow field out of several lines", "users.yaml", "- {address: a@e.org, # boss\n   # why\n   state: retired, # soon\n   name: A, # short\n   quotaMB: 1 # small\n  }\n", "a@e.org", []Field{{"state", nil}, {"quotaMB", nil}},
			"- {address: a@e.org, # boss\n   # why\n   name: A # short\n  }\n"},
		{"yaml flow list", "users.yaml", "[{address: a@e.org}, {address: c@e.org}]\n", "b@e.org", quota, "[{address: a@e.org}, {address: b@e.org, quotaMB: 9}, {address: c@e.org}]\n"},
		{"yaml flow list on several lines", "users.yaml", "# all\n[\n  {address: a@e.org}, # a\n  # c\n  {address: c@e.org}, # c\n]\n", "b@e.org", quota,
			"# all\n[\n  {address: a@e.org}, # a\n  {address: b@e.org, quotaMB: 9},\n  # c\n  {address: c@e.org}, # c\n]\n"},
		{"yaml flow list, at its end", "users.yaml", "[ {address: z@e.org}, # z\n  {address: c@e.org} ] # end\n", "b@e.org", quota,
			"[ {address: z@e.org}, # z\n  {address: c@e.org},\n  {address: b@e.org, quotaMB: 9} ] # end\n"},
		{"yaml flow list, empty", "users.yaml", "[]\n", "b@e.org", quota, "[{address: b@e.org, quotaMB: 9}]\n"},
		{"yaml written as JSON", "users.yaml", "[\r\n  {\"address\":\"a@e.org\",\"quotaMB\":1},\r\n  {\"address\":\"b@e.org\"}\r\n]\r\n", "b@e.org", []Field{{"name", "B"}},
			"[\r\n  {\"address\":\"a@e.org\",\"quotaMB\":1},\r\n  {\"address\":\"b@e.org\", \"name\": \"B\"}\r\n]\r\n"},
		{"yaml value in JSON", "users.yaml", "[{\"address\":\"a@e.org\",\"quotaMB\":1}]\n", "a@e.org", quota, "[{\"address\":\"a@e.org\",\"quotaMB\":9}]\n"},
		{"yaml first field out", "users.yaml", "-   state: retired # soon\n    address: a@e.org\n", "a@e.org", []Field{{"state", nil}}, "-   address: a@e.org\n"},
		{"yaml row below its dash", "users.yaml", "-\n  address: a@e.org\n", "b@e.org", quota, "-\n  address: a@e.org\n- address: b@e.org\n  quotaMB: 9\n"},
		{"yaml first row", "users.yaml", "", "a@e.org", quota, "- address: a@e.org\n  quotaMB: 9\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := SetRow(test.file, []byte(test.before), test.address, test.fields)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.after, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRemoveRow(t *testing.T) {
	for file, test := range map[string][2]string{
		"users.csv":  {"address\na@e.org\nb@e.org\n", "address\na@e.org\n"},
		"users.json": {"[\n\t{\"address\": \"a@e.org\"},\n\t{\"address\": \"b@e.org\"}\n]\n", "[\n\t{\"address\": \"a@e.org\"}\n]\n"},
		"users.yaml": {"- address: a@e.org\n- address: b@e.org\n  name: B\n# end\n", "- address: a@e.org\n# end\n"},
	} {
		got, err := RemoveRow(file, []byte(test[0]), "b@e.org")
		if err != nil || string(got) != test[1] {
			t.Errorf("%s: %v, got %q, want %q", file, err, got, test[1])
		}
		if _, err := RemoveRow(file, []byte(test[0]), "x@e.org"); !errors.Is(err, ErrAbsent) {
			t.Errorf("%s: %v, want ErrAbsent", file, err)
		}
	}
}

func TestSetRowRefused(t *testing.T) {
	for file, content := range map[string]string{
		"users.csv":  "",
		"users.json": `{"address": "a@e.org"}`,
		"users.yaml": "address: a@e.org\n",
		"users.toml": "",
	} {
		if out, err := SetRow(file, []byte(content), "b@e.org", nil); err == nil {
			t.Errorf("%s: %q was taken, and made %q", file, content, out)
		}
	}
}

// TestYAMLRefused names the line and what to do, where an edit would do more than it should or does not find its place.
func TestYAMLRefused(t *testing.T) {
	for content, line := range map[string]string{
		"users: [{address: a@e.org}]\n":                                              "line 1: ",
		"- address: b@e.org\n- &a {address: a@e.org,\n   name: A}\n":                 "line 2: ",
		"- address: b@e.org\n- *b\n":                                                 "",
		"- &b {quotaMB: 3}\n- address: a@e.org\n  <<: *b\n":                          "",
		"- address: b@e.org\n- {address: a@e.org, quotaMB: !!int \"1,\", name: A}\n": "",
	} {
		out, err := SetRow("users.yaml", []byte(content), "a@e.org", []Field{{"quotaMB", nil}})
		if err == nil || line != "" && !(strings.Contains(err.Error(), line) && strings.Contains(err.Error(), "or make the edit by hand")) {
			t.Errorf("%q: %v\n%s", content, err, out)
		}
	}
}

// TestFlowKeepsTheRest edits rows of every odd spelling and reads them back: the field has its value, all others theirs.
func TestFlowKeepsTheRest(t *testing.T) {
	odd := []string{`x`, `"a, b}"`, `'it''s, {x}'`, `"q\"}, "`, `a'b"c`, `é – 名`, `"# no"`, `[x, "y, z"]`, `{secret: "a, b"}`, `~`, `"tab\t"`, ` spaced `}
	for _, first := range odd {
		for _, second := range odd {
			for _, layout := range layouts {
				keeps(t, strings.NewReplacer("FIRST", first, "SECOND", second).Replace(layout))
			}
		}
	}
}

// layouts of two rows, of which the first has two odd values.
var layouts = []string{
	"- {name: FIRST, address: a@e.org, x: SECOND} # end\n- {address: b@e.org}\n",
	"- {name: FIRST,\n   address: a@e.org, # c1\n   x: SECOND} # end\n- {address: b@e.org}\n",
	"- {\n    # c0\n    name: FIRST, # c1\n    address: a@e.org,\n    # c2\n    x: SECOND, # c3\n  } # end\n- {address: b@e.org}\n",
	"- { address: a@e.org, name: FIRST\n    , x: SECOND # c1\n  } # end\n- {address: b@e.org}\n",
	"[ {name: FIRST, address: a@e.org,\n  x: SECOND}, # c1\n  {address: b@e.org} ] # end\n",
	"- name: FIRST\n  # c1\n  address: a@e.org # c2\n  x: SECOND # c3\n- {address: b@e.org} # end\n",
}

// keeps makes every kind of edit and reads it back.
func keeps(t *testing.T, content string) {
	t.Helper()
	for _, f := range []Field{{"name", "N, {n}"}, {"x", 7}, {"quotaMB", 3}, {"name", nil}, {"x", nil}} {
		out, err := SetRow("users.yaml", []byte(content), "a@e.org", []Field{f})
		if err != nil {
			t.Fatalf("%s: %s: %v", content, f.Name, err)
		}
		var before, after []map[string]any
		if err := errors.Join(yaml.Unmarshal([]byte(content), &before), yaml.Unmarshal(out, &after)); err != nil {
			t.Fatalf("%s -> %s: %v", content, out, err)
		}
		if before[0][f.Name] = f.Value; f.Value == nil {
			delete(before[0], f.Name)
		}
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s -> %s: %s", content, out, d)
		}
		left := strings.Count(string(out), "# c") + strings.Count(string(out), "# end")
		if want := strings.Count(content, "# c") + strings.Count(content, "# end"); left < want-1 || f.Value != nil && left != want {
			t.Errorf("%s -> %s: of %d comments %d are left", content, out, want, left)
		}
	}
	if out, err := RemoveRow("users.yaml", []byte(content), "a@e.org"); err != nil || !strings.Contains(string(out), "{address: b@e.org}") {
		t.Errorf("%s -> %s, %v", content, out, err)
	}
	if _, err := SetRow("users.yaml", []byte(content), "aa@e.org", []Field{{"quotaMB", 1}}); err != nil {
		t.Errorf("%s: add: %v", content, err)
	}
}

func FuzzSetRow(f *testing.F) {
	f.Add("users.csv", "address,name\na@e.org,\"x\ny\"\n", "b@e.org", "n")
	f.Add("users.json", "[{\"address\": \"a@e.org\"}]", "a@e.org", "n")
	f.Add("users.yaml", "- address: a@e.org\n  name: >\n    x\n", "a@e.org", "n")
	f.Add("users.yaml", "- {address: a@e.org, name: 'x', sendAs: [y]} # z\n", "a@e.org", "n")
	f.Fuzz(func(t *testing.T, file, content, address, name string) {
		SetRow(file, []byte(content), address, []Field{{"name", name}, {"quotaMB", 1}}) // must not panic
		RemoveRow(file, []byte(content), address)
	})
}

func TestFieldCUE(t *testing.T) {
	var got []string
	for _, v := range []any{"a\"b", 7, []string{"x", "y"}, Secret("k")} {
		got = append(got, Field{"f", v}.CUE())
	}
	if s := strings.Join(got, " "); s != `"a\"b" 7 ["x", "y"] {secret: "k"}` {
		t.Error(s)
	}
}
