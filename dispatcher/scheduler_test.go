package dispatcher

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tocsin/warning"
)

// drain lets the scheduler hand out total messages in turns of n, with flows that never run dry, and answers what each
// flow got.
func drain(s *Scheduler, flows []*Flow, n, total int) map[*Flow]int {
	got := map[*Flow]int{}
	for total > 0 {
		for _, f := range flows {
			s.Ready(f)
		}
		f, people := s.Next(min(n, total))
		if f == nil {
			return got
		}
		s.Taken(f, people)
		f.Work += people
		got[f] += people * f.Cost
		total -= people * f.Cost
	}
	return got
}

func flow(t warning.Tier, rank, cost int) *Flow {
	return &Flow{Class: classOf(t, rank), Cost: cost, Work: 1 << 20}
}

// TestRedFirst: a lower tier gets its floor and nothing else while a red waits.
func TestRedFirst(t *testing.T) {
	red, blue, notice := flow(warning.Red, rankPublic, 2), flow(warning.Blue, rankPublic, 2), flow(warning.Notice, rankPublic, 1)
	flows := []*Flow{blue, red, notice}
	const total = 100_000
	got := drain(&Scheduler{}, flows, 9, total)
	lower := got[blue] + got[notice]
	if share := float64(lower) / total; share > floorShare+0.001 || share < floorShare-0.003 {
		t.Errorf("lower tiers got %.4f of the messages, the floor is %.2f", share, floorShare)
	}
	if got[red] != total-lower {
		t.Errorf("red got %d of %d", got[red], total)
	}
}

// TestClassesWithinATier: corrections, then responsible persons, then the public, then retries; no floor between them.
func TestClassesWithinATier(t *testing.T) {
	for high := range ranks - 1 {
		a, b := flow(warning.Orange, high, 1), flow(warning.Orange, high+1, 1)
		got := drain(&Scheduler{}, []*Flow{b, a}, 5, 1000)
		if got[a] != 1000 {
			t.Errorf("rank %d got %d of 1000, rank %d after it got %d", high, got[a], high+1, got[b])
		}
	}
}

// layers is two of them at work: grants of a budget that come late, and turns among what is granted.
type layers struct {
	s      Scheduler
	flows  []*Flow
	budget int
	wants  map[*Flow]int // people of small lanes who are not granted yet
	sent   []*Flow       // whose turn it was, a person each
}

func (l *layers) unsent() (n int) {
	for _, f := range l.flows {
		n += f.Work * f.Cost
	}
	return n
}

// grant asks for as many people as the budget allows; what it answers makes them so many.
func (l *layers) grant() (conclude func()) {
	claims := make([]claim, len(l.flows))
	for i, f := range l.flows {
		claims[i] = claim{f: f, want: 1000, at: f.had + f.Work*f.Cost}
		if n, small := l.wants[f]; small {
			claims[i].want = n
		}
	}
	join(claims)
	free := l.budget - l.unsent()
	for i, n := range surplus(claims, l.budget, free) {
		l.flows[i].Work -= n
		claims[i].at -= n * l.flows[i].Cost
		free += n * l.flows[i].Cost
	}
	if free <= 0 {
		return func() {}
	}
	got := portions(claims, free)
	return func() {
		for i, n := range got {
			l.flows[i].Work += n
			if _, small := l.wants[l.flows[i]]; small {
				l.wants[l.flows[i]] -= n
			}
			l.s.Ready(l.flows[i])
		}
		arrive(func(yield func(*Flow, int) bool) {
			for _, f := range l.flows {
				if !yield(f, f.Work*f.Cost) {
					return
				}
			}
		})
	}
}

// send hands over up to n messages in turns of up to turn.
func (l *layers) send(n, turn int) {
	for n > 0 {
		f, people := l.s.Next(min(n, turn))
		if f == nil {
			return
		}
		l.s.Taken(f, people)
		n -= people * f.Cost
		for range people {
			l.sent = append(l.sent, f)
		}
	}
}

// TestFairLanes: of every stretch of messages each of k lanes of one class gets the k-th part less one person, however
// small and late the grants are; where a person of one lane costs more than of another, less the dearest twice.
func TestFairLanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &layers{budget: rapid.IntRange(8, 100).Draw(t, "budget")}
		k := rapid.IntRange(2, 60).Draw(t, "lanes")
		cost := rapid.IntRange(1, 8)
		mixed := rapid.Bool().Draw(t, "mixed")
		one := cost.Draw(t, "cost")
		highest := one
		for i := range k {
			f := flow(warning.Red, rankPublic, one)
			if mixed {
				f.Cost = cost.Draw(t, "cost of one")
				highest = max(highest, f.Cost)
			}
			f.Order, f.Work = uint32(i), 0
			l.flows = append(l.flows, f)
		}
		for range rapid.IntRange(5, 100).Draw(t, "commits") {
			conclude := l.grant()
			l.send(rapid.IntRange(0, 40).Draw(t, "meanwhile"), 8)
			conclude()
			l.send(rapid.IntRange(0, 40).Draw(t, "after"), 8)
		}
		for i, f := range l.flows {
			short := f.Cost // by which a stretch may miss the share
			if mixed {
				short += 2 * highest // one for the turns, one for the grants
			}
			ahead, most := 0, 0 // k times what the lane has had beyond its part; the most so far
			for n, g := range l.sent {
				ahead -= g.Cost
				if g == f {
					ahead += k * g.Cost
				}
				most = max(most, ahead)
				if most-ahead > k*short {
					t.Fatalf("lane %d of %d is %d messages short in a stretch that ends with person %d", i, k, (most-ahead)/k, n)
				}
			}
		}
	})
}

// TestFairLanesThatCome: the first person of a lane is sent to at once; from the moment on when each of k lanes has been
// sent to another time, whoever came first, each gets its part of every stretch less three persons, though the others keep
// some of the grants that they held: neither is owed what the others had before.
func TestFairLanesThatCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &layers{budget: rapid.IntRange(8, 100).Draw(t, "budget")}
		k := rapid.IntRange(2, 60).Draw(t, "lanes")
		all := make([]*Flow, k)
		for i := range all {
			all[i] = &Flow{Class: classOf(warning.Red, rankPublic), Order: uint32(i), Cost: 1}
		}
		some := rapid.IntRange(0, l.budget/4) // grants are asked for before half of them is used
		commits := func(n int) {
			for range n {
				conclude := l.grant()
				l.send(some.Draw(t, "meanwhile"), 8)
				conclude()
				l.send(some.Draw(t, "after"), 8)
			}
		}
		for len(l.flows) < k {
			l.flows = all[:min(k, len(l.flows)+rapid.IntRange(1, 20).Draw(t, "come"))]
			commits(rapid.IntRange(1, 10).Draw(t, "commits before the next"))
		}
		from := 0
		for _, f := range all {
			second := func() int {
				first := slices.Index(l.sent, f)
				if first < 0 {
					return -1
				}
				if n := slices.Index(l.sent[first+1:], f); n >= 0 {
					return first + 1 + n
				}
				return -1
			}
			for second() < 0 {
				l.grant()()
				l.send(1, 1)
			}
			from = max(from, second())
		}
		commits(rapid.IntRange(5, 100).Draw(t, "commits"))
		for i, f := range all {
			ahead, most := 0, 0
			for n, g := range l.sent[from:] {
				ahead--
				if g == f {
					ahead += k
				}
				most = max(most, ahead)
				if most-ahead > 3*k {
					t.Fatalf("lane %d of %d is %d messages short in a stretch that ends with message %d", i, k, (most-ahead)/k, n)
				}
			}
		}
	})
}

// TestWhoComesIsSentToAtOnce: the first person of a lane does not wait for what the others of its class are granted.
func TestWhoComesIsSentToAtOnce(t *testing.T) {
	l := &layers{budget: 75, flows: []*Flow{{Class: classOf(warning.Red, rankPublic), Cost: 1}}, wants: map[*Flow]int{}}
	l.grant()()
	l.send(30, 8)
	l.grant()()
	few := &Flow{Class: l.flows[0].Class, Order: 1, Cost: 1}
	l.flows, l.wants[few] = append(l.flows, few), 3
	l.grant()()
	l.sent = nil
	l.send(60, 8)
	if n := slices.Index(l.sent, few); n != 0 {
		t.Errorf("the first person of a lane that came is sent to behind %d of another", n)
	}
}

// TestNobodyStarvesWhileLanesCome: many small lanes come and go beside two that have a long way; the one whose people cost
// five messages has its turns as before.
func TestNobodyStarvesWhileLanesCome(t *testing.T) {
	cheap := &Flow{Class: classOf(warning.Red, rankPublic), Order: 0, Cost: 1}
	dear := &Flow{Class: classOf(warning.Red, rankPublic), Order: 1, Cost: 5}
	for _, every := range []int{1, 2, 7} { // commits, of 5 ms
		l := &layers{budget: 75, flows: []*Flow{cheap, dear}, wants: map[*Flow]int{}}
		had, last, longest := map[*Flow]int{}, 0, 0
		for i := range 3000 {
			if i%every == 0 {
				f := &Flow{Class: cheap.Class, Order: uint32(i + 2), Cost: 1}
				l.flows, l.wants[f] = append(l.flows, f), 1
			}
			l.flows = slices.DeleteFunc(l.flows, func(f *Flow) bool { n, small := l.wants[f]; return small && n == 0 && f.Work == 0 })
			l.sent = nil
			l.grant()()
			l.send(7, 7)
			for _, f := range l.sent {
				had[f] += f.Cost
				if last += f.Cost; f == dear {
					longest, last = max(longest, last), 0
				}
			}
		}
		if longest > 50 || had[dear] < had[cheap]*9/10 {
			t.Errorf("a lane each %d commits: the dear lane had %d messages beside %d and waited for %d of others", every, had[dear], had[cheap], longest)
		}
	}
}

// TestWhoJoinsStandsWhereTheOthersStand: a lane that comes, or comes back, gets its part from then on, and nothing for
// the time before; who is granted all and still sends does not wait for it.
func TestWhoJoinsStandsWhereTheOthersStand(t *testing.T) {
	l := &layers{budget: 20}
	for i := range 3 {
		l.flows = append(l.flows, &Flow{Class: classOf(warning.Red, rankPublic), Order: uint32(i), Cost: 1})
	}
	all := l.flows
	run := func(n int) map[*Flow]int {
		l.sent = nil
		for len(l.sent) < n {
			l.grant()()
			l.send(min(5, n-len(l.sent)), 5)
		}
		got := map[*Flow]int{}
		for _, f := range l.sent {
			got[f]++
		}
		return got
	}
	l.flows = all[:2]
	run(10_000)
	l.flows = all
	if got := run(300); got[all[2]] < 99 || got[all[2]] > 101 {
		t.Errorf("a lane that joined got %d of 300, two others were there", got[all[2]])
	}
	l.flows = all[1:]
	all[0].waits = false // its last people are granted; it still sends to them
	if got := run(120); got[all[0]] == 0 || all[0].Work > 0 {
		t.Errorf("%d people of a lane wait that has no claim any more", all[0].Work)
	}
	run(10_000)
	l.flows = all
	if got := run(300); got[all[0]] < 99 || got[all[0]] > 101 {
		t.Errorf("a lane that came back got %d of 300, two others were there", got[all[0]])
	}
}

// TestPortions: no more than is free but for one person who costs more, nobody more than they want, and nobody a person
// while another who stands lower could have one.
func TestPortions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var claims []claim
		for i := range rapid.IntRange(1, 40).Draw(t, "claims") {
			claims = append(claims, claim{
				f: &Flow{Order: uint32(i), Cost: rapid.IntRange(1, 8).Draw(t, "cost")}, want: rapid.IntRange(0, 50).Draw(t, "want"),
				at: rapid.IntRange(0, 100).Draw(t, "at"),
			})
		}
		free := rapid.IntRange(1, 300).Draw(t, "free")
		before := slices.Clone(claims)
		got := portions(claims, free)
		used, people, wanted, highest := 0, 0, 0, 0
		for i, n := range got {
			used += n * claims[i].f.Cost
			people += n
			wanted += claims[i].want
			if n > claims[i].want {
				t.Fatalf("claim %d got %d and wants %d", i, n, claims[i].want)
			}
			if n > 0 {
				highest = max(highest, before[i].at+(n-1)*claims[i].f.Cost) // where their last person began
			}
		}
		if used > free && people > 1 {
			t.Fatalf("%d messages of %d", used, free)
		}
		if people == 0 && wanted > 0 {
			t.Fatal("nobody got anything")
		}
		for i, n := range got {
			if at := before[i].at + n*claims[i].f.Cost; n < claims[i].want && at < highest-8 {
				t.Fatalf("claim %d stands at %d and wants more; another one's last person began at %d", i, at, highest)
			}
		}
		if used <= free-8 && people < wanted {
			t.Fatalf("%d of %d messages for %d of %d people", used, free, people, wanted)
		}
	})
}

// TestSchedulerWaitsForAWholeMessage: a message is finished once begun, so nobody goes while less than a person's cost
// may leave; and nobody cheaper jumps the queue for ever.
func TestSchedulerWaitsForAWholeMessage(t *testing.T) {
	s := &Scheduler{}
	f := flow(warning.Red, rankPublic, 3)
	s.Ready(f)
	if g, _ := s.Next(2); g != nil {
		t.Fatal("a person of three messages went with two allowed")
	}
	if g, people := s.Next(3); g != f || people != 1 {
		t.Fatalf("got %v, %d people; want the flow, one person", g, people)
	}
}

func TestSchedulerForgetsAFlowWithoutWork(t *testing.T) {
	s := &Scheduler{}
	f := flow(warning.Red, rankPublic, 1)
	f.Work = 1
	s.Ready(f)
	g, people := s.Next(10)
	if g != f || people != 1 {
		t.Fatalf("got %v, %d", g, people)
	}
	s.Taken(f, 1)
	if g, _ := s.Next(10); g != nil {
		t.Fatal("a flow without work was named")
	}
	f.Work = 2
	s.Ready(f)
	if g, people := s.Next(10); g != f || people != 2 {
		t.Fatalf("got %v, %d after new work", g, people)
	}
}
