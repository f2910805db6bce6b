package dispatcher_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

var engineer = dispatcher.Caller{User: "gong", Role: warning.Engineer}

// own is the operator's own number; nobody of the town has it.
const own = 9990000000001

func health(t *testing.T, h *house, name string) dispatcher.AccountHealth {
	t.Helper()
	all, err := h.e.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no account %s", name)
	return dispatcher.AccountHealth{}
}

// TestALinkTestByHand: one message of status test to the operator's own number, with its answer and receipt; nothing of
// it stands in a lane, and no receipt of it is counted as unknown.
func TestALinkTestByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 10, 1500)
		h.test = own
		h.start()
		defer h.close()
		pass(time.Second)
		a, err := h.e.Probe(t.Context(), engineer, "mobile")
		if err != nil {
			t.Fatal(err)
		}
		r := a.Route.Test
		if r == nil || !r.OK || r.Outcome != "handed_over" || r.Receipt != "arrived" || r.Answer < 20*time.Millisecond || r.ReceiptTook < r.Answer {
			t.Errorf("%+v", r)
		}
		for _, m := range h.c.log() {
			if m.number != own {
				t.Errorf("a message went to somebody else")
			}
		}
		w := h.warn(spec(warning.Orange, "after", ""))
		pass(5 * time.Second)
		report, err := h.e.Report(t.Context(), w.ID)
		if err != nil || report.Unmatched != 0 || report.Delivered != 10 {
			t.Errorf("%d receipts matched nothing, %d people delivered, %v", report.Unmatched, report.Delivered, err)
		}
	})
}

func TestLinkTestsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		if _, err := h.e.Probe(t.Context(), engineer, "none"); warning.ReasonOf(err) != warning.ReasonNotFound {
			t.Errorf("an account that is not there: %v", err)
		}
		if _, err := h.e.Probe(t.Context(), engineer, "mobile"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("an account without a number of its own: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 10, 1500)
		h.test = own
		h.start()
		defer h.close()
		if _, err := h.e.Pause(t.Context(), engineer, "pause", "mobile", "work"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.e.Probe(t.Context(), engineer, "mobile"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("a paused account: %v", err)
		}
	})
}

// TestScheduledLinkTestsSteerTheRoute: without any warning a carrier that fails is found by its test, left, and comes back
// when its tests are good again.
func TestScheduledLinkTestsSteerTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 1000, 1500)
		h.other, h.test, h.every = newCarrier(), own, 5*time.Minute
		h.start()
		defer h.close()
		pass(2 * time.Second)
		if r := health(t, h, "mobile").Route; r.Test == nil || !r.Test.OK || r.Share != 1 {
			t.Fatalf("%+v", r)
		}
		h.c.answers(func(arrival) channels.Outcome {
			return channels.Outcome{Kind: channels.Refused, Reason: channels.NotAllowed}
		})
		pass(6 * time.Minute)
		if r := health(t, h, "mobile").Route; r.Test == nil || r.Test.OK || r.Share != 0 {
			t.Fatalf("%+v", r)
		}
		h.warn(spec(warning.Orange, "elsewhere", ""))
		pass(5 * time.Second)
		if n := len(complete(h.other.log(), "elsewhere")); n != 1000 {
			t.Errorf("%d of 1000 people go by the account whose test is good", n)
		}
		h.c.answers(nil)
		pass(8 * time.Minute)
		if r := health(t, h, "mobile").Route; r.Share != 1 || !r.Test.OK {
			t.Errorf("%+v", r)
		}
	})
}

// TestReceiptsOfLinkTests is the table of what may come back for one.
func TestReceiptsOfLinkTests(t *testing.T) {
	for name, c := range map[string]struct {
		answer  channels.Outcome
		down    bool
		ok      bool
		outcome string
	}{
		"taken":        {answer: channels.Outcome{Kind: channels.HandedOver}, ok: true, outcome: "handed_over"},
		"never":        {answer: channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}, outcome: "unknown"},
		"refused":      {answer: channels.Outcome{Kind: channels.Refused, Reason: channels.BadNumber}, outcome: "refused"},
		"no link":      {down: true},
		"a full queue": {answer: channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}, outcome: "retry"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := houseOf(t, 10, 1500)
				h.test = own
				h.start()
				defer h.close()
				h.c.cut(c.down)
				h.c.answers(func(arrival) channels.Outcome { return c.answer })
				var group sync.WaitGroup
				group.Go(func() {
					a, err := h.e.Probe(t.Context(), engineer, "mobile")
					if r := a.Route.Test; err != nil || r == nil || r.OK != c.ok || r.Outcome != c.outcome {
						t.Errorf("%+v, %v", r, err)
					}
				})
				group.Wait()
			})
		})
	}
}
