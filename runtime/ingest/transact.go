package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/runtime/ledger"
	"github.com/mailplan/mailplan/runtime/lmtp"
	"github.com/mailplan/mailplan/runtime/maildir"
	"github.com/mailplan/mailplan/runtime/message"
	"github.com/mailplan/mailplan/runtime/scan"
)

// transact is one LMTP transaction: the ledger has it on disk before the mail store can act on it.
// send writes the message. An error of send is the request's; everything else settles targets.
func (d *delivery) transact(ctx context.Context, g group, size int64, send func(*lmtp.Transaction) error) error {
	env := lmtp.Envelope{From: d.from, Size: size}
	boxes := make([]string, 0, len(g.at))
	for _, i := range g.at {
		env.To = append(env.To, d.targets[i].Address)
		boxes = append(boxes, d.targets[i].Mailbox)
	}
	release, ok := d.server.busy.lock(ctx, boxes)
	if !ok {
		d.settleAll(g.at, deferred("4.3.2", "mailbox is busy"))
		return nil
	}
	defer release()
	if d.small {
		if !d.server.turns.take(ctx) {
			d.settleAll(g.at, deferred("4.3.2", "mail store is busy"))
			return nil
		}
		defer d.server.turns.give()
	}
	t, err := d.server.lmtp.Begin(ctx, env)
	if err != nil {
		d.storeDown(g, err)
		return nil
	}
	defer t.Abort()
	if !d.small || !t.AtOnce() {
		if results, err := d.ask(ctx, t, g); err != nil || t.Accepted() == 0 {
			if errors.Is(err, errLedger) {
				return err
			}
			d.conclude(g, results, err)
			return nil
		}
	}
	if err := send(t); err != nil {
		if fromSource(err) {
			return err
		}
		d.conclude(g, nil, err)
		return nil
	}
	results, err := t.Commit()
	d.conclude(g, results, err)
	return nil
}

// ask names the envelope to the mail store and, while that thinks, has the ledger say that the delivery
// may happen, if the message's key is known already.
func (d *delivery) ask(ctx context.Context, t *lmtp.Transaction, g group) ([]lmtp.Result, error) {
	t.Announce() // its error shows again where the replies are missing
	if d.key.Content != [32]byte{} {
		if err := d.begin(g); err != nil {
			return nil, err
		}
	}
	return t.Recipients(ctx)
}

func fromSource(err error) bool {
	for _, e := range []error{errTooLarge, errShort, errSlow, errMismatch, errLedger} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// stream sends the message on while it comes in, under an id of its own. The ledger hears of it when
// the last byte is here and before it goes out.
func (d *delivery) stream(ctx context.Context, m *mail, src io.Reader) error {
	g := group{at: d.open()}
	rand.Read(g.id[:])
	header := d.head(m, message.Edit{}, g)
	size := d.size - int64(m.length) + int64(len(header))
	return d.transact(ctx, g, size, func(t *lmtp.Transaction) error {
		if _, err := t.Write(header); err != nil {
			return err
		}
		if _, err := t.Write(m.first[m.length:]); err != nil {
			return err
		}
		if _, err := t.ReadFrom(&keyedReader{src, m}); err != nil {
			return err
		}
		d.size = m.size
		if d.server.ledger == nil {
			return nil
		}
		d.key.Content = m.keyer.Content()
		return d.begin(g)
	})
}

var errLedger = errors.New("ledger does not take the delivery")

// begin has the ledger say that the group's deliveries may happen.
func (d *delivery) begin(g group) error {
	if d.server.ledger == nil {
		return nil
	}
	records := make([]ledger.Record, 0, len(g.at))
	for _, i := range g.at {
		records = append(records, d.inDoubt(g, i))
	}
	if err := d.server.ledger.Begin(records); err != nil {
		return fmt.Errorf("%w: %w", errLedger, err)
	}
	return nil
}

// inDoubt is the record of a delivery that may happen, or may have happened since its first try.
func (d *delivery) inDoubt(g group, i int) ledger.Record {
	r := ledger.Record{Key: d.key, Mailbox: d.targets[i].Mailbox, ID: g.id, State: ledger.InDoubt}
	if doubt := d.targets[i].doubt; doubt != nil {
		r.Time = doubt.Time
	}
	return r
}

// conclude settles the group's targets by the mail store's results, or by err when it had no say, and
// has the ledger remember that.
func (d *delivery) conclude(g group, results []lmtp.Result, err error) {
	said, refusedOutright := lmtp.RefusedReply(err)
	records := make([]ledger.Record, 0, len(g.at))
	for n, i := range g.at {
		var r lmtp.Result
		switch {
		case refusedOutright:
			r.Reply = said
		case err != nil:
			r.Err = err
		default:
			r = results[n]
		}
		if r.Err != nil && d.err == nil {
			d.err = r.Err
		}
		o := fromResult(r)
		if !g.outside && strings.HasPrefix(o.Enhanced, "5.1.") {
			// our table has this mailbox: the mail store is behind, or wrong
			o = deferred("4.3.5", "mail store does not know this mailbox: "+o.Message)
		}
		if o.Status == statusRefused && !g.outside && !g.doubt.IsZero() {
			o = unproven(o) // full now, it may be, by that very message
		}
		d.settle(i, o)
		records = append(records, d.record(g, i, o, r.InDoubt))
	}
	d.remember(records)
}

func (d *delivery) record(g group, i int, o outcome, inDoubt bool) ledger.Record {
	r := d.inDoubt(g, i)
	r.Reply = strconv.Itoa(o.Code) + " " + o.Enhanced + " " + o.Message
	switch {
	case o.Status == statusDelivered:
		r.State = ledger.Delivered
	case inDoubt || d.targets[i].doubt != nil: // an earlier try may still have succeeded
	case o.Status == statusRefused:
		r.State = ledger.Refused
	default:
		r.State = ledger.Deferred
	}
	return r
}

func (d *delivery) remember(records []ledger.Record) {
	if d.server.ledger == nil || d.key.Content == [32]byte{} {
		return
	}
	if err := d.server.ledger.Finish(records); err != nil {
		d.server.log.Error("ledger does not take an outcome", "id", d.id, "error", err)
	}
}

// storeDown settles the group when there is no connection to the mail store.
func (d *delivery) storeDown(g group, err error) {
	d.err = err
	d.settleAll(g.at, deferred("4.4.1", "mail store cannot be reached"))
}

// storeGroup delivers into the embedded Maildir.
func (d *delivery) storeGroup(m *mail, edit message.Edit, g group) error {
	if err := d.begin(g); err != nil {
		return err
	}
	header := d.head(m, edit, g)
	records := make([]ledger.Record, 0, len(g.at))
	for _, i := range g.at {
		t := d.targets[i]
		err := d.server.maildir.Deliver(maildir.Message{Mailbox: t.Mailbox, ID: hex.EncodeToString(g.id[:]),
			Junk: d.decision.Deed == scan.Junk,
			Body: io.MultiReader(bytes.NewReader(header), bytes.NewReader(m.first[m.length:]), m.tail())}, t.doubt != nil)
		o := outcome{Status: statusDelivered, Code: 250, Enhanced: "2.0.0", Message: "stored"}
		if err != nil {
			d.err = err
			o = deferred("4.2.0", "mailbox cannot be written")
		}
		d.settle(i, o)
		records = append(records, d.record(g, i, o, err != nil))
	}
	d.remember(records)
	return nil
}

// sendOutside hands the message to the smarthost, with our trace of where it was sent on from.
func (d *delivery) sendOutside(ctx context.Context, m *mail, edit message.Edit, g group) error {
	t := d.targets[g.at[0]]
	from := d.from
	if d.server.srs != nil {
		var err error
		if from, err = d.server.srs.Forward(d.from); err != nil {
			d.settle(g.at[0], refused(553, "5.1.7", err.Error()))
			return nil
		}
	}
	if err := d.begin(g); err != nil {
		return err
	}
	edit.Inserts = append(edit.Inserts, message.Insert{Name: "Delivered-To", Value: t.via})
	if d.server.conf.Smarthost.OwnFrom && !d.ownAuthors(m.header) {
		own := message.FromVia(m.header, d.senderOf(t))
		edit.Remove, edit.Inserts = append(edit.Remove, own.Remove...), append(edit.Inserts, own.Inserts...)
	}
	header := d.head(m, edit, g)
	r := d.server.outside.Send(ctx, from, t.Address,
		io.MultiReader(bytes.NewReader(header), bytes.NewReader(m.first[m.length:]), m.tail()))
	d.conclude(g, []lmtp.Result{r}, nil)
	return nil
}

// ownAuthors says whether all authors of a message are of our domains.
func (d *delivery) ownAuthors(h message.Header) bool {
	table := d.server.table.current.Load()
	domains := h.AuthorDomains()
	return len(domains) > 0 && !slices.ContainsFunc(domains, func(name string) bool { return !table.HasDomain(name) })
}

// senderOf is the address of ours that sends a message on: the one it came to, but for a bounce, which came
// to a rewritten reverse path.
func (d *delivery) senderOf(t target) string {
	if w := d.server.srs; w != nil {
		if _, err := w.Reverse(t.via); err == nil {
			return "postmaster@" + w.Domain
		}
	}
	return t.via
}

// keyedReader passes the rest of the message on and has the key see it.
type keyedReader struct {
	src io.Reader
	m   *mail
}

// Read reads from the source into the key.
func (k *keyedReader) Read(b []byte) (int, error) {
	n, err := k.src.Read(b)
	k.m.see(b[:n])
	k.m.size += int64(n)
	return n, err
}

func trimmed(b []byte) string { return strings.TrimSpace(string(b)) }
