// Package backup makes snapshots: it gathers every declared class, has collect pack it, and lets local
// keep and prune what came out. It reads the daemon's configuration and knows nothing of the compiler.
package backup

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/runtime/durable"
)

// Executor makes the snapshots of one site.
type Executor struct {
	config     config.Backup
	store      local.Store
	recipients []age.Recipient
	key        ed25519.PrivateKey
	zone       *time.Location

	// Now is the clock; Workers how many processors a run may use.
	Now     func() time.Time
	Workers int
	// Progress is told of files and bytes gone through; may be nil.
	Progress func(files int, bytes int64)
	Log      *slog.Logger
}

// New returns the Executor of a configuration. It changes nothing on disk.
func New(c config.Backup) (*Executor, error) {
	x := &Executor{config: c, Now: time.Now, Workers: runtime.GOMAXPROCS(0), Log: slog.Default()}
	for _, text := range c.Recipients {
		recipient, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("backup recipient: %w", err)
		}
		x.recipients = append(x.recipients, recipient)
	}
	own, err := drillRecipients(c.Drill.IdentityFile)
	if err != nil {
		return nil, err
	}
	x.recipients = append(x.recipients, own...)
	if x.zone, err = time.LoadLocation(c.Schedule.TimeZone); err != nil {
		return nil, err
	}
	if x.key, err = manifest.ReadSigningKey(c.SigningKeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	trusted, err := Trusted(c)
	if err != nil {
		return nil, err
	}
	x.store = local.Store{Path: c.Local.Path, Trusted: trusted}
	return x, nil
}

// drillRecipients is the public key of the drill's own identity: what it is to open must be encrypted to it. Of several
// the first is meant; the others open what was made before them.
func drillRecipients(path string) ([]age.Recipient, error) {
	if path == "" {
		return nil, nil
	}
	identities, err := readIdentities(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the drill says so; backups come first
	}
	if err != nil {
		return nil, err
	}
	if known, ok := identities[0].(*age.X25519Identity); ok { // there is one: ParseIdentities refuses a file without
		return []age.Recipient{known.Recipient()}, nil
	}
	return nil, nil
}

func readIdentities(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("drill identity: %w", err)
	}
	defer file.Close()
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("drill identity %s: %w", path, err)
	}
	return identities, nil
}

// audience is a text that changes when the recipients do.
func (x *Executor) audience() string {
	var names []string
	for _, r := range x.recipients {
		names = append(names, fmt.Sprint(r))
	}
	slices.Sort(names)
	return manifest.Hash([]byte(strings.Join(slices.Compact(names), "\n")))
}

// prepareKey makes the signing key if there is none, and notes it among those that are trusted.
func (x *Executor) prepareKey() error {
	var err error
	if x.key, err = signingKey(x.config.SigningKeyFile); err != nil {
		return err
	}
	if err := rememberKey(x.config.State, x.key.Public().(ed25519.PublicKey)); err != nil {
		return err
	}
	x.store.Trusted, err = Trusted(x.config)
	return err
}

// Store is where the local snapshots are.
func (x *Executor) Store() local.Store { return x.store }

// keysFile, in the state folder, lists every signing key the executor has had, so that what an earlier
// one signed is still believed after the key was changed, where the configuration names none.
const keysFile = "signing-keys"

func rememberKey(state string, key ed25519.PublicKey) error {
	path := filepath.Join(state, keysFile)
	known, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	line := manifest.EncodeKey(key)
	if slices.Contains(strings.Fields(string(known)), line) {
		return nil
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	return durable.Replace(path, append(known, line+"\n"...))
}

// Trusted returns the public keys whose snapshots the configuration believes: that of the signing key and those it names,
// which nobody on the host can add to; where it names none, those the executor has signed with.
func Trusted(c config.Backup) ([]ed25519.PublicKey, error) {
	texts := c.TrustedKeys
	if len(texts) == 0 {
		known, err := os.ReadFile(filepath.Join(c.State, keysFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		texts = strings.Fields(string(known))
	}
	var keys []ed25519.PublicKey
	for _, text := range texts {
		key, err := manifest.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("trustedKeys: %w", err)
		}
		keys = append(keys, key)
	}
	own, err := manifest.ReadSigningKey(c.SigningKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return keys, nil
	}
	if err != nil {
		return nil, err
	}
	return append(keys, own.Public().(ed25519.PublicKey)), nil
}

func signingKey(path string) (ed25519.PrivateKey, error) {
	key, err := manifest.ReadSigningKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(seed) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return manifest.ReadSigningKey(path)
}

// Week names the ISO 8601 week of t, GGGG-WW. The year is the week's, which around New Year is not the
// date's: 2027-01-01 lies in week 2026-53.
func Week(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%04d-%02d", year, week)
}
