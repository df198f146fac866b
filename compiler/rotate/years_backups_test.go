package rotate_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
)

// copied is a backup: when it was made, and who signed it.
type copied struct {
	at  time.Time
	key string
}

// Backups are made every day and kept for five weeks, but for a time in which none was made, when all are kept.
const keptDays = 35

var (
	silentFrom = time.Date(2028, 1, 10, 0, 0, 0, 0, time.UTC)
	silentTo   = silentFrom.AddDate(0, 0, 100)
)

// backup makes that of the day, with the key as it lies on the host.
func (w *world) backup() {
	if w.now.After(silentFrom) && w.now.Before(silentTo) {
		return
	}
	key := w.public(w.text("secrets/BACKUP_SIGNING_KEY"))
	w.backups = append(w.backups, copied{w.now, key})
	w.backups = slices.DeleteFunc(w.backups, func(c copied) bool { return w.now.Sub(c.at) > keptDays*24*time.Hour })
	if !slices.Contains(w.signers, key) {
		w.signers = append(w.signers, key)
	}
}

func (w *world) public(seed string) string {
	w.Helper()
	private, err := base64.StdEncoding.DecodeString(strings.TrimSpace(seed))
	w.check(err)
	return base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(private).Public().(ed25519.PublicKey))
}

func (w *world) keptSigners() (keys []string) {
	for _, c := range w.backups {
		keys = append(keys, c.key)
	}
	return keys
}

// believed holds that the host believes every backup that is kept, and that a new host would, which has the site as it is
// in Git and its secrets.
func (w *world) believed(when string) {
	w.Helper()
	var conf struct {
		Backup struct {
			TrustedKeys []string
		}
	}
	data, err := os.ReadFile(w.hosted("config/runtime/backup.json"))
	w.check(err)
	w.check(json.Unmarshal(data, &conf))
	here := append(conf.Backup.TrustedKeys, w.public(w.text("secrets/BACKUP_SIGNING_KEY")))
	elsewhere := []string{w.public(w.values().m[model.SecretBackupSigning])}
	for key := range w.load().Model.Backup.Signers {
		elsewhere = append(elsewhere, key)
	}
	for _, c := range w.backups {
		if !slices.Contains(here, c.key) || !slices.Contains(elsewhere, c.key) {
			w.Fatalf("%s, %s: the backup of %s is not believed, here: %t, on a new host: %t", w.now.Format(time.DateOnly), when,
				c.at.Format(time.DateOnly), slices.Contains(here, c.key), slices.Contains(elsewhere, c.key))
		}
	}
}

// forgot holds what two years leave: three keys have signed, the first is believed no longer, and no private key of before is kept.
func (w *world) forgot() {
	w.Helper()
	if len(w.signers) != 3 {
		w.Fatalf("%d keys have signed backups", len(w.signers))
	}
	signers := w.load().Model.Backup.Signers
	if _, there := signers[w.signers[0]]; there || len(signers) > 3 {
		w.Errorf("believed are %v; the first key was %s", signers, w.signers[0])
	}
	for name, value := range w.values().m {
		if strings.HasPrefix(name, model.SecretBackupSigning) && w.public(value) == w.signers[0] {
			w.Errorf("%s is the first key still", name)
		}
	}
}
