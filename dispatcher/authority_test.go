package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestAnEmergencyReleaseIsReviewedByAnotherPerson lets a commander release alone. It leaves at once, and stays in sight
// until somebody else has looked at it.
func TestAnEmergencyReleaseIsReviewedByAnotherPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		ctx := context.Background()
		submit := func(status warning.Status, text string) warning.Warning {
			s := spec(warning.Red, text, "")
			s.Status = status
			w, _, err := h.e.Submit(ctx, forecaster, text, dispatcher.Submission{Spec: s})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		drill := submit(warning.Exercise, "drill")
		if _, err := h.e.EmergencyRelease(ctx, commander, "drill", drill.ID, "nobody answers"); warning.ReasonOf(err) != warning.ReasonDenied {
			t.Errorf("a drill is no emergency: %v", err)
		}
		w := submit(warning.Actual, "the dam fails")
		for range 2 { // the same key gives the same answer
			got, err := h.e.EmergencyRelease(ctx, commander, "now", w.ID, "nobody answers")
			if err != nil || got.State != warning.Released || got.Review == nil || !got.Review.Open() {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		pass(3 * time.Second)
		if n := complete(h.c.log(), "the dam fails"); len(n) != 100 {
			t.Errorf("%d of 100 people got it", len(n))
		}
		open, err := h.e.Reviews(ctx)
		if err != nil || len(open) != 1 || open[0].Warning != w.ID || open[0].Why != "nobody answers" || open[0].OpenedBy != commander.User {
			t.Fatalf("open: %+v, %v", open, err)
		}
		pass(11 * time.Minute)
		if open, err := h.e.Reviews(ctx); err != nil || len(open) != 1 || !open[0].Overdue(time.Now()) {
			t.Errorf("overdue: %+v, %v", open, err)
		}
		for _, c := range []dispatcher.Caller{commander, forecaster} {
			if _, err := h.e.CloseReview(ctx, c, "own", w.ID, "all was right"); warning.ReasonOf(err) != warning.ReasonDenied {
				t.Errorf("%s closed it: %v", c.User, err)
			}
		}
		got, err := h.e.CloseReview(ctx, approver, "close", w.ID, "it was right")
		if err != nil || got.Review.ClosedBy != approver.User || got.Review.Finding != "it was right" {
			t.Fatalf("%+v, %v", got.Review, err)
		}
		if open, err := h.e.Reviews(ctx); err != nil || len(open) != 0 {
			t.Errorf("open after it was closed: %+v, %v", open, err)
		}
		if _, err := h.e.CloseReview(ctx, approver, "none", drill.ID, "x"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("nothing to review: %v", err)
		}
	})
}

// TestScopeIsAskedOnEveryAct calls with a scope that covers warnings of one's own only.
func TestScopeIsAskedOnEveryAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		ctx := context.Background()
		w := h.warn(spec(warning.Orange, "others", ""))
		feng := dispatcher.Caller{User: "feng", Role: warning.Forecaster, Scope: warning.Everything &^ warning.ScopeOthers}
		for name, act := range map[string]func() error{
			"approve": func() error { _, err := h.e.Approve(ctx, feng, "a", w.ID, w.Version, w.Digest, 0); return err },
			"reject":  func() error { _, err := h.e.Reject(ctx, feng, "b", w.ID, "x"); return err },
			"hold":    func() error { _, err := h.e.Hold(ctx, feng, "c", w.ID, ""); return err },
			"release": func() error { _, err := h.e.Release(ctx, feng, "d", w.ID); return err },
			"emergency": func() error {
				_, err := h.e.EmergencyRelease(ctx, feng, "e", w.ID, "x")
				return err
			},
			"cancel":    func() error { _, _, err := h.e.Cancel(ctx, feng, "f", w.ID, ""); return err },
			"all-clear": func() error { _, err := h.e.AllClear(ctx, feng, "g", w.ID); return err },
			"broadcast": func() error {
				_, err := h.e.Broadcast(ctx, feng, "h", w.ID, []warning.Channel{warning.Broadcast}, nil, time.Minute, 1)
				return err
			},
			"review": func() error { _, err := h.e.CloseReview(ctx, feng, "i", w.ID, "x"); return err },
			"submit": func() error {
				_, _, err := h.e.Submit(ctx, dispatcher.Caller{User: "feng"}, "j", dispatcher.Submission{Spec: spec(warning.Red, "x", "")})
				return err
			},
		} {
			if err := act(); warning.ReasonOf(err) != warning.ReasonDenied {
				t.Errorf("%s of somebody else's: %v", name, err)
			}
		}
	})
}
