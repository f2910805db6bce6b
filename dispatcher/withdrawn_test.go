package dispatcher_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// leave makes every third of the first 1,000 people unsubscribe.
func (h *house) leave() { h.town.now.Store(1000) }

// TestWhoHasLeftIsNotSentTo: who unsubscribes or is erased while the plan is being sent gets nothing from then on, and is
// counted as withdrawn; also with a higher tier that takes grants back, over a hold, and over a crash.
func TestWhoHasLeftIsNotSentTo(t *testing.T) {
	for name, between := range map[string]func(*house, warning.Warning){
		"while it is sent": func(*house, warning.Warning) {},
		"with a red beside it": func(h *house, _ warning.Warning) {
			h.warn(spec(warning.Red, "red text", "last 500"))
		},
		"over a hold": func(h *house, w warning.Warning) {
			pass(time.Second / 2)
			if _, err := h.e.Hold(context.Background(), approver, "hold", w.ID, "wait"); err != nil {
				h.t.Fatal(err)
			}
			pass(time.Second)
			if _, err := h.e.Release(context.Background(), commander, "go on", w.ID); err != nil {
				h.t.Fatal(err)
			}
		},
		"over a crash": func(h *house, _ warning.Warning) {
			pass(time.Second / 2)
			h.kill()
			h.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 2000, 200)
				defer func() { h.close() }()
				began := time.Now()
				var mu sync.Mutex
				have := map[uint64]bool{} // of those who left later
				h.c.answers(func(a arrival) channels.Outcome {
					if a.number%10 == 0 && a.at.Sub(began) < 4*time.Second { // to be sent to another time
						return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
					}
					mu.Lock()
					defer mu.Unlock()
					if i := int(a.number - number(0)); i < 1000 && i%3 == 0 && a.text == "evacuate" {
						have[a.number] = true
					}
					return channels.Outcome{Kind: channels.HandedOver}
				})
				w := h.warn(spec(warning.Orange, "evacuate", "first 1500"))
				pass(2 * time.Second)
				h.leave()
				left := time.Now().Add(leaversKnown)
				between(h, w)
				pass(20 * time.Second)
				for _, a := range h.c.log() {
					if i := int(a.number - number(0)); i < 1000 && i%3 == 0 && a.text == "evacuate" && a.at.After(left) {
						t.Fatalf("person %d left at %v and was sent to at %v", i, left, a.at)
					}
				}
				l := h.lane(w.ID)
				n, unknown := int(l.Counts[warning.Withdrawn])+len(have), int(l.Counts[warning.Unknown])
				if n > 334 || n+unknown < 334 || l.Counts.Sum() != 1500 || l.Counts[warning.Waiting] != 0 {
					t.Errorf("%v: %d were told before they left", l.Counts, len(have))
				}
				if s := h.state(w.ID); s != warning.Completed {
					t.Errorf("the warning is %v", s)
				}
			})
		})
	}
}

// leaversKnown is how long an owner may take to learn of a change.
const leaversKnown = 150 * time.Millisecond

// TestAWarningEndsWhenNobodyIsDue: the hand-off of somebody had no answer, and before it is made again they want no messages any more.
func TestAWarningEndsWhenNobodyIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		h.c.answers(func(arrival) channels.Outcome { return bad(channels.Unknown, channels.NoAnswer) })
		w := h.warn(spec(warning.Yellow, "end", "first 1"))
		pass(5 * time.Minute)
		h.leave()
		pass(10 * time.Minute)
		if s := h.state(w.ID); s != warning.Completed || len(h.c.log()) != 1 {
			t.Errorf("the warning is %v after %d hand-offs", s, len(h.c.log()))
		}
	})
}
