package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/warning"
)

// TestPlanIsStoredAhead submits a large warning and releases it later: as it was prepared, when what was prepared is gone,
// and when the directory has changed in the last moment. Each time everybody of the newest directory is planned.
func TestPlanIsStoredAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 120_000
		h := newHouse(t, people, 1500)
		defer h.close()
		plan := func(text string, people int64, before func()) {
			t.Helper()
			w := h.submit(spec(warning.Red, text, ""))
			pass(10 * time.Second)
			before()
			asked := time.Now()
			w = h.release(w)
			pass(100 * time.Millisecond)
			if l := h.lane(w.ID); l.Planned != people {
				t.Errorf("%s: %d people are planned of %d", text, l.Planned, people)
			}
			for _, a := range h.c.log() {
				if a.text == text {
					if d := a.at.Sub(asked); d > 20*time.Millisecond {
						t.Errorf("%s: first message after %v", text, d)
					}
					break
				}
			}
			if _, _, err := h.e.Cancel(context.Background(), commander, "stop "+text, w.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
		plan("prepared", people, func() {})
		plan("gone", people, func() {
			if n := h.store.ForgetAhead(); n == 0 {
				t.Error("nothing was stored ahead")
			}
		})
		plan("moved", people+500, func() { h.town.grown.Store(newTown(people + 500)) })
	})
}

// TestTimesCountFromTheRelease: whoever looks at a warning that waits must not fix the time from which its ledgers count.
func TestTimesCountFromTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		h.usual() // whoever approves is rung while it waits
		w := h.submit(spec(warning.Orange, "waits", ""))
		pass(5 * time.Second)
		w = h.release(w)
		pass(5 * time.Second)
		who, err := h.e.Who(context.Background(), commander, number(3), "")
		if err != nil || len(who.Messages) != 1 {
			t.Fatalf("%+v, %v", who, err)
		}
		if d := who.Messages[0].HandedOver.Sub(w.ReleasedAt); d < 0 || d > time.Second {
			t.Errorf("handed over %v after the release", d)
		}
	})
}
