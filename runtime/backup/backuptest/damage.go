package backuptest

import (
	"encoding/base64"
	"math/rand/v2"
	"os"
	"testing"
)

// FlipByte changes one bit in the middle of a file.
func FlipByte(t testing.TB, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Noise returns n printable characters which do not compress much, the same for each seed.
func Noise(seed, n int) string {
	data := make([]byte, n*3/4+1)
	key := [32]byte{byte(seed), byte(seed >> 8)}
	rand.NewChaCha8(key).Read(data)
	return base64.StdEncoding.EncodeToString(data)[:n]
}
