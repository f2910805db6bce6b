package dispatcher_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/geofence"
	"tocsin/warning"
)

// updating is an update of o whose words for who is kept and who is left have a letter in front.
func updating(o warning.Warning, text, area string) warning.Spec {
	s := prepared(spec(warning.Orange, text, area))
	s.Type, s.References = warning.Update, []string{o.ID}
	s.Words = append(s.Words,
		warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "u " + text},
		warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "l " + text})
	return s
}

// told wants exactly these people to have got a text, each once.
func (h *house) told(text string, ranges ...[2]int) {
	h.t.Helper()
	got, want := complete(h.c.log(), text), 0
	for _, r := range ranges {
		for i := r[0]; i < r[1]; i++ {
			want++
			if got[number(i)] != 1 {
				h.t.Errorf("person %d got %q %d times", i, text, got[number(i)])
				return
			}
		}
	}
	if len(got) != want {
		h.t.Errorf("%d people got %q, want %d", len(got), text, want)
	}
}

// TestUpdatesOfWhoWalkedIn: the directory has them elsewhere, and they are told all the same what is new, whether they had been
// reached or not; that the warning no longer holds is told once, to who lives outside by now, and does not keep anybody who
// comes back from being warned.
func TestUpdatesOfWhoWalkedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		engineer := dispatcher.Caller{User: "gong", Role: warning.Engineer}
		o := h.warn(prepared(spec(warning.Orange, "first", "first 100")))
		pass(2 * time.Second)
		h.move(200, 210, inTown)
		pass(time.Second)
		if _, err := h.e.Pause(t.Context(), engineer, "pause", "mobile", "so that who walks in has to wait"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		h.move(210, 220, inTown)
		h.told("first", [2]int{0, 100}, [2]int{200, 210})
		second := h.warn(updating(o, "second", "first 50"))
		pass(2 * time.Second)
		if _, err := h.e.Resume(t.Context(), engineer, "resume", "mobile"); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		h.told("u second", [2]int{0, 50}, [2]int{200, 210})
		h.told("l second", [2]int{50, 100})
		h.told("second", [2]int{210, 220})
		if m := h.move(60, 70, inTown); m.Entered != 10 {
			t.Errorf("of ten who had left %d have entered", m.Entered)
		}
		if m := h.move(0, 50, inTown); m.Entered != 0 {
			t.Errorf("who was there all the time has entered: %d", m.Entered)
		}
		if m := h.move(200, 220, inTown); m.Entered != 0 {
			t.Errorf("who had walked in before has entered: %d", m.Entered)
		}
		pass(2 * time.Second)
		h.told("second", [2]int{210, 220}, [2]int{60, 70})
		h.balanced(second.ID, 100+10+10, 10)

		third := h.warn(updating(second, "third", "first 40"))
		pass(3 * time.Second)
		h.told("u third", [2]int{0, 40}, [2]int{60, 70}, [2]int{200, 220})
		h.told("l third", [2]int{40, 50})
		h.told("third")
		h.balanced(third.ID, 40+10+20+10, 0)
		if _, err := h.e.AllClear(t.Context(), forecaster, "clear", third.ID); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		h.told("ok third", [2]int{0, 50}, [2]int{60, 70}, [2]int{200, 220})
		h.told("first", [2]int{0, 100}, [2]int{200, 210})
	})
}

// TestWhoComesBackHearsOfACorrectionOnce: an update told them that it does not hold for them, and then that it does.
func TestWhoComesBackHearsOfACorrectionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		o := h.warn(prepared(spec(warning.Orange, "first", "first 20")))
		pass(2 * time.Second)
		h.town.now.Store(1) // their places are of two snapshots
		second := h.warn(updating(o, "second", "first 10"))
		pass(2 * time.Second)
		h.move(15, 20, inTown)
		pass(2 * time.Second)
		h.told("second", [2]int{15, 20})
		_, correction, err := h.e.Cancel(t.Context(), approver, "cancel", second.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(3 * time.Second)
		h.told("no second", [2]int{1, 20}) // the first has left the directory
	})
}

// TestWhoWalksIntoAnUpdateThatWaits: part of an update waits for answers to its original; whoever is none of those people is told
// within a second, and who is gets what the answers say.
func TestWhoWalksIntoAnUpdateThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		h.c.takes(8 * time.Second)
		o := h.warn(prepared(spec(warning.Orange, "first", "first 20")))
		pass(time.Second)
		h.c.takes(20 * time.Millisecond)
		u := h.warn(updating(o, "second", "first 20"))
		pass(time.Second)
		plan, _, err := h.store.PlanOf(t.Context(), u.ID)
		if err != nil || !plan.Pending {
			t.Fatalf("the plan of the update waits for nobody: %v", err)
		}
		if m := h.move(500, 520, inTown); m.Entered != 20 {
			t.Errorf("while it waits %d of 20 enter", m.Entered)
		}
		h.move(0, 10, inTown)
		pass(time.Second)
		h.told("second", [2]int{500, 520})
		pass(20 * time.Second)
		h.move(0, 10, inTown)
		pass(2 * time.Second)
		h.told("second", [2]int{500, 520})
		h.told("u second", [2]int{0, 20})
		h.balanced(u.ID, 20, 20)
		if m := h.move(0, 520, inTown); m.Entered != 480 {
			t.Errorf("when it waits no longer %d of 480 enter", m.Entered)
		}
	})
}

// TestAnUpdateTellsTheNearestFirst: whoever is new in its area is ordered by danger as in a first warning.
func TestAnUpdateTellsTheNearestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 5000, 1500)
		defer h.close()
		o := h.warn(prepared(spec(warning.Orange, "first", "first 10")))
		pass(2 * time.Second)
		s := updating(o, "second", "")
		s.Focus = &warning.Focus{Points: []warning.Point{{3, 30}}, CRS: "wgs84"} // the town orders by it from its fourth block
		h.warn(s)
		pass(6 * time.Second)
		var blocks []int
		for _, a := range h.c.log() {
			if block := int(a.number-number(0)) / warning.BlockSize; a.text == "second" && (a.number-number(0))%100 != 99 {
				if len(blocks) == 0 || blocks[len(blocks)-1] != block {
					blocks = append(blocks, block)
				}
			}
		}
		for i, block := range blocks {
			if len(blocks) != 5 || block != (i+3)%5 {
				t.Fatalf("the blocks come as %v", blocks)
			}
		}
	})
}

// TestWhoIsReachedByTwoChannelsIsOnePerson in the area of what follows.
func TestWhoIsReachedByTwoChannelsIsOnePerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		s := prepared(spec(warning.Orange, "mistake", "first 100"))
		s.Channels = []warning.Channel{warning.SMS, warning.FlashSMS}
		w := h.warn(s)
		pass(3 * time.Second)
		_, correction, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(3 * time.Second)
		r, err := h.e.Report(t.Context(), correction.ID)
		if err != nil || len(r.Lanes) != 2 || r.Lanes[0].Planned != 100 || r.Lanes[1].Planned != 100 || r.Delivered != 100 {
			t.Fatalf("%+v, %v", r, err)
		}
		if r.InArea != 100 {
			t.Errorf("100 people hear of the correction, %d are in its area", r.InArea)
		}
	})
}

// TestAChangingDirectoryNeedsFewSnapshots: a live warning stays with the directory that its plan names, whatever changes come, as
// long as that knows who walks in; only somebody who is new or different needs another one.
func TestAChangingDirectoryNeedsFewSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "steady", "first 10"))
		pass(2 * time.Second)
		for i := range 60 {
			h.town.now.Store(int64(i + 1))
			h.move(1000+20*i, 1020+20*i, inTown)
		}
		h.town.grown.Store(newTown(7000)) // of which no block is that of before
		h.move(2200, 2220, inTown)
		h.move(6500, 6510, inTown)
		if m := h.move(1000, 2220, inTown); m.Entered != 0 {
			t.Errorf("%d enter again", m.Entered)
		}
		pass(2 * time.Second)
		h.told("steady", [2]int{0, 10}, [2]int{1000, 2220}, [2]int{6500, 6510})
		h.balanced(w.ID, 10, 1230)
		plan, _, err := h.store.PlanOf(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		snapshots := map[string]bool{}
		for _, st := range plan.Strands {
			snapshots[st.Snapshot] = true
		}
		if len(snapshots) != 2 || len(plan.Strands) > 8 {
			t.Errorf("%d strands of %d snapshots after 61 changes", len(plan.Strands), len(snapshots))
		}
	})
}

var errNoOutlines = errors.New("the outlines cannot be read now")

// closedFences does not take the next areas.
type closedFences struct {
	*geofence.Fences
	closed *atomic.Int32
}

func (f closedFences) Add(id string, areas []warning.Area) error {
	if f.closed.Add(-1) >= 0 {
		return errNoOutlines
	}
	return f.Fences.Add(id, areas)
}

// TestAFenceThatCannotBeReadIsTriedAgain: outlines that are not at hand for a moment leave no live warning without its fence, nor
// any other.
func TestAFenceThatCannotBeReadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 1500)
		var closed atomic.Int32
		h.start(func(o *dispatcher.Options) {
			o.Fences = closedFences{geofence.NewFences(geofence.DefaultLimits()), &closed}
		})
		defer h.close()
		closed.Store(2)
		h.warn(spec(warning.Orange, "one", "first 10"))
		pass(3 * time.Second)
		if m := h.move(100, 110, inTown); m.Entered != 10 {
			t.Errorf("%d of 10 enter", m.Entered)
		}
		pass(time.Second)
		h.told("one", [2]int{0, 10}, [2]int{100, 110})
	})
}

// TestAWarningThatCannotBeReadClosesNoOtherFence: the snapshot that its plan names cannot be had.
func TestAWarningThatCannotBeReadClosesNoOtherFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer func() { h.close() }()
		h.warn(spec(warning.Orange, "gone", "first 10"))
		pass(2 * time.Second)
		h.town.now.Store(1)
		h.warn(spec(warning.Orange, "there", "first 20"))
		pass(2 * time.Second)
		h.kill()
		h.town.lost.Store(true) // the directory of the first
		h.start()
		if m := h.move(100, 110, inTown); m.Entered != 10 {
			t.Errorf("into one of two fences enter %d", m.Entered)
		}
	})
}
