package dispatcher_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// later lets time go by in which nothing ticks, and starts the engine again.
func (h *house) later(d time.Duration) {
	h.close()
	pass(d)
	h.start()
}

// TestAWarningThatIsLongOverIsArchived: 72 hours after the end of validity the report stays what it was, what became of each
// person is known, and the account can be owned although the snapshot of the plan is gone.
func TestAWarningThatIsLongOverIsArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 1500)
		h.keep = 90 * 24 * time.Hour
		h.town.blocks[0].Flags[7] = warning.OptedOut
		h.c.answers(func(a arrival) channels.Outcome {
			switch a.number - number(0) {
			case 3:
				return channels.Outcome{Kind: channels.Refused, Reason: channels.BadNumber}
			case 4:
				return channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		h.start()
		defer func() { h.close() }()
		ctx := context.Background()
		w := h.warn(spec(warning.Red, "over", "first 100"))
		pass(3 * time.Second)
		h.move(2000, 2010, inTown)
		pass(time.Minute)
		who := func() (all []dispatcher.Who) {
			t.Helper()
			for _, i := range []int{0, 2, 3, 4, 7, 99, 100, 1999, 2000, 2009, 2010} {
				who, err := h.e.Who(ctx, commander, number(i), "asked")
				if err != nil {
					t.Fatal(err)
				}
				who.Since = time.Time{}
				for k := range who.Messages { // kept in whole seconds after the release
					m := &who.Messages[k]
					for _, at := range []*time.Time{&m.HandedOver, &m.Receipt} {
						if !at.IsZero() {
							*at = w.ReleasedAt.Add(at.Sub(w.ReleasedAt).Truncate(time.Second))
						}
					}
				}
				all = append(all, who)
			}
			return all
		}
		before, err := h.e.Report(ctx, w.ID)
		if err != nil || before.Delivered != 107 {
			t.Fatalf("%d delivered, %v", before.Delivered, err)
		}
		asked := who()
		messages := 0
		for _, w := range asked {
			messages += len(w.Messages)
		}
		if messages != 8 || asked[4].Messages[0].Excluded != "opted_out" || asked[3].Messages[0].State != warning.Unknown {
			t.Fatalf("%d messages: %+v", messages, asked)
		}
		for _, later := range []struct {
			passes time.Duration
			here   bool
		}{{6*time.Hour + 71*time.Hour, true}, {time.Hour + 10*time.Minute, false}} {
			h.later(later.passes)
			im, err := h.store.Load(ctx, "mobile", 0, false, nil)
			if here := len(im.Strands) > 0; err != nil || here != later.here {
				t.Fatalf("strands are at their account: %v, %v", here, err)
			}
		}
		h.leave()
		h.town.lost.Store(true)
		h.later(0)
		after, err := h.e.Report(ctx, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before.Lanes, after.Lanes); d != "" || after.Delivered != 107 || after.InArea != 100 || !cmp.Equal(before.ByDistrict, after.ByDistrict) {
			t.Errorf("the report has changed: %s, %+v", d, after)
		}
		if d := cmp.Diff(asked, who()); d != "" {
			t.Errorf("what became of people has changed: %s", d)
		}
		h.warn(spec(warning.Orange, "next", "first 50"))
		pass(2 * time.Second)
		if n := len(complete(h.c.log(), "next")); n != 49 { // one has opted out
			t.Errorf("%d got the next warning", n)
		}
	})
}

// TestWhatAnOlderReleaseArchivedIsSaid: where nobody can tell what became of a person, the answer says so.
func TestWhatAnOlderReleaseArchivedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		w := h.warn(spec(warning.Orange, "old", ""))
		pass(3 * time.Second)
		if err := h.store.Archive(context.Background(), w.ID, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		who, err := h.e.Who(context.Background(), commander, number(1), "asked")
		if err != nil || len(who.Messages) != 1 || who.Messages[0].Excluded != "not_kept" || !who.Since.IsZero() {
			t.Fatalf("%+v, %v", who, err)
		}
	})
}

// TestAWarningIsDeletedWhenItsTimeIsOver: nothing of it is found but the acts on it, the answer to who says from when on it
// can speak, and what follows it or has an open review keeps it.
func TestAWarningIsDeletedWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 1500)
		h.keep = 10 * 24 * time.Hour
		h.start()
		defer func() { h.close() }()
		ctx := context.Background()
		played := spec(warning.Orange, "first", "first 100")
		played.Channels = append(played.Channels, warning.Broadcast)
		w := h.warn(played)
		refused, _, err := h.e.Submit(ctx, forecaster, "refused", dispatcher.Submission{Spec: spec(warning.Orange, "refused", "")})
		if err == nil {
			_, err = h.e.Reject(ctx, approver, "no", refused.ID, "no")
		}
		if err != nil {
			t.Fatal(err)
		}
		acute := spec(warning.Red, "alone", "")
		acute.Status = warning.Actual
		alone, _, err := h.e.Submit(ctx, forecaster, "alone", dispatcher.Submission{Spec: acute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.e.EmergencyRelease(ctx, commander, "now", alone.ID, "water comes"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		entries := func() int {
			all, err := h.store.Entries(ctx, 1, 1000)
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		h.later(6*time.Hour + 9*24*time.Hour)
		pass(time.Second)
		before := entries()
		if _, err := h.e.Get(ctx, w.ID); err != nil {
			t.Fatalf("it is gone too early: %v", err)
		}
		h.later(24 * time.Hour)
		for _, id := range []string{w.ID, refused.ID} {
			if _, err := h.e.Get(ctx, id); warning.ReasonOf(err) != warning.ReasonNotFound {
				t.Errorf("%s is there still: %v", id, err)
			}
		}
		if _, err := h.e.Get(ctx, alone.ID); err != nil {
			t.Errorf("a warning whose review is open is gone: %v", err)
		}
		if n := entries(); n != before+2 {
			t.Errorf("%d entries of deletions, want 2", n-before)
		}
		if table, err := h.store.Table(ctx, dispatcher.TablePlays); err != nil || len(table) > 0 {
			t.Errorf("plays are left: %v, %v", table, err)
		}
		who, err := h.e.Who(ctx, commander, number(1), "asked")
		if err != nil || len(who.Messages) != 1 || !who.Since.After(played.Expires) {
			t.Errorf("who: %+v, %v", who, err)
		}
		if _, ok, err := h.store.Answered(ctx, forecaster.User, "key first", "any"); ok || err != nil {
			t.Errorf("the key is not free: %v", err)
		}
	})
}

// TestWhatFollowsLate: until 72 hours after its end a warning is followed and all who were reached hear of it, also when
// that is released later; after that it is refused, and says why.
func TestWhatFollowsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 1500)
		h.keep = 10 * 24 * time.Hour
		h.policy.Approvals[warning.Notice] = 1
		h.start()
		defer func() { h.close() }()
		ctx := context.Background()
		w := h.warn(prepared(spec(warning.Orange, "late", "first 100")))
		pass(3 * time.Second)
		h.later(6*time.Hour + 71*time.Hour + 59*time.Minute)
		clear, err := h.e.AllClear(ctx, approver, "clear", w.ID)
		if err != nil {
			t.Fatal(err)
		}
		h.later(time.Hour)
		for name, follow := range map[string]func() error{
			"all-clear": func() error { _, err := h.e.AllClear(ctx, approver, "again", w.ID); return err },
			"cancel":    func() error { _, _, err := h.e.Cancel(ctx, approver, "cancel", w.ID, "late"); return err },
			"update": func() error {
				u := spec(warning.Orange, "update", "first 100")
				u.Type, u.References = warning.Update, []string{w.ID}
				_, _, err := h.e.Submit(ctx, forecaster, "update", dispatcher.Submission{Spec: u})
				return err
			},
		} {
			if err := follow(); warning.ReasonOf(err) != warning.ReasonConflict || !strings.Contains(err.Error(), "72 hours") {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.release(clear)
		pass(5 * time.Second)
		if n := len(complete(h.c.log(), "ok late")); n != 100 {
			t.Errorf("%d of 100 heard the all-clear", n)
		}
	})
}

// TestAnEngineThatRunsForLongDoesNotGrow: strands leave when nothing can happen in them any more; a receipt that comes all
// the same is counted as late, and what becomes of such a strand is told from the store.
func TestAnEngineThatRunsForLongDoesNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 2000, 1500)
		defer h.close()
		ctx := context.Background()
		h.c.answers(func(a arrival) channels.Outcome {
			if strings.HasPrefix(a.text, "open") { // no receipt comes for these
				return channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		var ids []string
		warn := func(text string) {
			s := spec(warning.Orange, text, "first 10")
			s.Expires = time.Now().Add(2 * time.Minute).UTC()
			ids = append(ids, h.warn(s).ID)
		}
		warn("open")
		most := 0
		for i := range 10 {
			warn("small " + string(rune('a'+i)))
			pass(5 * time.Minute)
			strands, places, refs := h.e.Held()
			most = max(most, strands, places, refs)
		}
		if most > 5 {
			t.Errorf("at most %d strands were held; warnings come each 5 minutes and end after 2", most)
		}
		pass(10 * time.Minute)
		if strands, _, refs := h.e.Held(); strands != 1 || refs != 1 { // whose people may have a receipt still
			t.Errorf("%d strands and %d references are held, want 1", strands, refs)
		}
		h.c.mu.Lock()
		sink := h.c.sink
		h.c.mu.Unlock()
		sink.Receipts(receipts{
			{Number: number(500), Print: 1, State: channels.Arrived}, {Number: number(5000), Print: 1, State: channels.Arrived},
		})
		pass(time.Second)
		for _, id := range ids[1:] {
			r, err := h.e.Report(ctx, id)
			if err != nil || r.Delivered != 10 || !r.Lanes[0].Balanced || r.Late != 1 || r.Unmatched != 1 {
				t.Fatalf("%d delivered, %d late, %d of nobody, %v", r.Delivered, r.Late, r.Unmatched, err)
			}
		}
		who, err := h.e.Who(ctx, commander, number(9), "asked")
		if err != nil || len(who.Messages) != len(ids) {
			t.Errorf("%d messages of %d, %v", len(who.Messages), len(ids), err)
		}
		grown := h.grow(ids[1])
		r, err := h.e.Report(ctx, ids[1])
		if l := r.Lanes[0]; err != nil || l.Counts[warning.Delivered] != 10 || l.Counts[warning.ExpiredOut] != 1 || !l.Balanced {
			t.Errorf("a strand that had left has grown by %d: %+v, %v", grown, l, err)
		}
	})
}

// grow adds somebody to the strand of a warning that is over, as a process would whose clock is behind.
func (h *house) grow(id string) uint32 {
	h.t.Helper()
	ctx := context.Background()
	w, rev, err := h.store.Warning(ctx, id)
	if err != nil {
		h.t.Fatal(err)
	}
	w.State = warning.Released
	_, err = h.store.Do(ctx, dispatcher.Act{Warning: &w, Rev: rev})
	plan, _, perr := h.store.PlanOf(ctx, id)
	if err = errors.Join(err, perr); err != nil {
		h.t.Fatal(err)
	}
	plan.Parts++
	st := &plan.Strands[0]
	var m warning.Mask
	m.Set(700)
	st.Batches, st.People = []dispatcher.Batch{{Mask: m}}, st.People+1
	if _, err := h.store.PutPlan(ctx, rev+1, plan); err != nil {
		h.t.Fatal(err)
	}
	pass(5 * time.Second)
	return 1
}

// TestAReceiptFromBeforeACrashSavesARepeat: the carrier had said that it arrived when the engine died without the answer.
func TestAReceiptFromBeforeACrashSavesARepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 20, 1500)
		h.c.takes(30 * time.Second)
		h.c.tells = func(a arrival, print uint16) []told {
			if a.number%2 == 0 {
				return nil
			}
			return []told{{10 * time.Millisecond, channels.Receipt{Print: print, State: channels.Arrived}}}
		}
		h.warn(spec(warning.Red, "once", ""))
		pass(3 * time.Second)
		if n := len(h.c.log()); n != 20 {
			t.Fatalf("%d messages left", n)
		}
		h.kill()
		h.c.takes(20 * time.Millisecond)
		h.start()
		defer h.close()
		pass(5 * time.Second)
		var twice []uint64
		for who, n := range complete(h.c.log(), "once") {
			if n > 1 {
				twice = append(twice, who)
			}
		}
		slices.Sort(twice)
		if len(twice) != 10 || slices.ContainsFunc(twice, func(n uint64) bool { return n%2 == 1 }) {
			t.Errorf("%v got it twice; for every second one a receipt had come", twice)
		}
	})
}

// answersLate is a queue whose commits are written at once and answered two seconds later.
type answersLate struct{ dispatcher.Queue }

func (q answersLate) Commit(ctx context.Context, f dispatcher.Fence, seq uint64, m dispatcher.Commit) (dispatcher.Committed, error) {
	done, err := q.Queue.Commit(ctx, f, seq, m)
	pass(2 * time.Second)
	return done, err
}

// TestWhoIsToBeRungAgainKeepsAWarningOpen: whoever looks while leave is asked to hand people over another time must not take the
// warning for complete.
func TestWhoIsToBeRungAgainKeepsAWarningOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 20, 1500)
		h.c.takes(30 * time.Second)
		h.warn(spec(warning.Red, "once", ""))
		pass(3 * time.Second)
		h.kill() // with all of them on their way
		h.c.takes(20 * time.Millisecond)
		h.start(func(o *dispatcher.Options) { o.Queue = answersLate{o.Queue} })
		defer h.close()
		pass(20 * time.Second)
		for who, n := range complete(h.c.log(), "once") {
			if n != 2 {
				t.Errorf("%d got it %d times: nobody knows whether the first was taken", who, n)
			}
		}
	})
}
