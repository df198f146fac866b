package stack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/test/need"
)

// bases are the root file systems of the cache that images are built on.
var bases = []string{"bookworm", "trixie"}

// Build makes the stand-in of each named image (images/README.md) and gives it that name; run it in this
// package's folder. An image that has none is left to the project's own Dockerfile.
func (d *Docker) Build(names ...string) {
	d.t.Helper()
	for _, base := range bases {
		d.importBase(base)
	}
	for _, name := range names {
		dir := filepath.Join("images", standIn(name))
		if _, err := os.Stat(filepath.Join(dir, "Dockerfile")); err == nil {
			context := d.t.TempDir()
			d.fill(context, dir)
			d.Must(context, "build", "--quiet", "--network", "none", "--tag", name, ".")
		}
	}
}

// fill lays the files of an image and the stand-in program into a build context.
func (d *Docker) fill(context, dir string) {
	d.t.Helper()
	commands := []*exec.Cmd{
		exec.Command("cp", "-a", dir+"/.", context),
		exec.Command("go", "build", "-o", filepath.Join(context, "standin"), "./standin"),
	}
	text, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		d.t.Fatal(err)
	}
	if !strings.Contains(string(text), "COPY standin ") {
		commands = commands[:1]
	}
	for _, c := range commands {
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			d.t.Fatalf("%s: %v: %s", c, err, out)
		}
	}
}

// standIn is the folder of an image: rspamd for rspamd/rspamd:4.1, roundcube for roundcube/roundcubemail.
func standIn(image string) string {
	name, _, _ := strings.Cut(image, "@")
	name, _, _ = strings.Cut(name, ":")
	parts := strings.Split(name, "/")
	if last := parts[len(parts)-1]; last != "roundcubemail" {
		return last
	}
	return "roundcube"
}

// importBase makes an image of a root file system, if the one there is of other packages.
func (d *Docker) importBase(suite string) {
	d.t.Helper()
	dir, image := filepath.Join(need.Cache(), suite), "mailplan-test/"+suite
	packages, err := os.ReadFile(filepath.Join(dir, ".packages"))
	if err != nil {
		need.Missing(d.t, "the root file system "+dir)
	}
	label := strings.Join(strings.Fields(string(packages)), ",")
	if have, err := d.Try("", "image", "inspect", "--format", "{{.Config.Labels.packages}}", image); err == nil && strings.TrimSpace(have) == label {
		return
	}
	tar := exec.Command("tar", "-C", dir, "--numeric-owner", "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "-c", ".")
	load := exec.Command(need.Program(d.t, "docker"), "import", "--change", "LABEL packages="+label, "-", image)
	load.Env = d.env
	pipe, err := tar.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	load.Stdin = pipe
	if err := tar.Start(); err != nil {
		d.t.Fatal(err)
	}
	out, err := load.CombinedOutput()
	if tarErr := tar.Wait(); err != nil || tarErr != nil {
		d.t.Fatalf("import %s: %v, %v: %s", dir, err, tarErr, out)
	}
}
