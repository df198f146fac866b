// Package host is the plane of directories and files: it reads what lies on a host, says what a tree wants there,
// and makes it so. It knows no service and no container; files are compared by content, mode and owner.
// Whatever it did not write itself it leaves alone: an inventory on the host lists what is ours.
package host

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of objects on this plane.
const (
	KindDirectory = "directory"
	KindFile      = "file"
)

// Host is one host's file system. Secrets resolves secret marks.
type Host struct {
	Files   Files
	Root    string // host.root of the site: where the project lives
	Secrets func(name string) (string, error)
	// Guarded are files of the tree, by path, whose old content is kept when they are replaced, until Forget or Restore.
	Guarded map[string]bool

	digested map[string]digested // programs, by their file
}

// Later is the error of a secret that the plan's own steps make: a file that holds it is planned without its content and
// written when it is there.
type Later struct {
	What string // in a few words
	Of   string // reference of the object that gives it
}

func (l Later) Error() string { return l.What + ", which is not there yet" }

// unknown stands for content that has such a secret.
const unknown = "not known yet"

// Known says whether the value of a file has its content; else it is written when a step before it was taken.
func Known(o plan.Object) bool {
	var v value
	return json.Unmarshal(o.Value, &v) != nil || v.Content != unknown
}

// value is what is compared and applied. Content is a digest: of the filled file, keyed where secrets are in it.
type value struct {
	Mode    string `json:"mode"`
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	Content string `json:"content,omitempty"`
}

// Desired says what the tree and the directories want of the host.
func (h *Host) Desired(tree model.Tree, dirs []model.Directory) ([]plan.Object, error) {
	objects := make([]plan.Object, 0, len(tree.Files)+len(dirs))
	for _, d := range dirs {
		objects = append(objects, object(KindDirectory, d.Path, value{Mode: mode(d.Mode), UID: d.UID, GID: d.GID}, "host.storage"))
	}
	var missing []error
	for _, f := range tree.Files {
		content, err := h.fill(f)
		if later, ok := errors.AsType[Later](err); ok {
			o := object(KindFile, h.target(f.Path), value{Mode: mode(f.Mode), UID: f.UID, GID: f.GID, Content: unknown}, f.From)
			o.Show, o.Needs = mode(f.Mode)+", "+later.What, []string{later.Of}
			objects = append(objects, o)
			continue
		}
		if err != nil {
			missing = append(missing, err)
			continue
		}
		o := object(KindFile, h.target(f.Path), value{Mode: mode(f.Mode), UID: f.UID, GID: f.GID, Content: h.digest(f, content)}, f.From)
		o.Show = fmt.Sprintf("%s, %s", mode(f.Mode), size(len(content)))
		o.Text = content
		objects = append(objects, o)
	}
	return objects, errors.Join(missing...)
}

// Live reads the desired paths and everything in the inventory.
func (h *Host) Live(tree model.Tree, dirs []model.Directory) ([]plan.Object, error) {
	owned, err := h.inventory()
	if err != nil {
		return nil, err
	}
	files := map[string]model.File{}
	for _, f := range tree.Files {
		files[h.target(f.Path)] = f
		owned = append(owned, f.Path)
	}
	slices.Sort(owned)
	var objects []plan.Object
	for _, d := range dirs {
		o, err := h.readDirectory(d)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o...)
	}
	for _, rel := range slices.Compact(owned) {
		p := h.target(rel)
		o, err := h.readFile(p, files[p])
		if err != nil {
			return nil, err
		}
		objects = append(objects, o...)
	}
	return objects, nil
}

func (h *Host) readDirectory(d model.Directory) ([]plan.Object, error) {
	info, err := h.Files.Stat(d.Path, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read directory %s: %w", d.Path, err)
	case !info.Mode.IsDir():
		return nil, fmt.Errorf("%s is wanted as a directory and is a file: move it away", d.Path)
	}
	return []plan.Object{object(KindDirectory, d.Path, value{Mode: mode(info.Mode), UID: info.UID, GID: info.GID}, "")}, nil
}

func (h *Host) readFile(p string, f model.File) ([]plan.Object, error) {
	info, err := h.Files.Stat(p, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", p, err)
	case !info.Mode.IsRegular():
		return nil, fmt.Errorf("%s is wanted as a file and is none: move it away", p)
	}
	content, err := h.Files.ReadFile(p)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	o := object(KindFile, p, value{Mode: mode(info.Mode), UID: info.UID, GID: info.GID, Content: h.digest(f, content)}, "")
	o.Show = fmt.Sprintf("%s, %s", mode(info.Mode), size(len(content)))
	o.Text = content
	o.InTurn = h.readInFolder(p)
	return []plan.Object{o}, nil
}

// readInFolder says whether services read a file because it is in a folder, so that they must be told when it goes. A
// signing key goes when nothing names it any more.
func (h *Host) readInFolder(p string) bool {
	rel, ok := strings.CutPrefix(p, path.Join(h.Root, "config")+"/")
	return ok && !strings.HasPrefix(rel, "rspamd/dkim/") && !strings.HasPrefix(rel, "runtime/")
}

// fill puts secrets in place of their marks.
func (h *Host) fill(f model.File) ([]byte, error) {
	var missing, later []error
	content := f.Fill(func(name string) string {
		v, err := h.Secrets(name)
		if _, ok := errors.AsType[Later](err); ok {
			later = append(later, fmt.Errorf("%s needs %w", f.Path, err))
		} else if err != nil {
			missing = append(missing, fmt.Errorf("%s needs %w", f.Path, err))
		}
		return v
	})
	if missing != nil {
		return content, errors.Join(missing...)
	}
	return content, errors.Join(later...)
}

// digest never lets a secret be guessed from a plan: where the file has some, it is keyed with them.
func (h *Host) digest(f model.File, content []byte) string {
	names := f.Secrets()
	if len(names) == 0 {
		sum := sha256.Sum256(content)
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	key := sha256.New()
	for _, name := range names {
		v, err := h.Secrets(name)
		if err == nil {
			fmt.Fprintf(key, "%d:%s", len(v), v)
		}
	}
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(content)
	return "hmac:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// Wanted is the digest of a file of the tree as it is to lie on the host.
func (h *Host) Wanted(f model.File) (string, error) {
	content, err := h.fill(f)
	if _, ok := errors.AsType[Later](err); ok {
		return unknown, nil
	}
	return h.digest(f, content), err
}

// Lies is the digest of a file of the tree as it lies there; fs.ErrNotExist where it does not.
func (h *Host) Lies(f model.File) (string, error) {
	content, err := h.Files.ReadFile(h.target(f.Path))
	if err != nil {
		return "", err
	}
	return h.digest(f, content), nil
}

// target is where a file of the tree lies on the host.
func (h *Host) target(rel string) string {
	if inner, ok := strings.CutPrefix(rel, model.ProjectDir+"/"); ok {
		return path.Join(h.Root, inner)
	}
	return path.Join(h.Root, rel)
}

// RoutesRef names the ingest's table as a dependency: the edge leads no mail to a host that has none.
func (h *Host) RoutesRef() string {
	return plan.Object{Plane: plan.Host, Kind: KindFile, ID: path.Join(h.Root, "config/runtime/routes.json")}.Ref()
}

func object(kind, id string, v value, from string) plan.Object {
	phase := plan.Place
	if kind == KindDirectory {
		phase = plan.Lay
	}
	o := plan.Object{Plane: plan.Host, Kind: kind, ID: id, Value: plan.Encode(v), Show: v.Mode, From: from, Phase: phase}
	switch { // what leads mail or signs it changes only when all that it names is there
	case slices.ContainsFunc(applied, func(name string) bool { return strings.HasSuffix(id, name) }):
		o.Phase, o.UpdatePhase = plan.Last, plan.Last
	case strings.HasSuffix(id, "/config/runtime/routes.json"):
		o.UpdatePhase, o.Effects = plan.Switch, []string{plan.EffectRoutes}
	case strings.HasSuffix(id, "/config/rspamd/local.d/dkim_signing.conf"):
		o.UpdatePhase, o.Effects = plan.Switch, []string{plan.EffectSigning}
	}
	return o
}

// applied are the files that tell the next plan what there was: who received mail, which tunnel and which bucket.
var applied = []string{"/config/runtime/accounts.json", "/edge/tunnel.json", "/edge/spool.json"}

// Applied names them as dependencies, for what comes after everything: a plan that ends there is carried out but for that.
func Applied(root string) []string {
	var refs []string
	for _, name := range applied {
		refs = append(refs, plan.Object{Plane: plan.Host, Kind: KindFile, ID: path.Join(root, name)}.Ref())
	}
	return refs
}

func mode(m fs.FileMode) string { return fmt.Sprintf("%04o", m.Perm()) }

func size(n int) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/1024)
}

// Read is the content of a file of the tree as it lies on the host; nil when there is none.
func (h *Host) Read(rel string) ([]byte, error) {
	content, err := h.Files.ReadFile(h.target(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return bytes.TrimSpace(content), err
}
