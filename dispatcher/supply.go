package dispatcher

import (
	"iter"
	"slices"
	"time"

	"tocsin/warning"
)

// budget is how many messages may be granted and not sent: 50 ms of the rate (promise 3), and no more than the windows
// can take soon, which bounds what a crash leaves unknown on an account without a tight contract.
func (a *account) budget() int {
	n := int(float64(a.rate) * grantTime.Seconds())
	windows := 4 * a.opt.Links * a.opt.Window
	recent := int(a.sentTotal.last10s(time.Now()) / 50)
	return max(8, min(n, max(windows, recent)))
}

// hungry tells whether the pump will soon run out of grants while somebody waits for one.
func (a *account) hungry() bool {
	return a.unsent() < a.budget()/2 && a.waiting
}

// demand is how many people of a flow could be sent to if they were granted. Where all answers were bad and that is the
// lane's own doing, people are tried again one at a time; and if they were flow control, the others go so too.
func (s *strand) demand(f *Flow, now time.Time) int {
	if s.state != warning.Released || s.closing != warning.Waiting || s.moving {
		return 0
	}
	want := s.waiting(f, now)
	if s.faults.own && (f == &s.retry || s.faults.flowControl) {
		if now.Before(s.nextTry) {
			return 0
		}
		return min(1, want)
	}
	return want
}

// waiting is how many people of a flow could be granted now.
func (s *strand) waiting(f *Flow, now time.Time) int {
	switch at, ok := s.nextDue(); {
	case f == &s.retry && (!ok || at.After(now)):
		return 0
	case f == &s.retry:
		return len(s.due)
	case s.led.closed != warning.Waiting || f != s.toGrant():
		return 0
	case f == &s.responsible:
		return int(s.publicFrom - s.led.granted)
	}
	return int(s.People - s.led.granted)
}

// held is how many messages of a flow are granted and unsent.
func (s *strand) held(f *Flow) int {
	n := 0
	switch f {
	case &s.responsible:
		n = int(min(s.limit, s.publicFrom)) - int(min(s.next, s.publicFrom))
	case &s.public:
		n = int(max(s.limit, s.publicFrom)) - int(max(s.next, s.publicFrom))
	default:
		n = len(s.again)
	}
	return max(0, n) * s.cost
}

// flows is those of all who are not finished, with the messages that each is granted and has not sent.
func (a *account) flows() iter.Seq2[*Flow, int] {
	return func(yield func(*Flow, int) bool) {
		for _, s := range a.live {
			for _, f := range s.flows() {
				if !yield(f, s.held(f)) {
					return
				}
			}
		}
	}
}

// supply asks for grants in the order of promise 4 until the budget is used: the classes in turn, within a class so
// that all have had the same. A tier below the first keeps the floor. What lower classes hold unsent is given back when
// a higher class needs the budget.
func (a *account) supply(r *request, now time.Time) {
	if a.control.Paused || a.linkless() || !now.Before(a.deadline) {
		return
	}
	var classes [Classes][]claim
	var held [Classes]int
	unsent := 0
	for f, has := range a.flows() {
		want := f.strand.demand(f, now)
		f.waits = f.waits && want > 0
		if has > 0 || want > 0 {
			classes[f.Class] = append(classes[f.Class], claim{f: f, want: want, at: f.had + has, try: f.strand.faults.own})
		}
		held[f.Class] += has
		unsent += has
	}
	budget := a.budget()
	a.waiting = false
	var top warning.Tier
	floored := false
	for c, claims := range classes {
		if len(claims) == 0 {
			continue
		}
		tier := Class(c).tier()
		if top == 0 {
			top = tier
		}
		r.joined = join(claims) || r.joined
		if !slices.ContainsFunc(claims, func(c claim) bool { return c.want > 0 }) {
			continue
		}
		a.waiting = true
		free := budget - unsent
		if c%ranks != rankRetry {
			for i, n := range surplus(claims, budget, free) {
				n = a.takeFrom(r, claims[i].f, n)
				claims[i].at -= n
				unsent -= n
				free += n
			}
		}
		if free < budget/2 && tier == top {
			// The lower ones make room.
			free += a.takeBack(r, Class(c), budget/2-free)
		}
		if tier > top && !floored && free <= 0 {
			floored = true
			free = max(1, int(floorShare*float64(budget))) - held[c]
		}
		if free <= 0 {
			continue
		}
		for i, n := range portions(claims, free) {
			unsent += a.grantTo(r, claims[i].f, n, now)
		}
	}
}

// grant is the index of the request's grant for a strand: one, whatever it holds, because the store checks where it
// begins.
func (r *request) grant(s *strand) int {
	for i := range r.Grants {
		if r.granted[i] == s && r.Grants[i].To >= r.Grants[i].From {
			return i
		}
	}
	r.Grants = append(r.Grants, Grant{Strand: s.ID, From: s.led.granted, To: s.led.granted})
	r.granted, r.again = append(r.granted, s), append(r.again, nil)
	return len(r.Grants) - 1
}

// grantAgain asks for up to n people whose time to be sent to another time has come. It answers how many there were.
func (a *account) grantAgain(r *request, s *strand, n int, now time.Time) int {
	j := newJournal()
	var again []uint32
	for len(again) < n {
		pos, ok := s.popDue(now)
		if !ok {
			break
		}
		a.touch(s) // fewer are due, whatever becomes of this one
		if st := s.led.at(pos).state; st != warning.Waiting && st != warning.Unknown {
			continue // a receipt has settled it meanwhile
		}
		if s.hasLeft(pos) {
			a.letGo(s, pos, now)
			continue
		}
		again = append(again, pos)
		j.add(s.ID, now, record{pos: pos, kind: recAgain})
	}
	if len(again) == 0 {
		return 0
	}
	a.tried(s, len(again), now)
	s.asking += len(again)
	i := r.grant(s)
	r.Grants[i].Again = append(r.Grants[i].Again, j.buf...)
	r.again[i] = append(r.again[i], again...)
	return len(again)
}

// giveBack ends the grants of a strand from a position on: no byte left for them.
func (a *account) giveBack(r *request, s *strand, to uint32) {
	r.Grants = append(r.Grants, Grant{Strand: s.ID, From: s.led.granted, To: to})
	r.granted, r.again = append(r.granted, s), append(r.again, nil)
	s.led.giveBack(to)
	s.limit = to
	a.touch(s)
}

// grantTo asks for people of a flow. It answers how many messages they cost.
func (a *account) grantTo(r *request, f *Flow, people int, now time.Time) int {
	switch {
	case people == 0:
	case f == &f.strand.retry:
		people = a.grantAgain(r, f.strand, people, now)
	default:
		if f.strand.faults.own && f.strand.faults.flowControl {
			a.tried(f.strand, people, now)
		}
		r.Grants[r.grant(f.strand)].To += uint32(people)
	}
	return people * f.Cost
}

// takeFrom ends the last grants of people of a flow, of those who are not sent to: a higher tier may have taken some of them
// back just now. It answers how many messages they would have cost.
func (a *account) takeFrom(r *request, f *Flow, people int) int {
	s := f.strand
	people = min(people, s.held(f)/f.Cost)
	if people == 0 || f == &s.responsible && s.limit > s.publicFrom {
		return 0
	}
	a.giveBack(r, s, s.limit-uint32(people))
	s.ready(&a.sched)
	return people * f.Cost
}

// takeBack ends unsent grants of lower tiers than the class's, the lowest first, until need messages are free. It
// answers how many are.
func (a *account) takeBack(r *request, c Class, need int) (freed int) {
	for tier := warning.Notice; tier > c.tier() && freed < need; tier-- {
		for _, s := range a.live {
			if s.w.Spec.Tier != tier || s.limit <= s.next+1 || freed >= need {
				continue
			}
			to := s.next + 1 // one stays, for the floor
			freed += int(s.limit-to) * s.cost
			a.giveBack(r, s, to)
			s.ready(&a.sched)
		}
	}
	return freed
}
