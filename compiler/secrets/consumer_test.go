package secrets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/mailplan/mailplan/compiler/emit/cloudflare/dkimkey"
	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/ingest"
)

// TestConsumersTakeWhatIsMade makes every secret of a site that mailplan can make, and has each read by the code that
// reads it in service. What daemons read must need no quotes in SQL, UCL, Redis' and Compose's files.
func TestConsumersTakeWhatIsMade(t *testing.T) {
	s := emittest.Site()
	ed := model.SecretRef{Secret: "dkim/example.com/ed"}
	s.Domains[0].Selectors = append(s.Domains[0].Selectors, model.Selector{Name: "ed", State: model.Published, Algorithm: "ed25519", Key: &ed})
	consumers := map[string]func(value string) error{
		"dkim/example.com/mail2026":           dkim("rsa"),
		ed.Secret:                             dkim("ed25519"),
		model.SecretBackupSigning:             file(t, func(path string) error { _, err := manifest.ReadSigningKey(path); return err }),
		model.SecretBackupDrill:               func(v string) error { _, err := age.ParseIdentities(strings.NewReader(v)); return err },
		s.Edge.Ingest.Token.Secret:            file(t, func(path string) error { _, err := ingest.ReadSecret(path); return err }),
		s.Edge.Ingest.SigningKey.Secret:       file(t, func(path string) error { _, err := ingest.ReadSecret(path); return err }),
		model.SecretSRS:                       file(t, func(path string) error { _, err := ingest.ReadSecret(path); return err }),
		s.Edge.Worker.DigestKey.Secret:        func(v string) error { _, err := worker.NewRecipients(s, []byte(v)); return err },
		model.SecretConsoleSession:            word(32),
		model.SecretFingerprints:              word(32),
		model.SecretRoundcubeDES:              word(24), // the emitted configuration hashes it to the cipher's 32 bytes
		model.SecretMariaDBRoot:               word(24),
		model.SecretRoundcubeDB:               word(24),
		model.SecretAccountsDB:                word(24),
		model.SecretDovecotDB:                 word(24),
		model.SecretPostfixDB:                 word(24),
		model.SecretPasswordDB:                word(24),
		model.SecretRspamdPassword:            word(24),
		model.SecretRedisPassword:             word(24),
		s.Domains[0].Users[0].Password.Secret: word(24),
	}
	generator := secrets.NewGenerator(s)
	for _, secret := range s.Inventory() {
		read, known := consumers[secret.Name]
		if !secret.Generated {
			continue
		}
		if !known {
			t.Errorf("%s (%s) is made, and this test does not know who reads it", secret.Name, secret.Purpose)
			continue
		}
		value, err := generator.Make(secret.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := generator.Check(secret.Name, value); err != nil {
			t.Errorf("%s: the generator refuses its own: %v", secret.Name, err)
		}
		if err := read(value); err != nil {
			t.Errorf("%s: its reader refuses what is made: %v", secret.Name, err)
		}
		if again, err := generator.Make(secret.Name); err != nil || again == value {
			t.Errorf("%s is made twice the same (%v)", secret.Name, err)
		}
	}
}

func dkim(algorithm string) func(string) error {
	return func(value string) error {
		got, _, err := dkimkey.Public([]byte(value))
		if err == nil && got != algorithm {
			err = fmt.Errorf("a key of %s, want %s", got, algorithm)
		}
		return err
	}
}

func file(t *testing.T, read func(path string) error) func(string) error {
	return func(value string) error {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			return err
		}
		return read(path)
	}
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9]+$`)

func word(least int) func(string) error {
	return func(value string) error {
		if len(value) < least || !plainWord.MatchString(value) {
			return fmt.Errorf("%d characters, want %d or more letters and digits", len(value), least)
		}
		return nil
	}
}
