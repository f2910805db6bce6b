package dispatcher_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

func TestWayOfAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 5000, 1500)
		defer h.close()
		const text = "Heavy rain, two parts"
		w := h.warn(spec(warning.Orange, text, ""))
		pass(11 * time.Second)
		log := h.c.log()
		if d := log[0].at.Sub(w.ReleasedAt); d > 20*time.Millisecond {
			t.Errorf("first message %v after release, promised are 20 ms", d)
		}
		if n := complete(log, text); len(n) != 5000 || len(log) != 15000 {
			t.Errorf("%d people got it in %d messages, want 5000 in 15000", len(n), len(log))
		}
		if n := highest(log); n > 1500 {
			t.Errorf("%d messages in a second, the contract is 1500", n)
		}
		if took := log[len(log)-1].at.Sub(log[0].at).Seconds(); 15000/took < 0.998*1500/1.005-50 {
			t.Errorf("%.0f messages/s of 1500", 15000/took)
		}
		// Responsible persons went first.
		for i, a := range log[:3*50] {
			if (a.number-number(0))%100 != 99 {
				t.Fatalf("message %d went to somebody of the public", i)
			}
		}
		if l := h.lane(w.ID); l.Counts[warning.Delivered] != 5000 || l.Planned != 5000 {
			t.Errorf("lane %+v", l)
		}
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("the warning is %v", s)
		}
	})
}

func TestRedOvertakesABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 20000, 1500)
		defer h.close()
		h.c.takes(50 * time.Millisecond)
		h.warn(spec(warning.Blue, "blue text", ""))
		pass(2 * time.Second)
		w := h.warn(spec(warning.Red, "red text", "first 3000"))
		pass(4 * time.Second)
		var first time.Time
		blue := 0
		for _, a := range h.c.log() {
			switch {
			case a.text == "red text" && first.IsZero():
				first = a.at
			case a.text != "red text" && !first.IsZero() && a.at.Before(first.Add(time.Second)):
				blue++
			}
		}
		if d := first.Sub(w.ReleasedAt); d > 20*time.Millisecond {
			t.Errorf("first red %v after release, promised are 20 ms", d)
		}
		if blue < 20 || blue > 45 {
			t.Errorf("%d blue messages in the first second of the red; the floor is 2 %% of 1500", blue)
		}
		if n := complete(h.c.log(), "red text"); len(n) != 3000 {
			t.Errorf("%d people got the red", len(n))
		}
	})
}

func TestHoldStopsAndReleaseGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "held text", ""))
		pass(time.Second)
		ctx := context.Background()
		asked := time.Now()
		if _, err := h.e.Hold(ctx, forecaster, "hold", w.ID, "wrong river"); err != nil {
			t.Fatal(err)
		}
		answered := time.Now()
		if d := answered.Sub(asked); d > 100*time.Millisecond {
			t.Errorf("hold answered after %v, promised are 100 ms", d)
		}
		n := len(h.c.log())
		pass(5 * time.Second)
		if m := len(h.c.log()); m != n {
			t.Errorf("%d messages left after the hold was answered", m-n)
		}
		if c := h.lane(w.ID).Counts; c[warning.Waiting] != int64(6000-n) || c[warning.Delivered] != int64(n) {
			t.Errorf("held: %v, sent %d", c, n)
		}
		if w, err := h.e.Get(ctx, w.ID); err != nil || len(w.Holds) != 1 || w.Holds[0].From.Before(asked.Add(-time.Millisecond)) || w.Holds[0].From.After(answered) || !w.Holds[0].To.IsZero() {
			t.Errorf("held between %v and %v, and the record says %v, %v", asked, answered, w.Holds, err)
		}
		if w, err := h.e.Release(ctx, approver, "release", w.ID); err != nil || len(w.Holds) != 1 || w.Holds[0].To.Sub(w.Holds[0].From) < 5*time.Second {
			t.Fatalf("released: the record says %v, %v", w.Holds, err)
		}
		pass(6 * time.Second)
		for who, k := range complete(h.c.log(), "held text") {
			if k != 1 {
				t.Fatalf("%d got it %d times", who, k)
			}
		}
		if c := h.lane(w.ID).Counts; c[warning.Delivered] != 6000 {
			t.Errorf("after release: %v", c)
		}
	})
}

// TestAHoldAskedForAgainWaitsToo: the second answer is worth what the first would have been, had its caller stayed.
func TestAHoldAskedForAgainWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "held text", ""))
		pass(time.Second)
		h.silence(true) // the owner of the account cannot say that it has obeyed
		defer h.silence(false)
		answers := make(chan error, 2)
		for range cap(answers) {
			go func() {
				_, err := h.e.Hold(context.Background(), forecaster, "hold", w.ID, "wrong river")
				answers <- err
			}()
			pass(50 * time.Millisecond)
			if len(answers) > 0 {
				t.Fatalf("answered (%v) before the owner obeyed", <-answers)
			}
		}
		h.silence(false)
		for range cap(answers) {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCancelDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "mistake", ""))
		pass(time.Second)
		if _, _, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		n := len(h.c.log())
		pass(3 * time.Second)
		if m := len(h.c.log()); m != n {
			t.Errorf("%d messages left after the cancel was answered", m-n)
		}
		c := h.lane(w.ID).Counts
		if c[warning.CancelledIn] != int64(6000-n) || c[warning.Delivered] != int64(n) || c.Sum() != 6000 {
			t.Errorf("%v, sent %d", c, n)
		}
	})
}

func TestNothingLeavesAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		s := spec(warning.Orange, "short", "")
		s.Expires = time.Now().Add(2 * time.Second).UTC()
		w := h.warn(s)
		pass(5 * time.Second)
		log := h.c.log()
		if last := log[len(log)-1].at; !last.Before(s.Expires) {
			t.Errorf("a message left %v after the end of validity", last.Sub(s.Expires))
		}
		c := h.lane(w.ID).Counts
		if c[warning.ExpiredOut] != int64(6000-len(log)) || h.state(w.ID) != warning.Expired {
			t.Errorf("%v, sent %d, the warning is %v", c, len(log), h.state(w.ID))
		}
	})
}

// TestKill: whatever is under way when the engine dies, nobody is lost, and repeats stay within open windows and 100 ms
// of sending (promise 3).
func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 9000, 1500)
		w := h.warn(spec(warning.Orange, "killed", ""))
		const kills = 4
		for range kills {
			pass(700*time.Millisecond + time.Duration(h.ids.Epoch("mobile"))*7*time.Millisecond)
			h.kill()
			h.start()
		}
		defer h.close()
		pass(12 * time.Second)
		got := complete(h.c.log(), "killed")
		repeats := 0
		for _, k := range got {
			repeats += k - 1
		}
		if len(got) != 9000 {
			t.Errorf("%d of 9000 people got it", len(got))
		}
		if most := kills * (h.c.window + 150); repeats > most {
			t.Errorf("%d repeats after %d kills, promised are at most %d", repeats, kills, most)
		}
		l := h.lane(w.ID)
		if l.Counts.Sum() != 9000 || l.Counts[warning.Delivered] != 9000 {
			t.Errorf("lane %+v", l)
		}
		if l.PossibleRepeats < int64(repeats) {
			t.Errorf("the engine counted %d possible repeats, the carrier saw %d", l.PossibleRepeats, repeats)
		}
		if n := highest(h.c.log()); n > 1500 {
			t.Errorf("%d messages in a second across restarts, the contract is 1500", n)
		}
	})
}

// TestAnswers is the table of what a carrier may answer and where the person stands in the end.
func TestAnswers(t *testing.T) {
	once := func(o channels.Outcome) func(map[uint64]bool, arrival) channels.Outcome {
		return func(seen map[uint64]bool, a arrival) channels.Outcome {
			if seen[a.number] {
				return channels.Outcome{Kind: channels.HandedOver}
			}
			seen[a.number] = true
			return o
		}
	}
	always := func(o channels.Outcome) func(map[uint64]bool, arrival) channels.Outcome {
		return func(map[uint64]bool, arrival) channels.Outcome { return o }
	}
	for name, c := range map[string]struct {
		answer func(map[uint64]bool, arrival) channels.Outcome
		tier   warning.Tier
		want   warning.PersonState
		hands  int // hand-offs a person
	}{
		"throttled once":                {once(bad(channels.Retry, channels.Throttled)), warning.Orange, warning.Delivered, 2},
		"queue full once":               {once(bad(channels.Retry, channels.QueueFull)), warning.Orange, warning.Delivered, 2},
		"always a system error":         {always(bad(channels.Retry, channels.SystemError)), warning.Orange, warning.Refused, 11},
		"bad number":                    {always(bad(channels.Refused, channels.BadNumber)), warning.Orange, warning.Refused, 1},
		"no answer once, orange":        {once(bad(channels.Unknown, channels.NoAnswer)), warning.Orange, warning.Delivered, 2},
		"no answer once, yellow":        {once(bad(channels.Unknown, channels.NoAnswer)), warning.Yellow, warning.Delivered, 2},
		"never an answer, yellow":       {always(bad(channels.Unknown, channels.NoAnswer)), warning.Yellow, warning.Unknown, 2},
		"never an answer, red: bounded": {always(bad(channels.Unknown, channels.NoAnswer)), warning.Red, warning.Unknown, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 50, 1500)
				defer h.close()
				seen := map[uint64]bool{}
				var mu sync.Mutex
				h.c.answers(func(a arrival) channels.Outcome {
					mu.Lock()
					defer mu.Unlock()
					return c.answer(seen, a)
				})
				w := h.warn(spec(c.tier, "one part", ""))
				pass(15 * time.Minute)
				l := h.lane(w.ID)
				if l.Counts[c.want] != 50 {
					t.Errorf("%v, want 50 %v", l.Counts, c.want)
				}
				if n := len(h.c.log()); n != 50*c.hands {
					t.Errorf("%d hand-offs, want %d", n, 50*c.hands)
				}
				if s := h.state(w.ID); s != warning.Completed {
					t.Errorf("the warning is %v", s)
				}
			})
		})
	}
}

// TestSmallBehindLarge: lanes of one class are fair to each other.
func TestSmallBehindLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 30000, 1500)
		defer h.close()
		h.warn(spec(warning.Red, "large", ""))
		pass(3 * time.Second)
		w := h.warn(spec(warning.Red, "small", "first 1000"))
		pass(4 * time.Second)
		var last time.Time
		for _, a := range h.c.log() {
			if a.text == "small" {
				last = a.at
			}
		}
		alone := 1000.0 / 1500
		if took := last.Sub(w.ReleasedAt).Seconds(); took > 2.2*alone {
			t.Errorf("the small one took %.2f s, alone it takes %.2f s", took, alone)
		}
		if n := complete(h.c.log(), "small"); len(n) != 1000 {
			t.Errorf("%d people got the small one", len(n))
		}
	})
}

// TestPausedAccountKeepsItsPeople: a strand that its owner has not written about yet has everybody waiting.
func TestPausedAccountKeepsItsPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		ctx := context.Background()
		engineer := dispatcher.Caller{User: "gong", Role: warning.Engineer}
		if _, err := h.e.Pause(ctx, engineer, "pause", "mobile", "maintenance"); err != nil {
			t.Fatal(err)
		}
		w := h.warn(spec(warning.Red, "paused", ""))
		pass(5 * time.Second)
		if s, n := h.state(w.ID), len(h.c.log()); s != warning.Released || n != 0 {
			t.Fatalf("the warning is %v, %d messages left a paused account", s, n)
		}
		if c := h.lane(w.ID).Counts; c[warning.Waiting] != 100 {
			t.Fatalf("%v, want everybody waiting", c)
		}
		if _, err := h.e.Resume(ctx, engineer, "resume", "mobile"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if c := h.lane(w.ID).Counts; c[warning.Delivered] != 100 {
			t.Fatalf("%v after the account went on", c)
		}
	})
}

func TestWhoIsNearestToTheFocusIsToldFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 5000, 1500)
		defer h.close()
		s := spec(warning.Orange, "Dam", "")
		s.Focus = &warning.Focus{Points: []warning.Point{{3, 30}}, CRS: "wgs84"} // the town orders by it from its fourth block
		h.warn(s)
		pass(5 * time.Second)
		log := h.c.log()
		if len(log) != 5000 {
			t.Fatalf("%d messages", len(log))
		}
		seen, last := -1, -1
		for _, a := range log[50:] { // behind the responsible persons
			block := int(a.number-number(0)) / warning.BlockSize
			if block == last {
				continue
			}
			if want := (seen + 1 + 3) % 5; block != want {
				t.Fatalf("block %d comes where block %d should", block, want)
			}
			seen, last = seen+1, block
		}
	})
}
