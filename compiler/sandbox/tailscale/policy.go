package tailscale

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

// policy is what the stand-in understands of a policy file; names are as good in any case.
type policy struct {
	Groups    map[string][]string `json:"groups"`
	TagOwners map[string][]string `json:"tagOwners"`
	Hosts     map[string]string   `json:"hosts"`
	ACLs      []acl               `json:"acls"`
	Grants    []grant             `json:"grants"`
	Tests     []test              `json:"tests"`
	admins    []string
}

type acl struct {
	Action string   `json:"action"`
	Src    []string `json:"src"`
	Proto  string   `json:"proto"`
	Dst    []string `json:"dst"` // host:ports
}

type grant struct {
	Src []string       `json:"src"`
	Dst []string       `json:"dst"`
	IP  []string       `json:"ip"`
	App map[string]any `json:"app"`
	Via []string       `json:"via"`
}

type test struct {
	Src    string   `json:"src"`
	Accept []string `json:"accept"`
	Deny   []string `json:"deny"`
}

// sections are the names that a policy may have at its top.
var sections = []string{"acls", "autoapprovers", "groups", "hosts", "tagowners", "derpmap", "tests", "ssh", "sshtests", "nodeattrs", "disableipv4",
	"onecgnatroute", "randomizeclientport", "grants", "ipsets", "postures", "defaultsrcposture", "attrconfig"}

func parse(text []byte) (policy, error) {
	var p policy
	plain, err := hujson.Standardize(bytes.Clone(text)) // which works in place
	if err != nil {
		return p, err
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(plain, &names); err != nil {
		return p, err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(sections, strings.ToLower(name)) {
			return p, fmt.Errorf("unknown field %q", name)
		}
	}
	return p, json.Unmarshal(plain, &p)
}

// judge says what is wrong with a policy: its form, a name that is not defined, or a test that fails.
func judge(text []byte, admins []string) problem {
	p, err := parse(text)
	if err != nil {
		return problem{Message: err.Error()}
	}
	p.admins = admins
	if err := p.references(); err != nil {
		return problem{Message: err.Error()}
	}
	if failed := p.run(); len(failed) > 0 {
		return problem{Message: "test(s) failed", Data: failed}
	}
	return problem{}
}

func (p policy) references() error {
	for tag, owners := range p.TagOwners {
		if !strings.HasPrefix(tag, "tag:") {
			return fmt.Errorf("tagOwners: %q is no tag", tag)
		}
		if err := p.defined("tagOwners", owners); err != nil {
			return err
		}
	}
	for i, g := range p.Grants {
		if len(g.Src) == 0 || len(g.Dst) == 0 || len(g.IP) == 0 && len(g.App) == 0 {
			return fmt.Errorf("grants[%d]: src, dst, and ip or app are needed", i)
		}
		if err := p.defined(fmt.Sprintf("grants[%d]", i), slices.Concat(g.Src, g.Dst, g.Via)); err != nil {
			return err
		}
	}
	for i, a := range p.ACLs {
		var hosts []string
		for _, dst := range a.Dst {
			host, _ := splitPort(dst)
			hosts = append(hosts, host)
		}
		if err := p.defined(fmt.Sprintf("acls[%d]", i), slices.Concat(a.Src, hosts)); err != nil {
			return err
		}
	}
	for i, t := range p.Tests {
		if strings.HasPrefix(t.Src, "autogroup:") || t.Src == "*" {
			return fmt.Errorf("tests[%d]: src %q is nobody in particular", i, t.Src)
		}
		if err := p.defined(fmt.Sprintf("tests[%d]", i), []string{t.Src}); err != nil {
			return err
		}
	}
	return nil
}

func (p policy) defined(where string, names []string) error {
	for _, name := range names {
		_, group := p.Groups[name]
		_, tag := p.TagOwners[name]
		if strings.HasPrefix(name, "group:") && !group || strings.HasPrefix(name, "tag:") && !tag {
			return fmt.Errorf("%s: %q is not defined", where, name)
		}
	}
	return nil
}

// run makes every test.
func (p policy) run() []failure {
	var failed []failure
	for _, t := range p.Tests {
		f := failure{User: t.Src}
		for _, dst := range t.Accept {
			if !p.allows(t.Src, dst) {
				f.Errors = append(f.Errors, fmt.Sprintf("address %q: want: Accept, got: Drop", dst))
			}
		}
		for _, dst := range t.Deny {
			if p.allows(t.Src, dst) {
				f.Errors = append(f.Errors, fmt.Sprintf("address %q: want: Drop, got: Accept", dst))
			}
		}
		if f.Errors != nil {
			failed = append(failed, f)
		}
	}
	return failed
}

// allows says whether src reaches dst, a host and one TCP port.
func (p policy) allows(src, dst string) bool {
	host, port := splitPort(dst)
	from := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return p.covers(s, src) })
	}
	to := func(selector string) bool { return selector == "*" || selector == host }
	for _, a := range p.ACLs {
		if !from(a.Src) || a.Proto != "" && a.Proto != "tcp" {
			continue
		}
		if slices.ContainsFunc(a.Dst, func(d string) bool { h, ports := splitPort(d); return to(h) && inPorts(ports, port) }) {
			return true
		}
	}
	for _, g := range p.Grants {
		if from(g.Src) && slices.ContainsFunc(g.Dst, to) &&
			slices.ContainsFunc(g.IP, func(ip string) bool { return inPorts(strings.TrimPrefix(ip, "tcp:"), port) }) {
			return true
		}
	}
	return false
}

// covers says whether a selector of a rule means who: a login, a group or a tag.
func (p policy) covers(selector, who string) bool {
	person := strings.Contains(who, "@") || strings.HasPrefix(who, "group:")
	switch selector {
	case "*", who:
		return true
	case "autogroup:member":
		return person
	case "autogroup:tagged":
		return strings.HasPrefix(who, "tag:")
	case "autogroup:admin", "autogroup:owner":
		return slices.Contains(p.admins, who)
	}
	return slices.Contains(p.Groups[selector], who)
}

// splitPort parts a host from its ports at the last colon: tag:mail:993.
func splitPort(s string) (host, ports string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// inPorts knows *, lists and ranges.
func inPorts(ports, port string) bool {
	n, err := strconv.Atoi(port)
	if err != nil {
		return ports == "*"
	}
	for _, part := range strings.Split(ports, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if part == "*" || err1 == nil && err2 == nil && low <= n && n <= high {
			return true
		}
	}
	return false
}

// formOf reads a form; what is none is an empty one.
func formOf(body []byte) url.Values {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return url.Values{}
	}
	return form
}
