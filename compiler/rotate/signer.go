package rotate

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mailplan/mailplan/compiler/draft"
	"github.com/mailplan/mailplan/compiler/edit"
	"github.com/mailplan/mailplan/compiler/model"
)

// signer goes stage -> switch -> destroy -> forget for the key that signs backups. Public halves stand in the site, so that a
// stolen host cannot add any: the next one before it signs, the last ones as long as there is a backup that they signed.
func (p planner) signer() (*Step, string, error) {
	rule := p.Site.Secrets.Names[p.st.Name]
	forget, wait, err := p.forget()
	switch {
	case forget != nil || err != nil:
		return forget, "", err
	case rule.Also == "" && p.begins():
		return p.stageSigner(), "", nil
	case rule.Also == "":
		return p.record(), wait, nil
	case since(rule.AlsoSince, p.Now) < settle:
		return nil, "the next step is due tomorrow", nil
	}
	if wait, err := p.unapplied(); wait != "" || err != nil {
		return nil, wait, err
	}
	if rule.Also == coming(p.st.Name) {
		return p.swap(rule.Also), "", nil
	}
	return p.destroy(rule.Also), "", nil
}

// stageSigner makes the next key, and has it and the present one believed.
func (p planner) stageSigner() *Step {
	next := coming(p.st.Name)
	return p.step("stage", p.st.Name+": a new key is made; what it will sign is believed from the next apply on", func(d *draft.Draft, v Values) error {
		if err := p.make(v, p.st.Name, next); err != nil {
			return err
		}
		for _, name := range []string{p.st.Name, next} {
			if err := p.believe(d, v, name); err != nil {
				return err
			}
		}
		return p.also(d, p.st.Name, next)
	})
}

// believe writes the public half of a key into the site.
func (p planner) believe(d *draft.Draft, v Values, name string) error {
	key, err := publicKey(v, name)
	if err != nil {
		return err
	}
	if _, there := p.Site.Backup.Signers[key]; there {
		return nil
	}
	return d.Set(signerPath(key), "{}")
}

// destroy takes the last private key away. Whatever it signed is believed still.
func (p planner) destroy(old string) *Step {
	return p.step("retire", p.st.Name+": the last key is destroyed; backups that it signed are believed as long as they are kept", func(d *draft.Draft, v Values) error {
		key, err := publicKey(v, old)
		if err != nil {
			return err
		}
		if err := d.Set(signerPath(key)+".retired", edit.Field{Value: p.day}.CUE()); err != nil {
			return err
		}
		return p.end(d, v, p.st.Name, old)
	})
}

// forget takes the oldest public key out that is retired for longer than anything is kept which it signed. Where backups
// have not been made for a while old ones are kept longer: the host tells.
func (p planner) forget() (step *Step, wait string, err error) {
	for _, key := range slices.Sorted(maps.Keys(p.Site.Backup.Signers)) {
		at := p.Site.Backup.Signers[key].Retired
		if at == "" || since(at, p.Now) < keepSigned(p.Site.Backup) {
			continue
		}
		if wait, err := p.unapplied(); wait != "" || err != nil {
			return nil, wait, err
		}
		kept, err := p.Observed.Signers()
		if err != nil {
			return nil, fmt.Sprintf("it is not known whether there are backups signed with %s: %v", key, err), nil
		}
		if slices.Contains(kept, key) {
			wait = "there are backups still that are signed with " + key
			continue
		}
		return p.step("retire", fmt.Sprintf("%s: backups signed with %s are gone; it is believed no longer from the next apply on", p.st.Name, key),
			func(d *draft.Draft, _ Values) error { return d.Unset(signerPath(key)) }), "", nil
	}
	return nil, wait, nil
}

// keepSigned is how many days what was signed may be asked for: backups, and receipts of drills.
func keepSigned(b model.Backup) int {
	return max(keepBackups(b), b.Drill.EveryDays+7, b.Drill.MaxAgeDays+7)
}

func signerPath(key string) string { return model.Path("backup", "signers", key) }

// publicKey is that of a key which signs backups, in base64.
func publicKey(v Reader, name string) (string, error) {
	seed, err := v.Value(name)
	if err != nil {
		return "", err
	}
	private, err := base64.StdEncoding.DecodeString(seed)
	if err != nil || len(private) != ed25519.SeedSize {
		return "", errors.New(name + ": want 32 bytes in base64")
	}
	public := ed25519.NewKeyFromSeed(private).Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(public), nil
}
