package dispatcher

import "tocsin/warning"

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
	Cost  int // messages that one person costs
	Work  int // people who may be sent to now

	strand  *strand
	deficit int
	queued  bool
}

// Scheduler says whose turn it is. It is a pure function of the flows it is given and what was taken from them; its
// owner serialises the calls.
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
	f.queued, f.deficit = true, 0
	s.queues[f.Class] = append(s.queues[f.Class], f)
}

// first is the first class from c on that has work; Classes when there is none.
func (s *Scheduler) first(c Class) Class {
	for ; int(c) < Classes; c++ {
		q := s.queues[c]
		n := 0
		for n < len(q) && q[n].Work <= 0 {
			q[n].queued = false
			n++
		}
		if n > 0 {
			s.queues[c] = append(q[:0], q[n:]...)
		}
		if len(s.queues[c]) > 0 {
			return c
		}
	}
	return Class(Classes)
}

// Next is the flow whose turn it is and how many of its people may go, when n messages may leave now. Nil when nobody
// can go: there is no work, or the next person costs more than n. Taken must follow.
func (s *Scheduler) Next(n int) (*Flow, int) {
	top := s.first(0)
	if int(top) == Classes {
		s.credit = 0
		return nil, 0
	}
	class := top
	lower := s.first(classOf(top.tier()+1, 0))
	s.floor = false
	if int(lower) == Classes {
		s.credit = 0
	} else if s.credit >= float64(s.queues[lower][0].Cost) {
		class, s.floor = lower, true
	}
	q := s.queues[class]
	if n < q[0].Cost {
		return nil, 0
	}
	// Deficit round robin: one message a turn when there are more lanes than messages, else an equal share of them. The
	// first turn that has saved enough for a person goes.
	for {
		f := s.queues[class][0]
		if f.Work <= 0 {
			f.queued = false
			s.queues[class] = s.queues[class][1:]
			continue
		}
		if f.deficit < f.Cost {
			f.deficit += max(1, n/len(s.queues[class]))
		}
		if f.deficit < f.Cost {
			s.rotate(class)
			continue
		}
		people := min(f.deficit, n) / f.Cost
		if s.floor {
			people = min(people, max(1, int(s.credit)/f.Cost))
		}
		if people == 0 { // this one costs more than n
			return nil, 0
		}
		return f, min(people, f.Work)
	}
}

func (s *Scheduler) rotate(c Class) {
	q := s.queues[c]
	f := q[0]
	copy(q, q[1:])
	q[len(q)-1] = f
}

// Taken says that people of the flow that Next named were handed over, and whether they were all that was asked.
func (s *Scheduler) Taken(f *Flow, people int) {
	f.Work -= people
	cost := people * f.Cost
	f.deficit -= cost
	if s.floor {
		s.credit -= float64(cost)
	} else {
		s.credit = min(s.credit+floorShare*float64(cost), 1000)
	}
	if q := s.queues[f.Class]; len(q) > 1 && q[0] == f && f.deficit < f.Cost {
		s.rotate(f.Class)
	}
}
