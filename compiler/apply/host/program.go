package host

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/mailplan/mailplan/compiler/plan"
)

// KindProgram is a program that the host runs itself or builds its images from.
const KindProgram = "program"

// Program is one that lies on this machine and belongs into bin/ on the host. It is never part of a tree: what it is
// follows from the version of mailplan, not from the site.
type Program struct {
	Name string
	File string // on this machine
}

// programs are those that the emitted project names below bin/.
var programs = []string{"mailpland", "mailplan-learn"}

// Programs are those that lie in a folder, such as that of mailplan itself.
func Programs(dir string) []Program {
	var list []Program
	for _, name := range programs {
		if file := filepath.Join(dir, name); isFile(file) {
			list = append(list, Program{name, file})
		}
	}
	return list
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// RunnablePrograms are all of the folder, each known to run on the host and in an image that holds nothing else, and to
// be of mailplan's own version. The error says how to get what is missing.
func RunnablePrograms(dir string) ([]Program, error) {
	list := Programs(dir)
	if len(list) < len(programs) {
		return nil, fmt.Errorf("mailpland and mailplan-learn must lie beside mailplan, in %s; %s", dir, howToBuild(dir))
	}
	for _, p := range list {
		if err := runnable(p.File); err != nil {
			return nil, fmt.Errorf("%s %w; %s", p.File, err, howToBuild(dir))
		}
	}
	return list, nil
}

func howToBuild(dir string) string {
	return "build them: CGO_ENABLED=0 GOOS=linux go build -o " + dir + " ./cmd/mailpland ./cmd/mailplan-learn"
}

func runnable(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return errors.New("is no program for Linux")
	}
	defer f.Close()
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			return errors.New("needs libraries of the machine it was built on")
		}
	}
	own, ok := debug.ReadBuildInfo()
	its, err := buildinfo.ReadFile(file)
	if err != nil || !ok {
		return nil // built without the record: nothing to compare
	}
	if a, b := revision(own), revision(its); a != "" && b != "" && a != b {
		return fmt.Errorf("is of revision %.12s, mailplan of %.12s", b, a)
	}
	return nil
}

func revision(info *debug.BuildInfo) string {
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// digester is a file system that can digest a file where it lies.
type digester interface {
	// Digest is the SHA-256 of a file, in hex.
	Digest(name string) (string, error)
}

// digested is a program on this machine as it was when it was read.
type digested struct {
	digest string
	size   int64 // bytes
	at     time.Time
}

// programDigest reads a program again only when it is another file by its size and time.
func (h *Host) programDigest(file string) (digested, error) {
	info, err := os.Stat(file)
	if err != nil {
		return digested{}, err
	}
	known := h.digested[file]
	if known.size == info.Size() && known.at.Equal(info.ModTime()) {
		return known, nil
	}
	if known.digest, known.size, err = digestOf(file); err != nil {
		return digested{}, err
	}
	if h.digested == nil {
		h.digested = map[string]digested{}
	}
	known.at = info.ModTime()
	h.digested[file] = known
	return known, nil
}

// DesiredPrograms lists the programs as they should be on the host.
func (h *Host) DesiredPrograms(list []Program) ([]plan.Object, error) {
	var objects []plan.Object
	for _, p := range list {
		known, err := h.programDigest(p.File)
		if err != nil {
			return nil, err
		}
		objects = append(objects, h.program(p, value{Mode: mode(0o755), Content: known.digest}, fmt.Sprintf("0755, %d MiB", known.size>>20)))
	}
	return objects, nil
}

// LivePrograms lists those that are there.
func (h *Host) LivePrograms(list []Program) ([]plan.Object, error) {
	var objects []plan.Object
	for _, p := range list {
		name := h.binary(p.Name)
		info, err := h.Files.Stat(name, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		digest, err := h.remoteDigest(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		objects = append(objects, h.program(p, value{Mode: mode(info.Mode), UID: info.UID, GID: info.GID, Content: digest}, mode(info.Mode)))
	}
	return objects, nil
}

// lay writes the program of a change, if it still is what was planned.
func (h *Host) lay(c plan.Change, list []Program) error {
	for _, p := range list {
		if h.binary(p.Name) != c.ID {
			continue
		}
		var v value
		if err := json.Unmarshal(c.New, &v); err != nil {
			return fmt.Errorf("change of %s: %w", c.ID, err)
		}
		content, err := os.ReadFile(p.File)
		if err != nil {
			return err
		}
		if hexDigest(content) != v.Content {
			return fmt.Errorf("%s is another than when it was planned: plan again", p.File)
		}
		return h.Files.WriteFile(c.ID, content, Info{Mode: 0o755, UID: v.UID, GID: v.GID})
	}
	return fmt.Errorf("lay %s down: no such program here", c.ID)
}

func (h *Host) program(p Program, v value, show string) plan.Object {
	o := plan.Object{Plane: plan.Host, Kind: KindProgram, ID: h.binary(p.Name), Value: plan.Encode(v), Show: show, Phase: plan.Place}
	o.From = "host.root"
	return o
}

func (h *Host) binary(name string) string { return path.Join(h.Root, "bin", name) }

func (h *Host) remoteDigest(name string) (string, error) {
	if d, ok := h.Files.(digester); ok {
		sum, err := d.Digest(name)
		return "sha256:" + sum, err
	}
	content, err := h.Files.ReadFile(name)
	return hexDigest(content), err
}

func hexDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func digestOf(file string) (digest string, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), size, err
}
