package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailplan/mailplan/runtime/ledger"
	"github.com/mailplan/mailplan/runtime/lmtp"
	"github.com/mailplan/mailplan/runtime/maildir"
	"github.com/mailplan/mailplan/runtime/message"
	"github.com/mailplan/mailplan/runtime/route"
	"github.com/mailplan/mailplan/runtime/scan"
)

// DeliveryHeader carries the delivery id, by which a mail store drops a second copy: sieve's duplicate
// test (RFC 7352) on it closes the time between the store's 250 and our record of it.
const DeliveryHeader = "X-Mailplan-Delivery"

const maxHops = 100 // RFC 5321 section 6.3

// target is one mailbox or outside address of a delivery.
type target struct {
	route.Target
	via     string // the recipient that leads here
	outcome outcome
	done    bool
	doubt   *[16]byte // delivery id of an earlier try whose end is not known
}

// delivery is one request's message.
type delivery struct {
	server     *Server
	id         string // names the request in log and answer
	from       string
	recipients []recipient
	targets    []target
	size       int64 // -1 when not announced
	key        ledger.Key
	small      bool // its delivery id follows from its content, see isSmall
	verdict    *scan.Verdict
	decision   scan.Decision
	err        error
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// run delivers what src yields and answers for every recipient.
func (d *delivery) run(ctx context.Context, src io.Reader) result {
	from, err := route.ParseReversePath(d.from)
	if err != nil {
		return d.refuseAll(badAddress(err, "5.1.7"))
	}
	d.from = from.String()
	if !d.resolve() {
		res := d.results()
		res.close = true
		return res
	}
	m, err := readMail(src, d.size)
	if err != nil {
		return d.failed(err)
	}
	defer m.close()
	if l := d.server.ledger; l != nil {
		if err := m.makeKey(l.Secret(), d.from, d.server.conf.Trace.By); err != nil {
			return d.failed(err)
		}
		d.key.Head = m.keyer.Head
		defer l.Claim(d.key.Head, d.mailboxes())()
	}
	d.refuseLoops(m)
	streamed, err := d.canStream(m)
	if err == nil {
		if streamed {
			err = d.stream(ctx, m, src)
		} else {
			err = d.deliverWhole(ctx, m, src)
		}
	}
	if err != nil {
		return d.failed(err)
	}
	return d.results()
}

func (d *delivery) refuseAll(o outcome) result {
	for i := range d.recipients {
		d.recipients[i].decided = o
	}
	res := d.results()
	res.close = true
	return res
}

func (d *delivery) results() result {
	all := make([]recipientResult, len(d.recipients))
	for i, r := range d.recipients {
		o := r.decided
		if o.Status == "" {
			outcomes := make([]outcome, len(r.targets))
			for n, at := range r.targets {
				outcomes[n] = d.targets[at].outcome
			}
			o = combine(outcomes)
		}
		all[i] = recipientResult{Address: r.given, outcome: o}
	}
	return summarize(d.id, all)
}

// open lists the targets that nothing has been decided for.
func (d *delivery) open() (at []int) {
	for i := range d.targets {
		if !d.targets[i].done {
			at = append(at, i)
		}
	}
	return at
}

func (d *delivery) settle(i int, o outcome) {
	d.targets[i].outcome, d.targets[i].done = o, true
}

func (d *delivery) settleAll(at []int, o outcome) {
	for _, i := range at {
		d.settle(i, o)
	}
}

// refuseLoops ends what has gone in circles: too many hops, or mail to an outside target that has
// been sent there by us before.
func (d *delivery) refuseLoops(m *mail) {
	if m.header.Count("Received") > maxHops {
		d.settleAll(d.open(), refused(554, "5.4.6", "message has been through too many servers"))
		return
	}
	for i := range d.targets {
		t := &d.targets[i]
		if t.Outside && d.server.outside == nil {
			d.settle(i, deferred("4.3.5", "no way to outside addresses is configured"))
		} else if t.Outside && deliveredTo(m.header, t.via) {
			d.settle(i, refused(554, "5.4.6", "mail is being forwarded in a loop"))
		}
	}
}

func deliveredTo(h message.Header, address string) bool {
	for _, f := range h.Fields {
		if f.Is("Delivered-To") && strings.EqualFold(f.Value(), address) {
			return true
		}
	}
	return false
}

// canStream says whether the message can go out while it comes in: nobody must see it whole first, and
// nothing like it was seen before, so that its key is not needed to know what to do.
func (d *delivery) canStream(m *mail) (bool, error) {
	if m.whole || d.server.scanner != nil || d.server.lmtp == nil || len(d.open()) != len(d.targets) {
		return false, nil
	}
	for _, t := range d.targets {
		if t.Outside {
			return false, nil
		}
	}
	if d.server.ledger == nil {
		return true, nil
	}
	seen, err := d.server.ledger.Seen(d.key.Head)
	return !seen, err
}

// deliverWhole has the whole message before it delivers: it knows its key, so what was delivered
// before is left out, and what is in doubt is tried again under its old delivery id.
func (d *delivery) deliverWhole(ctx context.Context, m *mail, src io.Reader) error {
	if err := m.finish(src, &d.server.spill); err != nil {
		return err
	}
	d.size, d.small = m.size, isSmall(m, d.server.conf.Trace.By)
	if d.server.ledger != nil {
		d.key.Content = m.keyer.Content()
		if err := d.recall(); err != nil {
			return err
		}
	}
	if len(d.open()) == 0 {
		return nil
	}
	edit, ok := d.scan(ctx, m)
	if !ok {
		return nil
	}
	for _, g := range d.groups() {
		if err := d.deliverGroup(ctx, m, edit, g); err != nil {
			return err
		}
	}
	return nil
}

// isSmall says that a message, tried again with any other trace, will be held in memory again. Its
// delivery id is then always made from its content, so that the mail store knows a second copy without
// our help, and nothing need be on disk before it goes out.
func isSmall(m *mail, by []string) bool {
	return m.file == nil && m.size-m.header.TraceLength(by) <= largeBlock/2
}

func (d *delivery) mailboxes() []string {
	all := make([]string, len(d.targets))
	for i, t := range d.targets {
		all[i] = t.Mailbox
	}
	return all
}

// recall settles what the ledger says is delivered and notes what is in doubt.
func (d *delivery) recall() error {
	records, err := d.server.ledger.Lookup(d.key, d.mailboxes())
	if err != nil {
		return err
	}
	for i := range records {
		switch r := &records[i]; r.State {
		case ledger.Delivered:
			d.settle(i, duplicate())
		case ledger.InDoubt:
			d.targets[i].doubt = &r.ID
		}
	}
	return nil
}

// scan asks the scanner and settles all open targets if the message is refused.
func (d *delivery) scan(ctx context.Context, m *mail) (message.Edit, bool) {
	edit := message.Edit{}
	if d.server.scanner != nil {
		client, _ := m.header.Client(d.server.conf.Trace.By)
		v, err := d.server.scanner.Scan(ctx, scan.Request{ID: d.id, From: d.from, To: d.given(), Client: client,
			Body: m.reader(), Size: m.size})
		d.decision = d.server.scanner.Decide(v, err)
		if err != nil {
			d.err = err
		} else {
			d.verdict, edit = &v, v.Edit
		}
	}
	switch d.decision.Deed {
	case scan.Reject:
		d.settleAll(d.open(), refused(550, "5.7.1", d.decision.Answer))
		return edit, false
	case scan.TempFail:
		d.settleAll(d.open(), deferred("4.7.1", d.decision.Answer))
		return edit, false
	case scan.Junk:
		edit.Inserts = append(edit.Inserts, message.Insert{Name: "X-Spam", Value: "Yes"})
		if s := d.verdict; s != nil && s.Action == "rewrite subject" && s.Subject != "" {
			edit.Remove = append(edit.Remove, message.Removal{Name: "Subject"})
			edit.Inserts = append(edit.Inserts, message.Insert{Name: "Subject", Value: s.Subject, Order: -1})
		}
	}
	return edit, true
}

func (d *delivery) given() []string {
	all := make([]string, len(d.recipients))
	for i, r := range d.recipients {
		all[i] = r.given
	}
	return all
}

// group is a set of targets that one transaction serves under one delivery id.
type group struct {
	id      [16]byte
	at      []int
	outside bool
}

// groups divides the open targets: mailboxes by delivery id, outside targets one by one.
func (d *delivery) groups() (all []group) {
	for _, i := range d.open() {
		t := d.targets[i]
		g := group{id: [16]byte(d.key.Content[:16]), at: []int{i}, outside: t.Outside}
		if d.server.ledger == nil {
			rand.Read(g.id[:])
		}
		if t.doubt != nil {
			g.id = *t.doubt
		}
		joined := false
		for n := range all {
			if !t.Outside && !all[n].outside && (all[n].id == g.id || d.server.ledger == nil) {
				all[n].at, joined = append(all[n].at, i), true
				break
			}
		}
		if !joined {
			all = append(all, g)
		}
	}
	return all
}

func (d *delivery) deliverGroup(ctx context.Context, m *mail, edit message.Edit, g group) error {
	switch {
	case g.outside:
		return d.sendOutside(ctx, m, edit, g)
	case d.server.maildir != nil:
		return d.storeGroup(m, edit, g)
	}
	header := d.head(m, edit, g.id)
	size := m.size - int64(m.length) + int64(len(header))
	return d.transact(ctx, g, size, func(t *lmtp.Transaction) error {
		_, err := t.Write(header)
		if err == nil {
			_, err = t.Write(m.first[m.length:])
		}
		if err == nil {
			_, err = t.ReadFrom(m.tail())
		}
		return err
	})
}

// head is the header section as it is delivered.
func (d *delivery) head(m *mail, edit message.Edit, id [16]byte) []byte {
	edit.Strip = fromOutside
	edit.Inserts = append([]message.Insert{{Name: DeliveryHeader, Value: hex.EncodeToString(id[:])}}, edit.Inserts...)
	return edit.Apply(m.header)
}

// fromOutside tells the fields that only we may set: sieve acts on them.
func fromOutside(f message.Field) bool {
	return f.Is("X-Spam") || f.HasPrefix("X-Spam-") || f.HasPrefix("X-Mailplan-")
}

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
	t, err := d.server.lmtp.Begin(ctx, env)
	if err != nil {
		d.storeDown(g, err)
		return nil
	}
	defer t.Abort()
	if !d.small {
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
	header := d.head(m, message.Edit{}, g.id)
	size := int64(-1)
	if d.size >= 0 {
		size = d.size - int64(m.length) + int64(len(header))
	}
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
		records = append(records, ledger.Record{Key: d.key, Mailbox: d.targets[i].Mailbox, ID: g.id, State: ledger.InDoubt})
	}
	if err := d.server.ledger.Begin(records); err != nil {
		return fmt.Errorf("%w: %w", errLedger, err)
	}
	return nil
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
		d.settle(i, o)
		records = append(records, d.record(g, i, o, r.InDoubt))
	}
	d.remember(records)
}

func (d *delivery) record(g group, i int, o outcome, inDoubt bool) ledger.Record {
	r := ledger.Record{Key: d.key, Mailbox: d.targets[i].Mailbox, ID: g.id,
		Reply: fmt.Sprintf("%d %s %s", o.Code, o.Enhanced, o.Message)}
	switch {
	case o.Status == statusDelivered:
		r.State = ledger.Delivered
	case inDoubt || d.targets[i].doubt != nil: // an earlier try may still have succeeded
		r.State = ledger.InDoubt
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
	header := d.head(m, edit, g.id)
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
	header := d.head(m, edit, g.id)
	r := d.server.outside.Send(ctx, from, t.Address,
		io.MultiReader(bytes.NewReader(header), bytes.NewReader(m.first[m.length:]), m.tail()))
	d.conclude(g, []lmtp.Result{r}, nil)
	return nil
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
