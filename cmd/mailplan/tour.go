package main

import (
	"fmt"
	"path/filepath"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/sandbox"
)

// tour says what there is to look at after a first apply.
func (c *cli) tour(site *compiler.Site, box *sandbox.Sandbox) {
	root := filepath.Join(box.Dir, "host", filepath.FromSlash(site.Model.Host.Root))
	fmt.Fprintf(c.out, "\nworth a look:\n")
	for _, item := range []struct{ path, what string }{
		{filepath.Join(root, "docs", "operations.md"), "how to run this very system"},
		{filepath.Join(root, "docker-compose.yml"), "its containers"},
		{filepath.Join(box.Dir, "edge"), "the zones at the stand-in for Cloudflare"},
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
