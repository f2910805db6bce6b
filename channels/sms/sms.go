// Package sms turns words into the segments of short messages: which alphabet carries them, where they are cut, and
// the header that joins them again on the phone. It does no I/O and knows no wire; a preview and a link get the same
// answer from it.
//
// Invariants:
//   - The segments joined are the text, byte for byte.
//   - No cut falls inside an escape pair of the GSM alphabet or inside a surrogate pair of UTF-16.
//   - A text that cannot be carried whole is refused; nothing is trimmed or replaced.
package sms

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"tocsin/warning"
)

// MaxSegments is how many segments one text may cost: a bit for each fits in channels.Message.Skip.
const MaxSegments = 8

// HeaderSize is the octets that a joining header takes from each segment of a text that needs several.
const HeaderSize = 6

// Coding is the alphabet of a text.
type Coding uint8

// The codings. Any one character outside the GSM alphabet makes the whole text UCS2.
const (
	GSM7 Coding = iota + 1 // GSM 7-bit default alphabet with its extension table, 3GPP TS 23.038 clause 6.2.1
	UCS2                   // UTF-16, big-endian, clause 6.2.3
)

func (c Coding) String() string {
	switch c {
	case GSM7:
		return "gsm7"
	case UCS2:
		return "ucs2"
	}
	return fmt.Sprintf("?%d", uint8(c))
}

// limits is how many units (septets or UTF-16 code units) one message holds alone, and beside a joining header:
// 140 octets, of which the header takes 6.
func (c Coding) limits() (alone, joined int) {
	if c == GSM7 {
		return 160, 153
	}
	return 70, 67
}

// CodingOf is the coding that carries text: GSM7 where every character is in that alphabet, else UCS2.
func CodingOf(text string) Coding {
	for _, r := range text {
		if _, ok := septets[r]; !ok {
			return UCS2
		}
	}
	return GSM7
}

// units is what a character costs in a coding.
func (c Coding) units(r rune) int {
	if c == GSM7 {
		return len(septets[r])
	}
	return utf16.RuneLen(r)
}

// Segments cuts text into the pieces that travel as one message each, 1 to MaxSegments. A text that is empty, not UTF-8
// or too long is refused with a *warning.Error that says so.
func Segments(text string) ([]string, Coding, error) {
	if text == "" {
		return nil, 0, refuse("text.empty", "there are no words", "write the text")
	}
	if !utf8.ValidString(text) {
		return nil, 0, refuse("text.utf8", "the text is not valid UTF-8", "send the text as UTF-8")
	}
	c := CodingOf(text)
	alone, joined := c.limits()
	if pieces := c.cut(text, alone); len(pieces) == 1 {
		return pieces, c, nil
	}
	pieces := c.cut(text, joined)
	if len(pieces) > MaxSegments {
		return nil, 0, refuse("text.length",
			fmt.Sprintf("the text needs %d messages in %s, at most %d are sent to a person", len(pieces), c, MaxSegments),
			fmt.Sprintf("shorten it to %d %s", MaxSegments*joined, c.unitName()))
	}
	return pieces, c, nil
}

func (c Coding) unitName() string {
	if c == GSM7 {
		return "characters of the GSM alphabet"
	}
	return "characters"
}

func refuse(rule, detail, remedy string) error {
	return warning.Invalid(warning.Violation{Field: "text", Rule: rule, Detail: detail, Remedy: remedy})
}

// cut takes as many whole characters as fit limit units into each piece.
func (c Coding) cut(text string, limit int) []string {
	var pieces []string
	from, used := 0, 0
	for at, r := range text {
		n := c.units(r)
		if used+n > limit {
			pieces = append(pieces, text[from:at])
			from, used = at, 0
		}
		used += n
	}
	return append(pieces, text[from:])
}

// Append adds the octets of text in the coding to dst: GSM7 as one septet an octet, as SMPP and the Chinese protocols
// carry it; UCS2 as two octets a code unit. It is an error when a character has no code.
func (c Coding) Append(dst []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return dst, refuse("text.utf8", "the text is not valid UTF-8", "send the text as UTF-8")
	}
	if c == UCS2 {
		for _, unit := range utf16.Encode([]rune(text)) {
			dst = binary.BigEndian.AppendUint16(dst, unit)
		}
		return dst, nil
	}
	for _, r := range text {
		codes, ok := septets[r]
		if !ok {
			return dst, refuse("text.coding", fmt.Sprintf("%q is not in the GSM alphabet", r), "use ucs2")
		}
		dst = append(dst, codes...)
	}
	return dst, nil
}

// Decode is the text of octets in the coding, the reverse of Append. Codes that stand for no character, an escape with
// nothing after it, a lone surrogate and an odd number of octets are errors.
func (c Coding) Decode(octets []byte) (string, error) {
	if c == UCS2 {
		return decodeUCS2(octets)
	}
	var b strings.Builder
	for i := 0; i < len(octets); i++ {
		code := octets[i]
		if code == escape {
			if i++; i == len(octets) {
				return "", fmt.Errorf("gsm7: an escape at octet %d has no code after it", i-1)
			}
			r, ok := extension[octets[i]]
			if !ok {
				return "", fmt.Errorf("gsm7: 0x%02X at octet %d is not in the extension table", octets[i], i)
			}
			b.WriteRune(r)
			continue
		}
		if int(code) >= len(basic) {
			return "", fmt.Errorf("gsm7: 0x%02X at octet %d is no septet", code, i)
		}
		b.WriteRune(basic[code])
	}
	return b.String(), nil
}

func decodeUCS2(octets []byte) (string, error) {
	if len(octets)%2 != 0 {
		return "", fmt.Errorf("ucs2: %d octets are not whole code units", len(octets))
	}
	var b strings.Builder
	for i := 0; i < len(octets); i += 2 {
		r := rune(binary.BigEndian.Uint16(octets[i:]))
		if utf16.IsSurrogate(r) {
			low := utf8.RuneError
			if i+4 <= len(octets) {
				low = rune(binary.BigEndian.Uint16(octets[i+2:]))
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", fmt.Errorf("ucs2: lone surrogate at octet %d", i)
			}
			i += 2
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}

// Header is the user data header that joins the segments of one text (3GPP TS 23.040 clause 9.2.3.24.1, 8-bit
// reference); seq counts from 1.
func Header(ref, total, seq uint8) [HeaderSize]byte {
	return [HeaderSize]byte{0x05, 0x00, 0x03, ref, total, seq}
}

// RefAt is the place of the reference in a Header.
const RefAt = 3
