package dispatcher

import (
	"container/heap"
	"fmt"
	"slices"
	"sort"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// strand is a Strand at work: its ledger, how far it has come, and what is ready to leave. Its account's mu guards it.
type strand struct {
	Strand
	w     warning.Warning
	snap  Snapshot
	index uint32    // in its account; the upper half of a token
	began time.Time // it was opened: due times count from here, because no step of the clock moves it
	led   *ledger

	starts     []uint32 // position of the first person of each batch, and of the end
	publicFrom uint32   // positions below are responsible persons
	salt       uint32

	next   uint32   // first position that was not sent yet
	limit  uint32   // positions below may be sent: granted, and not given back
	again  []uint32 // granted another time, not sent yet
	due    dues     // who waits for another hand-off
	asking int      // how many of them are in a request for leave that has no answer yet
	left   *leavers // who is not to be sent to any more

	faults  faults
	nextTry time.Time // with faults of its own: nobody is tried before

	responsible, public, retry Flow
	prepared                   []channels.Prepared // by language
	by                         channels.Carrier    // that prepared them
	cost                       int

	state    warning.State // of the warning as this owner has obeyed it
	closing  warning.PersonState
	checked  warning.Counts // as they were compared with the states last
	touched  bool           // its tail changed since the last commit
	gone     bool           // it has left its account
	recalled bool           // what the carrier held was asked back
	asked    int64          // segments that the carrier was asked for
	back     int64          // and those that it gave up
	moving   bool           // people are leaving it with the commit under way
	stays    *routing       // nobody who waits here may go another way, by this one
	first    time.Time
	last     time.Time
	sent     int64    // messages given to sockets
	pace     progress // of them, by this process
	highest  int      // most messages in any second while it was sending
}

// openStrand makes ready what the plan stored. prepare turns words into what the account's wire needs.
func openStrand(s Strand, w warning.Warning, snap Snapshot, index uint32, prepare func(channels.Content) (channels.Prepared, error)) (*strand, error) {
	st := &strand{
		Strand: s, w: w, snap: snap, index: index, began: time.Now(), state: warning.Released,
		starts: make([]uint32, 1, len(s.Batches)+1), prepared: make([]channels.Prepared, len(warning.Languages)),
	}
	for _, c := range w.ID {
		st.salt = (st.salt ^ uint32(c)) * 16777619
	}
	used := make([]bool, len(warning.Languages))
	at := uint32(0)
	for _, b := range s.Batches {
		at += uint32(b.Mask.Count())
		st.starts = append(st.starts, at)
		if b.Duty == warning.Responsible {
			st.publicFrom = at
		}
		used[b.Language] = true
	}
	if at != s.People {
		return nil, fmt.Errorf("strand %d holds %d people and its batches %d", s.ID, s.People, at)
	}
	whole := make([]uint8, len(warning.Languages))
	languages, one := 0, uint8(0)
	for l, name := range warning.Languages {
		if !used[l] {
			continue
		}
		languages, one = languages+1, uint8(l)
		p, err := prepare(st.content(name))
		if err != nil {
			return nil, fmt.Errorf("words of strand %d in %s: %w", s.ID, name, err)
		}
		st.prepared[l] = p
		whole[l] = uint8(1<<p.Segments() - 1)
		st.cost = max(st.cost, p.Segments())
	}
	st.led = newLedger(s.People, w.ReleasedAt, whole, one)
	if languages > 1 {
		st.led.lang = st.languages
	}
	st.led.moves = s.Channel == warning.FlashSMS
	tier, responsible, public := w.Spec.Tier, rankResponsible, rankPublic
	if s.Words == warning.Cancel || s.Words == warning.Call { // a correction and a call go before all else of their tier
		responsible, public = rankCorrection, rankCorrection
	}
	st.responsible = Flow{strand: st, Cost: st.cost, Class: classOf(tier, responsible)}
	st.public = Flow{strand: st, Cost: st.cost, Class: classOf(tier, public)}
	st.retry = Flow{strand: st, Cost: st.cost, Class: classOf(tier, rankRetry)}
	return st, nil
}

// content is its words in a language.
func (s *strand) content(language string) channels.Content {
	return channels.Content{
		Text: s.w.Spec.TextFor(s.Words, s.Channel, language), Flash: s.Channel == warning.FlashSMS,
		Expires: s.w.Spec.Expires, Status: s.w.Spec.Status, WithReceipt: true,
	}
}

// prepareFor makes the words ready for links that take the place of those before. The text is cut as it was.
func (s *strand) prepareFor(c channels.Carrier) error {
	next := make([]channels.Prepared, len(s.prepared))
	for l, name := range warning.Languages {
		if s.prepared[l] == nil {
			continue
		}
		var err error
		if next[l], err = c.Prepare(s.content(name)); err != nil {
			return err
		}
	}
	s.prepared, s.by = next, c
	return nil
}

// grow takes in people who were added at the end: of the language and duty of those before.
func (s *strand) grow(to Strand) {
	from := len(s.Batches)
	s.Strand, s.stays = to, nil
	for _, b := range s.Batches[from:] {
		at := s.starts[len(s.starts)-1] + uint32(b.Mask.Count())
		s.starts = append(s.starts, at)
		if b.Duty == warning.Responsible {
			s.publicFrom = at
		}
	}
	s.led.grow(to.People)
}

// languages tells those of positions from one on.
func (s *strand) languages(from uint32, out []uint8) {
	b := s.batchOf(from)
	for i := range out {
		for s.starts[b+1] <= from+uint32(i) {
			b++
		}
		out[i] = s.Batches[b].Language
	}
}

// batchOf is the batch that holds a position.
func (s *strand) batchOf(pos uint32) int {
	return sort.Search(len(s.Batches), func(i int) bool { return s.starts[i+1] > pos })
}

// place is where the snapshot has the person at a position.
func (s *strand) place(pos uint32) (block uint32, slot int) {
	b := s.batchOf(pos)
	k := int(pos - s.starts[b])
	for slot = range s.Batches[b].Mask.Slots {
		if k == 0 {
			break
		}
		k--
	}
	return s.Batches[b].Block, slot
}

// person is the number at a position.
func (s *strand) person(pos uint32) uint64 {
	block, slot := s.place(pos)
	return s.snap.Block(int(block)).Number[slot]
}

// position is where somebody of a block stands, if the batch has them.
func (s *strand) position(batch, slot int) (uint32, bool) {
	m := &s.Batches[batch].Mask
	if !m.Has(slot) {
		return 0, false
	}
	return s.starts[batch] + uint32(m.Rank(slot)), true
}

// message is what a person gets. The reference that joins its segments is another one in each channel: a phone that has a
// warning by two does not mix them.
func (s *strand) message(pos uint32, number uint64) channels.Message {
	h := (s.salt ^ uint32(number) ^ uint32(number>>32)*0x9e3779b1) * 0x85ebca6b
	return channels.Message{Token: uint64(s.index)<<32 | uint64(pos), Number: number, Ref: uint8(h>>24) ^ uint8(s.Channel), Skip: s.led.at(pos).handed}
}

// takeFirst fills buf with up to n people from next on who share a language, and moves next.
func (s *strand) takeFirst(buf []channels.Message, n int) ([]channels.Message, uint8) {
	end := min(s.limit, s.next+uint32(n))
	if s.next < s.publicFrom {
		end = min(end, s.publicFrom)
	}
	b := s.batchOf(s.next)
	language := s.Batches[b].Language
	for ; s.next < end && s.Batches[b].Language == language; b++ {
		blk := s.snap.Block(int(s.Batches[b].Block))
		pos := s.starts[b]
		for slot := range s.Batches[b].Mask.Slots {
			if pos >= end {
				break
			}
			if pos >= s.next {
				buf = append(buf, s.message(pos, blk.Number[slot]))
			}
			pos++
		}
		s.next = pos
	}
	return buf, language
}

// takeAgain does the same with those who were granted another time.
func (s *strand) takeAgain(buf []channels.Message, n int) ([]channels.Message, uint8) {
	var language uint8
	took := 0
	for _, pos := range s.again[:min(n, len(s.again))] {
		l := s.Batches[s.batchOf(pos)].Language
		if took > 0 && l != language {
			break
		}
		language = l
		buf = append(buf, s.message(pos, s.person(pos)))
		took++
	}
	s.again = s.again[took:]
	return buf, language
}

// ready brings the work of the three flows up to date.
func (s *strand) ready(sched *Scheduler) {
	s.responsible.Work, s.public.Work, s.retry.Work = 0, 0, 0
	if s.state != warning.Released || s.closing != warning.Waiting {
		return
	}
	if s.next < s.publicFrom {
		s.responsible.Work = int(max(s.next, min(s.limit, s.publicFrom)) - s.next)
	} else {
		s.public.Work = int(max(s.limit, s.next) - s.next)
	}
	s.retry.Work = len(s.again)
	sched.Ready(&s.responsible)
	sched.Ready(&s.public)
	sched.Ready(&s.retry)
}

// flows are the three, in the order of their classes.
func (s *strand) flows() [3]*Flow { return [3]*Flow{&s.responsible, &s.public, &s.retry} }

// toGrant is the flow of the people who are next to be granted for the first time.
func (s *strand) toGrant() *Flow {
	if s.led.granted < s.publicFrom {
		return &s.responsible
	}
	return &s.public
}

// finished tells whether nobody of the strand waits for anything we do.
func (s *strand) finished() bool {
	c := &s.led.counts
	return c[warning.Waiting] == 0 && c[warning.Sending] == 0 && s.toRepeat() == 0
}

// toRepeat is how many people are to be handed over another time. Somebody whom a receipt has settled meanwhile stays
// in line and is passed over; for whom leave is just being asked counts until it is there.
func (s *strand) toRepeat() int {
	if s.led.counts[warning.Waiting]+s.led.counts[warning.Unknown] == 0 {
		return 0
	}
	return len(s.due) + s.asking
}

func (s *strand) tail() StrandTail {
	t := StrandTail{
		Strand: s.ID, People: s.People, Granted: s.led.granted, Closed: s.led.closed, Counts: s.led.counts,
		Stats: StrandStats{
			Segments: s.cost, Messages: s.sent, PossibleRepeats: s.led.repeats, Due: s.toRepeat(), First: s.first, Last: s.last,
			MaxInAnySecond: s.highest, RecallAsked: s.asked, Recalled: s.back,
		},
	}
	for r, n := range s.led.reasons {
		if n != 0 {
			if t.Reasons == nil {
				t.Reasons = map[string]int64{}
			}
			t.Reasons[channels.Reason(r).String()] = n
		}
	}
	return t
}

// handedAt is when the carrier took the message of a position, if it did.
func (s *strand) handedAt(pos uint32) (time.Time, bool) {
	if pos >= s.led.granted || s.led.at(pos).handedAt == 0 {
		return time.Time{}, false
	}
	return s.led.base.Add(time.Duration(s.led.at(pos).handedAt) * time.Millisecond), true
}

// copy is the strand as it is now, to be read without its account's lock.
func (s *strand) copy() *strand {
	c := *s
	led := *s.led
	c.led = &led
	if led.lang != nil {
		led.lang = c.languages
	}
	led.pages = slices.Clone(led.pages)
	for i, p := range led.pages {
		if p != nil {
			led.pages[i] = &page{people: slices.Clone(p.people), prints: p.prints, lang: p.lang}
		}
	}
	return &c
}

// dues is who waits for another hand-off, soonest first: due time in milliseconds after the strand was opened in the upper
// half, position in the lower.
type dues []uint64

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i] < d[j] }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dues) Push(x any)        { *d = append(*d, x.(uint64)) }
func (d *dues) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}

// wait puts pos back to be sent again at due.
func (s *strand) wait(pos uint32, due time.Time) {
	s.stays = nil
	ms := max(0, due.Sub(s.began).Milliseconds())
	heap.Push(&s.due, uint64(ms)<<32|uint64(pos))
}

// nextDue is when somebody may be sent to again.
func (s *strand) nextDue() (time.Time, bool) {
	if len(s.due) == 0 {
		return time.Time{}, false
	}
	return s.dueAt(s.due[0]), true
}

func (s *strand) dueAt(d uint64) time.Time {
	return s.began.Add(time.Duration(d>>32) * time.Millisecond)
}

// popDue takes one person whose time has come.
func (s *strand) popDue(now time.Time) (uint32, bool) {
	if at, ok := s.nextDue(); !ok || at.After(now) {
		return 0, false
	}
	return uint32(heap.Pop(&s.due).(uint64)), true
}
