package dispatcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// both counts, for one text, how often each number got it by either carrier.
func (h *house) both(text string) map[uint64]int {
	got := complete(h.c.log(), text)
	for who, n := range complete(h.other.log(), text) {
		got[who] += n
	}
	return got
}

// TestADeadLinkIsLeft: whoever waits at an account without links goes by the other one after the configured time; nobody
// is lost and nobody is rung twice, by the logs of both carriers.
func TestADeadLinkIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 6000, 500)
		h.other = newCarrier()
		h.start()
		defer h.close()
		w := h.warn(spec(warning.Orange, "dead link", ""))
		pass(2 * time.Second)
		h.c.cut(true)
		pass(9 * time.Second)
		sent := len(h.c.log())
		if n := len(h.other.log()); n > 3200 {
			t.Fatalf("%d messages left by the other account within the time that the first one has", n)
		}
		pass(20 * time.Second)
		got := h.both("dead link")
		if len(got) != 6000 {
			t.Errorf("%d of 6000 people got it", len(got))
		}
		for who, n := range got {
			if n != 1 {
				t.Fatalf("%d got it %d times", who, n)
			}
		}
		if n := len(h.c.log()); n != sent {
			t.Errorf("%d messages left by a dead link", n-sent)
		}
		l := h.lane(w.ID)
		if l.Planned != 6000 || l.Counts[warning.Delivered] != 6000 || l.Counts.Sum() != 6000 || l.Rerouted < 1000 {
			t.Errorf("lane %+v", l)
		}
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("the warning is %v", s)
		}
	})
}

// TestAFailingCarrierIsLeftAndTriedAgain: an account whose answers are failures is left within its window, gets nothing
// for its stay, and then a little.
func TestAFailingCarrierIsLeftAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 500)
		h.other = newCarrier()
		h.start()
		defer h.close()
		h.c.answers(func(arrival) channels.Outcome {
			return channels.Outcome{Kind: channels.Retry, Reason: channels.SystemError}
		})
		w := h.warn(spec(warning.Orange, "errors", ""))
		pass(12 * time.Second)
		h.c.answers(nil)
		pass(10 * time.Second)
		if l := h.lane(w.ID); l.Counts[warning.Delivered] != 3000 || l.Planned != 3000 {
			t.Errorf("lane %+v", l)
		}
		for who, n := range complete(h.other.log(), "errors") {
			if n != 1 {
				t.Fatalf("%d got it %d times", who, n)
			}
		}
		before := len(h.c.log())
		h.warn(spec(warning.Orange, "second", ""))
		pass(10 * time.Second)
		if n := len(h.c.log()) - before; n != 0 {
			t.Errorf("%d messages of the next warning went by the account that was left", n)
		}
		pass(time.Minute)
		h.warn(spec(warning.Orange, "third", ""))
		pass(10 * time.Second)
		if n := len(complete(h.c.log(), "third")); n < 100 || n > 700 {
			t.Errorf("%d of 3000 people go by an account that is tried again; its share is a tenth of a half or more", n)
		}
	})
}

// TestWhoHasAPieceStaysWithTheCarrier: the carrier that is left has taken the first half of everybody's message and refuses
// the second for now. Nobody gets the first half again by the other one.
func TestWhoHasAPieceStaysWithTheCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const text = "half of a message" // two segments
		h := houseOf(t, 2000, 500)
		h.other = newCarrier()
		h.start()
		defer h.close()
		h.c.answers(func(a arrival) channels.Outcome {
			if a.segment == 1 {
				return channels.Outcome{Kind: channels.Retry, Reason: channels.SystemError}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		w := h.warn(spec(warning.Orange, text, ""))
		pass(15 * time.Second)
		h.c.answers(nil)
		pass(2 * time.Minute)
		first, moved := map[uint64]int{}, len(complete(h.other.log(), text))
		for _, a := range append(h.c.log(), h.other.log()...) {
			if a.text == text && a.segment == 0 {
				first[a.number]++
			}
		}
		for who, n := range first {
			if n != 1 {
				t.Fatalf("%d got the first half %d times", who, n)
			}
		}
		if l := h.lane(w.ID); len(first) != 2000 || moved < 1000 || l.Counts[warning.Delivered] != 2000 {
			t.Errorf("%d people have the first half, %d went by the other carrier: %+v", len(first), moved, l)
		}
	})
}

// TestOneAccountAloneKeepsItsPeople: where nobody else may carry them, people wait for their account.
func TestOneAccountAloneKeepsItsPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1000, 500)
		defer h.close()
		h.c.cut(true)
		w := h.warn(spec(warning.Orange, "alone", ""))
		pass(time.Minute)
		if l := h.lane(w.ID); l.Counts[warning.Waiting]+l.Counts[warning.Sending] != 1000 || l.Rerouted != 0 {
			t.Errorf("lane %+v", l)
		}
		h.c.cut(false)
		pass(10 * time.Second)
		if l := h.lane(w.ID); l.Counts[warning.Delivered] != 1000 {
			t.Errorf("lane %+v", l)
		}
	})
}

// TestKillWhileRoutesChange: the engine dies again and again while one carrier comes and goes.
func TestKillWhileRoutesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 9000, 300)
		h.other = newCarrier()
		h.start()
		w := h.warn(spec(warning.Orange, "torn", ""))
		const kills = 5
		for i := range kills {
			h.c.cut(i%2 == 0)
			pass(10*time.Second + time.Duration(i)*130*time.Millisecond)
			h.kill()
			h.start()
		}
		defer h.close()
		h.c.cut(true)
		pass(time.Minute)
		got := h.both("torn")
		repeats := 0
		for _, n := range got {
			repeats += n - 1
		}
		if len(got) != 9000 {
			t.Errorf("%d of 9000 people got it", len(got))
		}
		l := h.lane(w.ID)
		if l.Planned != 9000 || l.Counts.Sum() != 9000 || l.Counts[warning.Delivered] != 9000 {
			t.Errorf("lane %+v", l)
		}
		if l.PossibleRepeats < int64(repeats) {
			t.Errorf("the engine counted %d possible repeats, the carriers saw %d", l.PossibleRepeats, repeats)
		}
	})
}

// TestACancelReachesWhoWasMoved: the correction goes by the account that a person got the warning by.
func TestACancelReachesWhoWasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 2000, 500)
		h.other = newCarrier()
		h.start()
		defer h.close()
		s := spec(warning.Orange, "mistaken", "")
		s.Words = append(s.Words, warning.Words{Language: "zh-CN", Kind: warning.Cancel, Text: "it was not"})
		w := h.warn(s)
		pass(time.Second)
		h.c.cut(true)
		pass(20 * time.Second)
		_, correction, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		if correction.State != warning.Released {
			chief := approver
			chief.User = "other"
			if _, err := h.e.Approve(t.Context(), chief, "ok", correction.ID, correction.Version, correction.Digest, 0); err != nil {
				t.Fatal(err)
			}
		}
		pass(20 * time.Second)
		got := h.both("it was not")
		for who, n := range h.both("mistaken") {
			if n != 1 || got[who] != 1 {
				t.Fatalf("%d got the warning %d times and its correction %d times", who, n, got[who])
			}
		}
	})
}
