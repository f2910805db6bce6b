package dispatcher_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

var commander = dispatcher.Caller{User: "hu", Role: warning.Commander, Scope: warning.Everything}

// prepared adds the words that stand ready from submission.
func prepared(s warning.Spec) warning.Spec {
	text := s.Words[0].Text
	for kind, more := range map[warning.Type]string{warning.Cancel: "no ", warning.AllClear: "ok "} {
		s.Words = append(s.Words, warning.Words{Language: "zh-CN", Kind: kind, Text: more + text})
	}
	return s
}

// release approves what waits.
func (h *house) release(w warning.Warning) warning.Warning {
	h.t.Helper()
	if w.State != warning.Submitted {
		return w
	}
	w, err := h.e.Approve(context.Background(), commander, "ok "+w.ID, w.ID, w.Version, w.Digest, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

// TestCorrectionGoesToWhoWasReached: a cancel stops at once; its correction goes to all who got the warning and to
// nobody else, and before the backlog of its tier.
func TestCorrectionGoesToWhoWasReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		w := h.warn(prepared(spec(warning.Orange, "mistake", "")))
		pass(time.Second)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		if correction.State != warning.Submitted || correction.Spec.Tier != warning.Orange || correction.Spec.Type != warning.Cancel {
			t.Fatalf("the correction is %v, %v, %v", correction.State, correction.Spec.Tier, correction.Spec.Type)
		}
		h.warn(spec(warning.Orange, "backlog", ""))
		pass(500 * time.Millisecond)
		n := len(h.c.log())
		p, err := h.e.PreviewOf(context.Background(), commander, correction.ID)
		if err != nil || len(p.Carriers) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		if c := p.Carriers[0]; p.People < 1000 || c.People != p.People || c.Messages != p.People || c.Ahead < 4000 || p.Finish != c.Takes+c.Waits || len(p.Faster) == 0 {
			t.Errorf("the correction is previewed as %+v", p)
		}
		correction = h.release(correction)
		pass(6 * time.Second)
		got, want := complete(h.c.log(), "no mistake"), complete(h.c.log(), "mistake")
		if len(got) != len(want) || len(want) == 0 {
			t.Errorf("%d people got the correction, %d had got the warning", len(got), len(want))
		}
		for who := range got {
			if want[who] == 0 {
				t.Fatalf("%d got a correction of nothing", who)
			}
		}
		// It goes before the backlog of its tier but for what was granted already.
		others := 0
		for _, a := range h.c.log()[n:][:500] {
			if a.text != "no mistake" {
				others++
			}
		}
		if others > 150 {
			t.Errorf("%d of the 500 messages after its release were of the backlog", others)
		}
		if l := h.lane(correction.ID); l.Counts[warning.Delivered] != int64(len(want)) {
			t.Errorf("correction: %v", l.Counts)
		}
	})
}

// TestCorrectionWaitsForOpenWindows: whoever's original is without answer gets the correction after the answer or its
// time-out, all others at once (promise 5).
func TestCorrectionWaitsForOpenWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		h.c.takes(8 * time.Second) // a carrier that answers late
		h.c.holds(400)
		w := h.warn(prepared(spec(warning.Red, "late", "")))
		pass(2 * time.Second)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.c.takes(10 * time.Millisecond)
		h.release(correction)
		pass(3 * time.Second)
		early := len(complete(h.c.log(), "no late"))
		pass(30 * time.Second)
		got, want := complete(h.c.log(), "no late"), complete(h.c.log(), "late")
		if early == len(want) {
			t.Error("the correction did not wait for the answers")
		}
		if len(got) != len(want) {
			t.Errorf("%d people got the correction, %d had got the warning", len(got), len(want))
		}
		for who, k := range got {
			if k != 1 {
				t.Fatalf("%d got the correction %d times", who, k)
			}
		}
	})
}

// TestUpdateSpeaksToThreeGroups: kept, new and left hear different words; what still waited is superseded.
func TestUpdateSpeaksToThreeGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 1500)
		defer h.close()
		o := h.warn(prepared(spec(warning.Orange, "first", "first 3000"))) // 3000 people, 2 s
		pass(time.Second)
		reached := len(h.c.log())
		s := spec(warning.Red, "warned", "last 5000")
		s.Type, s.References = warning.Update, []string{o.ID}
		s.Words = append(s.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "updated"},
			warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "left"})
		u := h.warn(s)
		pass(10 * time.Second)
		log := h.c.log()
		first, kept, fresh, left := complete(log, "first"), complete(log, "updated"), complete(log, "warned"), complete(log, "left")
		if len(first) < reached || len(first) == 3000 {
			t.Fatalf("%d of 3000 people got the first warning", len(first))
		}
		for i := range 6000 {
			n := number(i)
			inside, had := i >= 1000, first[n] > 0
			want := [3]bool{inside && had, inside && !had, !inside && had}
			if got := [3]bool{kept[n] > 0, fresh[n] > 0, left[n] > 0}; got != want {
				t.Fatalf("person %d (inside %v, had the first %v) got update, warning, end: %v, want %v", i, inside, had, got, want)
			}
		}
		c := h.lane(o.ID).Counts
		if c[warning.Superseded] != int64(3000-len(first)) || h.state(o.ID) != warning.Replaced {
			t.Errorf("the original is %v: %v", h.state(o.ID), c)
		}
		if c := h.lane(u.ID).Counts; c[warning.Delivered] != c.Sum() || c.Sum() != int64(len(kept)+len(fresh)+len(left)) {
			t.Errorf("the update: %v", c)
		}
	})
}

// TestAllClearGoesAsNotice to all who were reached, without typing and, by the policy of this test, without approval.
func TestAllClearGoesAsNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 500, 1500)
		defer h.close()
		h.c.answers(func(a arrival) channels.Outcome {
			if a.number%5 == 0 && a.text == "storm" {
				return channels.Outcome{Kind: channels.Refused, Reason: channels.BadNumber}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		o := h.warn(prepared(spec(warning.Yellow, "storm", "")))
		pass(3 * time.Second)
		clear, err := h.e.AllClear(context.Background(), forecaster, "clear", o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if clear.Spec.Tier != warning.Notice || clear.State != warning.Released {
			t.Fatalf("the all-clear is %v, %v", clear.Spec.Tier, clear.State)
		}
		pass(3 * time.Second)
		if n := len(complete(h.c.log(), "ok storm")); n != 400 {
			t.Errorf("%d people got the all-clear, 400 had got the warning", n)
		}
		if s := h.state(o.ID); s != warning.Replaced {
			t.Errorf("the warning is %v", s)
		}
		again, err := h.e.AllClear(context.Background(), forecaster, "clear", o.ID)
		if err != nil || again.ID != clear.ID {
			t.Errorf("the same key gave %v, %v", again.ID, err)
		}
	})
}

// TestAnUpdateWarnsWhoWasNotReachedAfterAll: whoever's original is in an open window when the update comes, and is then not
// taken by the carrier, is inside and was not reached: they get the warning like all others of these.
func TestAnUpdateWarnsWhoWasNotReachedAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 400, 1500)
		defer h.close()
		h.c.takes(5 * time.Second)
		h.c.answers(func(a arrival) channels.Outcome {
			if a.text == "first" && a.number%2 == 0 {
				return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		o := h.warn(prepared(spec(warning.Orange, "first", "")))
		pass(time.Second)
		h.c.takes(20 * time.Millisecond)
		s := spec(warning.Orange, "warned", "last 390")
		s.Type, s.References = warning.Update, []string{o.ID}
		s.Words = append(s.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "updated"},
			warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "left"})
		u := h.warn(s)
		pass(time.Second)
		h.town.now.Store(1) // the directory changes before the answers come
		pass(20 * time.Second)
		tried, kept, fresh := complete(h.c.log(), "first"), complete(h.c.log(), "updated"), complete(h.c.log(), "warned")
		open := 0
		for i := 10; i < 400; i++ {
			n := number(i)
			had := tried[n] > 0 && n%2 != 0
			if tried[n] > 0 && n%2 == 0 {
				open++
			}
			want := [2]int{0, 1}
			if had {
				want = [2]int{1, 0}
			}
			if got := [2]int{kept[n], fresh[n]}; got != want {
				t.Fatalf("person %d (in an open window: %v, reached: %v) got update and warning %v times, want %v", i, tried[n] > 0, had, got, want)
			}
		}
		if open == 0 {
			t.Fatal("nobody was in an open window")
		}
		h.balanced(u.ID, h.lane(u.ID).Planned, 0)
	})
}

// TestAnAllClearReachesWhomTheUpdateDidNot: who had the warning, and still waits for its update when the all-clear comes, has
// been told of the danger and must hear that it is over.
func TestAnAllClearReachesWhomTheUpdateDidNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 500)
		defer h.close()
		o := h.warn(prepared(spec(warning.Orange, "first", "first 2000")))
		pass(8 * time.Second)
		s := prepared(spec(warning.Orange, "warned", "last 2000"))
		s.Type, s.References = warning.Update, []string{o.ID}
		s.Words = append(s.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "updated"},
			warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "left"})
		u := h.warn(s)
		pass(time.Second)
		if _, err := h.e.AllClear(context.Background(), forecaster, "clear", u.ID); err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		log := h.c.log()
		told, clear := complete(log, "first"), complete(log, "ok warned")
		for who := range complete(log, "warned") {
			told[who]++
		}
		waited := 0
		for i := range 3000 {
			n := number(i)
			if told[n] > 0 && clear[n] != 1 {
				waited++
			}
			if told[n] == 0 && clear[n] != 0 {
				t.Fatalf("person %d heard of nothing and of its end", i)
			}
		}
		if waited > 0 {
			t.Errorf("%d of %d people who had been warned did not hear that it is over, once", waited, len(told))
		}
	})
}

// TestACancelledUpdateIsCorrected: an update that was a mistake is corrected like any warning.
func TestACancelledUpdateIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		o := h.warn(prepared(spec(warning.Orange, "first", "first 200")))
		pass(2 * time.Second)
		s := prepared(spec(warning.Orange, "warned", ""))
		s.Type, s.References = warning.Update, []string{o.ID}
		s.Words = append(s.Words,
			warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "updated"},
			warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "left"})
		u := h.warn(s)
		pass(2 * time.Second)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", u.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		if correction.ID == "" {
			t.Fatal("300 people were told what was a mistake, and no correction waits")
		}
		h.release(correction)
		pass(3 * time.Second)
		h.once("no warned", 0, 300)
		none, c, err := h.e.Cancel(context.Background(), approver, "cancel that", correction.ID, "the mistake was none")
		if err != nil || c.ID != "" {
			t.Errorf("a correction is not corrected: %v, %q, %v", none.State, c.ID, err)
		}
	})
}

// failsOnce is a store that does not take the n-th new warning.
type failsOnce struct {
	dispatcher.Records
	left *int
}

func (r failsOnce) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if a.Warning != nil && a.Rev == 0 {
		if *r.left--; *r.left == 0 {
			return dispatcher.Done{}, errCut
		}
	}
	return r.Records.Do(ctx, a)
}

// TestACancelWithoutItsCorrectionIsNotOK: when the store fails between the stop and its correction, who cancels hears of it, and
// the same call again records the correction.
func TestACancelWithoutItsCorrectionIsNotOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 100, 1500)
		n := 2
		h.start(func(o *dispatcher.Options) { o.Records = failsOnce{h.store, &n} })
		defer h.close()
		w := h.warn(prepared(spec(warning.Orange, "mistake", "")))
		pass(time.Second)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if warning.ReasonOf(err) != warning.ReasonUnavailable {
			t.Errorf("there is no correction (%q), and the answer is %v", correction.ID, err)
		}
		if s := h.state(w.ID); s != warning.Cancelled {
			t.Errorf("the stop waited for words: the warning is %v", s)
		}
		_, correction, err = h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil || correction.ID == "" {
			t.Errorf("the same call again: %q, %v", correction.ID, err)
		}
	})
}

// TestCorrectionGoesToWhoMayHaveIt: whose first hand-off had no answer, and whose second one was put off when the cancel came,
// may have the warning.
func TestCorrectionGoesToWhoMayHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		var mu sync.Mutex
		tried := map[uint64]int{}
		h.c.answers(func(a arrival) channels.Outcome {
			mu.Lock()
			defer mu.Unlock()
			tried[a.number]++
			switch {
			case a.text != "mistake" || tried[a.number] > 2:
				return channels.Outcome{Kind: channels.HandedOver}
			case tried[a.number] == 1:
				return channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
			}
			return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
		})
		w := h.warn(prepared(spec(warning.Red, "mistake", "")))
		pass(600 * time.Millisecond)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(3 * time.Second)
		if n := h.lane(w.ID).Counts[warning.CancelledIn]; n == 0 {
			t.Fatal("nobody was put off when the cancel came")
		}
		h.once("no mistake", 0, 100)
	})
}

// TestACorrectionSurvivesItsProcess: where a process ends between the stop and its correction, another one records it, and the
// same call finds that.
func TestACorrectionSurvivesItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 100, 1500)
		n := 2
		h.start(func(o *dispatcher.Options) { o.Records = failsOnce{h.store, &n} })
		w := h.warn(prepared(spec(warning.Orange, "mistake", "")))
		pass(time.Second)
		if _, _, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake"); warning.ReasonOf(err) != warning.ReasonUnavailable {
			t.Fatal(err)
		}
		h.kill()
		h.start()
		defer h.close()
		list, err := h.store.Warnings(context.Background(), []warning.State{warning.Submitted}, 0)
		if err != nil || len(list) != 1 || list[0].Spec.Type != warning.Cancel || list[0].SubmittedBy != approver.User {
			t.Fatalf("%d warnings wait for approval (%v), want the correction", len(list), err)
		}
		h.release(list[0])
		pass(3 * time.Second)
		h.once("no mistake", 0, 100)
		if _, c, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake"); err != nil || c.ID != list[0].ID {
			t.Errorf("the same call again: %q, %v", c.ID, err)
		}
		if left, err := h.store.Table(context.Background(), dispatcher.TableStopped); err != nil || len(left) > 0 {
			t.Errorf("%d cancelled warnings still lack their correction, %v", len(left), err)
		}
	})
}

// TestCorrectionGoesToWhoMovesWithoutAPlace: whose flash message had no answer and was refused when it was repeated may have it.
// The warning is cancelled before they have a place in the lane of SMS, or before their turn comes there.
func TestCorrectionGoesToWhoMovesWithoutAPlace(t *testing.T) {
	for name, after := range map[string]time.Duration{"no place": 200 * time.Millisecond, "not sent": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 100, 1500)
				defer h.close()
				var mu sync.Mutex
				tried := map[uint64]int{}
				h.c.answers(func(a arrival) channels.Outcome {
					mu.Lock()
					defer mu.Unlock()
					tried[a.number]++
					switch {
					case a.text == "mistake" && a.flash && tried[a.number] == 1:
						return channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
					case a.flash:
						return channels.Outcome{Kind: channels.Refused, Reason: channels.BadContent}
					case a.text == "mistake":
						return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
					}
					return channels.Outcome{Kind: channels.HandedOver}
				})
				s := prepared(spec(warning.Orange, "mistake", ""))
				s.Channels = []warning.Channel{warning.FlashSMS}
				w := h.warn(s)
				pass(after)
				_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
				if err != nil {
					t.Fatal(err)
				}
				h.release(correction)
				pass(5 * time.Second)
				_, text := got(slices.DeleteFunc(h.c.log(), func(a arrival) bool { return a.text == "mistake" }))
				for i := range 100 {
					if n := text[number(i)]; n != 1 {
						t.Fatalf("person %d got the correction %d times", i, n)
					}
				}
			})
		})
	}
}
