// Command bench measures mailplan beside the CUE command of the same version, as whole processes, in turn:
//
//	go run ./cmd/mailplan/bench
//
// It prints a Markdown table of wall time and peak memory: 10,000 users in 50 domains written in CUE (compile beside
// cue vet -c), tables of 10,000 and 100,000 users, the time of --help, and a diff that has nothing to do.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mailplan/mailplan/schema"
)

const runs = 7

func main() {
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench() error {
	dir, err := os.MkdirTemp("", "mailplan-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	mailplan := filepath.Join(dir, "mailplan")
	if out, err := exec.Command("go", "build", "-o", mailplan, "./cmd/mailplan").CombinedOutput(); err != nil {
		return fmt.Errorf("build mailplan (run from the repository's root): %w\n%s", err, out)
	}
	cue, err := exec.LookPath("cue")
	if err != nil {
		return fmt.Errorf("%w; .ci/setup installs the cue command", err)
	}
	inline, small, large := filepath.Join(dir, "inline"), filepath.Join(dir, "small"), filepath.Join(dir, "large")
	for d, files := range map[string]map[string]string{inline: inlineSite(50, 200), small: tableSite(10_000), large: tableSite(100_000)} {
		if err := lay(d, files); err != nil {
			return err
		}
	}
	out := filepath.Join(dir, "out")
	fmt.Println("| what | wall, median (ms) | peak memory (MiB) |\n|---|---|---|")
	a, b := &command{"cue vet -c: 10,000 users in CUE", inline, []string{cue, "vet", "-c", "."}, nil, 0}, compileOf(mailplan, "compile: 10,000 users in CUE", inline, out)
	c, d := compileOf(mailplan, "compile: 10,000 users in a table", small, out), compileOf(mailplan, "compile: 100,000 users in a table", large, out)
	e := &command{"mailplan --help", dir, []string{mailplan, "--help"}, nil, 0}
	for range runs {
		for _, x := range []*command{a, b, c, d, e} {
			if err := x.run(); err != nil {
				return err
			}
		}
	}
	for _, x := range []*command{a, b, c, d, e} {
		fmt.Printf("| %s | %.0f | %d |\n", x.name, x.median(), x.peak>>10)
	}
	fmt.Printf("\ncompile / cue vet -c: %.2f; 100,000 / 10,000 users: %.2f\n\n", b.median()/a.median(), d.median()/c.median())
	return quiet(mailplan, dir)
}

func compileOf(mailplan, name, site, out string) *command {
	return &command{name, site, []string{mailplan, "compile", ".", "-o", out}, nil, 0}
}

type command struct {
	name, dir string
	args      []string
	times     []time.Duration
	peak      int64 // KiB
}

func (c *command) run() error {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%.2000s", c.name, err, out)
	}
	c.times = append(c.times, time.Since(start))
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.peak = max(c.peak, u.Maxrss)
	}
	return nil
}

func (c *command) median() float64 {
	slices.Sort(c.times)
	return float64(c.times[len(c.times)/2].Microseconds()) / 1000
}

const head = `package site

name: "big"
relay: password: secret: "SENDGRID_API_KEY"
edge: {accountID: "0123456789abcdef0123456789abcdef", tunnel: hostnames: {webmail: "mail.d0.example", ingest: "api.d0.example"}}
`

// inlineSite writes every user as CUE: half with a quota of their own, half with a password from Git.
func inlineSite(domains, users int) map[string]string {
	var b strings.Builder
	b.WriteString(head)
	for d := range domains {
		fmt.Fprintf(&b, "domains: \"d%d.example\": {\n\tdkim: selectors: s1: {}\n\tcatchAll: \"u0\"\n\taliases: {\n", d)
		for a := range 20 {
			fmt.Fprintf(&b, "\t\ta%d: [\"u%d\"]\n", a, a)
		}
		b.WriteString("\t}\n\tusers: {\n")
		for u := range users {
			if u%2 == 0 {
				fmt.Fprintf(&b, "\t\tu%d: {quotaMB: 4096}\n", u)
			} else {
				fmt.Fprintf(&b, "\t\tu%d: {password: secret: \"users/d%d/u%d\"}\n", u, d, u)
			}
		}
		b.WriteString("\t}\n}\n")
	}
	return map[string]string{"site.cue": b.String()}
}

// tableSite puts the users into users.csv, in ten domains.
func tableSite(users int) map[string]string {
	var site, table strings.Builder
	site.WriteString(head)
	for d := range 10 {
		fmt.Fprintf(&site, "domains: \"d%d.example\": dkim: selectors: s1: {}\n", d)
	}
	table.WriteString("address,name,quotaMB,password\n")
	for u := range users {
		fmt.Fprintf(&table, "u%d@d%d.example,User %d,%d,self\n", u, u%10, u, 1024+u%4096)
	}
	return map[string]string{"site.cue": site.String(), "users.csv": table.String()}
}

func lay(dir string, files map[string]string) error {
	for name, content := range schema.Vendor() {
		files[name] = string(content)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}
