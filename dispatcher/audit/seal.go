package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Hash is h(n) of the chain.
type Hash [sha256.Size]byte

// next is h(n) from h(n-1).
func (h Hash) next(n uint64, entry []byte) Hash {
	b := make([]byte, 0, len(h)+8+len(entry))
	b = append(b, h[:]...)
	b = binary.BigEndian.AppendUint64(b, n)
	return sha256.Sum256(append(b, entry...))
}

// Seal says what the chain was at one entry. Its text is one line of six words, of which the last signs the others:
//
//	tocsin-seal/1 <realm> <number> <hash, hex> <time, RFC 3339> <signature, base64url>
//
// The same text lies in the store, in the second place and in reports.
type Seal struct {
	Realm     string
	Number    uint64 // of the last entry sealed, from 1
	Hash      Hash   // h(Number)
	At        time.Time
	Signature []byte // RFC 8032, Ed25519, 64 bytes
}

const sealForm = "tocsin-seal/1"

var encoding = base64.RawURLEncoding.Strict()

func (s Seal) signed() string {
	return fmt.Sprintf("%s %s %d %s %s", sealForm, s.Realm, s.Number, hex.EncodeToString(s.Hash[:]), s.At.UTC().Format(time.RFC3339Nano))
}

func (s Seal) String() string { return s.signed() + " " + encoding.EncodeToString(s.Signature) }

// Valid tells whether the seal was made with the key.
func (s Seal) Valid(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(s.signed()), s.Signature)
}

func sign(key ed25519.PrivateKey, realm string, n uint64, h Hash, at time.Time) Seal {
	s := Seal{Realm: realm, Number: n, Hash: h, At: at.UTC().Round(0)}
	s.Signature = ed25519.Sign(key, []byte(s.signed()))
	return s
}

var errForm = errors.New("it is not of the form `" + sealForm + " realm number hash time signature`")

// ParseSeal reads the text of a seal; whether it is valid is another question. A seal has one spelling.
func ParseSeal(text string) (Seal, error) {
	w := strings.Split(text, " ")
	if len(w) != 6 || w[0] != sealForm {
		return Seal{}, errForm
	}
	n, err := strconv.ParseUint(w[2], 10, 64)
	if err != nil || n == 0 {
		return Seal{}, errForm
	}
	s := Seal{Realm: w[1], Number: n}
	h, err := hex.DecodeString(w[3])
	if err != nil || len(h) != len(s.Hash) {
		return Seal{}, errForm
	}
	copy(s.Hash[:], h)
	if s.At, err = time.Parse(time.RFC3339Nano, w[4]); err != nil {
		return Seal{}, errForm
	}
	if s.Signature, err = encoding.DecodeString(w[5]); err != nil || len(s.Signature) != ed25519.SignatureSize {
		return Seal{}, errForm
	}
	if s.String() != text {
		return Seal{}, errForm
	}
	return s, nil
}

// mark is the first 8 bytes of an entry's SHA-256. Marks say where a record was changed and prove nothing.
type mark [8]byte

func markOf(entry []byte) mark {
	h := sha256.Sum256(entry)
	return mark(h[:8])
}
