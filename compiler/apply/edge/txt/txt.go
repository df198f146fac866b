// Package txt turns the text of a TXT record into the quoted character-strings
// of a zone file and back (RFC 1035 sections 3.3.14 and 5.1), so that two
// spellings of one record compare equal by their bytes. It knows nothing of
// what the text means.
package txt

import (
	"errors"
	"fmt"
	"strings"
)

// maxString is the greatest length of one character-string in bytes
// (RFC 1035 section 3.3: one length octet).
const maxString = 255

// ErrMalformed is what Decode returns for text that is not a sequence of
// character-strings.
var ErrMalformed = errors.New("malformed TXT presentation")

// Encode writes text as quoted character-strings of at most 255 bytes each,
// separated by one space. Quotes and backslashes are escaped, bytes outside
// printable ASCII become \DDD. Empty text is one empty string.
func Encode(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		if i > 0 && i%maxString == 0 {
			b.WriteString(`" "`)
		}
		writeByte(&b, text[i])
	}
	b.WriteByte('"')
	return b.String()
}

func writeByte(b *strings.Builder, c byte) {
	switch {
	case c == '"' || c == '\\':
		b.WriteByte('\\')
		b.WriteByte(c)
	case c < ' ' || c > '~':
		fmt.Fprintf(b, `\%03d`, c)
	default:
		b.WriteByte(c)
	}
}

// Decode returns the joined bytes of quoted character-strings. Text that does
// not start with a quote is taken as it stands: providers accept and return
// such records, and what they serve for them are the bytes themselves.
func Decode(presentation string) (string, error) {
	chunks, err := Strings(presentation)
	if err != nil {
		return "", err
	}
	return strings.Join(chunks, ""), nil
}

// Strings returns the decoded character-strings one by one. The length of a
// string is not checked: a provider may hold longer ones than the wire allows.
func Strings(presentation string) ([]string, error) {
	rest := strings.Trim(presentation, " \t")
	if !strings.HasPrefix(rest, `"`) {
		return []string{presentation}, nil
	}
	var chunks []string
	for rest != "" {
		chunk, after, err := quoted(rest)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, chunk)
		rest = strings.TrimLeft(after, " \t")
	}
	return chunks, nil
}

// quoted decodes the string that s starts with and returns what follows it.
func quoted(s string) (chunk, rest string, err error) {
	if s[0] != '"' {
		return "", "", fmt.Errorf("%w: a character-string must start with a quote: %q", ErrMalformed, clip(s))
	}
	var b strings.Builder
	for i := 1; i < len(s); {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			c, n, err := escaped(s[i:])
			if err != nil {
				return "", "", err
			}
			b.WriteByte(c)
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return "", "", fmt.Errorf("%w: quote is never closed: %q", ErrMalformed, clip(s))
}

// escaped reads \X or \DDD and returns the byte and the length consumed.
func escaped(s string) (c byte, n int, err error) {
	if len(s) < 2 {
		return 0, 0, fmt.Errorf("%w: backslash at the end", ErrMalformed)
	}
	if !digit(s[1]) {
		return s[1], 2, nil
	}
	if len(s) < 4 || !digit(s[2]) || !digit(s[3]) {
		return 0, 0, fmt.Errorf("%w: escape needs three digits: %q", ErrMalformed, clip(s))
	}
	v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
	if v > 255 {
		return 0, 0, fmt.Errorf("%w: escape \\%03d is above 255", ErrMalformed, v)
	}
	return byte(v), 4, nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// clip keeps an error message short whatever the record holds.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
