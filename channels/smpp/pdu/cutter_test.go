package pdu

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// feed gives raw to a cutter in pieces of the lengths in steps, over and over, and hands each PDU to f.
func feed(c *Cutter, raw, steps []byte, f func(PDU)) {
	for i := 0; len(raw) > 0 && c.Fault() == nil; i++ {
		n := len(raw)
		if len(steps) > 0 {
			n = min(n, 1+int(steps[i%len(steps)]))
		}
		n = copy(c.Space(), raw[:n])
		raw = raw[n:]
		c.Filled(n)
		for p, ok := c.Next(); ok; p, ok = c.Next() {
			f(p)
		}
	}
}

func TestCutterPieces(t *testing.T) {
	var raw []byte
	for seq := uint32(1); seq <= 300; seq++ {
		raw = AppendHeader(raw, EnquireLink, OK, seq)
		raw = AppendDeliverResp(raw, OK, seq)
	}
	for _, steps := range [][]byte{nil, {0}, {15}, {16}, {17, 0, 200}, {255}} {
		c, n := NewCutter(), 0
		feed(c, raw, steps, func(p PDU) {
			if want := uint32(n/2 + 1); p.Sequence != want {
				t.Fatalf("steps %v: sequence %d, want %d", steps, p.Sequence, want)
			}
			n++
		})
		if n != 600 || c.Fault() != nil {
			t.Errorf("steps %v: %d PDUs of 600, fault %v", steps, n, c.Fault())
		}
	}
}

func TestCutterRefusesLengths(t *testing.T) {
	for _, n := range []uint32{0, 1, 15, MaxSize + 1, 1 << 31, 1<<32 - 1} {
		c := NewCutter()
		feed(c, binary.BigEndian.AppendUint32(AppendHeader(nil, EnquireLink, OK, 1), n), nil, func(PDU) {})
		if c.Fault() == nil {
			t.Errorf("a length of %d was taken", n)
		}
		if _, ok := c.Next(); ok {
			t.Errorf("a PDU was cut after a length of %d", n)
		}
	}
	big := AppendHeader(nil, DeliverSM, OK, 1)
	big = setLength(append(big, make([]byte, MaxSize-HeaderSize)...), 0)
	c, n := NewCutter(), 0
	feed(c, append(big, big...), []byte{255}, func(p PDU) { n += len(p.Body) })
	if n != 2*(MaxSize-HeaderSize) || c.Fault() != nil {
		t.Errorf("the largest PDU: %d octets of bodies, fault %v", n, c.Fault())
	}
}

// FuzzStream feeds any octets in any pieces: nothing panics, the cut does not depend on the pieces, and what is parsed
// is encoded as it was.
func FuzzStream(f *testing.F) {
	var all []byte
	for _, raw := range vectors(f) {
		f.Add(raw, []byte{3})
		all = append(all, raw...)
	}
	f.Add(all, []byte{0, 100})
	f.Add([]byte{0, 0, 0, 0}, []byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, []byte{})
	f.Fuzz(func(t *testing.T, raw, steps []byte) {
		var whole, pieces [][]byte
		one, many := NewCutter(), NewCutter()
		feed(one, raw, nil, func(p PDU) { whole = append(whole, bytes.Clone(p.Body)); parseAny(t, p) })
		feed(many, raw, steps, func(p PDU) { pieces = append(pieces, bytes.Clone(p.Body)) })
		if len(whole) != len(pieces) || (one.Fault() == nil) != (many.Fault() == nil) {
			t.Fatalf("%d PDUs (%v) at once, %d (%v) in pieces", len(whole), one.Fault(), len(pieces), many.Fault())
		}
		for i := range whole {
			if !bytes.Equal(whole[i], pieces[i]) {
				t.Fatalf("PDU %d differs", i)
			}
		}
	})
}

func parseAny(t *testing.T, p PDU) {
	switch p.Command {
	case SubmitSM, DeliverSM:
		var sm SM
		if ParseSM(p.Body, &sm) != nil {
			return
		}
		ParseReceipt(&sm, new(Receipt))
		again, err := AppendSM(nil, p.Command, p.Sequence, &sm)
		if err != nil || !bytes.Equal(again[HeaderSize:], p.Body) {
			t.Fatalf("%x is encoded as %x (%v)", p.Body, again, err)
		}
	case BindTransceiver, BindReceiver, BindTransmitter:
		b, err := ParseBind(p.Body)
		if err != nil {
			return
		}
		if again, err := AppendBind(nil, p.Command, p.Sequence, b); err != nil || !bytes.Equal(again[HeaderSize:], p.Body) {
			t.Fatalf("%x is encoded as %x (%v)", p.Body, again, err)
		}
	default:
		if _, err := ParseSubmitResp(p.Body); err == nil {
			_ = p.Status.String() + p.Command.String()
		}
		if _, err := ParseBindResp(p.Body); err == nil {
			_ = p.Command.String()
		}
	}
}
