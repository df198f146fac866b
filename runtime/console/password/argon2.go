package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one ARGON2 computation takes (RFC 9106, section 3.1).
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// Standard is the cost of new hashes, the same as webmail's: 64 MiB, three passes.
func Standard() Cost { return Cost{Memory: 64 << 10, Passes: 3, Threads: 1} }

const saltBytes, keyBytes = 16, 32

// Bounds of what a stored hash may ask for.
const maxMemory, maxPasses, maxThreads = 256 << 10, 16, 16

func (c Cost) key(plain string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(plain), salt, c.Passes, c.Memory, c.Threads, size)
}

// spend does the work of a check to no end.
func (c Cost) spend(plain string) { c.key(plain, make([]byte, saltBytes), keyBytes) }

func encodeArgon2(c Cost, salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads, b64(salt), b64(key))
}

// matchArgon2 reads the form $argon2id$v=19$m=65536,t=3,p=1$salt$key; what cannot be read costs the standard.
func matchArgon2(hash, plain string, standard Cost) bool {
	kind, c, salt, want, ok := readArgon2(hash)
	if !ok {
		standard.spend(plain)
		return false
	}
	derive := argon2.IDKey
	if kind == "argon2i" {
		derive = argon2.Key
	}
	got := derive([]byte(plain), salt, c.Passes, c.Memory, c.Threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

func readArgon2(hash string) (kind string, c Cost, salt, key []byte, ok bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return "", c, nil, nil, false
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Threads)
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	ok = err == nil && saltErr == nil && keyErr == nil && c.bearable() && len(key) >= 16 && len(key) <= 128
	return parts[1], c, salt, key, ok && (parts[1] == "argon2i" || parts[1] == "argon2id")
}

func (c Cost) bearable() bool {
	return c.Memory > 0 && c.Memory <= maxMemory && c.Passes > 0 && c.Passes <= maxPasses && c.Threads > 0 && c.Threads <= maxThreads
}
