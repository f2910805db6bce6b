package carrier

import (
	"bytes"
	"encoding/binary"
	"time"
)

// submit is a submit_sm as it was read. Byte slices are views of what was read.
type submit struct {
	sourceTON, sourceNPI byte
	source               []byte
	to                   uint64
	toDigits             []byte
	validity             []byte // 16 characters or none
	esm                  byte
	registered           byte
	coding               byte
	flash                bool   // by dest_addr_subunit
	header               int    // octets of user data header, length octet included
	body                 []byte // behind the header
	ref, total, seq      int    // total is 1 for a message that is whole
}

// fields walks over the fixed fields of a PDU.
type fields struct {
	b  []byte
	at int
	ok bool
}

// text is a C-octet string of at most most octets with its terminator.
func (f *fields) text(most int) []byte {
	end := min(f.at+most, len(f.b))
	for i := f.at; i < end; i++ {
		if f.b[i] == 0 {
			s := f.b[f.at:i]
			f.at = i + 1
			return s
		}
	}
	f.ok = false
	return nil
}

func (f *fields) octet() byte {
	if f.at >= len(f.b) {
		f.ok = false
		return 0
	}
	f.at++
	return f.b[f.at-1]
}

// Types of number are 0 to 6 (5.2.5); numbering plans are these (5.2.6).
const npis = 1<<0 | 1<<1 | 1<<3 | 1<<4 | 1<<6 | 1<<8 | 1<<9 | 1<<10 | 1<<14 | 1<<18

func validTON(b byte) bool { return b <= 6 }
func validNPI(b byte) bool { return b <= 18 && npis>>b&1 != 0 }

// decodeSubmit reads the body of a submit_sm (4.4.1) into s.
func decodeSubmit(b []byte, s *submit) fault {
	*s = submit{total: 1, seq: 1}
	f := fields{b: b, ok: true}
	if f.text(maxServiceType); !f.ok {
		return faultServiceType
	}
	s.sourceTON, s.sourceNPI = f.octet(), f.octet()
	if !f.ok {
		return faultCut
	}
	if !validTON(s.sourceTON) {
		return faultSourceTON
	}
	if !validNPI(s.sourceNPI) {
		return faultSourceNPI
	}
	if s.source = f.text(maxAddress); !f.ok {
		return faultSource
	}
	ton, npi := f.octet(), f.octet()
	if !f.ok {
		return faultCut
	}
	if !validTON(ton) {
		return faultDestTON
	}
	if !validNPI(npi) {
		return faultDestNPI
	}
	if s.toDigits = f.text(maxAddress); !f.ok {
		return faultDest
	}
	if s.to, f.ok = digits(s.toDigits); !f.ok {
		return faultDest
	}
	s.esm = f.octet()
	f.octet() // protocol_id: the network's own
	priority := f.octet()
	if !f.ok {
		return faultCut
	}
	if t := s.esm >> 2 & 0xF; t != 0 && t != 2 && t != 4 { // default, delivery and manual acknowledgement (5.2.12)
		return faultESMClass
	}
	if priority > 3 {
		return faultPriority
	}
	if schedule := f.text(timeLen); !f.ok || !validTime(schedule) {
		return faultSchedule
	}
	if s.validity = f.text(timeLen); !f.ok || !validTime(s.validity) {
		return faultValidity
	}
	s.registered = f.octet()
	replace := f.octet()
	s.coding = f.octet()
	predefined := f.octet()
	length := int(f.octet())
	if !f.ok {
		return faultCut
	}
	if s.registered&3 == 3 || s.registered>>5 != 0 {
		return faultRegistered
	}
	if replace > 1 {
		return faultReplace
	}
	if !validCoding(s.coding) {
		return faultCoding
	}
	if predefined == 255 { // 255 is reserved
		return faultDefaultMessage
	}
	if length > maxShortMessage || f.at+length > len(b) {
		return faultSMLength
	}
	s.body = b[f.at : f.at+length]
	sar, bad := s.optional(b[f.at+length:])
	if bad != 0 {
		return bad
	}
	return s.userData(sar)
}

// digits reads an E.164 number: 8 to 15 digits, no sign.
func digits(b []byte) (n uint64, ok bool) {
	if len(b) < 8 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, b[0] != '0'
}

// validCoding tells whether data_coding is a defined one (5.2.19), or one of the classes of 3GPP TS 23.038 section 4
// that carriers pass on (0x1X, 0xFX).
func validCoding(c byte) bool {
	switch {
	case c <= 10, c == 13, c == 14:
		return true
	case c >= 0x10 && c <= 0x1B:
		return true
	case c >= 0xF0 && c <= 0xF7:
		return true
	}
	return false
}

// optional reads the optional parameters; unknown ones are passed over (3.3). sar has a bit for each sar parameter.
func (s *submit) optional(b []byte) (sar int, bad fault) {
	var seen [8]uint16
	known := 0
	for len(b) > 0 {
		if len(b) < 4 {
			return 0, faultTLV
		}
		tag, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b)-4 < n {
			return 0, faultTLV
		}
		v := b[4 : 4+n]
		b = b[4+n:]
		want := -1
		switch tag {
		case tagDestSubunit, tagSarTotal, tagSarSeq:
			want = 1
		case tagSarRef:
			want = 2
		case tagMessagePayload:
		default:
			continue
		}
		for _, t := range seen[:known] {
			if t == tag {
				return 0, faultTLVTwice
			}
		}
		seen[known] = tag
		known++
		if want >= 0 && n != want {
			return 0, faultTLVLength
		}
		switch tag {
		case tagDestSubunit:
			if v[0] > 4 {
				return 0, faultTLVValue
			}
			s.flash = v[0] == 1
		case tagSarRef:
			s.ref = int(binary.BigEndian.Uint16(v))
			sar |= 1
		case tagSarTotal:
			s.total = int(v[0])
			sar |= 2
		case tagSarSeq:
			s.seq = int(v[0])
			sar |= 4
		case tagMessagePayload:
			if len(s.body) > 0 {
				return 0, faultPayloadTwice
			}
			s.body = v
		}
	}
	return sar, 0
}

// userData takes the header from the body and checks the ways to tell segments against each other.
func (s *submit) userData(sar int) fault {
	udhi := s.esm&0x40 != 0
	switch {
	case sar != 0 && udhi:
		return faultSarAndUDH
	case sar != 0 && sar != 7:
		return faultSarCut
	case sar == 7 && (s.total < 1 || s.seq < 1 || s.seq > s.total):
		return faultTLVValue
	}
	b := s.body
	if !udhi {
		// Nobody begins a text like this: it is a concatenation header that esm_class does not announce.
		if len(b) >= 6 && b[0] == 5 && b[1] == 0 && b[2] == 3 && b[4] > 0 && b[5] > 0 && b[5] <= b[4] {
			return faultUDHUnsaid
		}
		return 0
	}
	if len(b) < 1 || int(b[0]) > len(b)-1 || b[0] == 0 {
		return faultUDH
	}
	s.header = int(b[0]) + 1
	s.body = b[s.header:]
	for ie := b[1:s.header]; len(ie) > 0; {
		if len(ie) < 2 || len(ie)-2 < int(ie[1]) {
			return faultUDH
		}
		id, v := ie[0], ie[2:2+ie[1]]
		ie = ie[2+ie[1]:]
		switch id {
		case 0x00: // concatenation, 8-bit reference
			if len(v) != 3 {
				return faultUDHParts
			}
			s.ref, s.total, s.seq = int(v[0]), int(v[1]), int(v[2])
		case 0x08: // 16-bit reference
			if len(v) != 4 {
				return faultUDHParts
			}
			s.ref, s.total, s.seq = int(binary.BigEndian.Uint16(v)), int(v[2]), int(v[3])
		default:
			continue
		}
		if s.total < 1 || s.seq < 1 || s.seq > s.total {
			return faultUDHParts
		}
	}
	return 0
}

// validTime tells whether b is empty or a time of the form YYMMDDhhmmsstnnp (7.1.1).
func validTime(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if len(b) != timeLen-1 {
		return false
	}
	for _, c := range b[:15] {
		if c-'0' > 9 {
			return false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	if two(6) > 23 || two(8) > 59 || two(10) > 59 {
		return false
	}
	switch b[15] {
	case 'R': // relative: tenths and difference are zero
		return two(2) <= 12 && two(4) <= 31 && b[12] == '0' && two(13) == 0
	case '+', '-':
		month, day := two(2), two(4)
		if month < 1 || month > 12 || day < 1 || two(13) > 48 {
			return false
		}
		return day <= time.Date(2000+two(0), time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	}
	return false
}

// deadline is the moment that a valid time names, in Unix seconds; 0 for none.
func deadline(b []byte, now time.Time) int64 {
	if len(b) == 0 {
		return 0
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	if b[15] == 'R' {
		t := now.AddDate(two(0), two(2), two(4))
		return t.Add(time.Duration(two(6))*time.Hour + time.Duration(two(8))*time.Minute + time.Duration(two(10))*time.Second).Unix()
	}
	t := time.Date(2000+two(0), time.Month(two(2)), two(4), two(6), two(8), two(10), 0, time.UTC).Unix()
	quarters := int64(two(13)) * 900
	if b[15] == '+' { // ahead of UTC
		return t - quarters
	}
	return t + quarters
}

// bindRequest is the body of a bind (4.1).
type bindRequest struct {
	system, password []byte
}

// decodeBind reads the body of any of the three binds.
func decodeBind(b []byte) (r bindRequest, bad fault) {
	f := fields{b: b, ok: true}
	if r.system = f.text(maxSystemID); !f.ok {
		return r, faultSystemID
	}
	if r.password = f.text(maxPassword); !f.ok {
		return r, faultPassword
	}
	if f.text(maxSystemType); !f.ok {
		return r, faultSystemType
	}
	v, ton, npi := f.octet(), f.octet(), f.octet()
	switch {
	case !f.ok:
		return r, faultCut
	case v != version34:
		return r, faultVersion
	case !validTON(ton):
		return r, faultBindTON
	case !validNPI(npi):
		return r, faultBindNPI
	}
	if f.text(maxAddressRange); !f.ok {
		return r, faultAddressRange
	}
	if f.at != len(b) {
		return r, faultTrailing
	}
	return r, 0
}

// synthetic tells whether a number is of country code 999, which is in reserve and cannot be assigned.
func synthetic(number []byte) bool { return bytes.HasPrefix(number, []byte("999")) }
