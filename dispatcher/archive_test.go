package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/warning"
)

// TestAWarningThatIsLongOverIsArchived: 72 hours after the end of validity the report stays what it was, and the account
// can be owned although the snapshot of the plan is gone.
func TestAWarningThatIsLongOverIsArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer func() { h.close() }()
		ctx := context.Background()
		w := h.warn(spec(warning.Orange, "over", "first 100"))
		pass(3 * time.Second)
		h.move(2000, 2010, inTown)
		pass(15 * time.Second)
		before, err := h.e.Report(ctx, w.ID)
		if err != nil || before.Delivered != 110 {
			t.Fatalf("%d delivered, %v", before.Delivered, err)
		}
		for _, later := range []struct {
			passes time.Duration
			here   bool
		}{{6*time.Hour + 71*time.Hour, true}, {time.Hour, false}} {
			h.close() // nothing ticks for so long
			pass(later.passes)
			h.start()
			im, err := h.store.Load(ctx, "mobile", 0, false)
			if here := len(im.Strands) > 0; err != nil || here != later.here {
				t.Fatalf("strands are at their account: %v, %v", here, err)
			}
		}
		h.close()
		h.leave()
		h.town.lost.Store(true)
		h.start()
		after, err := h.e.Report(ctx, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before.Lanes, after.Lanes); d != "" || after.Delivered != 110 || after.InArea != 100 || !cmp.Equal(before.ByDistrict, after.ByDistrict) {
			t.Errorf("the report has changed: %s, %+v", d, after)
		}
		if who, err := h.e.Who(ctx, commander, number(2), "asked"); err != nil || !who.Known {
			t.Errorf("who: %+v, %v", who, err)
		}
		h.warn(spec(warning.Orange, "next", "first 50"))
		pass(2 * time.Second)
		if n := len(complete(h.c.log(), "next")); n != 50 {
			t.Errorf("%d of 50 got the next warning", n)
		}
	})
}
