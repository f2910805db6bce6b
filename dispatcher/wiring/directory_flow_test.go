package wiring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/geofence"
	"tocsin/warning"
)

// TestEveryKindOfChangeReachesTheOtherProcessAndNoPlan: what one process takes in, another that only follows the store
// sees: a new number, a move, no more messages, an erasure. The snapshot that a plan names stays what it was through all of
// them and through sweeps, for both and for a process that begins; who of it may not be told any more is named.
func TestEveryKindOfChangeReachesTheOtherProcessAndNoPlan(t *testing.T) {
	r := newRealm(t)
	one, two := r.process(), r.process()
	mustImport(t, one, "i", people(t, 20_000, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var follower sync.WaitGroup
	follower.Go(func() { two.follow(ctx) })
	defer follower.Wait()
	defer cancel()
	until(t, "the import at the other process", func() bool { return two.current() != nil })

	planned := two.current()
	before := everybody(planned)
	w := &warning.Warning{Record: 1, ID: "w", Version: 1, State: warning.Released, Digest: "w"}
	w.Spec.Expires = time.Now().Add(time.Hour)
	if _, err := r.store.Do(t.Context(), dispatcher.Act{Warning: w, ToPlan: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.PutPlan(t.Context(), 1, dispatcher.Plan{Warning: "w", Version: 1, Snapshot: planned.ID()}); err != nil {
		t.Fatal(err)
	}

	renumbered, moved, quiet, erased := somebody(planned, 100), somebody(planned, 4000), somebody(planned, 8000), somebody(planned, 12_000)
	const number = 9990000009999
	place := planned.Block(0)
	seenBy := func(d *directory, who uint64) (p warning.Block, slot int, ok bool) {
		now := d.current()
		block, slot, ok := now.Find(who)
		if ok {
			p = now.Block(block)
		}
		return p, slot, ok
	}
	for i, c := range []struct {
		name   string
		change warning.Change
		holds  func(d *directory) bool
	}{
		{"a new number", warning.Change{Number: renumbered, Deed: warning.DeedPut, NewNumber: number}, func(d *directory) bool {
			_, _, old := seenBy(d, renumbered)
			_, _, is := seenBy(d, number)
			return is && !old
		}},
		{"a move", warning.Change{Number: moved, Deed: warning.DeedPut, Lon: &place.Lon[0], Lat: &place.Lat[0]}, func(d *directory) bool {
			p, slot, ok := seenBy(d, moved)
			return ok && p.Lon[slot] == place.Lon[0] && p.Lat[slot] == place.Lat[0]
		}},
		{"no more messages", warning.Change{Number: quiet, Deed: warning.DeedUnsubscribe}, func(d *directory) bool {
			p, slot, ok := seenBy(d, quiet)
			return ok && p.Flags[slot]&warning.OptedOut != 0
		}},
		{"an erasure", erase(erased), func(d *directory) bool {
			_, _, ok := seenBy(d, erased)
			return !ok
		}},
	} {
		if c.holds(one) || c.holds(two) {
			t.Fatalf("%s: it held before", c.name)
		}
		done, err := change(t.Context(), one, fmt.Sprint("c", i), "asked", c.change)
		if err != nil || done.Changed != 1 {
			t.Fatal(c.name, done, err)
		}
		until(t, c.name+" at the other process", func() bool { return two.current().ID() == done.Snapshot })
		if !c.holds(one) || !c.holds(two) {
			t.Errorf("%s is not in the snapshot of that name", c.name)
		}
		for n := range 3 { // whoever may drop something does
			err := one.sweep(t.Context(), time.Now().Add(time.Duration(n+2)*retireAfter))
			if err != nil && !errors.Is(err, dispatcher.ErrFenced) { // the other sweeps just now
				t.Fatal(err)
			}
		}
	}
	for name, d := range map[string]*directory{"the one that changed": one, "the other": two, "one that begins": r.process()} {
		old, err := d.Snapshot(t.Context(), planned.ID())
		if err != nil {
			t.Fatal(name, err)
		}
		if !slices.Equal(everybody(old.(*geofence.Revision)), before) {
			t.Errorf("%s: the snapshot of the plan has changed", name)
		}
	}
	gone, err := two.Withdrawn(t.Context(), planned.ID())
	if err != nil {
		t.Fatal(err)
	}
	var named []uint64
	for i, block := range gone.Blocks {
		for slot, who := range planned.Block(int(block)).Number {
			if gone.Masks[i].Has(slot) {
				named = append(named, who)
			}
		}
	}
	want := []uint64{renumbered, quiet, erased} // who moved may still be told at the number of before
	slices.Sort(named)
	slices.Sort(want)
	if !slices.Equal(named, want) {
		t.Errorf("withdrawn are %d people of whom the changes are not all and only", len(named))
	}
}

// everybody is who a snapshot holds, in its order, with all that is known of them.
func everybody(r *geofence.Revision) (out []string) {
	for i := range r.Blocks() {
		b := r.Block(i)
		for k := range b.Number {
			out = append(out, fmt.Sprint(b.Number[k], b.Lon[k], b.Lat[k], b.Home[k], b.Seen[k], b.Language[k], b.Duty[k], b.Flags[k]))
		}
	}
	return out
}

// TestALookFromBeforeAnImportBringsNothingBack: whoever asked for the newest snapshot and reads the answer after this
// process has taken in another keeps that one. OK from an import means that every plan from then on is made of it.
func TestALookFromBeforeAnImportBringsNothingBack(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	late := &afterOneLook{}
	r.db.AddHook(late)
	mustImport(t, d, "before", people(t, 3000, 1))
	for _, c := range []struct {
		name   string
		takeIn func() (snapshot string)
	}{
		{"a change", func() string {
			done, err := change(t.Context(), d, "change", "asked", erase(somebody(d.current(), 100)))
			if err != nil {
				t.Fatal(err)
			}
			return done.Snapshot
		}},
		{"an import", func() string { return mustImport(t, d, "meanwhile", people(t, 4000, 2)).Snapshot }},
		{"two in a row", func() string {
			mustImport(t, d, "third", people(t, 2000, 3))
			return mustImport(t, d, "fourth", people(t, 2500, 4)).Snapshot
		}},
	} {
		old, now := d.current(), ""
		late.arm(func() { now = c.takeIn() })
		if err := d.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now == "" || now == old.ID() {
			t.Fatalf("%s: nothing was taken in behind the look", c.name)
		}
		if got := d.current().ID(); got != now {
			t.Errorf("%s was taken back by a look from before it: %s is the newest, %s was taken in", c.name, got, now)
			if err := d.refresh(t.Context()); err != nil { // for the next
				t.Fatal(err)
			}
		}
	}
}

// afterOneLook runs something between the store's answer to one look for the newest snapshot and its reader.
type afterOneLook struct {
	mu sync.Mutex
	do func()
}

func (a *afterOneLook) arm(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.do = do
}

func (a *afterOneLook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *afterOneLook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *afterOneLook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		err := next(ctx, c)
		if c.Name() == "hget" {
			a.mu.Lock()
			do := a.do
			a.do = nil
			a.mu.Unlock()
			if do != nil {
				do()
			}
		}
		return err
	}
}

// TestWhatAPlanNamesIsRetiredNoMore: the plan was stored between the look at all plans and the mark; it may grow.
func TestWhatAPlanNamesIsRetiredNoMore(t *testing.T) {
	r := newRealm(t)
	d := r.process()
	mustImport(t, d, "i", people(t, 2000, 1))
	old := d.current()
	if _, err := change(t.Context(), d, "c", "asked", erase(somebody(old, 50))); err != nil {
		t.Fatal(err)
	}
	w := warning.Warning{Record: 1, ID: "w", Version: 1, State: warning.Released, Digest: "w"}
	p := dispatcher.Plan{Warning: "w", Version: 1, Snapshot: old.ID(), Parts: 1}
	mark := dispatcher.Put{Table: dispatcher.TableRetired, Field: old.ID(), Value: []byte(time.Now().Format(time.RFC3339))}
	_, err := r.store.Do(t.Context(), dispatcher.Act{Warning: &w, ToPlan: true})
	for _, step := range []func() error{
		func() error { _, err := r.store.PutPlan(t.Context(), 1, p); return err },
		func() error {
			_, err := r.store.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{mark}})
			return err
		},
		func() error { return d.sweep(t.Context(), time.Now()) },
		func() error { p.Parts++; _, err := r.store.PutPlan(t.Context(), 1, p); return err },
	} {
		if err = errors.Join(err, step()); err != nil {
			t.Fatal(err)
		}
	}
}
