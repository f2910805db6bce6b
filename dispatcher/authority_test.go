package dispatcher_test

import (
	"context"
	"strings"
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

// TestWhatLiesBeyondTheBorder submits an area that reaches out of the jurisdiction by much, by little, and cut; and asks for
// the scope again when the border has moved meanwhile.
func TestWhatLiesBeyondTheBorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer func() { h.close() }()
		ctx := context.Background()
		outside := func(share float64) warning.Outside {
			return warning.Outside{Share: share, Reach: 9000, Neighbours: []warning.Neighbour{{Code: "511600", Name: "Guang'an", Share: share}}}
		}
		h.land.beyond = map[string]warning.Outside{"wide": outside(0.3), "sliver": outside(0.02)}
		fang := dispatcher.Caller{User: "fang", Role: warning.Forecaster, Scope: warning.Everything &^ warning.ScopeOutside}
		an := dispatcher.Caller{User: "an", Role: warning.Approver, Scope: warning.Everything &^ warning.ScopeOutside}
		submit := func(area string, clip bool) (warning.Warning, dispatcher.Preview, error) {
			s := spec(warning.Orange, "over the border", area)
			s.Clip, s.Again = clip, true
			return h.e.Submit(ctx, fang, area+map[bool]string{true: " cut"}[clip], dispatcher.Submission{Spec: s})
		}
		_, _, err := submit("wide", false)
		for _, part := range []string{"30.0 %", "Guang'an (511600)", "100 people", "--clip"} {
			if warning.ReasonOf(err) != warning.ReasonInvalid || !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %s", err, part)
			}
		}
		if p, err := h.e.Preview(ctx, fang, spec(warning.Orange, "x", "wide")); err != nil || p.Beyond == nil || !strings.Contains(p.Border, "Guang'an") {
			t.Errorf("a preview shows it: %+v, %v", p, err)
		}
		w, p, err := submit("sliver", false)
		if err != nil || p.Beyond != nil || !strings.HasPrefix(p.Border, "border sliver: 2.0 %") {
			t.Errorf("a sliver: %+v, %v", p, err)
		}
		cut, p, err := submit("wide", true)
		if err != nil || p.Border != "" || cut.Spec.Areas[0].Name != "first 10" || len(p.Clipped) != 1 || cut.ApprovedPeople != 10 {
			t.Errorf("cut: %+v, %v", p, err)
		}
		h.kill()
		h.land.beyond["sliver"] = outside(0.3)
		h.start() // so that it is measured anew
		if _, err := h.e.Approve(ctx, an, "late", w.ID, w.Version, w.Digest, 0); warning.ReasonOf(err) != warning.ReasonDenied {
			t.Errorf("approved outside: %v", err)
		}
		if _, err := h.e.EmergencyRelease(ctx, an, "late now", w.ID, "x"); warning.ReasonOf(err) != warning.ReasonDenied {
			t.Errorf("released outside: %v", err)
		}
		if _, _, err := h.e.Cancel(ctx, commander, "stop", w.ID, ""); err != nil {
			t.Errorf("a stop is never hindered by where the warning is: %v", err)
		}
	})
}

// TestAPaperReleasesAndIsReviewed submits what a paper allows beforehand: it leaves at once, under a review.
func TestAPaperReleasesAndIsReviewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		ctx := context.Background()
		h.policy.Ahead = []warning.PreAuthorisation{{
			Paper: "2026-3", Who: []string{forecaster.User}, Events: []string{"11B03"}, Tiers: []warning.Tier{warning.Red},
			Units: []string{"500101"}, Until: warning.Moment(time.Now().Add(time.Hour).Unix()),
		}}
		submit := func(key string, change func(*warning.Spec)) warning.Warning {
			s := spec(warning.Red, key, "")
			s.Status = warning.Actual
			change(&s)
			w, _, err := h.e.Submit(ctx, forecaster, key, dispatcher.Submission{Spec: s})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		w := submit("the dam fails", func(*warning.Spec) {})
		if w.State != warning.Released || w.Review == nil || w.Review.Paper != "2026-3" || len(w.ApprovedBy) != 0 {
			t.Errorf("%+v", w)
		}
		for name, change := range map[string]func(*warning.Spec){
			"another tier": func(s *warning.Spec) { s.Tier = warning.Orange },
			"elsewhere":    func(s *warning.Spec) { s.Areas[0].Unit = "500102" },
			"a drill":      func(s *warning.Spec) { s.Status = warning.Exercise },
		} {
			if w := submit(name, change); w.State != warning.Submitted || w.Review != nil {
				t.Errorf("%s: %+v", name, w)
			}
		}
		pass(3 * time.Second)
		if n := complete(h.c.log(), "the dam fails"); len(n) != 100 {
			t.Errorf("%d of 100 people got it", len(n))
		}
		if open, err := h.e.Reviews(ctx); err != nil || len(open) != 1 || open[0].Warning != w.ID {
			t.Errorf("open: %+v, %v", open, err)
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
				_, err := h.e.Broadcast(ctx, feng, "h", w.ID, dispatcher.Repeat{Channels: []warning.Channel{warning.Broadcast}, Every: time.Minute, Times: 1})
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
