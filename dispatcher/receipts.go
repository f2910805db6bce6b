package dispatcher

import (
	"maps"
	"slices"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// index finds the strands that hold a person, by snapshot and block: a receipt names a number, the snapshot its place.
type index struct {
	snaps []snapIndex
}

// snapIndex has the batches of each block in a chain, the one that was added last first: a large strand is taken in as
// fast as its batches are read.
type snapIndex struct {
	snap  Snapshot
	first []uint32 // by block: 1 + index into refs
	refs  []blockRef
}

type blockRef struct {
	s     *strand
	batch uint32
	next  uint32 // as in first
}

// add takes in the batches of a strand from one on.
func (x *index) add(s *strand, from int) {
	var si *snapIndex
	for i := range x.snaps {
		if x.snaps[i].snap.ID() == s.snap.ID() {
			si = &x.snaps[i]
		}
	}
	if si == nil {
		x.snaps = append(x.snaps, snapIndex{snap: s.snap, first: make([]uint32, s.snap.Blocks())})
		si = &x.snaps[len(x.snaps)-1]
	}
	si.refs = slices.Grow(si.refs, len(s.Batches)-from)
	for i := from; i < len(s.Batches); i++ {
		si.add(s, uint32(i))
	}
}

func (si *snapIndex) add(s *strand, batch uint32) {
	b := s.Batches[batch].Block
	si.refs = append(si.refs, blockRef{s, batch, si.first[b]})
	si.first[b] = uint32(len(si.refs))
}

// forget takes out the strands that have left.
func (x *index) forget() {
	for i := range x.snaps {
		si := &x.snaps[i]
		all := si.refs
		si.refs = nil
		clear(si.first)
		for _, r := range all {
			if !r.s.gone {
				si.add(r.s, r.batch)
			}
		}
	}
	x.snaps = slices.DeleteFunc(x.snaps, func(si snapIndex) bool { return len(si.refs) == 0 })
}

// find is the message that a receipt speaks of: by fingerprint, newest strand first; else somebody whose hand-off had no
// answer, unless it may be of another message to them: of one that is without answer now, or of another warning that had none.
// Where it is neither (not ok) s and pos are where the person stands in the newest strand, nil in none.
func (x *index) find(number uint64, print uint16) (s *strand, pos uint32, segment int, ok bool) {
	var open, unsure *strand
	doubt := false
	for i := len(x.snaps) - 1; i >= 0; i-- {
		block, slot, in := x.snaps[i].snap.Find(number)
		if !in {
			continue
		}
		for k := x.snaps[i].first[block]; k != 0; k = x.snaps[i].refs[k-1].next {
			ref := &x.snaps[i].refs[k-1]
			at, in := ref.s.position(int(ref.batch), slot)
			if !in {
				continue
			}
			seg, exact, found := ref.s.led.match(at, print)
			if exact {
				return ref.s, at, seg, true
			}
			if s == nil || found && !ok {
				s, pos, segment, ok = ref.s, at, seg, found
			}
			if ref.s.led.stateOf(at) == warning.Sending && (open == nil || open == s) {
				open = ref.s
			}
			if ref.s.led.onceUnknown(at) {
				doubt = doubt || unsure != nil && unsure.Warning != ref.s.Warning
				unsure = ref.s
			}
		}
	}
	return s, pos, segment, ok && !doubt && (open == nil || open == s)
}

// Receipts takes a group of receipts in. It is answered to the carrier after the next commit.
func (a *account) Receipts(rs channels.Receipts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.owned { // links open while the ledger is still read, and carriers send at once what was left unanswered
		a.before = append(a.before, rs)
		return
	}
	a.takeIn(rs, time.Now())
}

func (a *account) takeIn(rs channels.Receipts, now time.Time) {
	for _, r := range rs.All() {
		if r.State == channels.Passing {
			continue
		}
		a.receipt(r, now)
	}
	a.acks = append(a.acks, rs)
}

func (a *account) receipt(r channels.Receipt, now time.Time) {
	if a.test.received(r, now) {
		return
	}
	s, pos, segment, ok := a.people.find(r.Number, r.Print)
	switch {
	case ok:
		a.received(s, pos, segment, r, now)
	case s != nil: // it may have come before the answer to its submission
		early := earlyReceipt{r, now, s.ID, pos}
		a.early.keep(early)
		early.record(a.journal)
	case a.opt.TestNumber != 0 && r.Number == a.opt.TestNumber: // of a link test that is over
	default:
		if snap, ok := a.e.dir.Current(); ok {
			if _, _, in := snap.Find(r.Number); in {
				a.stats.LateReceipts++
				a.early.counted = true
				return
			}
		}
		a.stats.UnknownReceipts++
		a.early.counted = true
	}
}

func (a *account) received(s *strand, pos uint32, segment int, r channels.Receipt, now time.Time) {
	rec := record{pos: pos, kind: recArrived, segment: uint8(segment), reason: r.Reason, print: r.Print}
	if r.State == channels.Failed {
		rec.kind = recFailed
	}
	s.led.apply(now, rec)
	a.journal.add(s.ID, now, rec)
	a.touch(s)
}

// earlyTime is how long a receipt that matches nothing is kept and tried.
const earlyTime = 10 * time.Minute

// early is receipts that matched nothing yet, by number. They stand in the journal with where the person stands.
type early struct {
	byNumber map[uint64][]earlyReceipt
	sweep    time.Time
	counted  bool // a receipt was counted that is kept nowhere
}

type earlyReceipt struct {
	channels.Receipt
	at     time.Time
	strand StrandID
	pos    uint32
}

func (e *early) keep(r earlyReceipt) {
	if e.byNumber == nil {
		e.byNumber = map[uint64][]earlyReceipt{}
	}
	e.byNumber[r.Number] = append(e.byNumber[r.Number], r)
}

func (r *earlyReceipt) record(j *journal) {
	kind := recEarly
	if r.State == channels.Failed {
		kind = recEarlyFailed
	}
	j.add(r.strand, r.at, record{pos: r.pos, kind: kind, reason: r.Reason, print: r.Print})
}

// journal writes all that is kept anew.
func (e *early) journal(j *journal) {
	for _, list := range e.byNumber {
		for i := range list {
			list[i].record(j)
		}
	}
}

// replayed takes back what an owner before had kept.
func (e *early) replayed(s *strand, at time.Time, rec record) {
	if rec.pos >= s.People {
		return
	}
	r := channels.Receipt{Number: s.person(rec.pos), Print: rec.print, State: channels.Arrived, Reason: rec.reason}
	if rec.kind == recEarlyFailed {
		r.State = channels.Failed
	}
	kept := earlyReceipt{r, at, s.ID, rec.pos}
	if !slices.Contains(e.byNumber[r.Number], kept) { // it may stand in the journal twice
		e.keep(kept)
	}
}

// retryAll tries everything that is kept, after a crash has left people unknown.
func (e *early) retryAll(a *account, now time.Time) {
	for _, number := range slices.Collect(maps.Keys(e.byNumber)) {
		e.retry(a, number, now)
	}
}

// retry tries what is kept for a number whose submission was just answered, or got no answer in time.
func (e *early) retry(a *account, number uint64, now time.Time) {
	list := e.byNumber[number]
	if len(list) == 0 {
		return
	}
	delete(e.byNumber, number)
	for _, r := range list {
		if s, pos, segment, ok := a.people.find(number, r.Print); ok {
			a.received(s, pos, segment, r.Receipt, now)
		} else {
			e.byNumber[number] = append(e.byNumber[number], r)
		}
	}
}

// expire gives up, once a second, what is older than earlyTime; it answers whether the figures changed.
func (e *early) expire(now time.Time, stats *accountStats) bool {
	if now.Sub(e.sweep) < time.Second {
		return false
	}
	e.sweep = now
	changed := e.counted
	e.counted = false
	for number, list := range e.byNumber {
		kept := list[:0]
		for _, r := range list {
			if now.Sub(r.at) < earlyTime {
				kept = append(kept, r)
			} else {
				stats.UnknownReceipts++
				changed = true
			}
		}
		if e.byNumber[number] = kept; len(kept) == 0 {
			delete(e.byNumber, number)
		}
	}
	return changed
}

// Outcomes takes a group of answers in.
func (a *account) Outcomes(list []channels.Outcome) {
	a.mu.Lock()
	now := time.Now()
	for i := range list {
		a.outcome(&list[i], now)
	}
	a.mu.Unlock()
	kick(a.wake)
}

var recordOf = [...]recordKind{
	channels.HandedOver: recHandedOver, channels.Retry: recRetry, channels.Refused: recRefused, channels.Unknown: recUnknown,
}

// failures is the reasons that speak against a carrier, and not against a message.
var failures = [channels.Reasons]bool{
	channels.QueueFull: true, channels.SystemError: true, channels.LinkDown: true, channels.NoAnswer: true, channels.SubmitFailed: true,
	channels.DailyQuota: true,
}

func (a *account) outcome(o *channels.Outcome, now time.Time) {
	a.inflight--
	if o.Token>>32 == testStrand {
		a.test.answered(o, now)
		return
	}
	if i := o.Token >> 32; i >= uint64(len(a.strands)) {
		return // of an ownership before
	}
	s := a.strands[o.Token>>32]
	if s == nil {
		return // it has left: this is no answer that it waited for
	}
	rec := record{pos: uint32(o.Token), kind: recordOf[o.Kind], segment: o.Segment, reason: o.Reason, print: o.Print}
	again := s.led.apply(now, rec)
	a.journal.add(s.ID, now, rec)
	a.touch(s)
	if o.Took > 0 {
		a.answered(o, now)
	}
	a.blame(s, o.Reason, now)
	if again {
		a.schedule(s, rec.pos, now)
	}
	if len(a.early.byNumber) > 0 {
		a.early.retry(a, s.person(rec.pos), now)
	}
}

// answered takes in how long an answer took.
func (a *account) answered(o *channels.Outcome, now time.Time) {
	a.trip.add(now, o.Took)
	fastest := a.trip.fastest()
	a.ring.Fastest(fastest)
	if o.Took-fastest > a.opt.Guard || a.trip.young(now) {
		a.ring.Answered(o.Sent, o.Took)
	}
}

// Changed says that a link came, went, or has room again.
func (a *account) Changed() { kick(a.wake) }
