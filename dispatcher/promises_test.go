package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestSendingStopsWhenTheStoreIsSilent: what was granted leaves, some 50 ms of the rate, and then nothing; when the
// store answers again everybody gets the warning once (promise 3).
func TestSendingStopsWhenTheStoreIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "silent", ""))
		pass(time.Second)
		before := len(h.c.log())
		h.silence(true)
		pass(10 * time.Second)
		if n := len(h.c.log()) - before; n > 150 {
			t.Errorf("%d messages left while the store was silent", n)
		}
		h.silence(false)
		pass(10 * time.Second)
		if got := complete(h.c.log(), "silent"); len(got) != 6000 || len(h.c.log()) != 6000 {
			t.Errorf("%d people got it in %d messages", len(got), len(h.c.log()))
		}
		if l := h.lane(w.ID); l.Counts[warning.Delivered] != 6000 {
			t.Errorf("lane %+v", l)
		}
	})
}

// silence makes the store answer no commit.
func (h *house) silence(on bool) {
	h.cut.mu.Lock()
	h.cut.dead = on
	h.cut.mu.Unlock()
}

// TestDispatchIsHealthyWhileItProgresses: slow with work due, well without (promise 12).
func TestDispatchIsHealthyWhileItProgresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 9000, 1500)
		defer h.close()
		ctx := context.Background()
		well := func(when string, want bool) {
			t.Helper()
			if err := h.e.WellDispatch(ctx); (err == nil) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
		well("nothing is due", true)
		h.warn(spec(warning.Orange, "healthy", ""))
		pass(3 * time.Second)
		well("at the contract", true)
		h.c.mu.Lock()
		h.c.window = 0 // the carrier takes nothing any more
		h.c.mu.Unlock()
		for range 25 { // asked once a second, as a monitor does
			pass(time.Second)
			_ = h.e.WellDispatch(ctx)
		}
		well("the carrier takes nothing", false)
		if err := h.e.WellIntake(ctx); err != nil {
			t.Errorf("intake has nothing to do with it: %v", err)
		}
		h.c.mu.Lock()
		h.c.window = 160
		h.c.mu.Unlock()
		pass(10 * time.Second)
		well("all are told", true)
	})
}

// TestAGrownHeadCountIsAskedFor submits, lets people move in, and approves (promise 6).
func TestAGrownHeadCountIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1000, 1500)
		defer h.close()
		ctx := context.Background()
		submit := func(tier warning.Tier) warning.Warning {
			w, _, err := h.e.Submit(ctx, forecaster, tier.String(), dispatcher.Submission{Spec: spec(tier, tier.String(), "")})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		approve := func(w warning.Warning, key string, people int64) error {
			_, err := h.e.Approve(ctx, approver, key, w.ID, w.Version, w.Digest, people)
			return err
		}
		few, orange, red := submit(warning.Yellow), submit(warning.Orange), submit(warning.Red)
		h.town.grown.Store(newTown(1100))
		if err := approve(few, "few", 0); err != nil {
			t.Errorf("ten in a hundred more: %v", err)
		}
		pass(5 * time.Second)
		h.town.grown.Store(newTown(1101))
		err := approve(orange, "orange", 0)
		var refused *warning.Error
		if !errors.As(err, &refused) || refused.Violations[0].Rule != "approve.people.grown" ||
			!strings.Contains(err.Error(), "1101") || !strings.Contains(err.Error(), "1000") {
			t.Errorf("got %v", err)
		}
		if s := h.state(orange.ID); s != warning.Submitted {
			t.Errorf("the warning is %v", s)
		}
		if err := approve(orange, "orange with count", 1101); err != nil {
			t.Errorf("with the count: %v", err)
		}
		if err := approve(red, "red", 0); err != nil {
			t.Errorf("a red: %v", err)
		}
		pass(5 * time.Second)
	})
}

// TestAStopInOrderFinishesItsCommit stops the engine while a commit is under way: what is in it is neither lost nor
// taken to be unknown (promise 3).
func TestAStopInOrderFinishesItsCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		w := h.warn(spec(warning.Orange, "stopped", ""))
		pass(500 * time.Millisecond)
		h.cut.mu.Lock()
		h.cut.slow = 30 * time.Millisecond
		h.cut.mu.Unlock()
		pass(310 * time.Millisecond)
		h.close()
		h.start()
		defer h.close()
		pass(10 * time.Second)
		if n, got := len(h.c.log()), complete(h.c.log(), "stopped"); n != 3000 || len(got) != 3000 {
			t.Errorf("%d people got it in %d messages", len(got), n)
		}
		if l := h.lane(w.ID); l.PossibleRepeats != 0 || l.Counts[warning.Delivered] != 3000 {
			t.Errorf("lane %+v", l)
		}
	})
}

// TestWhoHasApprovedIsEnoughWhenFewerAreAsked lowers the approvals of a policy while a warning waits for its second one.
func TestWhoHasApprovedIsEnoughWhenFewerAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		h.policy.Approvals[warning.Red] = 2
		w := h.submit(spec(warning.Red, "two", ""))
		approve := func(key string) (warning.Warning, error) {
			return h.e.Approve(t.Context(), approver, key, w.ID, w.Version, w.Digest, 0)
		}
		if got, err := approve("first"); err != nil || got.State != warning.Submitted {
			t.Fatalf("%v: %v", got.State, err)
		}
		if _, err := approve("again"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("the same person is two: %v", err)
		}
		h.policy.Approvals[warning.Red] = 1
		if got, err := approve("enough"); err != nil || got.State != warning.Released || len(got.ApprovedBy) != 1 {
			t.Errorf("%v by %v: %v", got.State, got.ApprovedBy, err)
		}
	})
}
