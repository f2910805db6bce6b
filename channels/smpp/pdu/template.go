package pdu

import (
	"encoding/binary"
	"slices"
)

// Template is a submit_sm laid out once for all who get the same words: only the sequence number, the destination and
// the reference of the joining header differ.
type Template struct {
	head []byte // header and fields before destination_addr
	tail []byte // the zero of destination_addr and all after it
	ref  int    // place of the reference in tail; 0: none
}

// NewTemplate lays out sm, whose Dest is left empty. refAt is the place in sm.Text that Append sets to the reference,
// or -1 for none.
func NewTemplate(sm *SM, refAt int) (Template, error) {
	if refAt >= len(sm.Text) {
		return Template{}, &Fault{"short_message", "ends before the reference", InvalidMessageLength}
	}
	head := appender{b: AppendHeader(nil, SubmitSM, OK, 0)}
	head.head(sm)
	tail := appender{b: []byte{0}, fault: head.fault}
	tail.tail(sm)
	if tail.fault != nil {
		return Template{}, tail.fault
	}
	t := Template{head: head.b, tail: tail.b}
	if refAt >= 0 {
		t.ref = len(t.tail) - len(sm.Optional) - len(sm.Text) + refAt
	}
	return t, nil
}

// MaxSize is the octets that Append adds at most.
func (t *Template) MaxSize() int { return len(t.head) + maxAddress - 1 + len(t.tail) }

// Append adds the PDU for one person. It does not allocate when dst has room.
func (t *Template) Append(dst []byte, seq uint32, number uint64, ref uint8) []byte {
	digits := 1
	for n := number; n >= 10; n /= 10 {
		digits++
	}
	from, size := len(dst), len(t.head)+digits+len(t.tail)
	dst = slices.Grow(dst, size)[:from+size]
	p := dst[from:]
	copy(p, t.head)
	binary.BigEndian.PutUint32(p, uint32(size))
	binary.BigEndian.PutUint32(p[12:], seq)
	p = p[len(t.head):]
	for i := digits - 1; i >= 0; i-- {
		p[i] = '0' + byte(number%10)
		number /= 10
	}
	p = p[digits:]
	copy(p, t.tail)
	if t.ref > 0 {
		p[t.ref] = ref
	}
	return dst
}
