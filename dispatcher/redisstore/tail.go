package redisstore

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// A tail is what the owner of a strand counts, without what the script itself keeps (granted, closed):
//
//	version u8 | how many counts uvarint | counts varint each | segments, messages, possible repeats, most in any
//	second, due varint each | first, last (ns since 1970; 0: never) varint | reasons uvarint | (length uvarint, name, count
//	varint) each, by name
var errTail = errors.New("redisstore: the tail of a strand is cut or broken")

func appendTail(b []byte, t *dispatcher.StrandTail) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(len(t.Counts)))
	for _, n := range t.Counts {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendVarint(b, int64(t.Stats.Segments))
	b = binary.AppendVarint(b, t.Stats.Messages)
	b = binary.AppendVarint(b, t.Stats.PossibleRepeats)
	b = binary.AppendVarint(b, int64(t.Stats.MaxInAnySecond))
	b = binary.AppendVarint(b, int64(t.Stats.Due))
	b = appendTime(b, t.Stats.First)
	b = appendTime(b, t.Stats.Last)
	names := make([]string, 0, len(t.Reasons))
	for name := range t.Reasons {
		names = append(names, name)
	}
	slices.Sort(names)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendVarint(b, t.Reasons[name])
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

// decodeTail fills the counts of t from a stored tail; an empty one was never written.
func decodeTail(t *dispatcher.StrandTail, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if b[0] != recordVersion {
		return errTail
	}
	r := reader{b: b[1:]}
	// A release that knows more states wrote more counts: they cannot be read here. One that knew fewer wrote fewer.
	counts := r.uvarint(uint64(warning.PersonStates))
	for i := range counts {
		t.Counts[i] = r.varint()
	}
	t.Stats.Segments = int(r.varint())
	t.Stats.Messages = r.varint()
	t.Stats.PossibleRepeats = r.varint()
	t.Stats.MaxInAnySecond = int(r.varint())
	t.Stats.Due = int(r.varint())
	t.Stats.First = r.time()
	t.Stats.Last = r.time()
	for range r.uvarint(math.MaxUint8) {
		name := string(r.take(int(r.uvarint(math.MaxUint8))))
		n := r.varint()
		if !r.ok() {
			break
		}
		if t.Reasons == nil {
			t.Reasons = make(map[string]int64)
		}
		t.Reasons[name] = n
	}
	if !r.ok() || len(r.b) > 0 {
		return errTail
	}
	return nil
}

func (r *reader) time() time.Time {
	if ns := r.varint(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Time{}
}
