package backup_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/extract"
	"github.com/mailplan/mailplan/runtime/backup/local"
	"github.com/mailplan/mailplan/runtime/backup/manifest"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
)

// signers are the keys of a site in the order of their use.
func signers(n int) (seeds, keys []string) {
	for i := range n {
		seed := bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)
		seeds = append(seeds, base64.StdEncoding.EncodeToString(seed))
		keys = append(keys, manifest.EncodeKey(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)))
	}
	return seeds, keys
}

// rotated is a site that backs up every day and has had three keys, as a rotation changes them: the next one is believed
// before it signs, the last ones afterwards.
func rotated(t *testing.T) (s *backuptest.Site, keys []string) {
	t.Helper()
	s = backuptest.NewSite(t)
	s.Config.Local = config.BackupLocal{Path: s.Path("store"), KeepDaily: 4}
	seeds, keys := signers(3)
	s.Write(t, "state/signing.key", seeds[0])
	for i, seed := range seeds {
		s.Config.TrustedKeys = keys[:min(i+2, len(keys))] // staged
		s.Run(t, backup.RunOptions{})
		s.Write(t, "state/signing.key", seed) // switched
		s.Clock = s.Clock.AddDate(0, 0, 1)
		s.Write(t, "config/day", s.Clock.String())
		s.Run(t, backup.RunOptions{})
		whole(t, s)
	}
	return s, keys
}

func whole(t *testing.T, s *backuptest.Site) {
	t.Helper()
	if _, err := s.Executor(t).Verify(context.Background(), []age.Identity{s.Identity}, nil); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// lost is the site's configuration on a new host, which knows what Git says and nothing else.
func lost(t *testing.T, s *backuptest.Site) config.Backup {
	t.Helper()
	seed, err := os.ReadFile(s.Path("state/signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "new/signing.key", string(seed))
	c := s.Config
	c.State, c.SigningKeyFile = s.Path("new"), s.Path("new/signing.key")
	return c
}

func restoreOn(t *testing.T, c config.Backup, s *backuptest.Site, dir string) error {
	t.Helper()
	trusted, err := backup.Trusted(c)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := extract.Open(context.Background(), extract.Folder(dir), trusted, []age.Identity{s.Identity}, c.State)
	if err != nil {
		return err
	}
	defer opened.Close()
	r := restore.Restorer{Config: c, Snapshot: opened, Options: restore.Options{Workers: 2, Target: t.TempDir()}}
	report, err := r.Run(context.Background())
	if err == nil && report.Files != opened.Head.Files {
		err = fmt.Errorf("%d files came back of %d", report.Files, opened.Head.Files)
	}
	return err
}

// TestSignerBeforeLast restores on an empty host what the key before the last one signed, and the one before that.
func TestSignerBeforeLast(t *testing.T) {
	s, keys := rotated(t)
	seen := map[string]bool{}
	all, err := filepath.Glob(s.Path("store/daily/*"))
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	c := lost(t, s)
	for _, dir := range all {
		head, err := os.ReadFile(filepath.Join(dir, local.HeadFile))
		if err != nil {
			t.Fatal(err)
		}
		seen[strings.Fields(strings.Split(string(head), "\n")[1])[1]] = true
		if err := restoreOn(t, c, s, dir); err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
		}
	}
	for _, key := range keys {
		if !seen[key] {
			t.Errorf("no snapshot is signed with %s", key)
		}
	}
}

// TestSignerForgotten takes the first key out when none of its snapshots is left. The chain is older than that and stays whole;
// so do new runs.
func TestSignerForgotten(t *testing.T) {
	s, keys := rotated(t)
	for range 4 {
		s.Clock = s.Clock.AddDate(0, 0, 1)
		s.Run(t, backup.RunOptions{})
	}
	s.Config.TrustedKeys = keys[2:]
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Run(t, backup.RunOptions{})
	whole(t, s)
	links, err := s.Executor(t).Store().Chain()
	if err != nil || len(links) != 11 {
		t.Errorf("%d links, %v", len(links), err)
	}
}

// TestForeignSigner signs with a key that Git does not name. Whoever has the host may say that he knows it.
func TestForeignSigner(t *testing.T) {
	s, keys := rotated(t)
	foreign := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, ed25519.SeedSize))
	s.Write(t, "state/signing-keys", strings.Join(append(keys, manifest.EncodeKey(foreign.Public().(ed25519.PublicKey))), "\n"))
	sign := func(path string) {
		t.Helper()
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		body, _, _ := bytes.Cut(file, []byte("\n"))
		if err := os.WriteFile(path, manifest.SignLine(body, foreign), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newest := s.Path("store/daily/" + s.Clock.Format("2006-01-02"))
	sign(filepath.Join(newest, local.HeadFile))
	sign(s.Path("store/chain/00000002"))
	for _, c := range []config.Backup{s.Config, lost(t, s)} {
		if err := restoreOn(t, c, s, newest); err == nil || !strings.Contains(err.Error(), "not by a trusted key") {
			t.Errorf("restore: %v", err)
		}
	}
	_, err := s.Executor(t).Verify(context.Background(), nil, nil)
	if err == nil || !strings.Contains(err.Error(), s.Clock.Format("2006-01-02")+": head: the signature is not by a trusted key") &&
		!strings.Contains(err.Error(), "head: the signature is not by a trusted key") || !strings.Contains(err.Error(), "chain/00000002: the signature is not by a trusted key") {
		t.Errorf("verify: %v", err)
	}
	if _, err := s.Executor(t).Store().Chain(); err == nil {
		t.Error("the chain is whole")
	}
}
