package main

import (
	"fmt"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler"
)

// tour says what there is to look at after an apply to a sandbox.
func (c *cli) tour(site *compiler.Site, to opened) {
	if to.dir == "" {
		return
	}
	root := filepath.Join(to.dir, "host", filepath.FromSlash(site.Model.Host.Root))
	fmt.Fprintf(c.out, "\nworth a look:\n")
	for _, item := range []struct{ path, what string }{
		{filepath.Join(root, "docs", "operations.md"), "how to run this very system"},
		{filepath.Join(root, "docker-compose.yml"), "its containers"},
		{filepath.Join(to.dir, "edge"), "the zones at the stand-in for Cloudflare"},
	} {
		if exists(item.path) {
			fmt.Fprintf(c.out, "  %-60s %s\n", item.path, item.what)
		}
	}
	for _, d := range site.Model.Domains {
		if len(d.Aliases) > 0 {
			fmt.Fprintf(c.out, "  mailplan trace %-45s the way of one address\n", d.Aliases[0].Address())
			return
		}
	}
}
