package dispatcher

import (
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

// demand is what one strand could send if it were granted: people for the first time, and people another time.
func demand(s *strand, now time.Time) (first, again int) {
	if s.state != warning.Released || s.closing != warning.Waiting || s.moving {
		return 0, 0
	}
	if at, ok := s.nextDue(); ok && !at.After(now) {
		again = len(s.due)
	}
	if s.led.closed == warning.Waiting {
		first = int(s.People - s.led.granted)
	}
	return first, again
}

// claim is what a strand could be granted in one class.
type claim struct {
	s     *strand
	again bool
	want  int // people
}

// supply asks for grants in the order of promise 4 until the budget is used: the classes in turn, within a class equal
// shares. A tier below the first keeps the floor. What lower classes hold unsent is given back when a higher class
// needs the budget.
func (a *account) supply(r *request, now time.Time) {
	if a.control.Paused || !now.Before(a.deadline) {
		return
	}
	var classes [Classes][]claim
	for _, s := range a.live {
		first, again := demand(s, now)
		if first > 0 {
			c := s.firstClass()
			classes[c] = append(classes[c], claim{s: s, want: first})
		}
		if again > 0 {
			classes[s.retry.Class] = append(classes[s.retry.Class], claim{s: s, again: true, want: again})
		}
	}
	budget := a.budget()
	held := a.heldByClass()
	unsent := 0
	for _, n := range held {
		unsent += n
	}
	a.waiting = false
	var top warning.Tier
	floored := false
	for c := range classes {
		claims := classes[c]
		if len(claims) == 0 && held[c] == 0 {
			continue
		}
		tier := Class(c).tier()
		if top == 0 {
			top = tier
		}
		if len(claims) == 0 {
			continue
		}
		a.waiting = true
		free := budget - unsent
		if free < budget/2 && tier == top {
			// The lower ones make room.
			free += a.takeBack(r, Class(c), budget/2-free)
		}
		if tier > top && !floored && free <= 0 {
			floored = true
			free = max(claims[0].s.cost, int(floorShare*float64(budget))) - held[c]
		}
		if free <= 0 {
			continue
		}
		unsent += a.share(r, claims, free, a.turns, now)
		a.turns++
	}
}

// heldByClass is how many messages are granted and unsent, by class.
func (a *account) heldByClass() (held [Classes]int) {
	for _, s := range a.live {
		if s.limit > s.next {
			c := s.public.Class
			if s.next < s.publicFrom {
				c = s.responsible.Class
			}
			held[c] += int(s.limit-s.next) * s.cost
		}
		held[s.retry.Class] += len(s.again) * s.cost
	}
	return held
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

// share grants up to free messages to the claims of one class, equally, beginning with another one each time so that
// none is last for ever. It answers how many messages it granted.
func (a *account) share(r *request, claims []claim, free, turn int, now time.Time) (used int) {
	for left := len(claims); left > 0 && free > used; left-- {
		c := claims[(turn+len(claims)-left)%len(claims)]
		n := min(c.want, max(1, (free-used)/left/c.s.cost))
		if n*c.s.cost > free-used && used > 0 {
			break
		}
		if c.again {
			n = a.grantAgain(r, c.s, n, now)
		} else {
			r.Grants[r.grant(c.s)].To += uint32(n)
		}
		used += n * c.s.cost
	}
	return used
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
