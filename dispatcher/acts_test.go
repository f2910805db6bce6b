package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// actual is a warning that can be released in an emergency.
func actual(text string) warning.Spec {
	s := prepared(spec(warning.Orange, text, ""))
	s.Status = warning.Actual
	return s
}

// updateOf is an update of o for everybody.
func updateOf(o warning.Warning, text string) warning.Spec {
	s := actual(text)
	s.Type, s.References = warning.Update, []string{o.ID}
	s.Words = append(s.Words,
		warning.Words{Language: "zh-CN", Kind: warning.Update, Text: "more " + text},
		warning.Words{Language: "zh-CN", Kind: warning.Left, Text: "not " + text})
	return s
}

// TestOneUpdateTakesThePlaceOfAWarning: of two updates that waited for approval the first that is released holds. The second,
// and one of a warning that was cancelled meanwhile, would hold beside it and tell people of a danger that is none.
func TestOneUpdateTakesThePlaceOfAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		ctx := context.Background()
		o, mistake := h.warn(actual("first")), h.warn(actual("mistake"))
		pass(3 * time.Second)
		one, two, three := h.submit(updateOf(o, "one")), h.submit(updateOf(o, "two")), h.submit(updateOf(mistake, "three"))
		h.release(one)
		if _, _, err := h.e.Cancel(ctx, approver, "cancel", mistake.ID, "wrong"); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		commander := dispatcher.Caller{User: "kong", Role: warning.Commander, Scope: warning.Everything}
		for what, act := range map[string]func() error{
			"the second update": func() error {
				_, err := h.e.Approve(ctx, approver, "two", two.ID, two.Version, two.Digest, 0)
				return err
			},
			"an update of what was cancelled": func() error {
				_, err := h.e.Approve(ctx, approver, "three", three.ID, three.Version, three.Digest, 0)
				return err
			},
			"in an emergency": func() error {
				_, err := h.e.EmergencyRelease(ctx, commander, "alone", two.ID, "nobody answers")
				return err
			},
			"a new update of the old one": func() error {
				_, _, err := h.e.Submit(ctx, forecaster, "four", dispatcher.Submission{Spec: updateOf(o, "four")})
				return err
			},
		} {
			if err := act(); warning.ReasonOf(err) != warning.ReasonConflict {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, _, err := h.e.Submit(ctx, forecaster, "next", dispatcher.Submission{Spec: updateOf(one, "five")}); err != nil {
			t.Errorf("an update of the newest: %v", err)
		}
		pass(5 * time.Second)
		if n := len(complete(h.c.log(), "more one")); n != 100 {
			t.Errorf("%d of 100 people got the update", n)
		}
		for _, text := range []string{"more two", "two", "more three", "three"} {
			if n := len(complete(h.c.log(), text)); n != 0 {
				t.Errorf("%d people got %q", n, text)
			}
		}
	})
}

// TestARefusedApprovalTellsNoFewPeople: who must not see how few people are somewhere does not read it in a refusal either,
// and can agree to a large area all the same (promise 10).
func TestARefusedApprovalTellsNoFewPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 11, 1500)
		defer h.close()
		ctx := context.Background()
		approve := func(w warning.Warning, key string, people int64) error {
			_, err := h.e.Approve(ctx, approver, key, w.ID, w.Version, w.Digest, people)
			return err
		}
		silent := func(what string, err error, numbers ...string) {
			t.Helper()
			var refused *warning.Error
			if !errors.As(err, &refused) {
				t.Fatalf("%s: %v", what, err)
			}
			for _, n := range numbers {
				if strings.Contains(err.Error(), n) {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		grows, moves := h.submit(spec(warning.Orange, "grows", "")), h.submit(spec(warning.Orange, "moves", ""))
		h.town.grown.Store(newTown(17))
		if err := approve(moves, "few and few", 0); err != nil {
			t.Errorf("fewer than 20 before and now: %v", err)
		}
		h.town.grown.Store(newTown(33))
		silent("grown", approve(grows, "grown", 0), "11", "17")
		if err := approve(grows, "grown with count", 33); err != nil {
			t.Errorf("with the count: %v", err)
		}
		h.town.grown.Store(newTown(13))
		h.policy.Share[warning.Orange] = 0.001
		large := h.submit(spec(warning.Orange, "large", ""))
		silent("large", approve(large, "large", 0), "13")
		if err := approve(large, "large with count", dispatcher.Few); err != nil {
			t.Errorf("with the count that is shown: %v", err)
		}
		pass(5 * time.Second)
	})
}

// TestNothingIsPlayedAgainAfterItsEnd: the commander is told that nothing would sound.
func TestNothingIsPlayedAgainAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		s := loud(warning.Red, "flood")
		s.Expires = time.Now().Add(5 * time.Minute).UTC()
		w := h.warn(s)
		pass(5 * time.Minute)
		if s := h.state(w.ID); s != warning.Completed {
			t.Fatalf("the warning is %v", s)
		}
		_, err := h.e.Broadcast(context.Background(), approver, "again", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Every: time.Minute, Times: 1,
		})
		if warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("got %v", err)
		}
	})
}

// TestAnAllClearIsSaidOnce: of two people who lift a warning at once the second hears that it is done, and nobody gets it twice.
// The correction of a mistake has no all-clear: that took its place, so that nobody heard either.
func TestAnAllClearIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		ctx := context.Background()
		w, mistake := h.warn(actual("storm")), h.warn(actual("mistake"))
		pass(3 * time.Second)
		clear, err := h.e.AllClear(ctx, forecaster, "one", w.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, correction, err := h.e.Cancel(ctx, approver, "cancel", mistake.ID, "wrong")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		for what, id := range map[string]string{"of the same": w.ID, "of an all-clear": clear.ID, "of a correction": correction.ID} {
			if _, err := h.e.AllClear(ctx, approver, what, id); warning.ReasonOf(err) != warning.ReasonConflict {
				t.Errorf("an all-clear %s: %v", what, err)
			}
		}
		if again, err := h.e.AllClear(ctx, forecaster, "one", w.ID); err != nil || again.ID != clear.ID {
			t.Errorf("the same key gave %v, %v", again.ID, err)
		}
		pass(5 * time.Second)
		for _, text := range []string{"ok storm", "no mistake"} {
			got := complete(h.c.log(), text)
			if len(got) != 100 {
				t.Errorf("%d of 100 people got %q", len(got), text)
			}
			for who, n := range got {
				if n != 1 {
					t.Errorf("%d got %q %d times", who, text, n)
				}
			}
		}
	})
}

// meet lets acts of users go on when two of them have been decided.
type meet struct {
	dispatcher.Records
	on   atomic.Bool
	both chan struct{}
}

func (m *meet) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if m.on.Load() && a.User != "" {
		select {
		case m.both <- struct{}{}:
		case <-m.both:
		case <-time.After(time.Second):
		}
	}
	return m.Records.Do(ctx, a)
}

// TestOneOfTwoAtOnceTakesThePlaceOfAWarning: two updates, an update and an all-clear, also of a warning whose validity is over,
// are decided within milliseconds, before either is recorded. One holds, the other is refused, and nobody hears both.
func TestOneOfTwoAtOnceTakesThePlaceOfAWarning(t *testing.T) {
	for name, expired := range map[string]bool{"valid": false, "expired": true} {
		for what, clears := range map[string]bool{"two updates": false, "an update and an all-clear": true} {
			t.Run(name+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := houseOf(t, 100, 20)
					m := &meet{Records: h.store, both: make(chan struct{})}
					h.start(func(o *dispatcher.Options) { o.Records = m })
					defer h.close()
					ctx := context.Background()
					s := actual("first")
					if expired {
						s.Expires = time.Now().Add(3 * time.Second).UTC() // before all are reached
					}
					o := h.warn(s)
					pass(10 * time.Second)
					one, two := h.submit(updateOf(o, "one")), h.submit(updateOf(o, "two"))
					m.on.Store(true)
					errs := make(chan error, 2)
					go func() {
						_, err := h.e.Approve(ctx, approver, "one", one.ID, one.Version, one.Digest, 0)
						errs <- err
					}()
					go func() {
						var err error
						if clears {
							_, err = h.e.AllClear(ctx, forecaster, "clear", o.ID)
						} else {
							_, err = h.e.Approve(ctx, approver, "two", two.ID, two.Version, two.Digest, 0)
						}
						errs <- err
					}()
					refused := 0
					for range 2 {
						if err := <-errs; warning.ReasonOf(err) == warning.ReasonConflict {
							refused++
						} else if err != nil {
							t.Error(err)
						}
					}
					m.on.Store(false)
					if refused != 1 {
						t.Errorf("%d of two were refused", refused)
					}
					pass(20 * time.Second)
					heard := map[uint64]int{}
					for _, text := range []string{"more one", "more two", "ok first"} {
						for who := range complete(h.c.log(), text) {
							heard[who]++
						}
					}
					for who, n := range heard {
						if n > 1 {
							t.Fatalf("%d heard %d that follow the warning", who, n)
						}
					}
					if len(heard) == 0 {
						t.Error("nobody heard anything")
					}
				})
			})
		}
	}
}

// TestOnlyOneFollowsAWarningThatIsOver: a warning whose validity ended keeps its state when it is updated; what took its place is
// known all the same, and a mistake among those that did is none.
func TestOnlyOneFollowsAWarningThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 20)
		defer h.close()
		ctx := context.Background()
		s := actual("first")
		s.Expires = time.Now().Add(3 * time.Second).UTC()
		o := h.warn(s)
		pass(10 * time.Second)
		if s := h.state(o.ID); s != warning.Expired {
			t.Fatalf("the warning is %v", s)
		}
		u := h.warn(updateOf(o, "one"))
		two := h.submit(updateOf(o, "two"))
		pass(10 * time.Second)
		approve := func(key string) error {
			_, err := h.e.Approve(ctx, approver, key, two.ID, two.Version, two.Digest, 0)
			return err
		}
		if err := approve("two"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("another update: %v", err)
		}
		if _, err := h.e.AllClear(ctx, forecaster, "clear", o.ID); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("an all-clear: %v", err)
		}
		if _, _, err := h.e.Cancel(ctx, approver, "cancel", u.ID, "wrong"); err != nil {
			t.Fatal(err)
		}
		if err := approve("two again"); err != nil {
			t.Errorf("another update when the first was cancelled: %v", err)
		}
	})
}

// TestNoAllClearOfWhatNeverLeft: it was held while it waited for approval, and is to be approved still.
func TestNoAllClearOfWhatNeverLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		w := h.submit(actual("storm"))
		if _, err := h.e.Hold(t.Context(), approver, "hold", w.ID, "wait"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.e.AllClear(t.Context(), forecaster, "clear", w.ID); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("an all-clear: %v", err)
		}
		pass(2 * time.Second)
		if s := h.state(w.ID); s != warning.Held {
			t.Errorf("the warning is %v", s)
		}
	})
}

// TestAPauseIsNotLostBesideARate: two engineers steer an account within milliseconds.
func TestAPauseIsNotLostBesideARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 100, 1500)
		m := &meet{Records: h.store, both: make(chan struct{})}
		h.start(func(o *dispatcher.Options) { o.Records = m })
		defer h.close()
		m.on.Store(true)
		errs := make(chan error, 2)
		go func() {
			_, err := h.e.Pause(context.Background(), dispatcher.Caller{User: "gao"}, "pause", "mobile", "repair")
			errs <- err
		}()
		go func() {
			_, err := h.e.SetRate(context.Background(), dispatcher.Caller{User: "gu"}, "rate", "mobile", 100)
			errs <- err
		}()
		for range 2 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		m.on.Store(false)
		pass(time.Second)
		all, err := h.e.Accounts(context.Background())
		if err != nil || !all[0].Paused || all[0].Contract != 100 {
			t.Errorf("%+v, %v", all[0], err)
		}
	})
}

// TestAPauseIsObeyedWhenItIsAnswered: by the process that owns the account too, if that is another one. Said again with the same
// key when it has been lifted since, it stops nothing.
func TestAPauseIsObeyedWhenItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := houseOf(t, 20_000, 1500)
		one.start()
		defer one.close()
		two := *one
		two.ids, two.node = &epochs{}, "n2"
		two.start()
		defer two.close()
		ctx, engineer := context.Background(), dispatcher.Caller{User: "gao"}
		two.warn(spec(warning.Red, "flood", ""))
		pass(2 * time.Second)
		one.cut.mu.Lock()
		one.cut.slow = 30 * time.Millisecond
		one.cut.mu.Unlock()
		pass(500 * time.Millisecond)
		for round := range 20 {
			key := fmt.Sprint(round)
			if _, err := two.e.Pause(ctx, engineer, "pause "+key, "mobile", "repair"); err != nil {
				t.Fatal(err)
			}
			n := len(one.c.log())
			pass(500 * time.Millisecond)
			if more := len(one.c.log()) - n; more != 0 {
				t.Errorf("%d messages left after the answer", more)
			}
			if _, err := two.e.Resume(ctx, engineer, "resume "+key, "mobile"); err != nil {
				t.Fatal(err)
			}
			pass(137 * time.Millisecond)
			if len(one.c.log()) == n {
				t.Error("nothing left when it went on")
			}
		}
		if h, err := one.e.Pause(ctx, engineer, "pause 0", "mobile", "repair"); err != nil || h.Paused {
			t.Errorf("a pause that was lifted stops the account again: %v", err)
		}
	})
}

// TestARepeatIsRefusedWhenTheWarningIsCancelledMeanwhile: the commander is not told that it is played again.
func TestARepeatIsRefusedWhenTheWarningIsCancelledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 100, 1500)
		var id atomic.Value
		h.start(func(o *dispatcher.Options) {
			o.Records = gate{Records: h.store, pass: func() {
				if id, _ := id.Swap("").(string); id != "" {
					w, rev, err := h.store.Warning(context.Background(), id)
					if err == nil {
						w.State = warning.Cancelled
						_, err = h.store.Do(context.Background(), dispatcher.Act{Warning: &w, Rev: rev})
					}
					if err != nil {
						t.Error(err)
					}
				}
			}}
		})
		defer h.close()
		w := h.warn(loud(warning.Red, "flood"))
		pass(2 * time.Second)
		id.Store(w.ID)
		_, err := h.e.Broadcast(context.Background(), commander, "again", w.ID, dispatcher.Repeat{
			Channels: []warning.Channel{warning.Broadcast}, Every: time.Second, Times: 3,
		})
		if warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("got %v", err)
		}
	})
}
