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
