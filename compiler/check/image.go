package check

import (
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

func imageRules() []Rule {
	return []Rule{
		{ID: "image-floating", Severity: Error, Holes: "S-02 S-25 C-130", Title: "no image floats",
			Why: "the next pull brings another major version, without review and without a way back", find: imageFloating},
		{ID: "image-ended", Severity: Warning, Holes: "S-37 C-130", Title: "no image is past its end of life",
			Why: "holes found since then stay open", find: imageEnded},
		{ID: "image-vulnerable", Severity: Error, Holes: "S-37 C-013", Title: "no image has a known critical hole",
			Why: "it is being used against mail servers", find: imageVulnerable},
		{ID: "image-unpatched", Severity: Warning, Holes: "C-130 C-150", Title: "images get fixes of their base",
			Why: "these maintainers rebuild the series tag, not the full version", find: imageUnpatched},
		{ID: "image-contract", Severity: Error, Holes: "S-02 S-38", Title: "the image is one that mailplan can configure",
			Why: "another major version has other paths, ports and words", find: imageContract},
	}
}

// floating tags move to another major version some day.
var floating = map[string]bool{"": true, "latest": true, "edge": true, "stable": true, "main": true, "master": true, "nightly": true, "dev": true, "lts": true, "mainline": true}

func imageFloating(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		if k.Digest == "" && floating[k.Tag()] {
			f := c.report(imagePath(name), "%s: %s floats", name, k.Image)
			if pin := pins[repository(k.Image)]; pin != "" {
				f.fix(imagePath(name), strconv.Quote(pin))
			}
		}
	})
}

// pins are safe series of the families that the design names (as of 2026-11).
var pins = map[string]string{
	"boky/postfix": "boky/postfix:v5.1.0", "dovecot/dovecot": "dovecot/dovecot:2.4.5", "mariadb": "mariadb:10.11",
	"roundcube/roundcubemail": "roundcube/roundcubemail:1.6.x-apache", "rspamd/rspamd": "rspamd/rspamd:4.1",
	"clamav/clamav": "clamav/clamav:1.4_base", "nginx": "nginx:1.30-alpine", "redis": "redis:8.2-alpine",
	"cloudflare/cloudflared": "cloudflare/cloudflared:2026.8.2", "tailscale/tailscale": "tailscale/tailscale:v1.102.3",
}

// ended are the series without fixes, with the day and what follows them.
var ended = []struct{ repository, series, since string }{
	{"dovecot/dovecot", "2.3", "2024-08 (its Debian 11 base: 2026-08-31)"},
	{"rspamd/rspamd", "3", "2026"},
	{"clamav/clamav", "1.3", "2026-02-07 (its images: 2025-01-22)"},
	{"clamav/clamav", "1.2", "2025"},
	{"nginx", "1.26", "2025-04"},
	{"nginx", "1.24", "2024-04"},
	{"nginx", "1.28", "2026-04"},
	{"mariadb", "10.5", "2025-06"},
	{"mariadb", "10.6", "2026-07"},
}

func imageEnded(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		for _, e := range ended {
			if repository(k.Image) == e.repository && inSeries(k.Tag(), e.series) {
				c.report(imagePath(name), "%s: %s has had no fixes since %s", name, k.Image, e.since).
					hint("the next step: %s", pins[e.repository])
			}
		}
	})
}

// vulnerable are versions below the one that closed a critical hole of their series.
var vulnerable = []struct {
	repository, series string
	fixed              []int
	what               string
}{
	{"roundcube/roundcubemail", "1.6", []int{1, 6, 18}, "code execution after sign-in (CVE-2025-49113, fixed in 1.6.11) and script injection (CVE-2025-68461, 1.6.12), more up to 1.6.18"},
	{"roundcube/roundcubemail", "1.5", []int{1, 5, 10}, "code execution after sign-in (CVE-2025-49113)"},
	{"dovecot/dovecot", "2.4", []int{2, 4, 3}, "SQL injection at sign-in (CVE-2026-24031)"},
	{"rspamd/rspamd", "4.1", []int{4, 1, 4}, "any password opens the controller when its hash is malformed (fixed in 4.1.4)"},
}

func imageVulnerable(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		for _, v := range vulnerable {
			version := numbers(k.Tag())
			if repository(k.Image) == v.repository && inSeries(k.Tag(), v.series) && len(version) == 3 && less(version, v.fixed) {
				c.report(imagePath(name), "%s: %s has %s", name, k.Image, v.what).
					fix(imagePath(name), strconv.Quote(pins[v.repository]))
			}
		}
	})
}

// rebuilt are the repositories whose series tag is rebuilt for base-image fixes while full versions are not.
var rebuilt = map[string]bool{"mariadb": true, "roundcube/roundcubemail": true, "rspamd/rspamd": true, "clamav/clamav": true, "nginx": true}

func imageUnpatched(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		if r := repository(k.Image); rebuilt[r] && len(numbers(k.Tag())) == 3 && k.Digest == "" {
			c.report(imagePath(name), "%s: %s is not rebuilt when its base is fixed", name, k.Image).
				hint("a series tag such as %s, pinned by digest", pins[r])
		}
	})
}

// contracts are the series that the emitters write for.
var contracts = map[string]struct{ repository, series string }{
	"postfix":   {"boky/postfix", "v4 v5"},
	"dovecot":   {"dovecot/dovecot", "2.3 2.4"},
	"mariadb":   {"mariadb", "10.11 11 12"},
	"rspamd":    {"rspamd/rspamd", "3 4"},
	"clamav":    {"clamav/clamav", "1"},
	"roundcube": {"roundcube/roundcubemail", "1.6 1.7"},
	"nginx":     {"nginx", "1"},
	"redis":     {"redis", "7 8"},
}

func imageContract(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		want, ok := contracts[name]
		if !ok || repository(k.Image) != want.repository || floating[k.Tag()] {
			return
		}
		for _, series := range strings.Fields(want.series) {
			if inSeries(k.Tag(), series) {
				return
			}
		}
		c.report(imagePath(name), "%s: mailplan writes the configuration of %s %s, not of %s",
			name, want.repository, strings.ReplaceAll(want.series, " ", " or "), k.Tag())
	})
}

func imagePath(name string) string { return model.Path("containers", name, "image") }

// repository is the image without registry host docker.io, "library/" and tag.
func repository(image string) string {
	image = strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
	slash := strings.LastIndexByte(image, '/')
	if colon := strings.LastIndexByte(image, ':'); colon > slash {
		return image[:colon]
	}
	return image
}

// inSeries says whether a tag such as 1.26-alpine or v5.1.0 belongs to a series such as 1.26 or v5.
func inSeries(tag, series string) bool {
	rest, ok := strings.CutPrefix(tag, series)
	return ok && (rest == "" || !('0' <= rest[0] && rest[0] <= '9'))
}

// numbers are the leading parts of a tag's version: 1.6.7-apache is 1, 6, 7; 1.6.x is 1, 6.
func numbers(tag string) []int {
	var out []int
	tag, _, _ = strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	tag, _, _ = strings.Cut(tag, "_")
	for _, part := range strings.Split(tag, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}

func less(a, b []int) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}
