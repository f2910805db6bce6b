package pdu

import "encoding/binary"

// Cutter cuts a stream of octets into PDUs, in place: any number in one read, or one over many reads.
//
//	for {
//		n, err := conn.Read(c.Space())
//		c.Filled(n)
//		for p, ok := c.Next(); ok; p, ok = c.Next() { … }
//	}
type Cutter struct {
	buf      []byte
	from, to int // what is read and not yet cut
	fault    *Fault
}

// NewCutter has a buffer that holds the largest PDU, and as much again to read many small ones at once.
func NewCutter() *Cutter { return &Cutter{buf: make([]byte, 2*MaxSize)} }

// Reset makes it ready for another stream.
func (c *Cutter) Reset() { c.from, c.to, c.fault = 0, 0, nil }

// Space is where to read into; it is never empty once Next has said no. It ends what PDUs of before were valid for.
func (c *Cutter) Space() []byte {
	c.to = copy(c.buf, c.buf[c.from:c.to])
	c.from = 0
	return c.buf[c.to:]
}

// Filled says that n octets of Space were filled.
func (c *Cutter) Filled(n int) { c.to += n }

// Next is the next whole PDU; false when there is none yet, or no more after a Fault. It is valid until Space is called.
func (c *Cutter) Next() (PDU, bool) {
	rest := c.buf[c.from:c.to]
	if c.fault != nil || len(rest) < 4 {
		return PDU{}, false
	}
	n := binary.BigEndian.Uint32(rest)
	if c.fault = checkLength(n); c.fault != nil || uint32(len(rest)) < max(n, HeaderSize) {
		return PDU{}, false
	}
	c.from += int(n)
	return PDU{readHeader(rest), rest[HeaderSize:n:n]}, true
}

// Fault is why the stream cannot be cut further: a length that cannot be one. Nothing after it can be trusted.
func (c *Cutter) Fault() error {
	if c.fault == nil {
		return nil
	}
	return c.fault
}
