package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/mailplan/mailplan/runtime/socket"
)

// Envelope is what a transaction is about.
type Envelope struct {
	From string   // reverse path without brackets; empty: the null reverse path
	To   []string // recipients without brackets
	Size int64    // exact size of the message in bytes
}

// Result is what became of one recipient.
type Result struct {
	Reply Reply // the server's word; zero when there was none
	Err   error // why there was none
	// InDoubt says that the whole message went out and no reply came: the server may have delivered
	// it. Without it a result that is not positive means: surely not delivered.
	InDoubt bool
}

const (
	blockSize = 128 << 10
	reserve   = 32 // room for a BDAT command before each block
)

// block holds bytes to be sent, with room for a command before them.
type block [reserve + blockSize]byte

var (
	blocks    = sync.Pool{New: func() any { return new(block) }}
	endOfBody = []byte("BDAT 0 LAST\r\n")
)

// ErrSize says that the message was not as long as its envelope said.
var ErrSize = errors.New("message is not as long as announced")

// Transaction is one message on its way. The order of calls is Recipients, then Write and ReadFrom as
// often as needed, then Commit. Where [Transaction.AtOnce] says so, Recipients can be left out: a small
// message goes out in one write with its envelope, and Commit reads all replies; that saves a round trip,
// and loses the certainty that a connection which had idled is alive. Abort ends the transaction at any point before Commit has
// returned; after that it does no harm, so that it can be deferred.
type Transaction struct {
	pool    *Pool
	c       *conn
	env     Envelope
	results []Result
	to      []int  // results still without a final reply: indexes of accepted recipients
	head    []byte // the envelope's commands, while they have not been sent
	asked   bool   // the envelope's replies have been read

	block *block
	fill  int      // bytes waiting in block after the reserve
	held  [][]byte // the caller's memory, to be sent behind them
	size  int64    // bytes written so far
	begun bool     // BDAT or DATA has gone out
	body  bool     // the body has a BDAT command of its own, whose reply is outstanding
	alone bool     // in one BDAT command for all
	stuff stuffer
}

// Begin prepares a transaction on an idle or new connection.
func (p *Pool) Begin(ctx context.Context, env Envelope) (*Transaction, error) {
	c, err := p.get(ctx)
	if err != nil {
		return nil, err
	}
	t := &Transaction{pool: p, c: c, env: env, results: make([]Result, len(env.To))}
	t.head = t.envelope()
	return t, nil
}

func (t *Transaction) envelope() []byte {
	b := append(append(append(make([]byte, 0, 256), "MAIL FROM:<"...), t.env.From...), '>')
	if t.c.eightBit {
		b = append(b, " BODY=8BITMIME"...)
	}
	if t.c.size {
		b = strconv.AppendInt(append(b, " SIZE="...), t.env.Size, 10)
	}
	b = append(b, "\r\n"...)
	if t.c.pipelining {
		for _, to := range t.env.To {
			b = append(append(append(b, "RCPT TO:<"...), to...), ">\r\n"...)
		}
	}
	return b
}

// AtOnce says whether the server takes a body before it has answered to the envelope.
func (t *Transaction) AtOnce() bool { return t.c.chunking && t.c.pipelining }

// Announce sends the envelope without waiting for what the server says to it.
func (t *Transaction) Announce() error {
	if t.head == nil {
		return nil
	}
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Envelope))
	_, err := t.c.Write(t.head)
	t.head = nil
	return err
}

// Recipients waits for what the server says to each recipient, in the order of the envelope. A
// connection that had idled and turns out to be closed is replaced by a new one, once.
func (t *Transaction) Recipients(ctx context.Context) ([]Result, error) {
	err := t.ask()
	if err == nil || !t.c.reused || isRefused(err) {
		return t.results, err
	}
	t.c.Close()
	if t.c, err = t.pool.dial(ctx); err != nil {
		t.c = nil
		return nil, err
	}
	clear(t.results)
	t.to, t.head = t.to[:0], t.envelope()
	return t.results, t.ask()
}

func (t *Transaction) ask() error {
	if err := t.Announce(); err != nil {
		return fmt.Errorf("send the envelope: %w", err)
	}
	return t.readEnvelope()
}

func isRefused(err error) bool { _, ok := RefusedReply(err); return ok }

func (t *Transaction) readEnvelope() error {
	t.asked = true
	mail, err := ReadReply(t.c.br)
	if err != nil {
		return fmt.Errorf("reply to MAIL: %w", err)
	}
	for i, to := range t.env.To {
		if !t.c.pipelining {
			if !mail.Positive() {
				break
			}
			if _, err := fmt.Fprintf(t.c, "RCPT TO:<%s>\r\n", to); err != nil {
				return fmt.Errorf("send RCPT: %w", err)
			}
		}
		r, err := ReadReply(t.c.br)
		if err != nil {
			return fmt.Errorf("reply to RCPT: %w", err)
		}
		t.results[i].Reply = r
		if r.Positive() {
			t.to = append(t.to, i)
		}
	}
	if !mail.Positive() {
		return refusedError{mail}
	}
	return nil
}

// Accepted is how many recipients the server is willing to take the message for.
func (t *Transaction) Accepted() int { return len(t.to) }

// Write adds b to the message.
func (t *Transaction) Write(b []byte) (int, error) {
	if !t.c.chunking {
		t.size += int64(len(b))
		return len(b), t.writeData(b)
	}
	for rest := b; len(rest) > 0; {
		if err := t.makeRoom(); err != nil {
			return 0, err
		}
		n := copy(t.block[reserve+t.fill:], rest)
		t.fill, t.size, rest = t.fill+n, t.size+int64(n), rest[n:]
	}
	return len(b), nil
}

// Hold adds b to the message like Write, but may send it from where it is: b must not change before
// Commit or Abort has returned.
func (t *Transaction) Hold(b []byte) error {
	if !t.c.chunking {
		_, err := t.Write(b)
		return err
	}
	t.held, t.size = append(t.held, b), t.size+int64(len(b))
	return nil
}

// ReadFrom adds everything that r yields to the message, reading straight into the outgoing blocks.
func (t *Transaction) ReadFrom(r io.Reader) (total int64, err error) {
	if !t.c.chunking {
		return io.CopyBuffer(struct{ io.Writer }{t}, r, make([]byte, 32<<10))
	}
	for {
		if err := t.makeRoom(); err != nil {
			return total, err
		}
		n, err := r.Read(t.block[reserve+t.fill:])
		t.fill, t.size, total = t.fill+n, t.size+int64(n), total+int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// makeRoom sends a full block, and what is held, which comes before all that follows.
func (t *Transaction) makeRoom() error {
	if t.block == nil {
		t.block = blocks.Get().(*block)
	}
	if t.fill < blockSize && len(t.held) == 0 {
		return nil
	}
	return t.flush(false)
}

// flush sends the block, behind the command that it needs: one BDAT for the whole message. The end of the body
// is a command of its own, so that it goes out when the message is known to be right, and when there are several
// recipients, since what the server then says to the body is no word about one of them. A message for one
// recipient that is here whole is one command: its reply less spares the server a twentieth of its work on 4 KB.
func (t *Transaction) flush(last bool) error {
	if t.size > t.env.Size || last && t.size < t.env.Size {
		return ErrSize
	}
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Block))
	start, end := reserve, reserve+t.fill
	t.alone = last && !t.begun && len(t.env.To) == 1
	switch {
	case t.alone:
		start = t.command(t.size, " LAST")
	case t.env.Size > 0 && !t.begun:
		start = t.command(t.env.Size, "")
		t.body = true
	}
	parts := append(append(make(net.Buffers, 0, 4+len(t.held)), t.head, t.block[start:end]), t.held...)
	if last && !t.alone {
		parts = append(parts, endOfBody)
	}
	t.begun, t.fill, t.held, t.head = true, 0, t.held[:0], nil
	return socket.WriteBuffers(t.c.Conn, &parts)
}

// command writes a BDAT command so that it ends where the block begins, and returns where it begins.
func (t *Transaction) command(size int64, end string) int {
	var b [reserve]byte
	line := append(append(strconv.AppendInt(append(b[:0], "BDAT "...), size, 10), end...), "\r\n"...)
	return reserve - copy(t.block[reserve-len(line):reserve], line)
}

// Commit sends the rest of the message and waits for the result of each recipient, in the order of the
// envelope. An error means that nothing was delivered.
func (t *Transaction) Commit() ([]Result, error) {
	if err := t.finish(); err != nil {
		if errors.Is(err, ErrSize) || isRefused(err) {
			return nil, err
		}
		return t.lost(err), nil
	}
	t.awaitReplies()
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Commit))
	if err := t.readLateEnvelope(); err != nil || len(t.to) == 0 {
		if isRefused(err) || err == nil {
			return t.results, err
		}
		return t.lost(err), nil
	}
	if t.body {
		r, err := ReadReply(t.c.br)
		if err != nil {
			return t.lost(err), nil
		}
		if !r.Positive() {
			return nil, refusedError{r} // and the server takes no further part of this message
		}
	}
	stored := true
	for n, i := range t.to {
		r, err := ReadReply(t.c.br)
		if err != nil {
			t.to = t.to[n:]
			return t.lost(err), nil
		}
		t.results[i], stored = Result{Reply: r}, stored && r.Positive()
	}
	// Else the server may not have come to the end of the body, or it said more than we asked. Abort closes.
	if (stored || !t.alone) && t.c.br.Buffered() == 0 {
		t.release()
	}
	return t.results, nil
}

const (
	shortestReply = len("250 2.0.0\r\n") // where the server announces ENHANCEDSTATUSCODES, RFC 2034 section 4
	gathering     = time.Second
)

// awaitReplies sleeps until all replies to a transaction that went out at once are there, or what is shorter than
// they can be has not come within a second: the server sends each by itself, and none but the last is news.
func (t *Transaction) awaitReplies() {
	quick, ok := t.c.Conn.(*socket.Conn)
	if t.asked || !ok || !t.c.enhanced {
		return
	}
	t.c.SetDeadline(time.Now().Add(min(gathering, t.pool.Timeouts.Commit)))
	replies := 2 + len(t.env.To) // to MAIL, each RCPT and the end
	if t.body {
		replies++
	}
	quick.WakeAt(replies * shortestReply)
	t.c.br.Peek(1) // its error shows again
	quick.WakeAt(1)
}

// readLateEnvelope reads the envelope's replies when they were not waited for before the body.
func (t *Transaction) readLateEnvelope() error {
	if t.asked {
		return nil
	}
	return t.readEnvelope()
}

func (t *Transaction) finish() error {
	if !t.c.chunking {
		return t.finishData()
	}
	if t.block == nil {
		t.block = blocks.Get().(*block)
	}
	return t.flush(true)
}

func (t *Transaction) lost(err error) []Result {
	for i := range t.results {
		if t.results[i].Reply.Code == 0 { // the envelope's reply is among what is lost
			t.to = append(t.to, i)
		}
	}
	for _, i := range t.to {
		t.results[i] = Result{Err: fmt.Errorf("mail store left without a reply: %w", err), InDoubt: true}
	}
	return t.results
}

// release gives a connection that is between transactions back to the pool.
func (t *Transaction) release() {
	t.freeBlock()
	t.c.SetDeadline(time.Time{})
	t.pool.put(t.c)
	t.c = nil
}

func (t *Transaction) freeBlock() {
	if t.block != nil {
		blocks.Put(t.block)
		t.block = nil
	}
}

// Abort makes sure that the server delivers nothing. A connection on which no body has begun is kept.
func (t *Transaction) Abort() {
	if t.c == nil {
		return
	}
	if !t.begun && t.results != nil && t.reset() {
		t.release()
		return
	}
	t.freeBlock()
	t.c.Close()
	t.c = nil
}

func (t *Transaction) reset() bool {
	if t.c.br.Buffered() > 0 || !t.answered() && t.head == nil {
		return false
	}
	if t.head != nil { // the server has heard nothing
		return true
	}
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Connect))
	if _, err := io.WriteString(t.c, "RSET\r\n"); err != nil {
		return false
	}
	r, err := ReadReply(t.c.br)
	return err == nil && r.Positive() && t.c.br.Buffered() == 0
}

// answered says that no envelope reply is outstanding.
func (t *Transaction) answered() bool {
	for _, r := range t.results {
		if r.Reply.Code == 0 {
			return false
		}
	}
	return true
}
