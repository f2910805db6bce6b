package pdu

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// cursor reads the fields of a body in order; after the first fault it reads nothing more.
type cursor struct {
	b     []byte
	fault *Fault
}

// octet is a one-octet integer (clause 3.1).
func (c *cursor) octet(field string) byte {
	if len(c.b) == 0 {
		c.fail(field, "is missing", InvalidCommandLength)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// text is a C-octet string of at most max octets with its terminating zero (clause 3.1), without the zero.
func (c *cursor) text(field string, max int) []byte {
	n := bytes.IndexByte(c.b[:min(max, len(c.b))], 0)
	if n < 0 {
		if len(c.b) < max {
			c.fail(field, "does not end inside the PDU", InvalidCommandLength)
		} else {
			c.fail(field, fmt.Sprintf("is longer than %d octets with its zero", max), InvalidMessageLength)
		}
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n+1:]
	return v
}

// octets is n octets as they stand.
func (c *cursor) octets(field string, n int) []byte {
	if n > len(c.b) {
		c.fail(field, "does not end inside the PDU", InvalidMessageLength)
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

// optional is all that is left, which must be whole optional parameters (clause 3.2.4).
func (c *cursor) optional() []byte {
	v := c.b
	for rest := v; len(rest) > 0; {
		if len(rest) < 4 || int(binary.BigEndian.Uint16(rest[2:])) > len(rest)-4 {
			c.fail("optional parameter", "does not end inside the PDU", InvalidOptional)
			return nil
		}
		rest = rest[4+binary.BigEndian.Uint16(rest[2:]):]
	}
	c.b = nil
	return v
}

func (c *cursor) fail(field, rule string, s Status) {
	if c.fault == nil {
		c.fault = &Fault{field, rule, s}
	}
	c.b = nil
}

// done is the fault that was met, or that octets are left over.
func (c *cursor) done() error {
	if len(c.b) > 0 {
		c.fail("PDU", fmt.Sprintf("has %d octets after its last field", len(c.b)), InvalidCommandLength)
	}
	if c.fault != nil {
		return c.fault
	}
	return nil
}

// appender writes fields in order and keeps the first fault.
type appender struct {
	b     []byte
	fault *Fault
}

// text adds a C-octet string that may take max octets with its zero.
func (a *appender) text(field string, v []byte, max int) {
	switch {
	case len(v) >= max:
		a.fail(field, fmt.Sprintf("has %d octets, at most %d are allowed", len(v), max-1))
	case bytes.IndexByte(v, 0) >= 0:
		a.fail(field, "has a zero inside")
	}
	a.b = append(append(a.b, v...), 0)
}

func (a *appender) octets(v ...byte) { a.b = append(a.b, v...) }

func (a *appender) fail(field, rule string) {
	if a.fault == nil {
		a.fault = &Fault{field, rule, InvalidMessageLength}
	}
}

// done gives the octets with the length of the PDU that begins at from; after a fault what was added is taken back.
func (a *appender) done(from int) ([]byte, error) {
	if a.fault != nil {
		return a.b[:from], a.fault
	}
	return setLength(a.b, from), nil
}

// Tag names an optional parameter (clause 5.3.2).
type Tag uint16

// The optional parameters that this house reads or writes.
const (
	ReceiptedMessageID Tag = 0x001E
	InterfaceVersion   Tag = 0x0210 // sc_interface_version
	NetworkErrorCode   Tag = 0x0423
	MessagePayload     Tag = 0x0424
	MessageState       Tag = 0x0427
)

// Find is the value of the first optional parameter with the tag; optional is whole parameters, as a parser leaves them.
func Find(optional []byte, tag Tag) ([]byte, bool) {
	for len(optional) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(optional[2:]))
		if Tag(binary.BigEndian.Uint16(optional)) == tag {
			return optional[4:n], true
		}
		optional = optional[n:]
	}
	return nil, false
}

// AppendOptional adds one optional parameter; value has at most 65,535 octets.
func AppendOptional(dst []byte, tag Tag, value []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(tag))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}
