package dispatcher_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
)

// TestTwoProcessesOfOneName: a second process whose configuration was copied with its node name takes nothing from the first,
// which goes on to send; it says what is wrong, and stands by like any other.
func TestTwoProcessesOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := houseOf(t, 10, 1500)
		first.start()
		pass(2 * time.Second)
		second := houseOf(t, 10, 1500)
		second.store = first.store
		second.start()
		defer second.close()
		owned := func(h *house) dispatcher.AccountHealth {
			all, err := h.e.Accounts(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return all[0]
		}
		pass(2 * time.Second)
		before := owned(first).Epoch
		pass(5 * time.Second)
		if a := owned(first); a.Epoch != before || a.Health != dispatcher.HealthIdle || a.Twin {
			t.Errorf("the first one has epoch %d after %d and is %s (twin %t)", a.Epoch, before, a.Health, a.Twin)
		}
		if a := owned(second); a.Epoch != 0 || a.Health != dispatcher.HealthElsewhere || !a.Twin {
			t.Errorf("the second one has epoch %d and is %s (twin %t)", a.Epoch, a.Health, a.Twin)
		}
		s := second.e.Status(context.Background())
		if !slices.ContainsFunc(s.Judge(), func(f dispatcher.Finding) bool { return f.Kind == "twin" && f.Subject == "mobile" }) {
			t.Errorf("its status does not say so: %v", s.Judge())
		}
		first.close()
		pass(5 * time.Second)
		if a := owned(second); a.Epoch == 0 || a.Health != dispatcher.HealthIdle || a.Twin {
			t.Errorf("when the first has ended, the second has epoch %d and is %s (twin %t)", a.Epoch, a.Health, a.Twin)
		}
	})
}
