package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestAnAccountIsOwnedAtHome: of two processes that begin together the account's home owns it, whoever was first; when
// the home ends, the other one takes it over.
func TestAnAccountIsOwnedAtHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := houseOf(t, 10, 1500)
		away.node, away.home = "n2", "n1"
		away.start()
		defer away.close()
		home := houseOf(t, 10, 1500)
		home.store, home.home = away.store, "n1"
		owner := func() string {
			_, name, _, err := home.store.Heartbeat(context.Background(), "mobile")
			if err != nil {
				t.Fatal(err)
			}
			return name
		}
		home.start()
		pass(5 * time.Second)
		if o := owner(); o != "n1" {
			t.Errorf("the account of n1 is owned by %q", o)
		}
		home.close()
		pass(4 * time.Second) // the other one gives way for a lease, in case it comes back
		if o := owner(); o != "n2" {
			t.Errorf("the account is owned by %q after its home has ended", o)
		}
	})
}

// TestWhoSteersAnAccountSeesItWhole: with its owner, and with its share of plans, which a pause does not take away.
func TestWhoSteersAnAccountSeesItWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		who := dispatcher.Caller{User: "chen", Role: warning.Engineer}
		paused, err := h.e.Pause(context.Background(), who, "K1", "mobile", "work at the carrier")
		if err != nil || paused.Health != dispatcher.HealthPaused || paused.Owner != "n1" || paused.Route.Share != 1 {
			t.Errorf("paused: %+v, %v", paused, err)
		}
		slower, err := h.e.SetRate(context.Background(), who, "K2", "mobile", 100)
		if err != nil || slower.Contract != 100 || slower.Route.Share != 1 {
			t.Errorf("slower: %+v, %v", slower, err)
		}
	})
}
