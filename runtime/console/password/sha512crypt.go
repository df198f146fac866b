package password

import (
	"crypto/sha512"
	"strconv"
	"strings"
)

// Bounds of the rounds: the lower is crypt's own, the upper what a sign-in may cost here.
const (
	standardRounds = 5000
	minRounds      = 1000
	maxRounds      = 1_000_000
)

// sha512Crypt is crypt(3) of the kind $6$ with the salt and rounds of setting, which may be a whole hash. See U.
// Drepper, "Unix crypt using SHA-256 and SHA-512".
func sha512Crypt(plain, setting string) (string, bool) {
	rest, ok := strings.CutPrefix(setting, "$6$")
	if !ok {
		return "", false
	}
	prefix, rounds := "$6$", standardRounds
	if text, after, found := strings.Cut(rest, "$"); found && strings.HasPrefix(text, "rounds=") {
		n, err := strconv.Atoi(text[len("rounds="):])
		if err != nil || n > maxRounds {
			return "", false
		}
		rounds = max(n, minRounds)
		prefix, rest = "$6$rounds="+strconv.Itoa(rounds)+"$", after
	}
	salt, _, _ := strings.Cut(rest, "$")
	salt = salt[:min(len(salt), 16)]
	return prefix + salt + "$" + cryptEncode(stretch([]byte(plain), []byte(salt), rounds)), true
}

// stretch is the digest after all rounds.
func stretch(plain, salt []byte, rounds int) []byte {
	digest := cryptStart(plain, salt)
	p := repeated(sum(many(plain, len(plain))...), len(plain))
	s := repeated(sum(many(salt, 16+int(digest[0]))...), len(salt))
	for i := range rounds {
		var parts [][]byte
		pick := func(odd bool) []byte {
			if odd {
				return p
			}
			return digest
		}
		parts = append(parts, pick(i%2 == 1))
		if i%3 != 0 {
			parts = append(parts, s)
		}
		if i%7 != 0 {
			parts = append(parts, p)
		}
		digest = sum(append(parts, pick(i%2 == 0))...)
	}
	return digest
}

// cryptStart is digest A of the specification.
func cryptStart(plain, salt []byte) []byte {
	b := sum(plain, salt, plain)
	parts := [][]byte{plain, salt, repeated(b, len(plain))}
	for n := len(plain); n > 0; n >>= 1 {
		if n&1 == 1 {
			parts = append(parts, b)
		} else {
			parts = append(parts, plain)
		}
	}
	return sum(parts...)
}

func sum(parts ...[]byte) []byte {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// many is part n times over.
func many(part []byte, n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = part
	}
	return list
}

// repeated is block again and again, up to size bytes.
func repeated(block []byte, size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = block[i%len(block)]
	}
	return out
}

// cryptEncode writes a digest in crypt's own base 64: groups of three bytes, taken from the three thirds in turn.
func cryptEncode(d []byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	put := func(v uint32, n int) {
		for range n {
			b.WriteByte(alphabet[v&63])
			v >>= 6
		}
	}
	for i := range 21 {
		at := [3]int{i, i + 21, i + 42}
		first := i % 3
		put(uint32(d[at[first]])<<16|uint32(d[at[(first+1)%3]])<<8|uint32(d[at[(first+2)%3]]), 4)
	}
	put(uint32(d[63]), 2)
	return b.String()
}
