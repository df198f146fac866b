// Package manifest is the list of what a snapshot holds: one line per file with its metadata, its
// SHA-256 and where in which pack its bytes lie, in the order of ComparePath; and the signed, chained
// head which vouches for that list. It knows nothing of how packs are made or where they are kept.
//
// The list is text with tabs, so that awk can read it in an emergency:
//
//	P  number  sha256  size  frames                                              a pack
//	d  mode  uid  gid  mtime  path                                               a directory
//	l  uid  gid  mtime  target  path                                             a symbolic link
//	f  size  mtime  ctime  inode  mode  uid  gid  sha256  extents  stored  path  a file
//
// Times are nanoseconds since 1970, modes octal, and path and stored begin with the class's name.
package manifest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailplan/mailplan/runtime/backup/pack"
)

// Kind is the kind of an entry.
type Kind byte

// The kinds of entries.
const (
	File    Kind = 'f'
	Dir     Kind = 'd'
	Symlink Kind = 'l'
)

// Entry is one file, directory or symbolic link of a snapshot.
type Entry struct {
	Kind    Kind
	Path    string // class/relative/path
	Size    int64  // bytes
	MTime   int64  // nanoseconds since 1970
	CTime   int64  // nanoseconds since 1970; only to tell a changed file
	Inode   uint64
	Mode    uint32 // permission bits
	UID     int
	GID     int
	SHA256  [32]byte
	Extents []pack.Extent // where the bytes lie, in order; none for an empty file
	Stored  string        // the name in the tar, when it is not Path
	Target  string        // of a symbolic link
}

// Class is the first element of the path: the name of the class the entry belongs to.
func (e *Entry) Class() string {
	class, _, _ := strings.Cut(e.Path, "/")
	return class
}

// StoredName is the name under which the tar holds the file's bytes.
func (e *Entry) StoredName() string {
	if e.Stored == "" {
		return e.Path
	}
	return e.Stored
}

// ComparePath orders paths as a depth-first walk with sorted folders meets them: a folder, then all it
// holds, then its next sibling.
func ComparePath(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return weight(a[i]) - weight(b[i])
		}
	}
	return len(a) - len(b)
}

func weight(c byte) int {
	if c == '/' {
		return 0
	}
	return int(c) + 1
}

func (e *Entry) append(b []byte) []byte {
	b = append(b, byte(e.Kind), '\t')
	switch e.Kind {
	case Dir:
		b = strconv.AppendUint(b, uint64(e.Mode), 8)
		b = appendInts(b, int64(e.UID), int64(e.GID), e.MTime)
	case Symlink:
		b = strconv.AppendInt(b, int64(e.UID), 10)
		b = appendInts(b, int64(e.GID), e.MTime)
		b = append(b, '\t')
		b = appendEscaped(b, e.Target)
	default:
		b = e.appendFile(b)
	}
	b = append(b, '\t')
	b = appendEscaped(b, e.Path)
	return append(b, '\n')
}

func (e *Entry) appendFile(b []byte) []byte {
	b = strconv.AppendInt(b, e.Size, 10)
	b = appendInts(b, e.MTime, e.CTime, int64(e.Inode))
	b = append(b, '\t')
	b = strconv.AppendUint(b, uint64(e.Mode), 8)
	b = appendInts(b, int64(e.UID), int64(e.GID))
	b = append(b, '\t')
	b = hex.AppendEncode(b, e.SHA256[:])
	b = append(b, '\t')
	b = appendExtents(b, e.Extents)
	b = append(b, '\t')
	if e.Stored == "" {
		return append(b, '=')
	}
	return appendEscaped(b, e.Stored)
}

func appendInts(b []byte, values ...int64) []byte {
	for _, v := range values {
		b = append(b, '\t')
		b = strconv.AppendInt(b, v, 10)
	}
	return b
}

func appendExtents(b []byte, extents []pack.Extent) []byte {
	if len(extents) == 0 {
		return append(b, '-')
	}
	for i, x := range extents {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(x.Pack), 10)
		b = append(b, ':')
		b = strconv.AppendInt(b, x.Offset, 10)
		b = append(b, ':')
		b = strconv.AppendInt(b, x.Size, 10)
	}
	return b
}

// appendEscaped writes a name with backslash escapes which printf '%b' undoes.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '\\':
			b = append(b, '\\', '\\')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, s[i])
		}
	}
	return b
}

func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	return strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n").Replace(string(b))
}

// ParseEntry reads one line of a manifest, without its newline.
func ParseEntry(line []byte) (Entry, error) {
	var fields [12][]byte
	n := split(line, fields[:])
	if n < 2 || n > len(fields) || len(fields[0]) != 1 {
		return Entry{}, fmt.Errorf("manifest line %.80q: not an entry", line)
	}
	e := Entry{Kind: Kind(fields[0][0])}
	p := parser{fields: fields[1:n]}
	switch {
	case e.Kind == Dir && n == 6:
		e.Mode, e.UID, e.GID, e.MTime = p.octal(), int(p.int()), int(p.int()), p.int()
	case e.Kind == Symlink && n == 6:
		e.UID, e.GID, e.MTime, e.Target = int(p.int()), int(p.int()), p.int(), p.text()
	case e.Kind == File && n == 12:
		p.file(&e)
	default:
		return Entry{}, fmt.Errorf("manifest line %.80q: kind %q with %d fields", line, fields[0], n)
	}
	e.Path = p.text()
	if p.err != nil {
		return Entry{}, fmt.Errorf("manifest line %.80q: %w", line, p.err)
	}
	return e, checkPath(e.Path)
}

// checkPath refuses a name which would leave the folder it is restored into.
func checkPath(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.IndexByte(part, 0) >= 0 {
			return fmt.Errorf("manifest path %q is not a clean relative path", path)
		}
	}
	return nil
}

// split is at tabs. Its result is larger than fields when there are more of them.
func split(line []byte, fields [][]byte) int {
	n := 0
	for n < len(fields) {
		i := bytes.IndexByte(line, '\t')
		if i < 0 {
			fields[n] = line
			return n + 1
		}
		fields[n], line = line[:i], line[i+1:]
		n++
	}
	return n + 1
}

type parser struct {
	fields [][]byte
	err    error
}

func (p *parser) next() []byte {
	f := p.fields[0]
	p.fields = p.fields[1:]
	return f
}

func (p *parser) int() int64 {
	v, err := parseInt(p.next())
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

func (p *parser) octal() uint32 {
	v, err := strconv.ParseUint(string(p.next()), 8, 12)
	if err != nil && p.err == nil {
		p.err = err
	}
	return uint32(v)
}

func (p *parser) text() string { return unescape(p.next()) }

func (p *parser) file(e *Entry) {
	e.Size, e.MTime, e.CTime, e.Inode = p.int(), p.int(), p.int(), uint64(p.int())
	e.Mode, e.UID, e.GID = p.octal(), int(p.int()), int(p.int())
	if n, err := hex.Decode(e.SHA256[:], pad64(p.next())); (err != nil || n != 32) && p.err == nil {
		p.err = fmt.Errorf("bad sha256")
	}
	extents, err := parseExtents(p.next(), e.Size)
	if err != nil && p.err == nil {
		p.err = err
	}
	e.Extents = extents
	if stored := p.next(); string(stored) != "=" {
		e.Stored = unescape(stored)
	}
}

// pad64 keeps a field of another length from overrunning the hash: hex.Decode then reports it.
func pad64(b []byte) []byte {
	if len(b) != 64 {
		return []byte("?")
	}
	return b
}

func parseExtents(b []byte, size int64) ([]pack.Extent, error) {
	if string(b) == "-" {
		return nil, checkTotal(0, size)
	}
	extents := make([]pack.Extent, 0, 1)
	var total int64
	for len(b) > 0 {
		one, rest, _ := bytes.Cut(b, []byte(","))
		x, err := parseExtent(one)
		if err != nil {
			return nil, err
		}
		extents, total, b = append(extents, x), total+x.Size, rest
	}
	return extents, checkTotal(total, size)
}

func checkTotal(total, size int64) error {
	if total != size {
		return fmt.Errorf("extents hold %d bytes of a file of %d", total, size)
	}
	return nil
}

func parseExtent(b []byte) (pack.Extent, error) {
	number, rest, _ := bytes.Cut(b, []byte(":"))
	offset, size, _ := bytes.Cut(rest, []byte(":"))
	n, err1 := parseInt(number)
	o, err2 := parseInt(offset)
	s, err3 := parseInt(size)
	if err1 != nil || err2 != nil || err3 != nil || n < 0 || n > 1<<31 || o < 0 || s < 0 || s > pack.MaxFile {
		return pack.Extent{}, fmt.Errorf("bad extent %q", b)
	}
	return pack.Extent{Pack: int(n), Offset: o, Size: s}, nil
}

// parseInt is strconv.ParseInt for the decimal digits of a manifest, without an allocation per field.
func parseInt(b []byte) (int64, error) {
	digits, negative := b, false
	if len(b) > 0 && b[0] == '-' {
		digits, negative = b[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, fmt.Errorf("%q is not a number", b)
	}
	var v uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", b)
		}
		v = v*10 + uint64(c-'0')
	}
	if v > 1<<63-1 {
		return 0, fmt.Errorf("%q is too large", b)
	}
	if negative {
		return -int64(v), nil
	}
	return int64(v), nil
}
