package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
	"tocsin/warning"
)

// planStore is a store that can be made to keep plans waiting, and to fail.
type planStore struct {
	*memstore.Store

	mu       sync.Mutex
	together [][]string               // warnings whose plans came in one go
	hung     chan struct{}            // no plan is stored before it is closed; nil: at once
	slow     map[string]chan struct{} // nor are the batches of these warnings
	fails    map[string]error         // once, by warning
	lost     bool                     // plans are stored, and their answers do not come
	dead     bool                     // the process was killed: nothing of it reaches the store any more
}

var errStore = errors.New("the store fails")

// on is a house over such a store.
func (s *planStore) on(t *testing.T, people int) *house {
	h := houseOf(t, people, 1500)
	s.Store = h.store
	h.start(func(o *dispatcher.Options) { o.Records = s })
	return h
}

func (s *planStore) PutBatches(ctx context.Context, id string, strands []dispatcher.Strand) error {
	s.mu.Lock()
	slow := s.slow[id]
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
	return s.Store.PutBatches(ctx, id, strands)
}

func (s *planStore) PutPlans(ctx context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	out := make([]dispatcher.Stored, len(parts))
	if len(parts) == 0 {
		return out
	}
	var ids []string
	for _, p := range parts {
		ids = append(ids, p.Plan.Warning)
	}
	s.mu.Lock()
	s.together = append(s.together, ids)
	hung := s.hung
	s.mu.Unlock()
	if hung != nil {
		<-hung
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range parts {
		if out[i].Err = s.fails[p.Plan.Warning]; s.dead {
			out[i].Err = errCut
		} else if out[i].Err == nil {
			out[i] = s.Store.PutPlans(ctx, parts[i:i+1])[0]
		}
		if delete(s.fails, p.Plan.Warning); s.lost && out[i].Err == nil {
			out[i] = dispatcher.Stored{Err: errCut}
		}
	}
	return out
}

// set changes how the store behaves.
func (s *planStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// groups is what has come together so far, each group sorted.
func (s *planStore) groups() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.together {
		slices.Sort(g)
	}
	return slices.Clone(s.together)
}

// got fails where a text did not reach so many people once each.
func (h *house) got(text string, people int) {
	h.t.Helper()
	got := complete(h.c.log(), text)
	for who, n := range got {
		if n != 1 {
			h.t.Fatalf("%q: %d has it %d times", text, who, n)
		}
	}
	if len(got) != people {
		h.t.Errorf("%q: %d people have it, want %d", text, len(got), people)
	}
}

// TestPlansStoredTogetherAreEachTheirOwn: while the plan of one warning is on its way to the store the plans of others
// gather. Of these one is cancelled, one held, the batches of one are gone, and the store fails for one. The held one is
// told after its release, the cancelled one never, and the rest waits for none of them.
func TestPlansStoredTogetherAreEachTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const few, all = 200, 20_000
		s := &planStore{hung: make(chan struct{})}
		h := s.on(t, all)
		defer h.close()
		ctx := context.Background()
		warned := map[string]warning.Warning{}
		warn := func(text, area string) { warned[text] = h.warn(spec(warning.Red, text, area)) }
		warn("first", "first 200")
		pass(20 * time.Millisecond)
		fine := []string{"fine 1", "fine 2", "fine 3", "fine 4", "fine 5", "fine 6", "fine 7", "fine 8"}
		for _, text := range append(slices.Clone(fine), "held", "cancelled", "failing") {
			warn(text, "first 200")
		}
		warn("gone", "")
		pass(20 * time.Millisecond)
		if _, err := h.e.Hold(ctx, forecaster, "hold", warned["held"].ID, "wrong river"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.e.Cancel(ctx, approver, "cancel", warned["cancelled"].ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		if n := h.store.ForgetAhead(); n == 0 {
			t.Fatal("no batches went before the heads")
		}
		s.set(func() { s.fails = map[string]error{warned["failing"].ID: errStore} })
		if n := len(h.c.log()); n > 0 {
			t.Errorf("%d messages left before a plan was stored", n)
		}
		close(s.hung)
		answered := time.Now()
		pass(100 * time.Millisecond)

		first := warned["first"].ID
		var rest []string
		for _, w := range warned {
			if w.ID != first {
				rest = append(rest, w.ID)
			}
		}
		slices.Sort(rest)
		if g := s.groups(); len(g) < 2 || !slices.Equal(g[0], []string{first}) || !slices.Equal(g[1], rest) {
			t.Errorf("plans came together as %q, want the first alone and all others after it", g)
		}
		for _, text := range append(fine, "first") {
			if l := h.lane(warned[text].ID); l.Planned != few {
				t.Errorf("%q: %d people are planned 100 ms after the store answered", text, l.Planned)
			}
		}
		if l := h.lane(warned["gone"].ID); l.Planned != all {
			t.Errorf("whose batches were gone: %d people are planned 100 ms after the store answered", l.Planned)
		}
		left := map[string]bool{}
		for _, a := range h.c.log() {
			left[a.text] = true
		}
		for _, text := range append(fine, "first", "gone") {
			if !left[text] {
				t.Errorf("%q: nothing has left %v after the store answered", text, time.Since(answered))
			}
		}
		pass(20 * time.Second)
		for _, text := range append(fine, "first", "failing") {
			h.got(text, few)
		}
		h.got("gone", all)
		h.got("held", 0)
		h.got("cancelled", 0)
		if _, err := h.e.Release(ctx, approver, "release", warned["held"].ID); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		h.got("held", few)
		h.got("cancelled", 0)
		if st := h.state(warned["held"].ID); st != warning.Completed {
			t.Errorf("what was held is %v", st)
		}
	})
}

// TestASmallPlanDoesNotWaitForALargeOne: the batches of a large plan are megabytes; a small red passes them by.
func TestASmallPlanDoesNotWaitForALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &planStore{slow: map[string]chan struct{}{}}
		h := s.on(t, 20_000)
		defer h.close()
		large := h.submit(spec(warning.Red, "large", ""))
		arrived := make(chan struct{})
		arrive := sync.OnceFunc(func() { close(arrived) })
		defer arrive() // also where the test fails: the house is closed when nothing is under way
		s.set(func() { s.slow[large.ID] = arrived })
		h.release(large)
		pass(time.Second)
		small := h.warn(spec(warning.Red, "small", "first 100"))
		pass(time.Second)
		log := h.c.log()
		if len(log) == 0 {
			t.Fatal("the small one waits for the large one")
		}
		if d := log[0].at.Sub(small.ReleasedAt); d > 20*time.Millisecond {
			t.Errorf("first message %v after release, promised are 20 ms", d)
		}
		h.got("small", 100)
		h.got("large", 0)
		arrive()
		pass(15 * time.Second)
		h.got("large", 20_000)
	})
}

// TestMoreAreReleasedThanArePlannedAtOnce: with a store that hangs, acts are answered all the same, and everybody is told
// when it comes back.
func TestMoreAreReleasedThanArePlannedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const k = 100 // some 64 are planned at once
		s := &planStore{hung: make(chan struct{})}
		h := s.on(t, 100)
		defer h.close()
		for i := range k {
			h.warn(spec(warning.Red, fmt.Sprint("red ", i), "first 20"))
		}
		pass(5 * time.Second)
		close(s.hung)
		pass(10 * time.Second)
		for i := range k {
			h.got(fmt.Sprint("red ", i), 20)
		}
	})
}

// TestACrashBetweenReleaseAndPlan: what only the memory of a process knew is planned by the next one, and as it would
// have been; what was stored without an answer is stored once.
func TestACrashBetweenReleaseAndPlan(t *testing.T) {
	for name, stored := range map[string]bool{"before the plan is stored": false, "before its answer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &planStore{}
				h := s.on(t, 500)
				calm := h.warn(spec(warning.Orange, "calm", "first 300"))
				pass(2 * time.Second)
				s.set(func() { s.hung = make(chan struct{}) })
				w := h.warn(spec(warning.Orange, "crash", "first 300"))
				other := h.warn(spec(warning.Orange, "other", "first 200"))
				pass(50 * time.Millisecond)
				s.set(func() { s.lost, s.dead = stored, !stored })
				close(s.hung)
				pass(50 * time.Millisecond) // the engine itself may try again
				if !stored {
					h.got("crash", 0)
				}
				h.kill()
				s.set(func() { s.lost, s.dead, s.hung = false, false, nil })
				h.start(func(o *dispatcher.Options) { o.Records = s })
				defer h.close()
				pass(10 * time.Second)
				for _, warned := range []warning.Warning{calm, w, other} {
					if st := h.state(warned.ID); st != warning.Completed {
						t.Errorf("%q is %v", warned.Spec.Words[0].Text, st)
					}
				}
				ctx := context.Background()
				if l := h.lane(w.ID); l.Planned != 300 || l.Counts[warning.Delivered] != 300 {
					t.Errorf("crash: %+v", l)
				}
				h.got("calm", 300)
				a, _, err := h.store.PlanOf(ctx, calm.ID)
				b, _, wrong := h.store.PlanOf(ctx, w.ID)
				if err := errors.Join(err, wrong); err != nil {
					t.Fatal(err)
				}
				if fmt.Sprintf("%+v", figures(a)) != fmt.Sprintf("%+v", figures(b)) {
					t.Errorf("planned from memory %+v, from the store %+v", figures(a), figures(b))
				}
			})
		})
	}
}

// figures is a plan without what names its warning.
func figures(p dispatcher.Plan) dispatcher.Plan {
	p.Warning = ""
	p.Strands = slices.Clone(p.Strands)
	for i := range p.Strands {
		p.Strands[i].Warning, p.Strands[i].ID = "", 0
	}
	return p
}
