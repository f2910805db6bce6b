package smpp

import (
	"math/bits"
	"time"

	"tocsin/channels/smpp/pdu"
)

// window is the slots of a link. A sequence number is generation and slot: the low bits name the slot, the others count
// how often it was used. Slot 0 is for the PDUs of the session itself. It outlives connections, so that no number is
// used again soon.
type window struct {
	bits    uint
	slots   []slot
	free    []uint32 // a stack
	control uint32   // generation of slot 0
}

// slot is one submit_sm, or cancel_sm, without an answer; seq is 0 while it is free.
type slot struct {
	seq, generation uint32
	segment         uint8
	token           uint64
	at              time.Duration // when it was given to the wire
	start           uint64        // where its PDU starts in the stream of the connection
	recall          *recall       // of a cancel_sm
}

func newWindow(size int) window {
	w := window{bits: uint(bits.Len(uint(size))), slots: make([]slot, size+1), free: make([]uint32, size)}
	for i := range w.free {
		w.free[i] = uint32(size - i) // slot 1 on top
	}
	return w
}

// take opens a free slot; there is one.
func (w *window) take() *slot {
	i := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	s := &w.slots[i]
	s.generation++
	s.seq = w.sequence(s.generation, i)
	return s
}

// find is the open slot of a sequence number, or nil.
func (w *window) find(seq uint32) *slot {
	i := seq & (1<<w.bits - 1)
	if int(i) >= len(w.slots) || seq == 0 || w.slots[i].seq != seq {
		return nil
	}
	return &w.slots[i]
}

// put closes an open slot.
func (w *window) put(s *slot) {
	w.free = append(w.free, s.seq&(1<<w.bits-1))
	s.seq, s.recall = 0, nil
}

// used is how many slots are open.
func (w *window) used() int { return len(w.slots) - 1 - len(w.free) }

// next is a sequence number for a PDU of the session.
func (w *window) next() uint32 {
	for {
		w.control++
		if seq := w.sequence(w.control, 0); seq != 0 {
			return seq
		}
	}
}

func (w *window) sequence(generation, slot uint32) uint32 {
	return generation<<w.bits&pdu.MaxSequence | slot
}
