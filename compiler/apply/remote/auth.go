package remote

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// authMethods are the keys of the agent, and the key files: MAILPLAN_SSH_KEY names one, else those of ssh itself.
// Done ends the talk with the agent.
func authMethods(env func(string) string) (methods []ssh.AuthMethod, done func(), err error) {
	done = func() {}
	var signers []ssh.Signer
	var looked []string
	if socket := env("SSH_AUTH_SOCK"); socket != "" {
		if conn, err := net.Dial("unix", socket); err == nil {
			methods = append(methods, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
			done = func() { conn.Close() }
		}
	} else {
		looked = append(looked, "$SSH_AUTH_SOCK")
	}
	for _, name := range keyFiles(env) {
		signer, err := readKey(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != env("MAILPLAN_SSH_KEY"):
			looked = append(looked, name)
		case err != nil:
			done()
			return nil, nil, err
		case signer != nil:
			signers = append(signers, signer)
		}
	}
	if len(signers) > 0 {
		methods = append(methods, ssh.PublicKeys(signers...))
	}
	if len(methods) == 0 {
		return nil, nil, fmt.Errorf("you have no SSH key; looked at %s (MAILPLAN_SSH_KEY names another file)", strings.Join(looked, ", "))
	}
	return methods, done, nil
}

func keyFiles(env func(string) string) []string {
	if name := env("MAILPLAN_SSH_KEY"); name != "" {
		return []string{name}
	}
	home := env("HOME")
	var names []string
	for _, n := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		names = append(names, filepath.Join(home, ".ssh", n))
	}
	return names
}

// readKey is nil for a key under a passphrase: the agent holds those.
func readKey(name string) (ssh.Signer, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the SSH key %s: %w", name, err)
	}
	return signer, nil
}

// known is what is known of a host's keys.
type known struct {
	check      ssh.HostKeyCallback
	algorithms []string // so that the host shows a key that is known, where it has several
}

// knownHosts reads MAILPLAN_KNOWN_HOSTS, else the files of ssh itself. A host that is in none is refused.
func knownHosts(address string, env func(string) string) (known, error) {
	files := []string{filepath.Join(env("HOME"), ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"}
	if name := env("MAILPLAN_KNOWN_HOSTS"); name != "" {
		files = []string{name}
	}
	var there []string
	for _, name := range files {
		if _, err := os.Stat(name); err == nil {
			there = append(there, name)
		}
	}
	check, err := knownhosts.New(there...)
	if err != nil {
		return known{}, fmt.Errorf("read the known hosts: %w", err)
	}
	return known{check: explained(check, files[0]), algorithms: algorithms(check, address)}, nil
}

// explained says what to do about a key that is not known, or another one.
func explained(check ssh.HostKeyCallback, file string) ssh.HostKeyCallback {
	return func(name string, remote net.Addr, key ssh.PublicKey) error {
		err := check(name, remote, key)
		var mismatch *knownhosts.KeyError
		if !errors.As(err, &mismatch) {
			return err
		}
		shown := key.Type() + " " + ssh.FingerprintSHA256(key)
		if len(mismatch.Want) == 0 {
			return fmt.Errorf("its host key is not known: compare %s with the host, then add it to %s (ssh-keyscan)", shown, file)
		}
		return fmt.Errorf("its host key is %s, %s:%d says otherwise: somebody may be in between", shown, mismatch.Want[0].Filename, mismatch.Want[0].Line)
	}
}

// algorithms asks the known hosts about a key that nobody has, to learn which ones they want; nil is any.
func algorithms(check ssh.HostKeyCallback, address string) []string {
	nobody, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	var mismatch *knownhosts.KeyError
	if !errors.As(check(address, &net.TCPAddr{}, nobody), &mismatch) {
		return nil
	}
	var list []string
	for _, k := range mismatch.Want {
		switch t := k.Key.Type(); t {
		case ssh.KeyAlgoRSA:
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			list = append(list, t)
		}
	}
	return list
}
