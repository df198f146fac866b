package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
)

// Sizes of the format in bytes.
const (
	keySize   = 32
	nonceSize = 32
	tagSize   = 16
)

// Types that a sealed value names.
const (
	kindString  = "str"
	kindComment = "comment"
)

var (
	sealedValue = regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]+),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)
	errFormat   = errors.New("not sealed as sops does: want ENC[AES256_GCM,…]")
	errSeal     = errors.New("its seal is broken: changed, moved, or sealed with another data key")
)

func newDataKey() ([]byte, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a data key: %w", err)
	}
	return key, nil
}

// openValue opens what sealValue sealed; an empty value is not sealed.
func openValue(s string, key []byte, bound string) (plain []byte, kind string, err error) {
	if s == "" {
		return nil, kindString, nil
	}
	m := sealedValue.FindStringSubmatch(s)
	if m == nil {
		return nil, "", errFormat
	}
	var parts [3][]byte
	for i := range parts {
		if parts[i], err = base64.StdEncoding.DecodeString(m[i+1]); err != nil {
			return nil, "", errFormat
		}
	}
	data, nonce, tag := parts[0], parts[1], parts[2]
	if len(nonce) != nonceSize || len(tag) != tagSize {
		return nil, "", errFormat
	}
	gcm, err := newGCM(key)
	if err != nil {
		return nil, "", err
	}
	plain, err = gcm.Open(nil, nonce, append(data, tag...), []byte(bound))
	if err != nil {
		return nil, "", errSeal
	}
	return plain, m[4], nil
}

// sealValue seals a value to its place.
func sealValue(plain []byte, kind string, key []byte, bound string) (string, error) {
	if len(plain) == 0 {
		return "", nil
	}
	gcm, err := newGCM(key)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("seal a value: %w", err)
	}
	out := gcm.Seal(nil, nonce, plain, []byte(bound))
	b64, end := base64.StdEncoding.EncodeToString, len(out)-tagSize
	return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:%s]", b64(out[:end]), b64(nonce), b64(out[end:]), kind), nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return cipher.NewGCMWithNonceSize(block, nonceSize)
}
