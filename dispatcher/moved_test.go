package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestFlashFallsBackToSMS: whoever is refused a flash message gets the words by SMS once; whoever has the warning by SMS
// anyway is not rung again.
func TestFlashFallsBackToSMS(t *testing.T) {
	for name, chs := range map[string][]warning.Channel{
		"flash alone":    {warning.FlashSMS},
		"flash and text": {warning.FlashSMS, warning.SMS},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 300, 1500)
				defer h.close()
				h.c.answers(func(a arrival) channels.Outcome {
					if a.flash && a.number%3 == 0 {
						return channels.Outcome{Kind: channels.Refused, Reason: channels.BadContent}
					}
					return channels.Outcome{Kind: channels.HandedOver}
				})
				s := spec(warning.Red, "slide", "")
				s.Channels = chs
				w := h.warn(s)
				pass(10 * time.Second)
				flash, text, refused := map[uint64]int{}, map[uint64]int{}, 0
				for _, a := range h.c.log() {
					switch {
					case a.flash && a.number%3 == 0:
						refused++
					case a.flash:
						flash[a.number]++
					default:
						text[a.number]++
					}
				}
				if refused != 100 || len(flash) != 200 {
					t.Fatalf("%d flash messages were refused, %d taken", refused, len(flash))
				}
				want := 100
				if len(chs) == 2 {
					want = 300
				}
				if len(text) != want {
					t.Errorf("%d people got it by SMS, want %d", len(text), want)
				}
				for who, n := range text {
					if n != 1 {
						t.Fatalf("%d got it %d times by SMS", who, n)
					}
				}
				r, err := h.e.Report(t.Context(), w.ID)
				if err != nil {
					t.Fatal(err)
				}
				if r.Delivered != 300 || r.NotReached != 0 {
					t.Errorf("%d people delivered, %d not reached; everybody has it by one channel", r.Delivered, r.NotReached)
				}
				for _, l := range r.Lanes {
					if !l.Balanced || l.Channel == warning.FlashSMS && l.Counts[warning.Moved] != 100 {
						t.Errorf("lane %+v", l)
					}
				}
				if s := h.state(w.ID); s != warning.Completed {
					t.Errorf("the warning is %v", s)
				}
			})
		})
	}
}

// slowParts takes its time to store what is added to plans.
type slowParts struct {
	dispatcher.Records
	takes time.Duration
}

func (r slowParts) PutPlans(ctx context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	if len(parts) > 0 && parts[0].Parts > 1 {
		pass(r.takes)
	}
	return r.Records.PutPlans(ctx, parts)
}

// TestWhoMovesWhileOthersAreGivenAPlace: people whom the carrier refuses while the part of the plan for those before them is
// being made and stored get a place too.
func TestWhoMovesWhileOthersAreGivenAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 100)
		h.start(func(o *dispatcher.Options) { o.Records = slowParts{h.store, 4 * time.Second} })
		defer h.close()
		h.c.answers(func(a arrival) channels.Outcome {
			if a.flash {
				return channels.Outcome{Kind: channels.Refused, Reason: channels.BadContent}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		s := spec(warning.Red, "slide", "")
		s.Channels = []warning.Channel{warning.FlashSMS}
		w := h.warn(s)
		pass(30 * time.Second)
		text := map[uint64]int{}
		for _, a := range h.c.log() {
			if !a.flash {
				text[a.number]++
			}
		}
		if len(text) != 300 {
			t.Errorf("%d of 300 people got it by SMS; the warning is %v", len(text), h.state(w.ID))
		}
		for who, n := range text {
			if n != 1 {
				t.Fatalf("%d got it %d times by SMS", who, n)
			}
		}
	})
}
