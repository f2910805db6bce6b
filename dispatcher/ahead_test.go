package dispatcher_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
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

// TestAPlanIsOfferedToItsAccounts: the first messages leave before their account has read anything, and who reads the strand
// later has it once. A hold that comes between is obeyed all the same.
func TestAPlanIsOfferedToItsAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 3000
		h := newHouse(t, people, 1500)
		defer h.close()
		unread := make(chan struct{})
		w := h.submit(spec(warning.Red, "offered", ""))
		pass(2 * time.Second)
		h.cut.mu.Lock()
		h.cut.load = unread
		h.cut.mu.Unlock()
		asked := time.Now()
		h.release(w)
		pass(40 * time.Millisecond)
		log := h.c.log()
		if len(log) == 0 {
			t.Fatal("nothing leaves before its account has read the plan")
		}
		if d := log[0].at.Sub(asked); d > 10*time.Millisecond {
			t.Errorf("first message after %v", d)
		}
		held := make(chan error, 1)
		go func() {
			_, err := h.e.Hold(context.Background(), forecaster, "hold", w.ID, "wrong river")
			held <- err
		}()
		pass(500 * time.Millisecond)
		if len(held) > 0 {
			t.Fatalf("the hold was answered (%v) before the account obeyed", <-held)
		}
		if n := len(h.c.log()); n > 200 { // what was granted before: 50 ms, and what was asked for with it
			t.Errorf("%d messages left of a held warning", n)
		}
		close(unread)
		if err := <-held; err != nil {
			t.Fatal(err)
		}
		n := len(h.c.log())
		pass(time.Second)
		if more := len(h.c.log()) - n; more > 0 {
			t.Errorf("%d messages left after the hold was answered", more)
		}
		if _, err := h.e.Release(context.Background(), approver, "go on", w.ID); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		for who, k := range complete(h.c.log(), "offered") {
			if k != 1 {
				t.Fatalf("%d got it %d times", who, k)
			}
		}
		if c := h.lane(w.ID).Counts; c[warning.Delivered] != people || c.Sum() != people {
			t.Errorf("%v", c)
		}
		if strands, _, _ := h.e.Held(); strands != 1 {
			t.Errorf("the account holds %d strands of one", strands)
		}
	})
}

// late answers a second after it has stored plans.
type late struct{ dispatcher.Records }

func (l late) PutPlans(ctx context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	done := l.Records.PutPlans(ctx, parts)
	pass(time.Second) // of the bubble
	return done
}

// TestAnOfferThatComesLateIsNotTaken: its account has read the strand already, and sends for it.
func TestAnOfferThatComesLateIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 3000
		h := houseOf(t, people, 1500)
		h.start(func(o *dispatcher.Options) { o.Records = late{o.Records} })
		defer h.close()
		w := h.warn(spec(warning.Red, "late", ""))
		pass(8 * time.Second)
		if _, places, _ := h.e.Held(); places != 1 {
			t.Errorf("the account holds a strand %d times", places)
		}
		if n := len(h.c.log()); n != people {
			t.Errorf("%d messages left for %d people", n, people)
		}
		if c := h.lane(w.ID).Counts; c[warning.Delivered] != people || c.Sum() != people {
			t.Errorf("%v", c)
		}
	})
}

// fences is a queue whose next heartbeat says that another process owns the account.
type fences struct {
	dispatcher.Queue
	now atomic.Bool
}

func (f *fences) Beat(ctx context.Context, of dispatcher.Fence) (dispatcher.Signal, error) {
	if f.now.CompareAndSwap(true, false) {
		return dispatcher.Signal{}, dispatcher.ErrFenced
	}
	return f.Queue.Beat(ctx, of)
}

// TestAnOfferToWhoTakesOverIsNotTaken: the account is lost while a plan is stored, and gets what others did of it with what
// it reads as it begins again.
func TestAnOfferToWhoTakesOverIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 3000
		h := houseOf(t, people, 1500)
		q := &fences{}
		h.start(func(o *dispatcher.Options) {
			q.Queue, o.Records = o.Queue, late{o.Records}
			o.Queue = q
		})
		defer h.close()
		w := h.submit(spec(warning.Red, "lost", ""))
		unread := make(chan struct{})
		h.cut.mu.Lock()
		h.cut.load = unread
		h.cut.mu.Unlock()
		q.now.Store(true)
		h.release(w)
		pass(3 * time.Second) // the plan is stored and offered, and the account not yet its own again
		if n := len(h.c.log()); n > 0 {
			t.Errorf("%d messages left of an account that is not owned", n)
		}
		close(unread)
		pass(8 * time.Second)
		if _, places, _ := h.e.Held(); places != 1 {
			t.Errorf("the account holds a strand %d times", places)
		}
		for who, k := range complete(h.c.log(), "lost") {
			if k != 1 {
				t.Fatalf("%d got it %d times", who, k)
			}
		}
		if c := h.lane(w.ID).Counts; c[warning.Delivered] != people || c.Sum() != people {
			t.Errorf("%v", c)
		}
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
