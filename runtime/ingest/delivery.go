package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/ledger"
	"github.com/mailplan/mailplan/runtime/lmtp"
	"github.com/mailplan/mailplan/runtime/message"
	"github.com/mailplan/mailplan/runtime/route"
	"github.com/mailplan/mailplan/runtime/scan"
)

// DeliveryHeader carries the delivery id, by which a mail store drops a second copy: sieve's duplicate
// test (RFC 7352) on it closes the time between the store's 250 and our record of it. DoubtHeader stands
// beside it when an earlier try may have been stored, and says since when, in Unix time. The store then
// looks into the mailbox: a store that was killed has no mark of what it stored last.
const (
	DeliveryHeader = "X-Mailplan-Delivery"
	DoubtHeader    = "X-Mailplan-Doubt"
)

const maxHops = 100 // RFC 5321 section 6.3

// target is one mailbox or outside address of a delivery.
type target struct {
	route.Target
	via     string // the recipient that leads here
	outcome outcome
	done    bool
	doubt   *ledger.Record // of an earlier try whose end is not known
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
	small      bool // nothing is written down before it goes out, see isSmall
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
		if err := l.Err(); err != nil { // after the claim, which Close looks for
			return d.failed(err)
		}
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

// settle decides for a target. What an earlier try may have stored is not refused: only what is proven is permanent.
func (d *delivery) settle(i int, o outcome) {
	if o.Status == statusRefused && d.targets[i].doubt != nil {
		o = unproven(o)
	}
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

// canStream says whether the message can go out while it comes in: nobody must see it whole first, it is not
// small, and nothing like it was seen before, so that its key is not needed to know what to do.
func (d *delivery) canStream(m *mail) (bool, error) {
	if m.whole || d.server.scanner != nil || d.server.lmtp == nil || len(d.open()) != len(d.targets) {
		return false, nil
	}
	if d.size < 0 || d.isSmall(m, d.size) { // of a size that is not known it may turn out to be small
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
	d.size, d.small = m.size, d.isSmall(m, m.size)
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

// maxSmall is the size of the largest message, without its trace, that is seen whole before it goes on.
const maxSmall = 1 << 20

// isSmall says that a message of this size is seen whole at every try, whatever trace that has. Its delivery id
// is always made from its content, so that the mail store knows a second copy without our help, and nothing
// need be on disk before it goes out.
func (d *delivery) isSmall(m *mail, size int64) bool {
	return size-m.header.TraceLength(d.server.conf.Trace.By) <= maxSmall
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
			d.targets[i].doubt = r
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
	doubt   time.Time // since when an earlier try may have been stored; zero: there was none
}

// groups divides the open targets: mailboxes by delivery id, outside targets one by one.
func (d *delivery) groups() (all []group) {
	for _, i := range d.open() {
		t := d.targets[i]
		g := group{id: [16]byte(d.key.Content[:16]), at: []int{i}, outside: t.Outside}
		if d.server.ledger == nil {
			rand.Read(g.id[:])
		}
		g.doubt = d.doubtOf(t)
		if t.doubt != nil {
			g.id = t.doubt.ID
		}
		joined := false
		for n := range all {
			if !t.Outside && !all[n].outside && (all[n].id == g.id || d.server.ledger == nil) {
				all[n].at, joined = append(all[n].at, i), true
				all[n].doubt = earlier(all[n].doubt, g.doubt)
				break
			}
		}
		if !joined {
			all = append(all, g)
		}
	}
	return all
}

// doubtSlack is how long before a try is written down its message may have got its place in the store.
const doubtSlack = 10 * time.Minute

// doubtOf is since when an earlier try of a target may have been stored. That of a small message leaves
// no record before it goes out, so after a crash each of them may be one.
func (d *delivery) doubtOf(t target) (since time.Time) {
	if t.doubt != nil {
		since = t.doubt.Time.Add(-doubtSlack)
	}
	if l := d.server.ledger; l != nil && d.small {
		if lost, ok := l.Doubt(); ok {
			since = earlier(since, lost)
		}
	}
	return since
}

// earlier is the earlier of two times of which the zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (d *delivery) deliverGroup(ctx context.Context, m *mail, edit message.Edit, g group) error {
	switch {
	case g.outside:
		return d.sendOutside(ctx, m, edit, g)
	case d.server.maildir != nil:
		return d.storeGroup(m, edit, g)
	}
	header := d.head(m, edit, g)
	size := m.size - int64(m.length) + int64(len(header))
	return d.transact(ctx, g, size, func(t *lmtp.Transaction) error {
		err := t.Hold(header)
		if err == nil {
			err = t.Hold(m.first[m.length:])
		}
		if err == nil && m.file != nil {
			_, err = t.ReadFrom(m.tail())
		}
		return err
	})
}

// head is the header section as it is delivered.
func (d *delivery) head(m *mail, edit message.Edit, g group) []byte {
	edit.Strip = fromOutside
	ours := []message.Insert{{Name: DeliveryHeader, Value: hex.EncodeToString(g.id[:])}}
	if !g.doubt.IsZero() {
		ours = append(ours, message.Insert{Name: DoubtHeader, Value: strconv.FormatInt(g.doubt.Unix(), 10)})
	}
	edit.Inserts = append(ours, edit.Inserts...)
	return edit.Apply(m.header)
}

// fromOutside tells the fields that only we may set: sieve acts on them.
func fromOutside(f message.Field) bool {
	return f.Is("X-Spam") || f.HasPrefix("X-Spam-") || f.HasPrefix("X-Mailplan-")
}
