package dispatcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// ledger is what became of every person of one strand, by position: the arrays that promise 2 is summed over. It is a
// pure function of the grants and records it is given; its owner serialises the calls.
//
// Positions from granted on were never granted; they are Waiting, or what closed says once the strand was closed.
type ledger struct {
	people  uint32
	base    time.Time // times are milliseconds after it
	whole   []uint8   // by language: a bit for each segment that makes up the message
	lang    []uint8   // by position; nil when everybody has language one
	one     uint8     // that language
	granted uint32
	closed  warning.PersonState

	state, reason, tries []uint8
	handed               []uint8 // segments that the carrier has
	open                 []uint8 // segments under way in this hand-off
	worst                []uint8 // worst answer of this hand-off: a recordKind's rank
	got, failed          []uint8 // segments by receipt
	handedAt, receiptAt  []uint32
	prints               []uint16 // width a person
	width                int

	counts  warning.Counts
	reasons [channels.Reasons]int64 // people in a state that reached nobody, by reason
	repeats int64                   // hand-offs of people who were unknown
	illegal int64                   // steps that the table forbids and that were not taken: 0, or a fault of ours
	dirty   []bool                  // chunks that changed since they were encoded last
}

// newLedger is the ledger of people who all wait. whole has a bit a segment for each language, lang is nil when all
// have the language one.
func newLedger(people uint32, base time.Time, whole []uint8, lang []uint8, one uint8) *ledger {
	l := &ledger{people: people, base: base, whole: whole, lang: lang, one: one, closed: warning.Waiting}
	for _, w := range whole {
		for n := 0; w != 0; w >>= 1 {
			n++
			l.width = max(l.width, n)
		}
	}
	n := int(people)
	bytes := make([]uint8, 8*n)
	for i, col := range []*[]uint8{&l.state, &l.reason, &l.tries, &l.handed, &l.open, &l.worst, &l.got, &l.failed} {
		*col = bytes[i*n : (i+1)*n : (i+1)*n]
	}
	l.handedAt, l.receiptAt = make([]uint32, n), make([]uint32, n)
	l.prints = make([]uint16, n*l.width)
	l.dirty = make([]bool, (n+ChunkSize-1)/ChunkSize)
	l.counts[warning.Waiting] = int64(people)
	return l
}

func (l *ledger) wholeOf(pos uint32) uint8 {
	if l.lang == nil {
		return l.whole[l.one]
	}
	return l.whole[l.lang[pos]]
}

// reachesNobody tells whether a person in this state has no message and will get none: the states whose reason is told.
func reachesNobody(s warning.PersonState) bool {
	switch s {
	case warning.Undelivered, warning.Refused, warning.ExpiredOut, warning.CancelledIn, warning.Superseded, warning.Withdrawn:
		return true
	}
	return false
}

// set moves one person along the table; a step that is not in it is counted and not taken.
func (l *ledger) set(pos uint32, to warning.PersonState, reason channels.Reason) bool {
	from := warning.PersonState(l.state[pos])
	if !from.MayBecome(to) {
		l.illegal++
		return false
	}
	if reachesNobody(from) {
		l.reasons[l.reason[pos]]--
	}
	l.state[pos], l.reason[pos] = uint8(to), uint8(reason)
	if reachesNobody(to) {
		l.reasons[reason]++
	}
	l.counts[from]--
	l.counts[to]++
	l.dirty[pos/ChunkSize] = true
	return true
}

// grant marks the positions up to to as sending.
func (l *ledger) grant(to uint32) {
	for pos := l.granted; pos < to; pos++ {
		l.begin(pos)
	}
	l.granted = max(l.granted, to)
}

func (l *ledger) begin(pos uint32) {
	if l.set(pos, warning.Sending, channels.NoReason) {
		l.open[pos] = l.wholeOf(pos) &^ l.handed[pos]
		l.worst[pos] = 0
	}
}

// giveBack takes the grant of the positions from to on away again: no byte left for them.
func (l *ledger) giveBack(to uint32) {
	for pos := to; pos < l.granted; pos++ {
		l.set(pos, warning.Waiting, channels.NoReason)
		l.open[pos] = 0
	}
	l.granted = min(l.granted, to)
}

// close settles those who were never granted.
func (l *ledger) close(as warning.PersonState, why channels.Reason) {
	if l.closed != warning.Waiting {
		return
	}
	n := int64(l.people - l.granted)
	l.counts[warning.Waiting] -= n
	l.counts[as] += n
	l.reasons[why] += n
	l.closed = as
}

// stateOf is the state of any position, granted or not.
func (l *ledger) stateOf(pos uint32) warning.PersonState {
	if pos >= l.granted {
		return l.closed
	}
	return warning.PersonState(l.state[pos])
}

// rank orders the answers of one hand-off: the worst segment decides.
var rank = [...]uint8{recHandedOver: 0, recRetry: 1, recUnknown: 2, recRefused: 3}

// apply makes one record of the journal true. It answers whether the person now waits for another hand-off (retry, or
// unknown). Records that say what is known already change nothing, so a replay over a newer state is harmless.
func (l *ledger) apply(at time.Time, r record) (again bool) {
	pos := r.pos
	if pos >= l.granted || int(r.segment) >= l.width && r.kind <= recFailed {
		l.illegal++
		return false
	}
	bit := uint8(1) << r.segment
	ms := uint32(max(1, at.Sub(l.base).Milliseconds()))
	switch r.kind {
	case recHandedOver:
		if l.handed[pos]&bit != 0 {
			return false
		}
		l.handed[pos] |= bit
		l.prints[int(pos)*l.width+int(r.segment)] = r.print
		l.handedAt[pos] = ms
		l.dirty[pos/ChunkSize] = true
		l.open[pos] &^= bit
		return l.resolve(pos)
	case recRetry, recRefused, recUnknown:
		if l.open[pos]&bit == 0 {
			return false
		}
		l.open[pos] &^= bit
		if k := rank[r.kind]; k > l.worst[pos] {
			l.worst[pos], l.reason[pos] = k, uint8(r.reason)
		}
		l.dirty[pos/ChunkSize] = true
		return l.resolve(pos)
	case recArrived, recFailed:
		l.receiptAt[pos] = ms
		l.dirty[pos/ChunkSize] = true
		if r.kind == recArrived {
			l.got[pos] |= bit
			l.failed[pos] &^= bit
		} else if l.got[pos]&bit == 0 {
			l.failed[pos] |= bit
		}
		l.settleReceipts(pos, r.reason)
	case recAgain:
		s := warning.PersonState(l.state[pos])
		if s != warning.Unknown && s != warning.Waiting {
			return false
		}
		if s == warning.Unknown {
			l.repeats++
			l.set(pos, warning.Waiting, channels.NoReason)
		}
		if l.tries[pos] < 255 {
			l.tries[pos]++
		}
		l.begin(pos)
		if l.open[pos] == 0 { // nothing left to send: all segments are with the carrier
			return l.resolve(pos)
		}
	case recBack:
		if warning.PersonState(l.state[pos]) == warning.Sending {
			l.open[pos] = 0
			return l.set(pos, warning.Waiting, r.reason)
		}
	case recSettled:
		if s := warning.PersonState(l.state[pos]); s == warning.Waiting {
			l.set(pos, warning.PersonState(r.print), r.reason)
		}
	}
	return false
}

// resolve decides what a hand-off came to, once every segment of it has an answer.
func (l *ledger) resolve(pos uint32) (again bool) {
	reason := channels.Reason(l.reason[pos]) // of the worst segment
	s := warning.PersonState(l.state[pos])
	if l.open[pos] != 0 || s != warning.Sending && s != warning.Unknown {
		return false
	}
	switch l.worst[pos] {
	case rank[recRefused]:
		l.set(pos, warning.Refused, reason)
	case rank[recUnknown]:
		if s == warning.Sending {
			l.set(pos, warning.Unknown, reason)
			l.settleReceipts(pos, channels.Undeliverable)
			return warning.PersonState(l.state[pos]) == warning.Unknown
		}
	case rank[recRetry]:
		l.set(pos, warning.Waiting, reason)
		return true
	default:
		l.set(pos, warning.HandedOver, channels.NoReason)
		l.settleReceipts(pos, channels.Undeliverable)
	}
	return false
}

// settleReceipts draws the conclusion from the receipts so far: all segments arrived, or one failed.
func (l *ledger) settleReceipts(pos uint32, reason channels.Reason) {
	s := warning.PersonState(l.state[pos])
	switch {
	case l.got[pos] == l.wholeOf(pos):
		if s != warning.Delivered {
			l.open[pos] = 0
			l.set(pos, warning.Delivered, channels.NoReason)
		}
	case l.failed[pos] != 0 && l.open[pos] == 0 && s.MayBecome(warning.Undelivered):
		if reason == channels.ExpiredThere && s.MayBecome(warning.ExpiredOut) {
			l.set(pos, warning.ExpiredOut, reason)
			return
		}
		l.set(pos, warning.Undelivered, reason)
	}
}

// crash turns what was granted and has no outcome into unknown: nobody can tell whether its bytes left.
func (l *ledger) crash(f func(r record)) {
	for pos := range l.granted {
		if warning.PersonState(l.state[pos]) != warning.Sending {
			continue
		}
		for seg := range l.width {
			if l.open[pos]>>seg&1 != 0 {
				f(record{pos: pos, kind: recUnknown, segment: uint8(seg), reason: channels.NoAnswer})
			}
		}
	}
}

// match finds the segment of pos whose id has this fingerprint, one without receipt before one that has its: one in
// 65,536 pairs of segments share a fingerprint. For somebody who was unknown once it is else the first segment without
// receipt: the receipt may belong to the hand-off whose answer was lost.
func (l *ledger) match(pos uint32, print uint16) (segment int, exact, ok bool) {
	if pos >= l.granted {
		return 0, false, false
	}
	for seg, p := range l.prints[int(pos)*l.width : (int(pos)+1)*l.width] {
		if p == print && l.handed[pos]>>seg&1 != 0 {
			segment, exact = seg, true
			if (l.got[pos]|l.failed[pos])>>seg&1 == 0 {
				break
			}
		}
	}
	if exact {
		return segment, true, true
	}
	if warning.PersonState(l.state[pos]) == warning.Unknown || l.tries[pos] > 0 {
		for seg := range l.width {
			if (l.got[pos]|l.failed[pos])>>seg&1 == 0 {
				return seg, false, true
			}
		}
	}
	return 0, false, false
}

// recount sums the states anew: what the counters must equal.
func (l *ledger) recount() (c warning.Counts) {
	for _, s := range l.state[:l.granted] {
		c[s]++
	}
	c[l.closed] += int64(l.people - l.granted)
	return c
}

// balanced tells whether the counters, which were moved record by record, equal the states, and everybody is there.
func (l *ledger) balanced() bool {
	return l.illegal == 0 && l.counts == l.recount() && l.counts.Sum() == int64(l.people)
}

const chunkVersion = 1

var errChunk = errors.New("a ledger chunk is cut, broken or of another version")

// encode packs chunk i: version, width, count u16, then the columns one after another.
func (l *ledger) encode(i int) []byte {
	from := i * ChunkSize
	to := min(from+ChunkSize, int(l.people))
	n := to - from
	b := make([]byte, 4, 4+n*(16+2*l.width))
	b[0], b[1] = chunkVersion, uint8(l.width)
	binary.LittleEndian.PutUint16(b[2:], uint16(n))
	for _, col := range l.byteColumns() {
		b = append(b, col[from:to]...)
	}
	for _, col := range [][]uint32{l.handedAt, l.receiptAt} {
		for _, v := range col[from:to] {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	for _, v := range l.prints[from*l.width : to*l.width] {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func (l *ledger) byteColumns() [8][]uint8 {
	return [8][]uint8{l.state, l.reason, l.tries, l.handed, l.open, l.worst, l.got, l.failed}
}

// decode puts a chunk back. The cursor of grants must stand first; the counters follow from the states.
func (l *ledger) decode(i int, b []byte) error {
	from := i * ChunkSize
	to := min(from+ChunkSize, int(l.people))
	if from >= to || len(b) < 4 || b[0] != chunkVersion || int(b[1]) != l.width {
		return errChunk
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n != to-from || len(b) != 4+n*(16+2*l.width) {
		return errChunk
	}
	b = b[4:]
	for c, col := range l.byteColumns() {
		limit := []int{warning.PersonStates, channels.Reasons}
		if c < len(limit) {
			for _, v := range b[:n] {
				if int(v) >= limit[c] {
					return fmt.Errorf("%w: value %d in column %d", errChunk, v, c)
				}
			}
		}
		b = b[copy(col[from:to], b[:n]):]
	}
	for _, col := range [][]uint32{l.handedAt, l.receiptAt} {
		for k := range n {
			col[from+k] = binary.LittleEndian.Uint32(b[4*k:])
		}
		b = b[4*n:]
	}
	for k := range n * l.width {
		l.prints[from*l.width+k] = binary.LittleEndian.Uint16(b[2*k:])
	}
	return nil
}

// restore makes the counters and the cursor right after chunks were decoded: positions below granted that no chunk
// says anything of were granted and never written down.
func (l *ledger) restore(granted uint32, closed warning.PersonState) {
	l.granted, l.closed = granted, closed
	for pos := range granted {
		if warning.PersonState(l.state[pos]) == warning.Waiting && l.tries[pos] == 0 && l.reason[pos] == 0 {
			l.state[pos] = uint8(warning.Sending)
			l.open[pos] = l.wholeOf(pos) &^ l.handed[pos]
		}
	}
	for pos := granted; pos < l.people; pos++ { // granted, written down, and given back
		l.state[pos], l.open[pos] = uint8(warning.Waiting), 0
	}
	l.counts = l.recount()
	l.reasons = [channels.Reasons]int64{}
	for pos := range granted {
		if reachesNobody(warning.PersonState(l.state[pos])) {
			l.reasons[l.reason[pos]]++
		}
	}
	if closed != warning.Waiting {
		l.reasons[closedReason(closed)] += int64(l.people - granted)
	}
}

// closedReason is why people who were never granted got nothing.
func closedReason(s warning.PersonState) channels.Reason {
	switch s {
	case warning.ExpiredOut:
		return channels.ExpiredHere
	case warning.CancelledIn:
		return channels.CancelledHere
	}
	return channels.SupersededHere
}
