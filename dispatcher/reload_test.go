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

// reload makes other accounts hold.
func (h *house) reload(accounts ...dispatcher.AccountOptions) []dispatcher.Leaving {
	h.t.Helper()
	c, err := h.e.Prepare(context.Background(), dispatcher.Accounts{Accounts: accounts, FailOver: dispatcher.UsualFailOver()}, false)
	if err != nil {
		h.t.Fatal(err)
	}
	_, leaving := c.Apply()
	return leaving
}

// refused wants a reload to be refused with these words.
func (h *house) refused(says string, accounts ...dispatcher.AccountOptions) {
	h.t.Helper()
	_, err := h.e.Prepare(context.Background(), dispatcher.Accounts{Accounts: accounts, FailOver: dispatcher.UsualFailOver()}, false)
	if err == nil || !strings.Contains(err.Error(), says) {
		h.t.Errorf("got %v, want %q", err, says)
	}
}

// everyoneOnce wants everybody to have the text exactly once by either carrier, and the balance of it.
func (h *house) everyoneOnce(id, text string) {
	h.t.Helper()
	got := h.both(text)
	for who, n := range got {
		if n != 1 {
			h.t.Fatalf("%d got it %d times", who, n)
		}
	}
	if l := h.lane(id); len(got) != h.town.people() || l.Planned != int64(len(got)) || l.Counts[warning.Delivered] != l.Planned || l.PossibleRepeats != 0 {
		h.t.Errorf("%d people got it; lane %+v", len(got), l)
	}
}

// most is the most arrivals in any second that ends after a time.
func most(log []arrival, after time.Time) (most int) {
	from := 0
	for i := range log {
		for log[i].at.Sub(log[from].at) >= time.Second {
			from++
		}
		if log[i].at.After(after) {
			most = max(most, i-from+1)
		}
	}
	return most
}

// TestAnotherRateHoldsAtOnce: a lower one in every second that ends after the reload, with what was sent before it; a higher
// one is used at once, and a wider guard counts again what the ring has let go of.
func TestAnotherRateHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 6000, 500)
		h.other = newCarrier()
		defer h.close()
		w := h.warn(spec(warning.Orange, "rate", ""))
		pass(2500 * time.Millisecond)
		account := h.account("mobile", "fake")
		account.Rate = 200
		h.reload(account)
		at := time.Now()
		pass(3 * time.Second)
		if n := most(h.c.log(), at); n > 200 || n < 190 {
			t.Errorf("%d in a second that ends after the reload, want 200", n)
		}
		before := len(h.c.log())
		account.Rate, account.Guard = 1000, 100*time.Millisecond
		h.reload(account)
		at = time.Now()
		pass(time.Second)
		if n := len(h.c.log()) - before; n < 800 { // of 1000/1.1 s less the 95 ms
			t.Errorf("%d in the second after the rate was raised to 1000", n)
		}
		for _, a := range h.c.log()[before:] {
			if a.at.Sub(at) < 95*time.Millisecond {
				t.Fatalf("a message left %v after the guard was widened by 95 ms", a.at.Sub(at))
			}
		}
		pass(10 * time.Second)
		if n := most(h.c.log(), time.Time{}); n > 1000 {
			t.Errorf("%d in a second", n)
		}
		h.everyoneOnce(w.ID, "rate")
	})
}

// TestNewLinksTakeOver while the windows of the old ones are open: they answer what they have, and nobody is lost, repeated or
// unknown.
func TestNewLinksTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 500)
		h.other = newCarrier()
		h.accounts = []dispatcher.AccountOptions{h.account("mobile", "fake")}
		h.start()
		defer h.close()
		h.c.takes(300 * time.Millisecond)
		w := h.warn(spec(warning.Orange, "links", ""))
		pass(2 * time.Second)
		next := h.account("mobile", "other")
		next.BindTimeout = 500 * time.Millisecond
		h.other.cut(true)
		before := len(h.c.log())
		h.refused("no link of account mobile can be bound", next)
		if len(h.c.log()) == before {
			t.Error("nothing was sent while new links were tried")
		}
		h.other.cut(false)
		h.reload(next)
		before = len(h.c.log())
		pass(10 * time.Second)
		if n := len(h.c.log()); n != before || len(h.other.log()) < 1000 {
			t.Errorf("%d messages left by the old links, %d by the new ones", n-before, len(h.other.log()))
		}
		h.everyoneOnce(w.ID, "links")
		if n := most(append(h.c.log(), h.other.log()...), time.Time{}); n > 500 {
			t.Errorf("%d in a second over old and new links", n)
		}
	})
}

// TestAnAccountComesAndGoes: who waits at the one that goes goes by the one that comes, which sends nothing for a second and
// the guard; where nobody else may carry them the account stays.
func TestAnAccountComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 500)
		h.other = newCarrier()
		h.accounts = []dispatcher.AccountOptions{h.account("mobile", "fake")}
		h.start()
		defer h.close()
		h.c.takes(300 * time.Millisecond)
		w := h.warn(spec(warning.Orange, "leaves", ""))
		pass(2 * time.Second)
		mobile, unicom := h.account("mobile", "fake"), h.account("unicom", "other")
		flash := mobile
		flash.Channels = []warning.Channel{warning.FlashSMS}
		h.refused("people wait at account mobile", flash)
		elsewhere := unicom
		elsewhere.Prefixes = []string{"998"}
		h.refused("no other account may carry them", elsewhere)
		at := time.Now()
		if l := h.reload(unicom); len(l) != 1 || l[0].Account != "mobile" || l[0].People < 1000 {
			t.Errorf("got %v", l)
		}
		pass(20 * time.Second)
		h.everyoneOnce(w.ID, "leaves")
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("the warning is %v", s)
		}
		log := h.other.log()
		if len(log) < 1000 || log[0].at.Sub(at) < time.Second+unicom.Guard {
			t.Errorf("%d messages left by the new account", len(log))
		}
		list, err := h.e.Accounts(context.Background())
		if err != nil || len(list) != 1 || list[0].Name != "unicom" {
			t.Errorf("the accounts are %v, %v", list, err)
		}
		h.reload(mobile, unicom)
		pass(3 * time.Second)
		w = h.warn(spec(warning.Orange, "both", ""))
		pass(10 * time.Second)
		if n := len(complete(h.c.log(), "both")); n < 1000 || n > 2000 {
			t.Errorf("%d of 3000 went by the account that came back", n)
		}
		h.everyoneOnce(w.ID, "both")
	})
}

// TestWhoWaitsAtAnAccountThatNobodyHas goes another way, after a start with a file that has it no more.
func TestWhoWaitsAtAnAccountThatNobodyHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 500)
		h.other = newCarrier()
		h.start()
		h.other.cut(true)
		w := h.warn(spec(warning.Orange, "stranded", ""))
		pass(time.Second)
		h.close()
		mobile, elsewhere := h.account("mobile", "fake"), h.account("mobile", "fake")
		elsewhere.Prefixes = []string{"998"}
		h.accounts = []dispatcher.AccountOptions{elsewhere}
		h.start()
		defer h.close()
		pass(15 * time.Second) // it is taken over, and nobody else may carry them
		elsewhere.Rate = 600
		h.reload(elsewhere) // which holds no reload up
		pass(time.Second)
		if l := h.lane(w.ID); l.Counts[warning.Delivered] == l.Planned {
			t.Errorf("nobody waits any more: %+v", l)
		}
		h.reload(mobile)
		pass(30 * time.Second)
		h.everyoneOnce(w.ID, "stranded")
		if list, err := h.e.Accounts(context.Background()); err != nil || len(list) != 1 {
			t.Errorf("the accounts are %v, %v", list, err)
		}
	})
}
