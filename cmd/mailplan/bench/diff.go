package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// quiet measures a diff that has nothing to do: 50 domains, 10,000 users in a table, 2,000 records of the site's own,
// against the stand-ins of a sandbox that an apply has brought up.
func quiet(mailplan, dir string) error {
	site, box := filepath.Join(dir, "quiet"), filepath.Join(dir, "box")
	if err := lay(site, quietSite(50, 200, 40)); err != nil {
		return err
	}
	up := &command{"apply to nothing", site, []string{mailplan, "apply", ".", "--sandbox", box}, nil, 0}
	compile := compileOf(mailplan, "compile: 50 domains, 10,000 users, 2,000 records", site, filepath.Join(dir, "out"))
	diff := &command{"diff of it with nothing to do", site, []string{mailplan, "diff", ".", "--sandbox", box}, nil, 0}
	if err := up.run(); err != nil {
		return err
	}
	for range runs {
		for _, c := range []*command{compile, diff} {
			if err := c.run(); err != nil {
				return err
			}
		}
	}
	for _, c := range []*command{up, compile, diff} {
		fmt.Printf("| %s | %.0f | %d |\n", c.name, c.median(), c.peak>>10)
	}
	fmt.Printf("\na diff beyond compiling: %.2f s\n", (diff.median()-compile.median())/1000)
	return nil
}

func quietSite(domains, users, records int) map[string]string {
	var site, table strings.Builder
	site.WriteString(head)
	table.WriteString("address,name,quotaMB,password\n")
	for d := range domains {
		fmt.Fprintf(&site, "domains: \"d%d.example\": {\n\tdkim: selectors: s1: {}\n\taliases: {postmaster: [\"u0\"], abuse: [\"u0\"]}\n\trecords: [\n", d)
		for n := range records {
			fmt.Fprintf(&site, "\t\t{name: \"h%d\", type: \"A\", content: \"192.0.2.%d\"},\n", n, n+1)
		}
		site.WriteString("\t]\n}\n")
		for u := range users {
			fmt.Fprintf(&table, "u%d@d%d.example,User %d,2048,self\n", u, d, u)
		}
	}
	return map[string]string{"site.cue": site.String(), "users.csv": table.String()}
}
