package local

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailplan/mailplan/runtime/backup/manifest"
)

// Sum is a line of SHA256SUMS.
type Sum struct {
	Name   string
	SHA256 string
}

// FormatSums renders SHA256SUMS as sha256sum -c reads it.
func FormatSums(sums []Sum) []byte {
	var b bytes.Buffer
	for _, s := range sums {
		fmt.Fprintf(&b, "%s  %s\n", s.SHA256, s.Name)
	}
	return b.Bytes()
}

// ParseSums reads SHA256SUMS.
func ParseSums(file []byte) ([]Sum, error) {
	var sums []Sum
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		hash, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || len(hash) != 64 || name != filepath.Base(name) || name == ".." || name == "." {
			return nil, fmt.Errorf("%s: bad line %q", SumsFile, lines.Text())
		}
		sums = append(sums, Sum{Name: name, SHA256: hash})
	}
	return sums, lines.Err()
}

// Sums reads a snapshot's SHA256SUMS, which must be the one its head signs.
func (s *Snapshot) Sums() ([]Sum, error) {
	if s.Err != nil {
		return nil, s.Err
	}
	file, err := os.ReadFile(filepath.Join(s.Dir, SumsFile))
	if err != nil {
		return nil, err
	}
	if manifest.Hash(file) != s.Head.Sums {
		return nil, fmt.Errorf("snapshot %s/%s: %s is not the one its head signs", s.Kind, s.Name, SumsFile)
	}
	return ParseSums(file)
}

// HashFile returns the lower-case hex SHA-256 of a file.
func HashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, struct{ io.Reader }{file}, make([]byte, 256<<10)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
