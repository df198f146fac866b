// Package message turns the bytes of a mail message (RFC 5322) into what delivery must know about it:
// its header fields, who sent it according to the receiving relay's own trace field, and a key over its
// content. It changes header sections and nothing else, and leaves every byte it does not change as it
// was, 8-bit, bare LF and long lines included. It must not know where messages come from or go to.
package message

import (
	"bytes"
	"strings"
)

// Field is one field of a header section, as it stands there.
type Field struct {
	Name []byte // without colon and space, as mail stores read it; empty for a line that is no field
	Raw  []byte // all its lines, with their line ends
}

// Is compares the field's name, ignoring case.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && strings.EqualFold(string(f.Name), name)
}

// HasPrefix compares the start of the field's name, ignoring case.
func (f Field) HasPrefix(prefix string) bool {
	return len(f.Name) >= len(prefix) && strings.EqualFold(string(f.Name[:len(prefix)]), prefix)
}

// Value is the field's body, unfolded and without surrounding space.
func (f Field) Value() string {
	_, body, _ := bytes.Cut(f.Raw, []byte(":"))
	return string(bytes.TrimSpace(unfold(body)))
}

// Header is a header section.
type Header struct {
	Fields []Field
	End    []byte // the empty line that ends the section; nil when the message is all header
}

// Length finds where the header section ends, behind its empty line; -1 when b does not hold that line.
func Length(b []byte) int {
	for at := 0; at < len(b); {
		switch {
		case b[at] == '\n':
			return at + 1
		case b[at] == '\r' && at+1 < len(b) && b[at+1] == '\n':
			return at + 2
		}
		next := bytes.IndexByte(b[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	return -1
}

// Parse splits a header section, which is b as long as [Length] says, or a whole message without a body.
// Its result points into b.
func Parse(b []byte) Header {
	h := Header{Fields: make([]Field, 0, min(bytes.Count(b, []byte("\n")), 128))}
	for len(b) > 0 {
		if b[0] == '\n' || b[0] == '\r' && len(b) > 1 && b[1] == '\n' {
			h.End = b
			break
		}
		n := fieldLength(b)
		h.Fields = append(h.Fields, Field{Name: fieldName(b[:n]), Raw: b[:n]})
		b = b[n:]
	}
	return h
}

// fieldLength is the length of the first line and the lines that continue it.
func fieldLength(b []byte) int {
	at := 0
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		at += i + 1
		if at == len(b) || b[at] != ' ' && b[at] != '\t' {
			return at
		}
	}
}

// fieldName is what stands before the colon, or on the first line if that has none: Dovecot takes the line for the
// name then, and the colon may follow on a line that continues it. A NUL ends the name, as it does in C.
func fieldName(raw []byte) []byte {
	name, _, _ := bytes.Cut(raw, []byte(":"))
	if end := bytes.IndexAny(name, "\r\n\x00"); end >= 0 {
		name = name[:end]
	}
	name = bytes.TrimRight(name, " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	return name
}

// Get is the first field with a name.
func (h Header) Get(name string) (Field, bool) {
	for _, f := range h.Fields {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

// Count is how many fields have a name.
func (h Header) Count(name string) (n int) {
	for _, f := range h.Fields {
		if f.Is(name) {
			n++
		}
	}
	return n
}

func unfold(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, b)
}
