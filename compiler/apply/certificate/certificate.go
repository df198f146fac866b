// Package certificate is the part of the host plane that is the certificate of the mail names: whether servers find one to
// start with, and whether it is issued for what the site declares. It reads what lies on the host, and leaves making it to
// the program there that also renews it. It knows neither ACME nor DNS.
package certificate

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/apply"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

// Kinds of the objects.
const (
	KindPair   = "key pair"    // whatever servers can start with
	KindIssued = "certificate" // issued by an authority for the declared names
)

// Plane is the certificate of one site.
type Plane struct {
	Site *model.Site
	Host *host.Host
	Run  host.Runner
	Now  func() time.Time
	// Programs are those that the host plane lays down; where mailpland is neither among them nor on the host already,
	// nothing is asked of it.
	Programs []host.Program
}

// issued is what is compared. State is empty for one that is as it should be.
type issued struct {
	Names []string `json:"names"`
	State string   `json:"state,omitempty"`
}

// Name is the plane's.
func (p *Plane) Name() plan.Plane { return plan.Host }

// Kinds are what it knows of the plane.
func (p *Plane) Kinds() []string { return []string{KindPair, KindIssued} }

// Desired is that servers find a pair before they start and, when all else is done, that an authority has issued it: while
// one cannot be had the rest of the system runs.
func (p *Plane) Desired(context.Context) ([]plan.Object, error) {
	if able, err := p.able(); err != nil || !able {
		return nil, err
	}
	pair := p.object(KindPair, true, "there is one")
	pair.Phase, pair.Needs = plan.Place, p.tools()
	objects := []plan.Object{pair}
	if tls := p.Site.Host.TLS; tls.Kept() {
		o := p.object(KindIssued, issued{Names: tls.Names}, "for "+strings.Join(tls.Names, ", "))
		o.Phase, o.Needs = plan.Last, host.Applied(p.Site.Host.Root)
		objects = append(objects, o)
	}
	return objects, nil
}

const program = "mailpland"

func (p *Plane) able() (bool, error) {
	if slices.ContainsFunc(p.Programs, func(h host.Program) bool { return h.Name == program }) {
		return true, nil
	}
	_, err := p.Host.Files.Stat(p.program(), true)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (p *Plane) program() string { return path.Join(p.Site.Host.Root, "bin", program) }

func (p *Plane) object(kind string, value any, show string) plan.Object {
	return plan.Object{Plane: plan.Host, Kind: kind, ID: p.Site.CertificateFolder(), Value: plan.Encode(value), Show: show, From: "host.tls"}
}

// tools are what making it takes on the host.
func (p *Plane) tools() []string {
	ref := func(kind, file string) string { return plan.Object{Plane: plan.Host, Kind: kind, ID: file}.Ref() }
	root := p.Site.Host.Root
	list := []string{ref(host.KindProgram, p.program()), ref(host.KindFile, path.Join(root, settings)),
		ref(host.KindDirectory, p.Site.CertificateFolder())}
	switch tls := p.Site.Host.TLS; {
	case tls.ACME():
		list = append(list, ref(host.KindFile, path.Join(root, "secrets", tls.Token.Secret)))
	case tls.Tailscale():
		list = append(list, ref(host.KindFile, path.Join(root, model.TailscaleProgram)))
	}
	return list
}

// settings are the daemon's on the host, below its root.
const settings = "config/runtime/certificate.json"

// Live reads what servers would read.
func (p *Plane) Live(context.Context) ([]plan.Object, error) {
	if able, err := p.able(); err != nil || !able {
		return nil, err
	}
	leaf, err := p.leaf()
	if err != nil || leaf == nil {
		return nil, err
	}
	objects := []plan.Object{p.object(KindPair, true, "there is one")}
	if !p.Site.Host.TLS.Kept() {
		return objects, nil
	}
	v := issued{Names: p.Site.Host.TLS.Names, State: p.state(leaf)}
	show := "for " + strings.Join(v.Names, ", ")
	if v.State != "" {
		v.Names, show = leaf.DNSNames, v.State
	}
	return append(objects, p.object(KindIssued, v, show)), nil
}

// leaf is nil where there is no pair.
func (p *Plane) leaf() (*x509.Certificate, error) {
	folder := p.Site.CertificateFolder()
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		if _, err := p.Host.Files.Stat(path.Join(folder, name), true); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
	}
	chain, err := p.Host.Files.ReadFile(path.Join(folder, "fullchain.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil // of no use to a server either
	}
	return leaf, nil
}

// state says what is wrong with it.
func (p *Plane) state(leaf *x509.Certificate) string {
	lacks := slices.DeleteFunc(slices.Clone(p.Site.Host.TLS.Names), func(name string) bool { return leaf.VerifyHostname(name) == nil })
	switch {
	case string(leaf.RawIssuer) == string(leaf.RawSubject):
		return "a placeholder"
	case !p.Now().Before(leaf.NotAfter):
		return "ended " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case len(lacks) > 0:
		return "not for " + strings.Join(lacks, ", ")
	}
	return ""
}

// Apply has the program on the host do what is due.
func (p *Plane) Apply(ctx context.Context, changes []plan.Change) error {
	for _, c := range changes {
		verb := "--once"
		if c.Kind == KindPair {
			verb = "--placeholder"
		}
		if _, err := p.Run(ctx, nil, p.program(), "certificate", verb, "--config", path.Join(p.Site.Host.Root, settings)); err != nil {
			return fmt.Errorf("certificate for %s: %w", strings.Join(p.Site.Host.TLS.Names, ", "), err)
		}
	}
	return nil
}

// Watch tells of an end that comes near: whoever renews it does not, then.
func (p *Plane) Watch(context.Context) ([]apply.Finding, error) {
	leaf, err := p.leaf()
	if err != nil {
		return nil, err
	}
	found := apply.Finding{Plane: plan.Host, ID: "certificate", From: "host.tls"}
	if leaf == nil {
		found.Message = "there is none in " + p.Site.CertificateFolder()
		return []apply.Finding{found}, nil
	}
	if found.Message = p.state(leaf); found.Message != "" {
		return []apply.Finding{found}, nil
	}
	left := leaf.NotAfter.Sub(p.Now())
	warning := min(time.Duration(p.Site.Monitoring.CertificateWarnDays)*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/4)
	if left > warning {
		return nil, nil
	}
	found.Message = fmt.Sprintf("ends %s, in %d days, and was not renewed", leaf.NotAfter.UTC().Format(time.DateOnly), int(left.Hours()/24))
	return []apply.Finding{found}, nil
}
