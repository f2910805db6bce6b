package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Key is 32 secret bytes that are not in the store: the data key, or the seed of the key that signs seals. Its file
// holds one line of 64 hexadecimal digits.
type Key [32]byte

// Seal is the signing key with this seed (RFC 8032, Ed25519).
func (k Key) Seal() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k[:]) }

// String hides the key, so that no log shows it.
func (k Key) String() string { return "(secret)" }

// GoString hides the key too.
func (k Key) GoString() string { return "(secret)" }

// LoadKey reads the key at path. What is stored under a key is lost without it, so a missing one is an error and never
// made anew.
func LoadKey(path string) (Key, error) {
	b, err := readPrivate(path)
	if missing(err) {
		return Key{}, fmt.Errorf("there is no key at %s: put it back from its safe copy; `tocsin init` makes one for a new installation only (%w)", path, err)
	}
	if err != nil {
		return Key{}, err
	}
	var k Key
	text := strings.TrimSpace(string(b))
	if len(text) != hex.EncodedLen(len(k)) {
		return Key{}, fmt.Errorf("the key at %s has %d characters; a key is %d hexadecimal digits: put it back from its safe copy", path, len(text), hex.EncodedLen(len(k)))
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil {
		return Key{}, fmt.Errorf("the key at %s is not written in hexadecimal digits: put it back from its safe copy", path)
	}
	if k == (Key{}) {
		return Key{}, fmt.Errorf("the key at %s is all zero: put it back from its safe copy", path)
	}
	return k, nil
}

// LoadOrCreateKey reads the key at path, or makes one with mode 0600 when there is no file. Of two processes that make
// it at once both get the same.
func LoadOrCreateKey(path string) (Key, error) {
	k, err := LoadKey(path)
	if !missing(err) {
		return k, err
	}
	rand.Read(k[:]) // never fails: it ends the process instead
	err = writePrivate(path, []byte(hex.EncodeToString(k[:])+"\n"), false)
	if errors.Is(err, fs.ErrExist) {
		return LoadKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}
