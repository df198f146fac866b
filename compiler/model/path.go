package model

import (
	"regexp"
	"strconv"
)

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// Label writes one part of a site path as CUE does: quoted where it is no identifier.
func Label(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// Path joins labels to a site path such as domains."example.com".users.alice.
func Path(labels ...string) string {
	path := ""
	for i, l := range labels {
		if i > 0 {
			path += "."
		}
		path += Label(l)
	}
	return path
}

// Path is where the domain stands in the site. Domains written in Unicode stand under that name.
func (d Domain) Path() string { return Path("domains", d.Unicode) }

// Path is where the user stands in the site.
func (u User) Path(d Domain) string { return d.Path() + ".users." + Label(u.Localpart) }
