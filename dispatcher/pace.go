package dispatcher

import "time"

// lateMost is how many guards a message is taken to be late at most: a carrier that answers slowly now and then has not
// got its messages late.
const lateMost = 4

// trip is the time from a message to its answer: a running median, and the fastest of the last ten to twenty seconds.
type trip struct {
	median time.Duration
	least  [2]time.Duration // of this ten seconds and the ten before; 0: none
	since  time.Time
	first  time.Time // answer
}

func (t *trip) add(now time.Time, took time.Duration) {
	if t.first.IsZero() {
		t.first = now
	}
	if now.Sub(t.since) > 10*time.Second {
		t.least[1], t.least[0], t.since = t.least[0], 0, now
	}
	if t.least[0] == 0 || took < t.least[0] {
		t.least[0] = took
	}
	switch step := max(t.median/64, 20*time.Microsecond); { // a step towards each value
	case t.median == 0:
		t.median = took
	case took > t.median:
		t.median += step
	default:
		t.median -= step
	}
}

// young tells whether the fastest answers may still be to come.
func (t *trip) young(now time.Time) bool { return now.Sub(t.first) < time.Second }

func (t *trip) fastest() time.Duration {
	if t.least[1] == 0 || t.least[0] != 0 && t.least[0] < t.least[1] {
		return t.least[0]
	}
	return t.least[1]
}

// slowdown is how far the carrier's flow control has slowed the account: halved at each such answer, at most once in a
// round trip, and back within ten seconds.
type slowdown struct {
	part float64 // 0: not slowed
	at   time.Time
	by   *faults // the lane that all of it is because of; nil: several
}

func (s *slowdown) factor() float64 {
	if s.part == 0 {
		return 1
	}
	return s.part
}

func (s *slowdown) throttled(now time.Time, rtt time.Duration, by *faults) {
	if s.part == 0 {
		s.by = by
	} else if s.by != by {
		s.by = nil
	}
	if now.Sub(s.at) < max(rtt, 100*time.Millisecond) {
		return
	}
	s.part, s.at = max(s.factor()/2, 1.0/64), now
}

func (s *slowdown) recover(now time.Time) {
	if s.part == 0 || now.Sub(s.at) < time.Second {
		return
	}
	if s.part += beatEvery.Seconds() / 10; s.part >= 1 {
		s.part = 0
	}
}

// secondsFrom is where all seconds of progress are counted from.
var secondsFrom = time.Now()

// progress is how many messages were sent up to a moment, for rates over the last ten seconds. All of a process end their
// seconds together, so that what two sent in a second can be added.
type progress struct {
	total int64
	marks [11]int64
	at    time.Time
}

func (p *progress) add(now time.Time, n int) {
	p.roll(now)
	p.total += int64(n)
}

func (p *progress) roll(now time.Time) {
	whole := secondsFrom.Add(now.Sub(secondsFrom).Truncate(time.Second))
	if p.at.IsZero() {
		p.at = whole
	}
	for steps := 0; now.Sub(p.at) >= time.Second; steps++ {
		if steps > len(p.marks) {
			p.at = whole
		} else {
			p.at = p.at.Add(time.Second)
		}
		copy(p.marks[:], p.marks[1:])
		p.marks[len(p.marks)-1] = p.total
	}
}

// lastSecond is how many messages were sent in the last whole second.
func (p *progress) lastSecond(now time.Time) int64 {
	p.roll(now)
	return p.marks[len(p.marks)-1] - p.marks[len(p.marks)-2]
}

// last10s is how many messages were sent in the last ten seconds.
func (p *progress) last10s(now time.Time) int64 {
	p.roll(now)
	return p.total - p.marks[0]
}
