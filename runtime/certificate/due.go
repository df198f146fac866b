package certificate

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/certificate/pair"
)

// due says why a certificate is to be issued now; empty for no reason.
func (k *Keeper) due(ctx context.Context, p *pair.Pair, m *memory) (why string, err error) {
	if p.Placeholder() {
		return "there is none yet", nil
	}
	if lacks := p.Lacks(k.Config.Names); len(lacks) > 0 {
		return "it is not for " + strings.Join(lacks, ", "), nil
	}
	if !k.Now().Before(p.Leaf.NotAfter) {
		return "it has ended", nil
	}
	if err := k.schedule(ctx, p, m); err != nil {
		return "", err
	}
	if k.Now().Before(m.RenewAt) {
		return "", nil
	}
	return "it is time to renew it", nil
}

// asking is how often the authority is asked when it does not say.
const asking = 6 * time.Hour

// schedule brings RenewAt up to date: a random moment of the authority's window, else of our own.
func (k *Keeper) schedule(ctx context.Context, p *pair.Pair, m *memory) error {
	if m.Fingerprint != p.Fingerprint() {
		m.Fingerprint, m.WindowStart, m.WindowEnd, m.AskAt = p.Fingerprint(), time.Time{}, time.Time{}, time.Time{}
		m.RenewAt = k.ownTime(p)
	} else if k.Now().Before(m.AskAt) {
		return nil
	}
	w, err := k.Authority.Window(ctx, p.Leaf)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.AskAt = k.Now().Add(asking)
	switch {
	case errors.Is(err, ErrNoWindow):
	case err != nil:
		k.Log.Warn("certificate: the authority does not say when to renew", "error", err)
	default:
		k.within(w, m)
	}
	return k.remember(*m)
}

// within keeps the moment that was chosen as long as the window stays.
func (k *Keeper) within(w Window, m *memory) {
	if w.AskAgain.After(k.Now()) {
		m.AskAt = w.AskAgain
	}
	if w.Start.Equal(m.WindowStart) && w.End.Equal(m.WindowEnd) {
		return
	}
	m.WindowStart, m.WindowEnd = w.Start, w.End
	m.RenewAt = w.Start.Add(time.Duration(k.Random() * float64(w.End.Sub(w.Start))))
	k.Log.Info("certificate: the authority suggests when to renew", "from", w.Start, "until", w.End, "chosen", m.RenewAt, "why", w.Why)
}

// ownTime is when two thirds of its time are over, and up to a fiftieth more so that not all of one day come at once.
func (k *Keeper) ownTime(p *pair.Pair) time.Time {
	life := p.Leaf.NotAfter.Sub(p.Leaf.NotBefore)
	return p.Leaf.NotBefore.Add(life*2/3 + time.Duration(k.Random()*float64(life/50)))
}
