package lmtp

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// stuffer remembers how the last byte ended, for a message that goes out by DATA (RFC 5321 section
// 4.5.2): a dot that begins a line is doubled and a bare LF becomes CRLF, because DATA cannot carry one.
type stuffer struct {
	cr     bool // the last byte was CR
	inLine bool // the last byte was not a line end
}

// appendStuffed appends b, made fit for DATA, to out.
func (s *stuffer) appendStuffed(out, b []byte) []byte {
	for len(b) > 0 {
		if !s.inLine && b[0] == '.' {
			out = append(out, '.')
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			s.cr, s.inLine = b[len(b)-1] == '\r', true
			return append(out, b...)
		}
		out = append(out, b[:i]...)
		if !(i > 0 && b[i-1] == '\r') && !(i == 0 && s.cr) {
			out = append(out, '\r')
		}
		out = append(out, '\n')
		s.cr, s.inLine = false, false
		b = b[i+1:]
	}
	return out
}

func (t *Transaction) writeData(b []byte) error {
	if err := t.beginData(); err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), 32<<10)
		out := t.stuff.appendStuffed(make([]byte, 0, n+n/16), b[:n])
		t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Block))
		if _, err := t.c.Write(out); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (t *Transaction) beginData() error {
	if t.begun {
		return nil
	}
	t.begun = true
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Envelope))
	if _, err := io.WriteString(t.c, "DATA\r\n"); err != nil {
		return err
	}
	r, err := ReadReply(t.c.br)
	if err != nil {
		return fmt.Errorf("reply to DATA: %w", err)
	}
	if r.Code != 354 {
		return refusedError{r}
	}
	return nil
}

func (t *Transaction) finishData() error {
	if t.size != t.env.Size {
		return ErrSize
	}
	if err := t.beginData(); err != nil {
		return err
	}
	end := ".\r\n"
	if t.stuff.inLine {
		end = "\r\n.\r\n"
	}
	t.c.SetDeadline(time.Now().Add(t.pool.Timeouts.Block))
	_, err := io.WriteString(t.c, end)
	return err
}
