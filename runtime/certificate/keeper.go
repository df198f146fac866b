// Package certificate keeps the certificate of the mail names in force: it has one issued (ACME, RFC 8555), renews it when
// the authority suggests (RFC 9773) or two thirds of its time are over, and has the servers read the new one. Before the
// first is issued it puts a placeholder there, so that servers start. All of it continues after a kill at any moment: what
// is in use is replaced in one step, and what was not told to servers yet is told by the next pass. It must not know
// Dovecot, Postfix or Docker: how servers are told is a program's business.
package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate/pair"
	"github.com/mailplan/mailplan/runtime/config"
)

// Authority issues certificates.
type Authority interface {
	// Obtain has one issued for the names. Replaces is the one before, if it is this authority's; nil for none.
	Obtain(ctx context.Context, names []string, replaces *x509.Certificate) (*pair.Pair, error)
	// Window asks when the authority wants a certificate renewed; ErrNoWindow is that it never says.
	Window(ctx context.Context, leaf *x509.Certificate) (Window, error)
	// Sweep removes what attempts that were killed left in the zones.
	Sweep(ctx context.Context) error
}

// ErrNoWindow says that the authority suggests no time.
var ErrNoWindow = errors.New("the authority suggests no time for renewals")

// Window is when an authority wants a certificate renewed.
type Window struct {
	Start, End time.Time
	AskAgain   time.Time // zero: it does not say
	Why        string    // URL of an explanation, if there is one
}

// Keeper looks after one certificate.
type Keeper struct {
	Config    config.Certificate
	Authority Authority // nil: somebody else puts the certificate in place
	// Reload has servers read the certificate again; sessions that are open must go on.
	Reload func(ctx context.Context) error
	Log    *slog.Logger
	Now    func() time.Time
	Random func() float64 // of [0,1)
}

// New has a Keeper with the clock and chance of the world.
func New(c config.Certificate, a Authority, reload func(context.Context) error, log *slog.Logger) *Keeper {
	return &Keeper{Config: c, Authority: a, Reload: reload, Log: log, Now: time.Now, Random: rand.Float64}
}

func (k *Keeper) folder() pair.Folder {
	return pair.Folder{Path: k.Config.Folder, UID: k.Config.UID, GID: k.Config.GID}
}

// Provide makes sure that servers find a pair at all: a placeholder, where there is none that can be used.
func (k *Keeper) Provide(ctx context.Context) error {
	unlock, err := k.lock()
	if err != nil {
		return err
	}
	defer unlock()
	_, err = k.provide()
	return err
}

func (k *Keeper) provide() (*pair.Pair, error) {
	p, err := k.folder().Load()
	if err == nil {
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		k.Log.Error("certificate: what is in place cannot be used", "error", err)
	}
	p, err = pair.Placeholder(k.Config.Names, k.Now())
	if err != nil {
		return nil, err
	}
	if err := k.folder().Put(p); err != nil {
		return nil, fmt.Errorf("put a placeholder into %s: %w", k.Config.Folder, err)
	}
	k.Log.Info("certificate: a placeholder is in place until one is issued", "folder", k.Config.Folder)
	return p, nil
}

// Pass does what is due: obtains or renews, and has servers read what is new. By hand it tries at once what failed a
// short while ago.
func (k *Keeper) Pass(ctx context.Context, byHand bool) error {
	unlock, err := k.lock()
	if err != nil {
		return err
	}
	defer unlock()
	m, err := k.recall()
	if err != nil {
		return err
	}
	p, err := k.provide()
	if err != nil {
		return err
	}
	var failed error
	if k.Authority != nil {
		p, failed = k.keep(ctx, p, &m, byHand)
	}
	return errors.Join(failed, k.tell(ctx, p, &m), k.warn(p, &m))
}

// keep returns the pair that is in place afterwards.
func (k *Keeper) keep(ctx context.Context, p *pair.Pair, m *memory, byHand bool) (*pair.Pair, error) {
	if m.Trying {
		k.Log.Warn("certificate: the last attempt was cut off; removing what it left")
		if err := k.Authority.Sweep(ctx); err != nil {
			return p, err
		}
		m.Trying = false
		if err := k.remember(*m); err != nil {
			return p, err
		}
	}
	why, err := k.due(ctx, p, m)
	if err != nil || why == "" || !byHand && k.Now().Before(m.NextTry) {
		return p, err
	}
	return k.renew(ctx, p, m, why)
}

// limit is how long an attempt may take in all.
const limit = 15 * time.Minute

func (k *Keeper) renew(ctx context.Context, p *pair.Pair, m *memory, why string) (*pair.Pair, error) {
	m.Trying, m.LastAttempt = true, k.Now()
	if err := k.remember(*m); err != nil {
		return p, err
	}
	issued, err := k.obtain(ctx, p, m)
	swept := k.Authority.Sweep(ctx)
	if err == nil && swept != nil {
		k.Log.Warn("certificate: records are left in the zones", "error", swept)
	}
	m.Trying = swept != nil // the next pass tries again
	if ctx.Err() != nil {
		return p, errors.Join(ctx.Err(), k.remember(*m)) // being stopped is no failure
	}
	if err != nil {
		return p, errors.Join(err, k.fail(m, why, err))
	}
	k.Log.Info("certificate: issued", "why", why, "names", strings.Join(k.Config.Names, " "), "issuer", issued.Leaf.Issuer.CommonName,
		"notAfter", issued.Leaf.NotAfter)
	m.LastError, m.Failures, m.NextTry = "", 0, time.Time{}
	return issued, k.remember(*m)
}

func (k *Keeper) obtain(ctx context.Context, p *pair.Pair, m *memory) (*pair.Pair, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var replaces *x509.Certificate
	if m.Fingerprint == p.Fingerprint() && !m.WindowEnd.IsZero() {
		replaces = p.Leaf // the authority knows it
	}
	issued, err := k.Authority.Obtain(ctx, k.Config.Names, replaces)
	if err != nil {
		return nil, err
	}
	if lacks := issued.Lacks(k.Config.Names); len(lacks) > 0 {
		return nil, fmt.Errorf("the authority's certificate is not for %s", strings.Join(lacks, ", "))
	}
	if err := k.folder().Put(issued); err != nil {
		return nil, fmt.Errorf("put the new certificate into %s: %w", k.Config.Folder, err)
	}
	return issued, nil
}

// Authorities count failures and block for hours who has many: each failure doubles the rest, up to a day.
const (
	firstRest = 15 * time.Minute
	lastRest  = 24 * time.Hour
)

func (k *Keeper) fail(m *memory, why string, err error) error {
	rest := lastRest
	if m.Failures < 7 {
		rest = min(firstRest<<m.Failures, lastRest)
	}
	m.Failures++
	m.LastError = err.Error()
	m.NextTry = k.Now().Add(time.Duration(float64(rest) * (0.9 + 0.2*k.Random())))
	k.Log.Error("certificate: not issued", "why", why, "error", err, "failures", m.Failures, "nextTry", m.NextTry)
	return k.remember(*m)
}

// tell has servers read the pair, unless they were told.
func (k *Keeper) tell(ctx context.Context, p *pair.Pair, m *memory) error {
	if m.Served == p.Fingerprint() || k.Reload == nil {
		return nil
	}
	if err := k.Reload(ctx); err != nil {
		return fmt.Errorf("have servers read the certificate: %w", err)
	}
	k.Log.Info("certificate: servers were told to read it", "notAfter", p.Leaf.NotAfter, "placeholder", p.Placeholder())
	m.Served = p.Fingerprint()
	return k.remember(*m)
}

// warn says once a day what somebody must see to.
func (k *Keeper) warn(p *pair.Pair, m *memory) error {
	left := p.Leaf.NotAfter.Sub(k.Now())
	if p.Placeholder() || left > k.warning(p.Leaf) || k.Now().Sub(m.Warned) < 24*time.Hour {
		return nil
	}
	if left <= 0 {
		k.Log.Error("certificate: has ended", "notAfter", p.Leaf.NotAfter)
	} else {
		k.Log.Warn("certificate: ends soon", "notAfter", p.Leaf.NotAfter, "days", int(left.Hours()/24))
	}
	m.Warned = k.Now()
	return k.remember(*m)
}

// warning is how long before its end there is reason to worry: as declared, but of a certificate that is given for days
// only not sooner than it is renewed anyway.
func (k *Keeper) warning(leaf *x509.Certificate) time.Duration {
	return min(time.Duration(k.Config.WarnDays)*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/4)
}
