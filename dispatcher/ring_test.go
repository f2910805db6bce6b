package dispatcher

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/channels"
)

// TestContractRing: whatever is asked and whenever, no sliding second and guard holds more than the rate, and with a
// backlog the contract is used.
func TestContractRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 5000).Draw(t, "rate")
		guard := time.Duration(rapid.IntRange(0, 20).Draw(t, "guard")) * time.Millisecond
		r := NewRing(guard)
		now := time.Unix(1_800_000_000, 0)
		type send struct {
			at time.Time
			n  int
		}
		var sends []send
		for range rapid.IntRange(10, 400).Draw(t, "turns") {
			now = now.Add(time.Duration(rapid.IntRange(1, 30_000).Draw(t, "µs")) * time.Microsecond)
			n := min(r.Allow(now, rate), rapid.IntRange(0, 200).Draw(t, "want"))
			r.Add(now, n)
			sends = append(sends, send{now, n})
		}
		highest := 0
		for i := range sends {
			inWindow, inSecond := 0, 0
			for _, s := range sends[i:] {
				if s.at.Sub(sends[i].at) < time.Second+guard {
					inWindow += s.n
				}
				if s.at.Sub(sends[i].at) < time.Second {
					inSecond += s.n
				}
			}
			if inWindow > rate {
				t.Fatalf("%d messages within %v from turn %d, the rate is %d", inWindow, time.Second+guard, i, rate)
			}
			highest = max(highest, inSecond)
		}
		if r.Highest() < highest {
			t.Fatalf("the ring saw at most %d in a second, there were %d", r.Highest(), highest)
		}
	})
}

func TestRingUsesTheContract(t *testing.T) {
	const rate, guard = 1500, 5 * time.Millisecond
	r := NewRing(guard)
	start := time.Unix(1_800_000_000, 0)
	sent := 0
	for now := start; now.Before(start.Add(10 * time.Second)); now = now.Add(2 * time.Millisecond) {
		n := r.Allow(now, rate)
		r.Add(now, n)
		sent += n
	}
	if want := 0.998 * rate / (time.Second + guard).Seconds() * 10; float64(sent) < want {
		t.Fatalf("%d messages in 10 s, promised are %.0f", sent, want)
	}
}

// TestRingCountsLateMessagesLonger: with answers that tell how late each message was, no second at the carrier holds
// more than the rate, though the lateness is beyond the guard.
func TestRingCountsLateMessagesLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate, guard = 1500, 5 * time.Millisecond
		r := NewRing(guard)
		r.Fastest(3 * time.Millisecond)
		now := time.Unix(1_800_000_000, 0)
		type arrival struct {
			at time.Time
			n  int
		}
		var arrivals []arrival
		for range 1500 {
			now = now.Add(2 * time.Millisecond)
			n := min(r.Allow(now, rate), 4)
			if n == 0 {
				continue
			}
			r.Add(now, n)
			late := time.Duration(0)
			if rapid.IntRange(0, 20).Draw(t, "stall") == 0 {
				late = time.Duration(rapid.IntRange(0, 20).Draw(t, "ms")) * time.Millisecond
			}
			r.Answered(now, 3*time.Millisecond+late)
			arrivals = append(arrivals, arrival{now.Add(late), n})
		}
		slices.SortFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
		from, sum := 0, 0
		for _, a := range arrivals {
			sum += a.n
			for a.at.Sub(arrivals[from].at) >= time.Second {
				sum -= arrivals[from].n
				from++
			}
			if sum > rate {
				t.Fatalf("%d messages in a second at the carrier, the rate is %d", sum, rate)
			}
		}
	})
}

func TestRingObeysALowerRateAtOnce(t *testing.T) {
	r := NewRing(0)
	now := time.Unix(1_800_000_000, 0)
	r.Add(now, 100)
	if n := r.Allow(now.Add(500*time.Millisecond), 50); n != 0 {
		t.Fatalf("allowed %d, the running second has had 100 of 50", n)
	}
	if n := r.Allow(now.Add(time.Second), 50); n != 50 {
		t.Fatalf("allowed %d after the second, want 50", n)
	}
}

// TestFirstMessagesThatAreLateCountLonger: an owner begins while its machine is busy. All of its first messages are as late, so
// that nothing tells it before the faster ones that follow are answered; and its process comes to the answers with a delay.
func TestFirstMessagesThatAreLateCountLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate, guard, trip = 1500, 5 * time.Millisecond, 2 * time.Millisecond
		a := &account{opt: AccountOptions{Guard: guard}, ring: NewRing(guard)}
		busy := time.Duration(rapid.IntRange(0, 600).Draw(t, "busy ms")) * time.Millisecond
		late := time.Duration(rapid.IntRange(0, 20).Draw(t, "late ms")) * time.Millisecond
		behind := time.Duration(rapid.IntRange(0, 6).Draw(t, "behind ms")) * time.Millisecond
		began := time.Unix(1_800_000_000, 0)
		type answer struct {
			at time.Time
			o  channels.Outcome
		}
		var arrivals []time.Time
		var answers []answer
		for now := began; now.Before(began.Add(3 * time.Second)); now = now.Add(2 * time.Millisecond) {
			for len(answers) > 0 && !answers[0].at.After(now) {
				a.answered(&answers[0].o, answers[0].at)
				answers = answers[1:]
			}
			n := min(a.ring.Allow(now, rate), 4)
			if n == 0 {
				continue
			}
			a.ring.Add(now.Add(100*time.Microsecond), n)
			is := time.Duration(0)
			if now.Before(began.Add(busy)) {
				is = late
			}
			for range n {
				arrivals = append(arrivals, now.Add(is))
			}
			answers = append(answers, answer{now.Add(is + trip + behind), channels.Outcome{Sent: now, Took: is + trip}})
			slices.SortStableFunc(answers, func(a, b answer) int { return a.at.Compare(b.at) })
		}
		slices.SortFunc(arrivals, time.Time.Compare)
		from := 0
		for i := range arrivals {
			for arrivals[i].Sub(arrivals[from]) >= time.Second {
				from++
			}
			if n := i - from + 1; n > rate {
				t.Fatalf("%d messages in a second at the carrier %v after the first, the rate is %d", n, arrivals[i].Sub(began), rate)
			}
		}
	})
}
