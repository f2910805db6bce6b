package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"tocsin/warning"
)

// A token is
//
//	toc_<user>_<48 characters>
//
// where the characters are base64url (RFC 4648 section 5) of 32 random bytes and a CRC-32 (IEEE, big endian) over user
// and bytes. 36 bytes fill 48 characters without rest, so each token has one spelling. The check digits find a token
// that was cut or mistyped before anybody is asked, and let a scanner tell a token from other text.
const (
	tokenPrefix = "toc_"
	secretSize  = 32
	checkSize   = 4
)

var encoding = base64.RawURLEncoding.Strict()

// newToken makes a token of the user.
func newToken(user string) string {
	b := make([]byte, secretSize, secretSize+checkSize)
	rand.Read(b) // never fails: it ends the process instead
	b = binary.BigEndian.AppendUint32(b, check(user, b))
	return tokenPrefix + user + "_" + encoding.EncodeToString(b)
}

func check(user string, secret []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(user)), crc32.IEEETable, secret)
}

// tokenUser is the user that a token names; ReasonUnknownUser when its form or its check digits are wrong. The error
// repeats nothing of the token.
func tokenUser(token string) (string, error) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return "", warning.Refuse(warning.ReasonUnknownUser, "this is not a token: one begins with %q; log in again with `tocsin login`", tokenPrefix)
	}
	user, digits, ok := strings.Cut(rest, "_")
	if !ok || !validName(user) {
		return "", warning.Refuse(warning.ReasonUnknownUser, "the token names no user; copy it whole and log in again with `tocsin login`")
	}
	b, err := encoding.DecodeString(digits)
	// The decoder passes over line breaks; a token has none.
	if err != nil || len(b) != secretSize+checkSize || len(digits) != encoding.EncodedLen(len(b)) ||
		binary.BigEndian.Uint32(b[secretSize:]) != check(user, b[:secretSize]) {
		return "", warning.Refuse(warning.ReasonUnknownUser, "the token was cut or mistyped; copy it whole and log in again with `tocsin login`")
	}
	return user, nil
}

// hashToken is what is kept of a token.
func hashToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// validName tells whether a name may be a user's: 1 to 32 of a-z, 0-9, dot and hyphen, the first a letter or digit.
func validName(name string) bool {
	if name == "" || len(name) > 32 || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
