package dispatcher_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// Recall gives back what the carrier keeps.
func (l *link) Recall(_ context.Context, batch []channels.Message) (asked int, gone []channels.Segment) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, m := range batch {
		asked++
		if i := slices.IndexFunc(l.c.kept, func(s channels.Segment) bool { return s.Token == m.Token }); i >= 0 {
			gone = append(gone, l.c.kept[i])
			l.c.kept, l.c.owed = slices.Delete(l.c.kept, i, i+1), slices.Delete(l.c.owed, i, i+1)
		}
	}
	return asked, gone
}

// hold makes the carrier keep what it takes from now on, or deliver it.
func (c *carrier) hold(keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep = keep
}

// TestACancelTakesBackWhatTheCarrierHolds: of a warning that is being sent and of one that is complete; who had it is not
// touched, and the report counts both.
func TestACancelTakesBackWhatTheCarrierHolds(t *testing.T) {
	for name, after := range map[string]time.Duration{"being sent": 700 * time.Millisecond, "complete": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 1500, 1000)
				defer h.close()
				w := h.warn(spec(warning.Orange, "mistake", ""))
				pass(300 * time.Millisecond)
				h.c.hold(true)
				pass(after)
				if name == "complete" && h.state(w.ID) != warning.Completed {
					t.Fatalf("the warning is %v", h.state(w.ID))
				}
				before := h.lane(w.ID).Counts
				if _, _, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake"); err != nil {
					t.Fatal(err)
				}
				pass(3 * time.Second)
				l := h.lane(w.ID)
				held := l.RecallAsked
				if held < before[warning.HandedOver] || held > before[warning.HandedOver]+20 || l.Recalled != held || held == 0 {
					t.Errorf("%d were with the carrier, %d asked for, %d given back", before[warning.HandedOver], l.RecallAsked, l.Recalled)
				}
				if l.Counts[warning.Undelivered] != held || l.Counts[warning.HandedOver] != 0 || l.Counts[warning.Delivered] != before[warning.Delivered] {
					t.Errorf("before %v, after %v", before, l.Counts)
				}
				if n := len(h.c.kept); n != 0 {
					t.Errorf("the carrier still holds %d", n)
				}
			})
		})
	}
}
