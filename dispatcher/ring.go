package dispatcher

import (
	"sort"
	"time"
)

// Ring is the times of sending of one account within the last second and guard: the limiter of promise 7. In every
// sliding second at most the rate is handed to the sockets; with the guard the same holds at the carrier for a jitter
// up to it. It is a pure function of the times it is given, and not safe for concurrent use.
//
// Jitter beyond the guard shows in answers that come later than the account's fastest: what they answer counts longer. How
// late the first ones of an account are is known only when faster ones have come, so that answers are kept, and judged later.
//
// Groups that were sent within the grain are kept as one with the later time, which errs on the slow side.
type Ring struct {
	window  time.Duration // 1 s + guard
	fastest time.Duration // answer, as far as it is known
	groups  []sent        // a queue in a ring: oldest at head
	head    int
	size    int
	sum     int // messages in groups
	stats   []sent
	statsAt int
	statSum int
	highest int
}

type sent struct {
	at   time.Time
	n    int
	took time.Duration // until its slowest answer; 0: not kept
}

const ringGrain = 50 * time.Microsecond

// NewRing is an empty ring with the guard.
func NewRing(guard time.Duration) *Ring {
	return &Ring{window: time.Second + guard, groups: make([]sent, 64)}
}

// Guard takes another guard. Where it is wider, nothing may be sent for the difference: what the ring has let go of counts
// again.
func (r *Ring) Guard(guard time.Duration) (quiet time.Duration) {
	was := r.window
	r.window = time.Second + guard
	return max(0, r.window-was)
}

// Allow is how many messages may be sent at now under the rate (messages a second).
func (r *Ring) Allow(now time.Time, rate int) int {
	for r.size > 0 && now.Sub(r.groups[r.head].at) >= r.window+r.late(&r.groups[r.head]) {
		r.sum -= r.groups[r.head].n
		r.head = (r.head + 1) % len(r.groups)
		r.size--
	}
	return max(0, rate-r.sum)
}

// Next is when the oldest group leaves the window: when Allow may answer more. Zero when nothing is in it.
func (r *Ring) Next() time.Time {
	if r.size == 0 {
		return time.Time{}
	}
	g := &r.groups[r.head]
	return g.at.Add(r.window + r.late(g))
}

// Fastest says how long the account's fastest answer takes.
func (r *Ring) Fastest(took time.Duration) { r.fastest = took }

// Answered says that what was given to a socket at a time was answered after so long: it may have come to the carrier that much
// later than what is answered fastest. Groups after it wait for it, which errs on the slow side.
func (r *Ring) Answered(sent time.Time, took time.Duration) {
	i := sort.Search(r.size, func(i int) bool { return !r.groups[(r.head+i)%len(r.groups)].at.Before(sent) })
	if i < r.size {
		g := &r.groups[(r.head+i)%len(r.groups)]
		g.took = max(g.took, took)
	}
}

// late is how much longer than the window a group counts: what its answer was late beyond the guard.
func (r *Ring) late(g *sent) time.Duration {
	if g.took == 0 {
		return 0
	}
	guard := r.window - time.Second
	return max(0, min(g.took-r.fastest, lateMost*guard)-guard)
}

// Add says that n messages were handed to sockets, and that they were all there by at.
func (r *Ring) Add(at time.Time, n int) {
	if n <= 0 {
		return
	}
	r.note(at, n)
	r.sum += n
	if r.size > 0 {
		last := &r.groups[(r.head+r.size-1)%len(r.groups)]
		if at.Sub(last.at) < ringGrain {
			last.at, last.n = at, last.n+n
			return
		}
	}
	if r.size == len(r.groups) {
		grown := make([]sent, 2*len(r.groups))
		for i := range r.size {
			grown[i] = r.groups[(r.head+i)%len(r.groups)]
		}
		r.groups, r.head = grown, 0
	}
	r.groups[(r.head+r.size)%len(r.groups)] = sent{at: at, n: n}
	r.size++
}

// note keeps the highest number in any second exactly one second long, apart from the limiter and its guard: it is the
// engine's own figure of what it did.
func (r *Ring) note(at time.Time, n int) {
	for r.statsAt < len(r.stats) && at.Sub(r.stats[r.statsAt].at) >= time.Second {
		r.statSum -= r.stats[r.statsAt].n
		r.statsAt++
	}
	if r.statsAt > 1024 && r.statsAt*2 > len(r.stats) {
		r.stats = append(r.stats[:0], r.stats[r.statsAt:]...)
		r.statsAt = 0
	}
	if k := len(r.stats) - 1; k >= r.statsAt && at.Sub(r.stats[k].at) < ringGrain {
		r.stats[k].n += n // keeps the earlier time: errs on the high side
	} else {
		r.stats = append(r.stats, sent{at: at, n: n})
	}
	r.statSum += n
	r.highest = max(r.highest, r.statSum)
}

// Now is how many messages were sent in the second that ended with the last one.
func (r *Ring) Now() int { return r.statSum }

// Highest is the most messages that were sent in any second so far.
func (r *Ring) Highest() int { return r.highest }
