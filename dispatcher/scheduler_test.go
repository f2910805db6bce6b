package dispatcher

import (
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

// TestFairLanes: k lanes of one class get equal shares of the messages, whatever a person of theirs costs.
func TestFairLanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Scheduler{}
		var flows []*Flow
		k := rapid.IntRange(2, 50).Draw(t, "lanes")
		for range k {
			flows = append(flows, flow(warning.Red, rankPublic, rapid.IntRange(1, 8).Draw(t, "cost")))
		}
		n := rapid.IntRange(8, 100).Draw(t, "turn")
		const total = 20_000
		got := drain(s, flows, n, total)
		// The promise is 1/k − 1 message of a second; a person's whole message is the grain.
		for i, f := range flows {
			if short := float64(total)/float64(k) - float64(got[f]); short > float64(n+2*8) {
				t.Fatalf("lane %d of %d got %d of %d messages, %.0f less than its share", i, k, got[f], total, short)
			}
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
