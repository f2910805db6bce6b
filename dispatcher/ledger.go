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
	base    time.Time                      // times are milliseconds after it
	whole   []uint8                        // by language: a bit for each segment that makes up the message
	lang    func(from uint32, out []uint8) // tells the languages of positions; nil when everybody has language one
	one     uint8                          // that language
	granted uint32
	closed  warning.PersonState
	pages   []*page // of ChunkSize positions; nil where nobody was granted yet
	width   int     // segments of the longest message
	moves   bool    // whoever the channel does not serve goes by another one

	counts  warning.Counts
	reasons [channels.Reasons]int64 // people in a state that reached nobody, by reason
	repeats int64                   // hand-offs of people who were unknown
	illegal int64                   // steps that the table forbids and that were not taken: 0, or a fault of ours
}

// page is the people of one chunk, made when the first of them is granted: a large plan costs memory as it is sent.
type page struct {
	people []person
	prints []uint16 // width a person
	lang   []uint8  // by person; nil when all have one
	dirty  bool     // changed since it was encoded last
}

// person is where one person of a strand stands.
type person struct {
	state       warning.PersonState
	reason      channels.Reason
	tries       uint8
	handed      uint8 // segments that the carrier has
	open        uint8 // segments under way in this hand-off
	worst       uint8 // worst answer of this hand-off: a recordKind's rank; and onceUnknown
	got, failed uint8 // segments by receipt
	handedAt    uint32
	receiptAt   uint32
}

// onceUnknown says that a hand-off of this person had no answer: a receipt that fits none may be of that one.
const onceUnknown = 0x80

// newLedger is the ledger of people who all wait and have the language one. whole has a bit a segment for each language.
func newLedger(people uint32, base time.Time, whole []uint8, one uint8) *ledger {
	l := &ledger{people: people, base: base, whole: whole, one: one, closed: warning.Waiting}
	for _, w := range whole {
		for n := 0; w != 0; w >>= 1 {
			n++
			l.width = max(l.width, n)
		}
	}
	l.pages = make([]*page, (int(people)+ChunkSize-1)/ChunkSize)
	l.counts[warning.Waiting] = int64(people)
	return l
}

// grow adds people at the end, who wait or are what the strand was closed as.
func (l *ledger) grow(people uint32) {
	n := int64(people) - int64(l.people)
	last := int(l.people / ChunkSize)
	l.people = people
	l.pages = append(l.pages, make([]*page, (int(people)+ChunkSize-1)/ChunkSize-len(l.pages))...)
	if last < len(l.pages) && l.pages[last] != nil {
		p, size := l.pages[last], min(ChunkSize, int(people)-last*ChunkSize)
		p.people = append(p.people, make([]person, size-len(p.people))...)
		p.prints = append(p.prints, make([]uint16, size*l.width-len(p.prints))...)
		l.speak(p, uint32(last)*ChunkSize)
	}
	l.counts[l.closed] += n
	if reachesNobody(l.closed) {
		l.reasons[closedReason(l.closed)] += n
	}
}

// page is the page of a position.
func (l *ledger) page(pos uint32) *page {
	i := pos / ChunkSize
	if l.pages[i] == nil {
		n := min(ChunkSize, int(l.people-i*ChunkSize))
		l.pages[i] = &page{people: make([]person, n), prints: make([]uint16, n*l.width)}
		l.speak(l.pages[i], i*ChunkSize)
	}
	return l.pages[i]
}

// speak notes the languages of a page that begins at a position.
func (l *ledger) speak(p *page, from uint32) {
	if l.lang != nil {
		p.lang = make([]uint8, len(p.people))
		l.lang(from, p.lang)
	}
}

// at is the person at a position.
func (l *ledger) at(pos uint32) *person { return &l.page(pos).people[pos%ChunkSize] }

func (l *ledger) printsOf(pos uint32) []uint16 {
	i := int(pos%ChunkSize) * l.width
	return l.page(pos).prints[i : i+l.width]
}

func (l *ledger) wholeOf(pos uint32) uint8 {
	if l.lang == nil {
		return l.whole[l.one]
	}
	return l.whole[l.page(pos).lang[pos%ChunkSize]]
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
	p := l.page(pos)
	x := &p.people[pos%ChunkSize]
	from := x.state
	if !from.MayBecome(to) {
		l.illegal++
		return false
	}
	if reachesNobody(from) {
		l.reasons[x.reason]--
	}
	x.state, x.reason = to, reason
	if reachesNobody(to) {
		l.reasons[reason]++
	}
	l.counts[from]--
	l.counts[to]++
	p.dirty = true
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
		x := l.at(pos)
		x.open, x.worst = l.wholeOf(pos)&^x.handed, x.worst&onceUnknown
	}
}

// giveBack takes the grant of the positions from to on away again: no byte left for them.
func (l *ledger) giveBack(to uint32) {
	for pos := to; pos < l.granted; pos++ {
		l.set(pos, warning.Waiting, channels.NoReason)
		l.at(pos).open = 0
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
	if reachesNobody(as) {
		l.reasons[why] += n
	}
	l.closed = as
}

// stateOf is the state of any position, granted or not.
func (l *ledger) stateOf(pos uint32) warning.PersonState {
	if pos >= l.granted {
		return l.closed
	}
	return l.at(pos).state
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
	page := l.page(pos)
	x := &page.people[pos%ChunkSize]
	switch r.kind {
	case recHandedOver:
		if x.handed&bit != 0 {
			return false
		}
		x.handed |= bit
		l.printsOf(pos)[r.segment] = r.print
		x.handedAt = ms
		page.dirty = true
		x.open &^= bit
		return l.resolve(pos)
	case recRetry, recRefused, recUnknown:
		if x.open&bit == 0 {
			return false
		}
		x.open &^= bit
		if k := rank[r.kind]; k > x.worst&^onceUnknown {
			x.worst, x.reason = x.worst&onceUnknown|k, r.reason
		}
		page.dirty = true
		return l.resolve(pos)
	case recArrived, recFailed:
		x.receiptAt = ms
		page.dirty = true
		if r.kind == recArrived {
			x.got |= bit
			x.failed &^= bit
		} else if x.got&bit == 0 {
			x.failed |= bit
		}
		l.settleReceipts(pos, r.reason)
	case recAgain:
		if x.state != warning.Unknown && x.state != warning.Waiting {
			return false
		}
		if x.state == warning.Unknown {
			l.repeats++
			l.set(pos, warning.Waiting, channels.NoReason)
		}
		if x.tries < 255 {
			x.tries++
		}
		l.begin(pos)
		if x.open == 0 { // nothing left to send: all segments are with the carrier
			return l.resolve(pos)
		}
	case recBack:
		if x.state == warning.Sending {
			x.open = 0
			return l.set(pos, warning.Waiting, r.reason)
		}
	case recSettled:
		if x.state == warning.Waiting {
			l.set(pos, warning.PersonState(r.print), r.reason)
		}
	}
	return false
}

// resolve decides what a hand-off came to, once every segment of it has an answer.
func (l *ledger) resolve(pos uint32) (again bool) {
	x := l.at(pos)
	reason := x.reason // of the worst segment
	if x.open != 0 || x.state != warning.Sending && x.state != warning.Unknown {
		return false
	}
	switch x.worst &^ onceUnknown {
	case rank[recRefused]:
		if l.moves && (reason == channels.BadContent || reason == channels.NotAllowed) && l.set(pos, warning.Moved, reason) {
			return false
		}
		l.set(pos, warning.Refused, reason)
	case rank[recUnknown]:
		if x.state == warning.Sending {
			x.worst |= onceUnknown
			l.set(pos, warning.Unknown, reason)
			l.settleReceipts(pos, channels.Undeliverable)
			return x.state == warning.Unknown
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
	x := l.at(pos)
	switch {
	case x.got == l.wholeOf(pos):
		if x.state.MayBecome(warning.Delivered) {
			x.open = 0
			l.set(pos, warning.Delivered, channels.NoReason)
		}
	case x.failed != 0 && x.open == 0 && x.state.MayBecome(warning.Undelivered):
		if reason == channels.ExpiredThere && x.state.MayBecome(warning.ExpiredOut) {
			l.set(pos, warning.ExpiredOut, reason)
			return
		}
		l.set(pos, warning.Undelivered, reason)
	}
}

// crash turns what was granted and has no outcome into unknown: nobody can tell whether its bytes left.
func (l *ledger) crash(f func(r record)) {
	for pos := range l.granted {
		x := l.at(pos)
		if x.state != warning.Sending {
			continue
		}
		for seg := range l.width {
			if x.open>>seg&1 != 0 {
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
	x := l.at(pos)
	for seg, p := range l.printsOf(pos) {
		if p == print && x.handed>>seg&1 != 0 {
			segment, exact = seg, true
			if (x.got|x.failed)>>seg&1 == 0 {
				break
			}
		}
	}
	if exact {
		return segment, true, true
	}
	if x.worst&onceUnknown != 0 {
		for seg := range l.width {
			if (x.got|x.failed)>>seg&1 == 0 {
				return seg, false, true
			}
		}
	}
	return 0, false, false
}

// mayHaveIt tells whether somebody who was not reached, as it seems, may have the message all the same: a hand-off had no answer.
// Who has moved since may have it too.
func (l *ledger) mayHaveIt(pos uint32) bool {
	return l.onceUnknown(pos) && l.at(pos).state != warning.Withdrawn
}

// onceUnknown tells whether a hand-off of somebody had no answer.
func (l *ledger) onceUnknown(pos uint32) bool {
	return pos < l.granted && l.at(pos).worst&onceUnknown != 0
}

// recount sums the states anew: what the counters must equal.
func (l *ledger) recount() (c warning.Counts) {
	for pos := uint32(0); pos < l.granted; pos += ChunkSize {
		p := l.page(pos)
		for i := range p.people[:min(ChunkSize, l.granted-pos)] {
			c[p.people[i].state]++
		}
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

// encode packs chunk i: version, width, count u16, then each person's bytes and times, then the prints.
func (l *ledger) encode(i int) []byte {
	p := l.page(uint32(i) * ChunkSize)
	p.dirty = false
	n := len(p.people)
	b := make([]byte, 4, 4+n*(personSize+2*l.width))
	b[0], b[1] = chunkVersion, uint8(l.width)
	binary.LittleEndian.PutUint16(b[2:], uint16(n))
	for k := range p.people {
		x := &p.people[k]
		b = append(b, byte(x.state), byte(x.reason), x.tries, x.handed, x.open, x.worst, x.got, x.failed)
		b = binary.LittleEndian.AppendUint32(b, x.handedAt)
		b = binary.LittleEndian.AppendUint32(b, x.receiptAt)
	}
	for _, v := range p.prints {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

const personSize = 16

// decode puts a chunk back. The cursor of grants must stand first; the counters follow from the states.
func (l *ledger) decode(i int, b []byte) error {
	if i >= len(l.pages) || len(b) < 4 || b[0] != chunkVersion || int(b[1]) != l.width {
		return errChunk
	}
	p := l.page(uint32(i) * ChunkSize)
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n > len(p.people) || len(b) != 4+n*(personSize+2*l.width) { // fewer: the strand has grown since
		return errChunk
	}
	b = b[4:]
	for k := range n {
		if int(b[0]) >= warning.PersonStates || int(b[1]) >= channels.Reasons {
			return fmt.Errorf("%w: state %d, reason %d", errChunk, b[0], b[1])
		}
		p.people[k] = person{
			state: warning.PersonState(b[0]), reason: channels.Reason(b[1]), tries: b[2], handed: b[3], open: b[4], worst: b[5],
			got: b[6], failed: b[7], handedAt: binary.LittleEndian.Uint32(b[8:]), receiptAt: binary.LittleEndian.Uint32(b[12:]),
		}
		b = b[personSize:]
	}
	for k := range n * l.width {
		p.prints[k] = binary.LittleEndian.Uint16(b[2*k:])
	}
	return nil
}

// restore makes the counters and the cursor right after chunks were decoded: positions below granted that no chunk
// says anything of were granted and never written down.
func (l *ledger) restore(granted uint32, closed warning.PersonState) {
	l.granted, l.closed = granted, closed
	for pos := range granted {
		if x := l.at(pos); x.state == warning.Waiting && x.tries == 0 && x.reason == 0 {
			x.state, x.open = warning.Sending, l.wholeOf(pos)&^x.handed
		}
	}
	for pos := granted; pos < l.people && l.pages[pos/ChunkSize] != nil; pos++ { // granted, written down, and given back
		x := l.at(pos)
		x.state, x.open = warning.Waiting, 0
	}
	l.counts = l.recount()
	l.reasons = [channels.Reasons]int64{}
	for pos := range granted {
		if x := l.at(pos); reachesNobody(x.state) {
			l.reasons[x.reason]++
		}
	}
	if reachesNobody(closed) {
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
	case warning.Moved:
		return channels.OtherRoute
	}
	return channels.SupersededHere
}
