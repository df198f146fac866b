package manifest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Format names the layout of snapshots; a reader refuses any other.
const Format = "mailplan-backup/1"

// Head is what a snapshot says of itself. It is signed, and names the head before it by hash.
type Head struct {
	Format   string    `json:"format"`
	Instance string    `json:"instance"` // the site's name
	Sequence int64     `json:"sequence"` // counts the runs of the instance from 1
	Previous string    `json:"previous"` // SHA-256 of the head file before, empty for the first
	Name     string    `json:"name"`     // UTC date, YYYY-MM-DD
	Week     string    `json:"week"`     // ISO 8601 week, GGGG-WW
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Rehashed bool      `json:"rehashed"` // every file was read, not only what had changed
	Classes  []Class   `json:"classes"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`    // of all files
	Packs    int       `json:"packs"`    // all the snapshot needs
	Packed   int64     `json:"packed"`   // bytes of those packs
	Written  int64     `json:"written"`  // bytes of the packs new in this run
	Manifest string    `json:"manifest"` // SHA-256 of the sealed manifest
	Sums     string    `json:"sums"`     // SHA-256 of SHA256SUMS, which names every pack
}

// Class is what became of one declared class of data.
type Class struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"`
	Gone    int64  `json:"gone,omitempty"`    // messages expunged while the run read them
	Suspect int64  `json:"suspect,omitempty"` // files whose bytes are not what their name or times promise
	Error   string `json:"error,omitempty"`   // why the class is missing or incomplete
}

// Complete reports whether every declared class is whole; the reasons are joined in the error.
func (h *Head) Complete() error {
	var errs []error
	for _, c := range h.Classes {
		if c.Error != "" {
			errs = append(errs, fmt.Errorf("class %s: %s", c.Name, c.Error))
		}
	}
	return errors.Join(errs...)
}

// Class returns the class of that name, or nil.
func (h *Head) Class(name string) *Class {
	for i := range h.Classes {
		if h.Classes[i].Name == name {
			return &h.Classes[i]
		}
	}
	return nil
}

// Sign renders the head file: a line of JSON and a line with the signature of that line.
func (h *Head) Sign(key ed25519.PrivateKey) ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return SignLine(body, key), nil
}

// SignLine renders one line of JSON and a second with its Ed25519 signature (RFC 8032).
func SignLine(body []byte, key ed25519.PrivateKey) []byte {
	public := EncodeKey(key.Public().(ed25519.PublicKey))
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key, body))
	return fmt.Appendf(nil, "%s\ned25519 %s %s\n", body, public, signature)
}

// OpenLine checks a file of SignLine against the trusted keys and returns its first line.
func OpenLine(file []byte, trusted []ed25519.PublicKey) ([]byte, error) {
	body, rest, _ := bytes.Cut(file, []byte("\n"))
	fields := strings.Fields(string(rest))
	if len(fields) != 3 || fields[0] != "ed25519" {
		return nil, errors.New("no signature line")
	}
	signature, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if len(trusted) == 0 {
		return nil, errors.New("no trusted signing key is configured to check the signature with")
	}
	for _, key := range trusted {
		if ed25519.Verify(key, body, signature) {
			return body, nil
		}
	}
	return nil, fmt.Errorf("the signature is not by a trusted key (it names %s)", fields[1])
}

// OpenHead checks a head file's signature and format.
func OpenHead(file []byte, trusted []ed25519.PublicKey) (*Head, error) {
	body, err := OpenLine(file, trusted)
	if err != nil {
		return nil, err
	}
	return parseHead(body)
}

// OpenNamed reads a head file that a believed head names by its hash: what that one's signature covers needs none of its
// own, whose key may be gone.
func OpenNamed(file []byte, hash string) (*Head, error) {
	if Hash(file) != hash {
		return nil, errors.New("it is not the head that the one after it names")
	}
	body, _, _ := bytes.Cut(file, []byte("\n"))
	return parseHead(body)
}

func parseHead(body []byte) (*Head, error) {
	var h Head
	if err := json.Unmarshal(body, &h); err != nil {
		return nil, err
	}
	if h.Format != Format {
		return nil, fmt.Errorf("format %q is not %s", h.Format, Format)
	}
	return &h, nil
}

// Hash is the lower-case hex SHA-256 by which the chain and the sums name a file.
func Hash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// EncodeKey renders a public key.
func EncodeKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParseKey reads a public key as EncodeKey writes it.
func ParseKey(s string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is not an Ed25519 public key in base64", s)
	}
	return key, nil
}

// ReadSigningKey reads a private key: the seed of 32 bytes in base64.
func ReadSigningKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("signing key %s: want 32 bytes in base64", path)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
