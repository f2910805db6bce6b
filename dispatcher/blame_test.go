package dispatcher_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

func bad(kind channels.Kind, why channels.Reason) channels.Outcome {
	return channels.Outcome{Kind: kind, Reason: why}
}

// health is the house's first account.
func (h *house) health() dispatcher.AccountHealth {
	h.t.Helper()
	all, err := h.e.Accounts(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return all[0]
}

// TestALaneWithNothingButErrorsHarmsNobody: beside a red whose words the carrier refuses and one that it throttles each
// time, a good red keeps its third of the contract, an orange comes next, and the carrier is neither slowed nor left.
func TestALaneWithNothingButErrorsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		h.c.answers(func(a arrival) channels.Outcome {
			switch a.text {
			case "throttled":
				return bad(channels.Retry, channels.Throttled)
			case "refused":
				return bad(channels.Refused, channels.SubmitFailed)
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		throttled := h.warn(spec(warning.Red, "throttled", ""))
		refused := h.warn(spec(warning.Red, "refused", ""))
		good := h.warn(spec(warning.Red, "good", ""))
		pass(50 * time.Millisecond)
		orange := h.warn(spec(warning.Orange, "orange", ""))
		pass(2 * time.Second)
		if a := h.health(); a.Slowed != 1 || a.Route.Share != 1 {
			t.Errorf("the account is slowed to %v and trusted with %v", a.Slowed, a.Route.Share)
		}
		pass(10 * time.Second) // 12,000 first messages take 8 s
		last, n := map[string]time.Time{}, 0
		for _, a := range h.c.log() {
			last[a.text] = a.at
			if a.text == "throttled" {
				n++
			}
		}
		// 75 were granted when that was known; then the floor each, for first tries and for others.
		if limit := 16 + 75 + 12*2*30; n > limit {
			t.Errorf("what the carrier throttles was tried %d times in 12 s, at most %d are asked", n, limit)
		}
		if d := last["good"].Sub(good.ReleasedAt); d > 6200*time.Millisecond {
			t.Errorf("the good red took %v, at a third of the contract it is 6 s", d)
		}
		for _, w := range []warning.Warning{good, orange} {
			if c := h.lane(w.ID).Counts; c[warning.Delivered] != 3000 {
				t.Errorf("%v: %v", w.Spec.Tier, c)
			}
		}
		if c := h.lane(refused.ID).Counts; c[warning.Refused] != 3000 {
			t.Errorf("refused: %v", c)
		}
		if c := h.lane(throttled.ID).Counts; c[warning.Waiting]+c[warning.Sending] != 3000 {
			t.Errorf("throttled: %v", c)
		}
		h.c.answers(nil) // and as soon as the carrier takes them, all go
		pass(20 * time.Second)
		if c := h.lane(throttled.ID).Counts; c[warning.Delivered] != 3000 {
			t.Errorf("the carrier takes them again: %v", c)
		}
	})
}

// TestACarrierThatThrottlesAllIsSlowed: with several lanes too; and one that fails all of them is left.
func TestACarrierThatThrottlesAllIsSlowed(t *testing.T) {
	for _, o := range []channels.Outcome{bad(channels.Retry, channels.Throttled), bad(channels.Retry, channels.QueueFull)} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, 3000, 1500)
			defer h.close()
			var n atomic.Int64
			h.c.answers(func(arrival) channels.Outcome { // nine of ten
				if n.Add(1)%10 == 0 {
					return channels.Outcome{Kind: channels.HandedOver}
				}
				return o
			})
			h.warn(spec(warning.Red, "one", ""))
			h.warn(spec(warning.Red, "another", ""))
			pass(2 * time.Second)
			a := h.health()
			if o.Reason == channels.Throttled && a.Slowed > 0.25 {
				t.Errorf("nine of ten are throttled, and the account is slowed to %v", a.Slowed)
			}
			if o.Reason == channels.QueueFull && a.Route.Share != 0 {
				t.Errorf("nine of ten fail, and the account is trusted with %v", a.Route.Share)
			}
		})
	}
}

// TestSmallLanesDoNotHideACarrierAtFault: no village has enough people to tell by its own answers that the carrier takes
// nothing, but all of them have; 50 answers are the fewest that anything is judged by. The same villages beside a lane
// that the carrier takes are not held against it.
func TestSmallLanesDoNotHideACarrierAtFault(t *testing.T) {
	throttled, full := bad(channels.Retry, channels.Throttled), bad(channels.Retry, channels.QueueFull)
	refused := bad(channels.Refused, channels.SubmitFailed)
	for _, c := range []struct {
		villages, people int
		good             bool // there is a lane that the carrier takes
		answer           channels.Outcome
		slowed, left     bool
	}{
		{villages: 5, people: 10, answer: throttled, slowed: true},
		{villages: 5, people: 10, answer: full, left: true},
		{villages: 50, people: 1, answer: full, left: true},
		{villages: 100, people: 10, answer: throttled, slowed: true},
		{villages: 100, people: 10, answer: refused, left: true},
		{villages: 5, people: 10, answer: throttled, good: true},
		{villages: 5, people: 10, answer: full, good: true},
		{villages: 5, people: 10, answer: refused, good: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, 3000, 1500)
			defer h.close()
			h.c.answers(func(a arrival) channels.Outcome {
				if a.text == "good" {
					return channels.Outcome{Kind: channels.HandedOver}
				}
				return c.answer
			})
			if c.good {
				h.warn(spec(warning.Red, "good", ""))
			}
			for i := range c.villages {
				h.warn(spec(warning.Red, fmt.Sprint("village ", i), fmt.Sprint("first ", c.people)))
			}
			pass(450 * time.Millisecond) // nobody was tried again yet
			slowed := h.health().Slowed
			pass(500 * time.Millisecond) // routes are judged as often
			share := h.health().Route.Share
			if (slowed < 1) != c.slowed || (share == 0) != c.left {
				t.Errorf("%+v: slowed to %v, trusted with %v", c, slowed, share)
			}
		})
	}
}

// TestADeadLinkLeavesTheContractToTheOthers: what hangs on it does not count as on its way, which is bounded.
func TestADeadLinkLeavesTheContractToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 12000, 1500)
		defer h.close()
		h.c.hangs(16, 1500)
		w := h.warn(spec(warning.Red, "dead link", ""))
		from := w.ReleasedAt.Add(2500 * time.Millisecond) // it dies after 1 s, and is silent for another one
		pass(6500 * time.Millisecond)
		n := 0
		for _, a := range h.c.log() {
			if a.at.After(from) {
				n++
			}
		}
		if n < 4*1480 {
			t.Errorf("%d messages in 4 s beside a dead link, the contract is 1500 a second", n)
		}
		h.c.hangs(0, 0)
	})
}
