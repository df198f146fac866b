package lmtp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/mailplan/mailplan/runtime/socket"
	"github.com/mailplan/mailplan/test/mailstore"
)

// store is go-smtp's LMTP server with a memory.
type store struct {
	mu       sync.Mutex
	messages []string
	sessions int
}

func (s *store) NewSession(*smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	return &session{store: s}, nil
}

// held are the messages so far.
func (s *store) held() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

type session struct {
	store *store
	to    []string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Reset()                               { s.to = nil }
func (s *session) Logout() error                        { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "no") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(io.Reader) error { return errors.New("LMTP only") }

func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for _, to := range s.to {
		if strings.HasPrefix(to, "full") {
			status.SetStatus(to, &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "full"})
			continue
		}
		s.store.mu.Lock()
		s.store.messages = append(s.store.messages, string(b))
		s.store.mu.Unlock()
		status.SetStatus(to, nil)
	}
	return nil
}

func serve(t *testing.T, s *store) string {
	t.Helper()
	server := smtp.NewServer(s)
	server.LMTP, server.Domain, server.MaxMessageBytes, server.MaxLineLength = true, "localhost", 100<<20, 1<<20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

func pool(address string) *Pool {
	second := 5 * time.Second
	return &Pool{Address: address, Hostname: "test.example", MaxIdle: 4, IdleTimeout: time.Minute,
		Timeouts: Timeouts{Connect: second, Envelope: second, Block: second, Commit: second}}
}

// deliver is a whole transaction that asks for the recipients first; see deliverAtOnce.
func deliver(p *Pool, from string, to []string, message string, size int64) ([]Result, error) {
	t, err := p.Begin(context.Background(), Envelope{From: from, To: to, Size: size})
	if err != nil {
		return nil, err
	}
	defer t.Abort()
	results, err := t.Recipients(context.Background())
	if err != nil || t.Accepted() == 0 {
		return results, err
	}
	half := len(message) / 2
	if _, err := io.WriteString(t, message[:half]); err != nil {
		return nil, err
	}
	if _, err := t.ReadFrom(strings.NewReader(message[half:])); err != nil {
		return nil, err
	}
	return t.Commit()
}

// deliverAtOnce is a whole transaction that does not wait before the body, if the server does not want that.
func deliverAtOnce(p *Pool, from string, to []string, message string, size int64) ([]Result, error) {
	t, err := p.Begin(context.Background(), Envelope{From: from, To: to, Size: size})
	if err != nil {
		return nil, err
	}
	defer t.Abort()
	if !t.AtOnce() {
		if results, err := t.Recipients(context.Background()); err != nil || t.Accepted() == 0 {
			return results, err
		}
	}
	if _, err := t.ReadFrom(strings.NewReader(message)); err != nil {
		return nil, err
	}
	return t.Commit()
}

type way func(p *Pool, from string, to []string, message string, size int64) ([]Result, error)

var ways = map[string]way{"asking": deliver, "at once": deliverAtOnce}

func TestEveryRecipientHasItsResult(t *testing.T) {
	s := &store{}
	p := pool(serve(t, s))
	for name, do := range ways {
		results, err := do(p, "", []string{"a@x", "no@x", "full@x", "b@x"}, "hello", 5)
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, r := range results {
			codes = append(codes, fmt.Sprint(r.Reply.Code, " ", r.Reply.Enhanced))
		}
		if diff := cmp.Diff([]string{"250 2.0.0", "550 5.1.1", "452 4.2.2", "250 2.0.0"}, codes); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	if len(s.held()) != 4 || s.sessions != 1 {
		t.Errorf("%d messages over %d connections, want 4 over 1", len(s.held()), s.sessions)
	}
	results, err := deliverAtOnce(p, "", []string{"no@x", "nobody@x"}, "hello", 5)
	if err != nil || results[0].Reply.Code != 550 || results[1].Reply.Code != 550 || len(s.held()) != 4 {
		t.Errorf("all refused: %v %v", results, err)
	}
}

// messages of sizes around the block, where the last byte must wait for Commit.
func sizes() []int {
	return []int{0, 1, 100, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 7, 5 << 20}
}

func text(n int) string {
	const line = "0123456789 .dots and \xe9\xff bytes\r\n.\r\n"
	return strings.Repeat(line, n/len(line)+1)[:n]
}

func TestBodiesArriveWhole(t *testing.T) {
	for name, address := range map[string]string{"chunking": serve(t, &store{}), "data": plainServer(t)} {
		s := &store{}
		if name == "chunking" {
			address = serve(t, s)
		}
		p := pool(address)
		for _, n := range sizes() {
			for how, do := range ways {
				before := len(s.held())
				results, err := do(p, "s@x", []string{"a@x"}, text(n), int64(n))
				if err != nil || results[0].Reply.Code != 250 {
					t.Errorf("%s, %s, %d bytes: %v %v", name, how, n, results, err)
					continue
				}
				got := ""
				if name == "chunking" {
					got = s.held()[before]
				} else {
					got = results[0].Reply.Text
				}
				if name == "chunking" && got != text(n) || name == "data" && got != fmt.Sprint(len(asData(text(n)))) {
					t.Errorf("%s, %s, %d bytes: arrived otherwise", name, how, n)
				}
			}
		}
	}
}

// asData is a message after DATA: it ends with a line end.
func asData(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
	if s != "" && !strings.HasSuffix(s, "\r\n") {
		s += "\r\n"
	}
	return s
}

// plainServer speaks LMTP without any extension and answers with the size it read.
func plainServer(t *testing.T) string {
	return mailstore.Serve(t, func(c net.Conn, br *bufio.Reader) {
		fmt.Fprint(c, "220 hi\r\n")
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			switch strings.ToUpper(line)[:4] {
			case "LHLO":
				fmt.Fprint(c, "250 plain\r\n")
			case "DATA":
				fmt.Fprint(c, "354 go\r\n")
				n := 0
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					if line == ".\r\n" {
						break
					}
					n += len(strings.TrimPrefix(line, "."))
				}
				fmt.Fprintf(c, "250 %d\r\n", n)
			default:
				fmt.Fprint(c, "250 ok\r\n")
			}
		}
	})
}

// TestNothingIsDeliveredWithoutCommit walks away at every point before Commit, also with all bytes sent.
func TestNothingIsDeliveredWithoutCommit(t *testing.T) {
	s := &store{}
	p := pool(serve(t, s))
	for _, n := range sizes() {
		tr, err := p.Begin(context.Background(), Envelope{To: []string{"a@x"}, Size: int64(n)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Recipients(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.ReadFrom(strings.NewReader(text(n))); err != nil {
			t.Fatal(err)
		}
		tr.Abort()
	}
	time.Sleep(200 * time.Millisecond)
	if len(s.held()) != 0 {
		t.Errorf("%d messages were delivered", len(s.held()))
	}
	for _, wrong := range []int64{0, 4, 6, blockSize * 2} {
		if _, err := deliver(p, "", []string{"a@x"}, "hello", wrong); !errors.Is(err, ErrSize) {
			t.Errorf("announced %d for 5 bytes: %v", wrong, err)
		}
	}
	if len(s.held()) != 0 {
		t.Errorf("%d messages of a wrong size were delivered", len(s.held()))
	}
}

// TestDovecotNoticesMissingBytes cuts a message off within its only command, as a crash of ours does.
func TestDovecotNoticesMissingBytes(t *testing.T) {
	store := mailstore.Start(t, "")
	p := pool(store.LMTP)
	message := "Subject: cut\r\n\r\n" + strings.Repeat(strings.Repeat("z", 76)+"\r\n", 2000)
	command := fmt.Sprintf("MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nBDAT %d LAST\r\n", len(message))
	for _, sent := range []int{0, 1, 14, 100, 8192, 65536, len(message) - 2, len(message) - 1} {
		c, err := p.dial(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, command+message[:sent]); err != nil {
			t.Fatal(err)
		}
		c.Conn.(*socket.Conn).CloseWrite()
		said, _ := io.ReadAll(c.br) // until Dovecot has done with it
		if n := strings.Count(string(said), "250 "); n > 2 {
			t.Errorf("%d of %d bytes: %q", sent, len(message), said)
		}
		c.Close()
	}
	if results, err := deliverAtOnce(p, "", []string{"alice@example.com"}, message, int64(len(message))); err != nil || !results[0].Reply.Positive() {
		t.Fatalf("%+v %v", results, err)
	}
	if got := len(store.Read(t, "alice@example.com", "INBOX")); got != 1 {
		t.Errorf("%d messages, want the whole one alone", got)
	}
}

func TestLostRepliesAreInDoubt(t *testing.T) {
	for name, last := range map[string]string{"one of two": "250 2.0.0 saved\r\n", "none": "", "half a reply": "25"} {
		address := mailstore.Talk(t, func(line string) (string, bool) {
			switch {
			case strings.HasPrefix(line, "LHLO"):
				return "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true
			case strings.HasSuffix(line, "LAST\r\n"):
				return last, false
			}
			return "250 ok\r\n", true
		})
		for _, do := range ways {
			results, err := do(pool(address), "", []string{"a@x", "b@x"}, "hello", 5)
			if err != nil {
				t.Fatal(err)
			}
			if done := results[0].Reply.Positive(); done != (name == "one of two") || results[0].InDoubt == done || !results[1].InDoubt {
				t.Errorf("%s: %+v", name, results)
			}
			alone, err := do(pool(address), "", []string{"a@x"}, "hello", 5)
			if err != nil {
				t.Fatal(err)
			}
			if done := alone[0].Reply.Positive(); done != (name == "one of two") || alone[0].InDoubt == done {
				t.Errorf("%s, alone: %+v", name, alone)
			}
		}
	}
}

// TestLostEnvelopeReplyIsInDoubt has a server fall silent between the replies to two recipients, when it has the
// whole message.
func TestLostEnvelopeReplyIsInDoubt(t *testing.T) {
	address := mailstore.Talk(t, func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "LHLO"):
			return "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true
		case strings.HasPrefix(line, "RCPT TO:<b@x>"):
			return "", false
		}
		return "250 ok\r\n", true
	})
	results, err := deliverAtOnce(pool(address), "", []string{"a@x", "b@x"}, "hello", 5)
	if err != nil || !results[0].InDoubt || !results[1].InDoubt {
		t.Errorf("%+v %v", results, err)
	}
}

// TestConnectionWithWordsTooManyIsNotKept has a server say more than it was asked for.
func TestConnectionWithWordsTooManyIsNotKept(t *testing.T) {
	var sessions atomic.Int32
	address := mailstore.Talk(t, func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "LHLO"):
			sessions.Add(1)
			return "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true
		case strings.HasPrefix(line, "BDAT 5"):
			return "250 saved\r\n250 and more\r\n", true
		}
		return "250 ok\r\n", true
	})
	p := pool(address)
	for range 2 {
		if results, err := deliverAtOnce(p, "", []string{"a@x"}, "hello", 5); err != nil || results[0].Reply.Text != "saved" {
			t.Errorf("%+v %v", results, err)
		}
	}
	if sessions.Load() != 2 {
		t.Errorf("%d connections, want 2", sessions.Load())
	}
}

// TestRepliesShorterThanAnnounced has a server promise enhanced status codes and give none: that costs a second.
func TestRepliesShorterThanAnnounced(t *testing.T) {
	address := mailstore.Talk(t, func(line string) (string, bool) {
		if strings.HasPrefix(line, "LHLO") {
			return "250-x\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n", true
		}
		return "250\r\n", true
	})
	p := pool(address)
	for range 2 {
		results, err := deliverAtOnce(p, "", []string{"a@x"}, "hello", 5)
		if err != nil || !results[0].Reply.Positive() {
			t.Errorf("%+v %v", results, err)
		}
	}
}

// TestClosedIdleConnection has the server close a pooled connection, as Dovecot does when it restarts.
func TestClosedIdleConnection(t *testing.T) {
	store := mailstore.Start(t, "")
	p := pool(store.LMTP)
	const message = "Subject: x\r\n\r\nhello\r\n"
	for n, do := range []way{deliver, deliver, deliverAtOnce} {
		results, err := do(p, "", []string{"alice@example.com"}, message, int64(len(message)))
		if err != nil || !results[0].Reply.Positive() {
			t.Fatalf("delivery %d: %+v %v", n, results, err)
		}
		store.Kill(t)
		store.Run(t)
	}
	if got := len(store.Read(t, "alice@example.com", "INBOX")); got != 3 {
		t.Errorf("%d messages, want 3", got)
	}
}

func TestStalledServerIsGivenUp(t *testing.T) {
	address := mailstore.Serve(t, func(c net.Conn, br *bufio.Reader) { time.Sleep(3 * time.Second) })
	p := pool(address)
	p.Timeouts.Connect = 100 * time.Millisecond
	start := time.Now()
	if _, err := p.Begin(context.Background(), Envelope{To: []string{"a@x"}}); err == nil || time.Since(start) > time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestRefusedSender(t *testing.T) {
	address := mailstore.Talk(t, func(line string) (string, bool) {
		if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "RCPT") {
			return "451 4.3.0 not now\r\n", true
		}
		return "250 ok\r\n", true
	})
	for _, do := range []func(*Pool, string, []string, string, int64) ([]Result, error){deliver, deliverAtOnce} {
		_, err := do(pool(address), "", []string{"a@x"}, "hello", 5)
		if said, ok := RefusedReply(err); !ok || said.Code != 451 || said.Enhanced != "4.3.0" {
			t.Errorf("%v", err)
		}
	}
}

func TestStuffing(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"a":                "a",
		".a\r\n.\r\n":      "..a\r\n..\r\n",
		"a\n.b\n":          "a\r\n..b\r\n",
		"a\r\n\n.\n":       "a\r\n\r\n..\r\n",
		"\r\n.":            "\r\n..",
		"a\rb\r\n":         "a\rb\r\n",
		"no dot. here\r\n": "no dot. here\r\n",
	} {
		for cut := range len(in) + 1 {
			var s stuffer
			got := s.appendStuffed(s.appendStuffed(nil, []byte(in[:cut])), []byte(in[cut:]))
			if string(got) != want {
				t.Errorf("%q cut at %d: %q, want %q", in, cut, got, want)
			}
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 2.1.0 b\r\n", "550 5.1.1 \xff\r\n", "25\r\n", "250-x\r\n251 y\r\n", "999 z\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadReply(bufio.NewReaderSize(bytes.NewReader(b), 64))
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Text) > maxReplyText || strings.ContainsAny(r.String(), "\r\n\x00") {
			t.Errorf("%q gave %+v", b, r)
		}
	})
}

func FuzzStuffing(f *testing.F) {
	f.Add([]byte("a\r\n.b\n.\r\n"), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		var s stuffer
		out := s.appendStuffed(s.appendStuffed(nil, b[:cut]), b[cut:])
		if bytes.Contains(append([]byte("\r\n"), out...), []byte("\r\n.\r\n")) {
			t.Errorf("%q goes out with an end of data: %q", b, out)
		}
		if strings.Contains(strings.ReplaceAll(string(out), "\r\n", ""), "\n") {
			t.Errorf("%q goes out with a bare LF: %q", b, out)
		}
	})
}
