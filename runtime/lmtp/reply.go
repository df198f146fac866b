package lmtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Reply is one server reply (RFC 5321 section 4.2), its lines joined by a space.
type Reply struct {
	Code     int    // 200 to 599
	Enhanced string // enhanced status code (RFC 2034) without its text, such as 5.1.1; may be empty
	Text     string // printable ASCII, at most 512 bytes
}

const (
	maxReplyLines = 128
	maxReplyText  = 512
)

var errReply = errors.New("malformed reply")

// Positive says that the command was carried out (2xx).
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Permanent says that repeating the command is of no use (5xx).
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// String is the reply on one line.
func (r Reply) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, strings.TrimSpace(r.Enhanced+" "+r.Text)))
}

// ReadReply reads one reply of one or more lines. Lines longer than the reader's buffer, more than 128
// lines and anything that is not a reply are errors; the connection is then of no more use.
func ReadReply(br *bufio.Reader) (Reply, error) {
	var r Reply
	for range maxReplyLines {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		code, rest, more, err := splitLine(line)
		if err != nil {
			return r, err
		}
		if r.Code != 0 && r.Code != code {
			return r, fmt.Errorf("%w: code %d within a %d reply", errReply, code, r.Code)
		}
		r.addLine(code, rest)
		if !more {
			return r, nil
		}
	}
	return r, fmt.Errorf("%w: more than %d lines", errReply, maxReplyLines)
}

func splitLine(line []byte) (code int, rest string, more bool, err error) {
	text := string(bytes.TrimRight(line, "\r\n"))
	if len(text) < 3 {
		return 0, "", false, fmt.Errorf("%w: %q", errReply, text)
	}
	for _, c := range []byte(text[:3]) {
		if c < '0' || c > '9' {
			return 0, "", false, fmt.Errorf("%w: %q", errReply, text)
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, "", false, fmt.Errorf("%w: code %d", errReply, code)
	}
	if len(text) == 3 {
		return code, "", false, nil
	}
	if text[3] != ' ' && text[3] != '-' {
		return 0, "", false, fmt.Errorf("%w: %q", errReply, text)
	}
	return code, text[4:], text[3] == '-', nil
}

func (r *Reply) addLine(code int, rest string) {
	r.Code = code
	if word, text, _ := strings.Cut(rest, " "); isEnhanced(word, code) {
		r.Enhanced, rest = word, text
	}
	text := strings.TrimSpace(printable(rest))
	if r.Text != "" {
		text = strings.TrimSpace(r.Text + " " + text)
	}
	r.Text = text[:min(len(text), maxReplyText)]
}

// isEnhanced tells d.d.d with the class of the reply code.
func isEnhanced(word string, code int) bool {
	class, rest, _ := strings.Cut(word, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	return len(class) == 1 && int(class[0]-'0') == code/100 && isShortNumber(subject) && isShortNumber(detail)
}

func isShortNumber(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
