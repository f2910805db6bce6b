package dispatcher

import (
	"time"

	"tocsin/channels"
)

// This file tells whose fault bad answers are: where one lane has nothing but bad ones while the carrier takes the
// others, it is the lane's own. Then its answers do not slow the account down nor send people another way, and its
// people are tried again only as often as the floor of the lower tiers allows: it blocks nobody. Flow control that is the
// lane's own slows the lane in the account's stead: its first tries go no faster either.

// A lane's bad answers are its own from so many in a row on, when others had so many good ones in the same time. In a
// carrier that takes every other message a row as long comes once in 65,536 times, and the next good answer ends it.
const (
	ownRow    = 16
	ownOthers = 4
)

// faults is what a lane's answers say against the carrier.
type faults struct {
	row    int   // how many in a row
	before int64 // good answers of the account when the first of them came
	own    bool  // they are the lane's own
	// flowControl says that the newest of its own was: the lane is slowed as the account would be.
	flowControl bool

	// Of the row, what is not held against the carrier yet.
	throttled bool
	failures  int
}

// blame takes in who is to blame for one answer: the strand's lane or the carrier.
func (a *account) blame(s *strand, r channels.Reason, now time.Time) {
	f := &s.faults
	switch {
	case r == channels.LinkDown || r == channels.NoAnswer: // no lane's: nothing was answered
		a.condition.answered(now, false)
		return
	case r != channels.Throttled && !failures[r]:
		a.charge(f, now) // one of them was good: it was the carrier
		*f = faults{}
		a.good++
		a.badRow = 0
		a.condition.answered(now, true)
		return
	}
	if f.row == 0 {
		f.before = a.good
	}
	f.row++
	f.own = f.own || f.row >= ownRow && a.good-f.before >= ownOthers
	switch {
	case f.own:
		f.throttled, f.failures, f.flowControl = false, 0, r == channels.Throttled
		if a.slow.by == f { // nobody else had answers then
			a.slow = slowdown{}
		}
		return
	case r == channels.Throttled:
		f.throttled = true
	default:
		f.failures++
	}
	// Nobody has good ones, however few answers each lane has. What lanes held that have ended since is lost, 15 at most.
	if a.badRow++; a.badRow == ownRow {
		for _, other := range a.live {
			a.charge(&other.faults, now)
		}
	}
	if len(a.live) == 1 || f.row >= ownRow || a.badRow >= ownRow { // nobody else to compare with
		a.charge(f, now)
	}
}

// charge holds what a lane has against the carrier.
func (a *account) charge(f *faults, now time.Time) {
	if f.throttled { // no failure: we are too fast
		a.slow.throttled(now, a.trip.median, f)
	}
	for range f.failures {
		a.condition.answered(now, false)
	}
	f.throttled, f.failures = false, 0
}

// tried says that people of a strand with faults of its own are tried: the next ones wait.
func (a *account) tried(s *strand, people int, now time.Time) {
	s.nextTry = now.Add(time.Duration(float64(people*s.cost) / (floorShare * float64(a.rate)) * float64(time.Second)))
}
