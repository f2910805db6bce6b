package dispatcher

import (
	"encoding/binary"
	"errors"
	"time"

	"tocsin/channels"
)

// The journal is what an owner knows before it is folded into the ledger: one packed blob a commit. A blob is a row of
// groups; a group is records of one strand that share a time.
//
//	group  = strand u32 | count u32 | time i64 (ms since 1970) | count records
//	record = position u32 | kind (low nibble) and segment (high) u8 | reason u8 | print u16
//
// All little endian. Records say what happened, not what the state became: the same function applies them live and at
// a replay (ledger.apply), so the two cannot differ.

type recordKind uint8

const (
	recHandedOver recordKind = iota + 1 // print: fingerprint of the carrier's id
	recRetry                            // the carrier does not have this segment
	recRefused
	recUnknown
	recArrived // receipt
	recFailed  // receipt
	recAgain   // granted another time: waiting or unknown becomes sending
	recBack    // granted another time, and given back unsent
	recSettled // print: the PersonState that a waiting person became
	recEarly   // a receipt that matched nothing yet; print: fingerprint of its id
	recEarlyFailed
)

const (
	groupHead  = 16
	recordSize = 8
)

type record struct {
	pos     uint32
	kind    recordKind
	segment uint8
	reason  channels.Reason
	print   uint16
}

// journal collects records until the next commit. Records of the same strand that come one after another share a group.
type journal struct {
	buf   []byte
	group int // where the open group begins; -1: none
	last  StrandID
	at    int64
}

func newJournal() *journal { return &journal{group: -1} }

func (j *journal) add(s StrandID, at time.Time, r record) {
	ms := at.UnixMilli()
	if j.group < 0 || j.last != s || j.at != ms {
		j.group, j.last, j.at = len(j.buf), s, ms
		j.buf = binary.LittleEndian.AppendUint32(j.buf, uint32(s))
		j.buf = binary.LittleEndian.AppendUint32(j.buf, 0)
		j.buf = binary.LittleEndian.AppendUint64(j.buf, uint64(ms))
	}
	count := j.buf[j.group+4:]
	binary.LittleEndian.PutUint32(count, binary.LittleEndian.Uint32(count)+1)
	j.buf = binary.LittleEndian.AppendUint32(j.buf, r.pos)
	j.buf = append(j.buf, byte(r.kind)|r.segment<<4, byte(r.reason))
	j.buf = binary.LittleEndian.AppendUint16(j.buf, r.print)
}

// take hands out what was collected and begins anew with buf.
func (j *journal) take(buf []byte) []byte {
	out := j.buf
	j.buf, j.group = buf[:0], -1
	return out
}

var errJournal = errors.New("a journal entry is cut or broken")

// replay calls f with every record of a blob, in order. A broken blob is an error and not a guess: f may have been
// called for what stood before it.
func replay(blob []byte, f func(s StrandID, at time.Time, r record)) error {
	for len(blob) > 0 {
		if len(blob) < groupHead {
			return errJournal
		}
		s := StrandID(binary.LittleEndian.Uint32(blob))
		n := int(binary.LittleEndian.Uint32(blob[4:]))
		at := time.UnixMilli(int64(binary.LittleEndian.Uint64(blob[8:])))
		blob = blob[groupHead:]
		if n > len(blob)/recordSize {
			return errJournal
		}
		for range n {
			r := record{
				pos: binary.LittleEndian.Uint32(blob), kind: recordKind(blob[4] & 15), segment: blob[4] >> 4,
				reason: channels.Reason(blob[5]), print: binary.LittleEndian.Uint16(blob[6:]),
			}
			if r.kind < recHandedOver || r.kind > recEarlyFailed || int(r.reason) >= channels.Reasons {
				return errJournal
			}
			f(s, at, r)
			blob = blob[recordSize:]
		}
	}
	return nil
}
