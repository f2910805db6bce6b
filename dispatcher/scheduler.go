package dispatcher

import (
	"cmp"
	"iter"
	"slices"
	"sort"

	"tocsin/warning"
)

// Class is the order of sending of promise 4: tier first, then within it corrections, responsible persons, the public,
// and retries. The smaller goes first.
type Class uint8

// The ranks within a tier.
const (
	rankCorrection = iota
	rankResponsible
	rankPublic
	rankRetry
	ranks
)

// Classes is how many there are.
const Classes = int(warning.Notice+1) * ranks

func classOf(t warning.Tier, rank int) Class { return Class(int(t)*ranks + rank) }

func (c Class) tier() warning.Tier { return warning.Tier(int(c) / ranks) }

// floorShare is what the tiers below the first that has work keep together, so that none starves.
const floorShare = 0.02

// Flow is the people of one strand in one class: what fairness is between.
type Flow struct {
	Class Class
	Order uint32 // between flows that have had the same: the smaller goes first, always
	Cost  int    // messages that one person costs
	Work  int    // people who may be sent to now

	strand *strand
	had    int  // messages that it has had since it joined, counted on from what the others had then
	waits  bool // it had a claim when grants were asked for last
	fresh  bool // it has joined, and the request that it joined with is under way
	first  bool // and nobody of it was sent to yet
	queued bool
}

// Scheduler says whose turn it is. It is a pure function of the flows it is given and what was taken from them; its
// owner serialises the calls.
//
// Within a class the flow goes next that has had the fewest messages. Of k flows with work each so gets its k-th part of
// any stretch of messages, less one person: who had no grant at their turn catches up as soon as they have one.
type Scheduler struct {
	queues [Classes][]*Flow
	credit float64 // messages that lower tiers may send before the first class goes on
	floor  bool    // the turn that Next gave is one of the floor
}

// Ready puts a flow into its class; calling it again is harmless. A flow without work leaves at its next turn.
func (s *Scheduler) Ready(f *Flow) {
	if f.queued || f.Work <= 0 {
		return
	}
	f.queued = true
	s.queues[f.Class] = append(s.queues[f.Class], f)
}

// first is the first class from c on that has work, and its flow that has had least; the flow is nil when there is none.
// After is how many messages that flow may have until it has had more than another one.
func (s *Scheduler) first(c Class) (class Class, f *Flow, after int) {
	for ; int(c) < Classes; c++ {
		s.queues[c] = slices.DeleteFunc(s.queues[c], func(f *Flow) bool {
			f.queued = f.Work > 0
			return !f.queued
		})
		for _, g := range s.queues[c] {
			switch {
			case f == nil:
				f, after = g, g.Work*g.Cost
			case before(g, f):
				f, after = g, f.had-g.had
			default:
				after = min(after, g.had-f.had)
			}
		}
		if f != nil && f.first {
			after = f.Cost
		}
		if f != nil {
			return c, f, after
		}
	}
	return c, nil, 0
}

// before says whose turn is earlier. Who has joined sends to one person at once, whatever the others hold.
func before(a, b *Flow) bool {
	if a.first != b.first {
		return a.first
	}
	return cmp.Or(cmp.Compare(a.had, b.had), cmp.Compare(a.Order, b.Order)) < 0
}

// Next is the flow whose turn it is and how many of its people may go, when n messages may leave now. Nil when nobody
// can go: there is no work, or the next person costs more than n. Taken must follow.
func (s *Scheduler) Next(n int) (*Flow, int) {
	class, f, after := s.first(0)
	s.floor = false
	if f == nil {
		s.credit = 0
		return nil, 0
	}
	if _, low, lowAfter := s.first(classOf(class.tier()+1, 0)); low == nil {
		s.credit = 0
	} else if s.credit >= float64(low.Cost) {
		f, after, s.floor = low, min(lowAfter, int(s.credit)), true
	}
	if n < f.Cost { // a message is finished once begun
		return nil, 0
	}
	return f, min(max(1, after/f.Cost), n/f.Cost, f.Work)
}

// Taken says that people of the flow that Next named are handed over; fewer than none: so many came back.
func (s *Scheduler) Taken(f *Flow, people int) {
	f.Work -= people
	f.first = false
	cost := people * f.Cost
	f.had += cost
	if s.floor {
		s.credit -= float64(cost)
	} else {
		s.credit = min(s.credit+floorShare*float64(cost), 1000)
	}
}

// waiting tells whether anybody may be sent to.
func (s *Scheduler) waiting() bool {
	_, f, _ := s.first(0)
	return f != nil
}

// claim is what a flow has and could be granted.
type claim struct {
	f    *Flow
	want int  // people
	at   int  // messages that the flow has had or may send already
	try  bool // one person of a lane that is tried once in a while
}

// join lets those of a class who begin to wait stand where the one stands that has had least: nobody is owed what the
// others had without them. It answers whether there are any. Who is only tried once in a while makes no others stand
// back.
func join(claims []claim) (joined bool) {
	old := func(c claim) bool { return c.f.waits || c.at > c.f.had }
	least, found := 0, false
	for _, c := range claims {
		if old(c) && (!found || c.f.had < least) {
			least, found = c.f.had, true
		}
	}
	for i, c := range claims {
		if !old(c) {
			c.f.had, claims[i].at, c.f.fresh, c.f.first = least, least, !c.try, !c.try
			joined = joined || c.f.fresh
		}
		c.f.waits = c.want > 0
	}
	return joined
}

// arrive ends the joining of flows when the answer has come to the request that they joined with. While it was under
// way the others of their class were sent to, some more than others: those who joined stand at the average of what they
// have had and hold, else they would have to stand still until all have come up.
func arrive(flows iter.Seq2[*Flow, int]) {
	var classes [Classes]struct {
		n, sum, least int // of those who were there: what they had or may send, and the fewest that one has had
	}
	for f, held := range flows {
		if c := &classes[f.Class]; !f.fresh && (f.waits || held > 0) {
			if c.n == 0 || f.had < c.least {
				c.least = f.had
			}
			c.n++
			c.sum += f.had + held
		}
	}
	for f, held := range flows {
		if c := &classes[f.Class]; f.fresh && c.n > 0 {
			f.had = max(c.least, c.sum/c.n-held)
		}
		f.fresh = false
	}
}

// surplus is how many people each of a class gives back when others join it, so that grants that are not used make way
// for theirs: all come to the same level. Half of the budget stays, so that
// sending goes on while the answer is awaited.
func surplus(claims []claim, budget, free int) []int {
	back := make([]int, len(claims))
	if !slices.ContainsFunc(claims, func(c claim) bool { return c.f.fresh && c.want > 0 }) {
		return back
	}
	anew, held := make([]claim, len(claims)), 0
	for i, c := range claims {
		has := c.at - c.f.had
		anew[i] = claim{f: c.f, want: c.want + has/c.f.Cost, at: c.f.had}
		held += has
	}
	total := 0
	for i, n := range portions(anew, held+max(0, free)) {
		back[i] = max(0, (claims[i].at-claims[i].f.had)/claims[i].f.Cost-n)
		total += back[i] * claims[i].f.Cost
	}
	if spare := max(0, held-budget/2); total > spare {
		for i := range back {
			back[i] = back[i] * spare / total
		}
	}
	return back
}

// portions divides free messages among the claims of one class: how many people of each. All are filled up to the same
// level; what is left goes to one person each of those who stand lowest. Somebody always gets something, so that a
// person who costs more than is free does not wait for ever.
func portions(claims []claim, free int) []int {
	out := make([]int, len(claims))
	fill := func(level int) (used int) {
		for i, c := range claims {
			out[i] = min(c.want, max(0, level-c.at)/c.f.Cost)
			used += out[i] * c.f.Cost
		}
		return used
	}
	bottom := slices.MinFunc(claims, func(a, b claim) int { return cmp.Compare(a.at, b.at) }).at
	top := slices.MaxFunc(claims, func(a, b claim) int { return cmp.Compare(a.at, b.at) }).at + free
	left := free - fill(bottom+sort.Search(top-bottom, func(i int) bool { return fill(bottom+i+1) > free }))
	turns := make([]int, 0, len(claims))
	for i, c := range claims {
		claims[i].at += out[i] * c.f.Cost
		if out[i] < c.want {
			turns = append(turns, i)
		}
	}
	slices.SortFunc(turns, func(i, j int) int {
		a, b := claims[i], claims[j]
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.f.Order, b.f.Order))
	})
	for _, i := range turns {
		if cost := claims[i].f.Cost; cost > left && left < free {
			break // nobody cheaper passes
		}
		out[i]++
		left -= claims[i].f.Cost
	}
	return out
}
