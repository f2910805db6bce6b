package redisstore

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// A chunk of batches is a version byte and batches; a batch is
//
//	block uvarint | duty u8 | language u8 | form u8 | mask
//
// and the mask is in the shortest of three forms, for a block may be wholly inside, or hardly at all.
const (
	maskWhole = iota // uvarint n: the slots 0 to n-1
	maskSlots        // uvarint n, then for each slot the gap to the one before, uvarint
	maskBits         // 16 words, little endian
)

// chunkBatches is how many batches lie in one chunk: at most 70 KB, a tenth of a millisecond of Redis.
const chunkBatches = 512

var errBatches = errors.New("redisstore: a chunk of batches is cut or broken")

// appendBatches encodes batches of one strand in their order.
func appendBatches(b []byte, batches []dispatcher.Batch) []byte {
	b = append(b, recordVersion)
	for i := range batches {
		t := &batches[i]
		b = binary.AppendUvarint(b, uint64(t.Block))
		b = append(b, byte(t.Duty), t.Language)
		b = appendMask(b, &t.Mask)
	}
	return b
}

func appendMask(b []byte, m *warning.Mask) []byte {
	n := m.Count()
	if n == firstOut(m) {
		return binary.AppendUvarint(append(b, maskWhole), uint64(n))
	}
	if n >= 100 { // at most 8 gaps take two bytes: below it slots are shorter
		b = append(b, maskBits)
		for _, w := range m {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	b = binary.AppendUvarint(append(b, maskSlots), uint64(n))
	next := 0
	m.Slots(func(slot int) bool {
		b = binary.AppendUvarint(b, uint64(slot-next))
		next = slot + 1
		return true
	})
	return b
}

// firstOut is the first slot that is not chosen.
func firstOut(m *warning.Mask) int {
	for i, w := range m {
		if n := bits.TrailingZeros64(^w); n < 64 {
			return i<<6 + n
		}
	}
	return warning.BlockSize
}

// decodeBatches appends the batches of a chunk to out.
func decodeBatches(out []dispatcher.Batch, b []byte) ([]dispatcher.Batch, error) {
	if len(b) == 0 || b[0] != recordVersion {
		return nil, errBatches
	}
	r := reader{b: b[1:]}
	for len(r.b) > 0 && r.ok() {
		block := r.uvarint(1<<32 - 1)
		head := r.take(3)
		if !r.ok() {
			break
		}
		t := dispatcher.Batch{Block: uint32(block), Duty: warning.Duty(head[0]), Language: head[1]}
		switch head[2] {
		case maskWhole:
			for slot := range r.uvarint(warning.BlockSize) {
				t.Mask.Set(int(slot))
			}
		case maskSlots:
			next := uint64(0)
			for range r.uvarint(warning.BlockSize) {
				slot := next + r.uvarint(warning.BlockSize)
				if slot >= warning.BlockSize {
					return nil, errBatches
				}
				t.Mask.Set(int(slot))
				next = slot + 1
			}
		case maskBits:
			words := r.take(warning.BlockSize / 8)
			if !r.ok() {
				break
			}
			for i := range t.Mask {
				t.Mask[i] = binary.LittleEndian.Uint64(words[8*i:])
			}
		default:
			return nil, errBatches
		}
		out = append(out, t)
	}
	if !r.ok() {
		return nil, errBatches
	}
	return out, nil
}

// reader takes a record apart; after the first fault everything it gives is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) ok() bool { return !r.bad }

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// uvarint is a number up to most.
func (r *reader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > most {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
