package dispatcher_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// strand has the engine die while half of the people wait at unicom, and takes unicom out of the file of the next start.
func (h *house) strand(expires time.Duration) warning.Warning {
	h.t.Helper()
	h.other = newCarrier()
	h.start()
	h.other.cut(true)
	s := spec(warning.Orange, "stranded", "")
	s.Expires = time.Now().Add(expires).UTC()
	w := h.warn(s)
	pass(time.Second)
	h.kill()
	h.accounts = []dispatcher.AccountOptions{h.account("mobile", "fake")}
	return w
}

// torn is the most people whose hand-off may have no answer when the engine dies: the open window, and 100 ms of each account.
func (h *house) torn() int64 { return int64(160 + 2*h.rate/10) }

// reached wants everybody to have the warning; who was granted when the engine died is a possible repeat.
func (h *house) reached(id string) {
	h.t.Helper()
	if l := h.lane(id); l.Counts[warning.Delivered] != l.Planned || l.PossibleRepeats > h.torn() {
		h.t.Errorf("lane %+v", l)
	}
}

// TestWhoWaitsAtAnAccountOfTheDead goes another way: the process that owned it died, so that it still stands as the owner.
func TestWhoWaitsAtAnAccountOfTheDead(t *testing.T) {
	for _, node := range []string{"n1", "n2"} { // the same again, or another one
		t.Run(node, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := houseOf(t, 3000, 500)
				w := h.strand(6 * time.Hour)
				h.node = node
				h.start()
				defer h.close()
				pass(40 * time.Second)
				h.reached(w.ID)
				if list, err := h.e.Accounts(context.Background()); err != nil || len(list) != 1 {
					t.Errorf("the accounts are %v, %v", list, err)
				}
			})
		})
	}
}

// TestWhoWaitsAtAnAccountOfTheDeadIsCounted also when the warning was over before anybody could look.
func TestWhoWaitsAtAnAccountOfTheDeadIsCounted(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		t.Run(fmt.Sprintf("cancel=%t", cancel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := houseOf(t, 3000, 500)
				w := h.strand(time.Minute)
				end := warning.ExpiredOut
				if cancel {
					end = warning.CancelledIn
				} else {
					pass(2 * time.Minute)
				}
				h.start()
				defer h.close()
				if cancel {
					if _, _, err := h.e.Cancel(t.Context(), approver, "cancel", w.ID, "mistake"); err != nil {
						t.Fatal(err)
					}
				}
				pass(40 * time.Second)
				l := h.lane(w.ID)
				if c := l.Counts; c[end] < 1000 || c[warning.Delivered]+c[warning.Unknown]+c[end] != l.Planned || c[warning.Unknown] > h.torn() {
					t.Errorf("lane %+v", l)
				}
			})
		})
	}
}

// TestWhoHasAnAccountGetsItBack: a process that does not have it takes it over while the one that has it is down, and lets go of
// it, because nobody there may go another way; later somebody may.
func TestWhoHasAnAccountGetsItBack(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("back=%t", back), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := houseOf(t, 3000, 500)
				w := h.strand(6 * time.Hour)
				mobile := h.accounts[0]
				elsewhere := mobile
				elsewhere.Prefixes = []string{"998"}
				h.accounts = []dispatcher.AccountOptions{elsewhere}
				h.start()
				defer h.close()
				pass(20 * time.Second) // it was taken over, and nobody else may carry them
				if owners, err := h.store.Obeyed(t.Context(), []string{"unicom"}); err != nil || len(owners) > 0 {
					t.Errorf("unicom is owned: %v, %v", owners, err)
				}
				if !back {
					h.reload(mobile)
					pass(30 * time.Second)
					h.reached(w.ID)
					return
				}
				h.other.cut(false)
				n2 := *h
				n2.node, n2.ids, n2.accounts = "n2", &epochs{}, []dispatcher.AccountOptions{h.account("unicom", "other")}
				n2.start()
				defer n2.close()
				pass(10 * time.Second)
				if n := len(h.other.log()); n < 1000 {
					t.Errorf("%d messages left by the account of the process that came back", n)
				}
				h.reload(mobile) // which takes nothing from it
				pass(30 * time.Second)
				owners, err := h.store.Obeyed(t.Context(), []string{"unicom"})
				if err != nil || owners["unicom"].Owner != "n2" {
					t.Errorf("unicom is owned: %v, %v", owners, err)
				}
			})
		})
	}
}

// TestLinksThatOpenDuringAReload are those of the file in the end: Prepare saw that another process owned the account.
func TestLinksThatOpenDuringAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 1000, 500)
		h.other = newCarrier()
		mobile := h.account("mobile", "fake")
		h.accounts = []dispatcher.AccountOptions{mobile}
		if _, err := h.store.Acquire(t.Context(), "mobile", "n2", 0, 0, false); err != nil {
			t.Fatal(err)
		}
		h.start()
		defer h.close()
		mobile.Protocol = "other"
		c, err := h.e.Prepare(t.Context(), dispatcher.Accounts{Accounts: []dispatcher.AccountOptions{mobile}, FailOver: dispatcher.UsualFailOver()}, false)
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second) // n2 is dead, and the account is this one's
		c.Apply()
		pass(5 * time.Second)
		w := h.warn(spec(warning.Orange, "late", ""))
		pass(5 * time.Second)
		if n := len(h.c.log()); n > 0 {
			t.Errorf("%d messages left by links that the file does not have", n)
		}
		h.everyoneOnce(w.ID, "late")
	})
}
