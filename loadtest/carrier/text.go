package carrier

import (
	"strings"
	"sync"
	"unicode/utf16"

	"tocsin/loadtest/carrierlog"
)

// alphabet is how the octets of a body are meant.
type alphabet uint8

const (
	octets alphabet = iota
	septets
	ucs2
)

func alphabetOf(coding byte) alphabet {
	switch {
	case coding == 0, coding >= 0x10 && coding <= 0x13, coding >= 0xF0 && coding <= 0xF3:
		return septets
	case coding == 8, coding >= 0x18 && coding <= 0x1B:
		return ucs2
	}
	return octets
}

// text is one distinct body that arrived: its number in the log, what is wrong with it, and the status of a fault that
// the carrier is to play.
type text struct {
	key    string
	number int
	bad    fault
	status uint32
}

// texts numbers the distinct bodies of a carrier.
type texts struct {
	cfg *Config
	log *carrierlog.Writer

	mu  sync.Mutex // guards all, and that a text's line stands before the lines that name it
	all map[string]*text
}

// textKey is what makes a text distinct: coding, length of the user data header, body.
func textKey(b []byte, s *submit) []byte {
	return append(append(b, s.coding, byte(s.header)), s.body...)
}

// of finds or writes down the text of s; key is its textKey.
func (t *texts) of(key []byte, s *submit, now int64) *text {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.all[string(key)]; x != nil {
		return x
	}
	x := &text{key: string(key), number: len(t.all) + 1, bad: checkText(s)}
	t.all[x.key] = x
	said := words(s)
	switch {
	case t.cfg.NoFlash && classZero(s.coding):
		x.status = badServiceType
	case t.cfg.FaultWords != "" && strings.Contains(said, t.cfg.FaultWords):
		x.status = t.cfg.FaultStatus
	}
	t.log.Append(carrierlog.Append(nil, carrierlog.TextLine(now, x.number, int(s.coding), s.body, said)))
	return x
}

// classZero tells whether a message goes to the display at once (3GPP TS 23.038, section 4).
func classZero(coding byte) bool {
	return coding&0xD3 == 0x10 || coding&0xF3 == 0xF0
}

// checkText finds what is wrong with a body: it fits one message of 140 octets (3GPP TS 23.040 9.2.3.16), is whole in
// its alphabet, and splits no pair.
func checkText(s *submit) fault {
	b := s.body
	if len(b) == 0 {
		return faultTextEmpty
	}
	switch alphabetOf(s.coding) {
	case septets:
		// The header takes whole septets of the 160.
		if len(b) > 160-(s.header*8+6)/7 {
			return faultTextLong
		}
		for i := 0; i < len(b); i++ {
			if b[i] > 0x7F {
				return faultTextSeptet
			}
			if b[i] == 0x1B {
				if i++; i == len(b) {
					return faultTextEscape
				}
			}
		}
	case ucs2:
		if len(b)+s.header > 140 {
			return faultTextLong
		}
		if len(b)%2 != 0 {
			return faultTextOdd
		}
		for i := 0; i < len(b); i += 2 {
			switch b[i] >> 2 {
			case 0xD8 >> 2: // high half: the low one follows
				if i += 2; i >= len(b) || b[i]>>2 != 0xDC>>2 {
					return faultTextSurrogate
				}
			case 0xDC >> 2:
				return faultTextSurrogate
			}
		}
	default:
		if len(b)+s.header > 140 {
			return faultTextLong
		}
	}
	return 0
}

// words is the body for a person who reads the log; the verifier reads the octets.
func words(s *submit) string {
	switch alphabetOf(s.coding) {
	case ucs2:
		u := make([]uint16, len(s.body)/2)
		for i := range u {
			u[i] = uint16(s.body[2*i])<<8 | uint16(s.body[2*i+1])
		}
		return string(utf16.Decode(u))
	case septets:
		return strings.Map(func(r rune) rune { // the common part of ASCII; the rest as a dot
			if r == '\n' || r >= ' ' && r <= 'z' && r != '$' && r != '@' && r != '`' && !(r >= '[' && r <= '_') {
				return r
			}
			return '.'
		}, string(s.body))
	}
	return ""
}
