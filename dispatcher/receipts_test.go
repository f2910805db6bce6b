package dispatcher_test

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestReceiptsThatComeWithTheLinks lets the carrier send what it owes as soon as a link opens, as carriers do after a
// restart: the ledger is not read yet.
func TestReceiptsThatComeWithTheLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 900, 1500)
		h.c.keep = true
		w := h.warn(spec(warning.Orange, "owed", ""))
		pass(3 * time.Second)
		if l := h.lane(w.ID); l.Counts[warning.HandedOver] != 900 {
			t.Fatalf("lane %+v", l)
		}
		h.close()
		h.c.keep = false
		h.start()
		defer h.close()
		pass(time.Second)
		if l := h.lane(w.ID); l.Counts[warning.Delivered] != 900 {
			t.Errorf("lane %+v", l)
		}
	})
}

// answered is receipts that count how often they were answered.
type answered struct {
	receipts
	times *atomic.Int32
}

func (a answered) Ack() { a.times.Add(1) }

// TestEveryReceiptIsAnswered gives an idle account receipts that change nothing: unanswered ones come again for ever.
func TestEveryReceiptIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		var times atomic.Int32
		for _, r := range []channels.Receipt{
			{Number: number(1), State: channels.Passing},
			{Number: number(1), Print: 7, State: channels.Arrived}, // of no message
			{Number: number(99), Print: 7, State: channels.Failed}, // of nobody
			{},
		} {
			h.c.sink.Receipts(answered{receipts{r}, &times})
			pass(100 * time.Millisecond)
		}
		if n := times.Load(); n != 4 {
			t.Errorf("%d of 4 were answered", n)
		}
	})
}

// TestReceiptsOfEveryKind is the table of what carriers do with receipts, and where the person stands after it. A message has
// two segments, its answers come after 20 ms, and each kind befalls one person.
func TestReceiptsOfEveryKind(t *testing.T) {
	const before, behind, hours = 5 * time.Millisecond, 40 * time.Millisecond, 2 * time.Hour
	tell := func(after time.Duration, print uint16, state channels.ReceiptState, why channels.Reason) told {
		return told{after, channels.Receipt{Print: print, State: state, Reason: why}}
	}
	arrived := func(after time.Duration, print uint16) told {
		return tell(after, print, channels.Arrived, channels.NoReason)
	}
	failed := func(after time.Duration, print uint16) told {
		return tell(after, print, channels.Failed, channels.Undeliverable)
	}
	each := func(kinds ...func(uint16) told) func(arrival, uint16) []told {
		return func(_ arrival, print uint16) (all []told) {
			for _, k := range kinds {
				all = append(all, k(print))
			}
			return all
		}
	}
	at := func(f func(time.Duration, uint16) told, after time.Duration) func(uint16) told {
		return func(print uint16) told { return f(after, print) }
	}
	strange := func(print uint16) told { return arrived(behind, ^print) }
	passing := func(print uint16) told { return tell(behind, print, channels.Passing, channels.NoReason) }
	expired := func(print uint16) told { return tell(behind, print, channels.Failed, channels.ExpiredThere) }
	silent := func(arrival) channels.Outcome {
		return channels.Outcome{Kind: channels.Unknown, Reason: channels.NoAnswer}
	}
	same := func(uint16) uint16 { return 7 }
	none := func(uint16) uint16 { return 0 }
	cases := map[string]struct {
		tells   func(arrival, uint16) []told
		answer  func(arrival) channels.Outcome // nil: it has all
		ids     func(uint16) uint16
		want    warning.PersonState
		unknown int64 // receipts a person that are counted as nobody's in the end
	}{
		"before the answer":                      {tells: each(at(arrived, before)), want: warning.Delivered},
		"before an answer that never comes":      {tells: each(at(arrived, before)), answer: silent, want: warning.Delivered},
		"after an answer that never comes":       {tells: each(at(arrived, behind)), answer: silent, want: warning.Delivered},
		"a failure before the answer":            {tells: each(at(failed, before)), want: warning.Undelivered},
		"twice":                                  {tells: each(at(arrived, behind), at(arrived, behind)), want: warning.Delivered},
		"twice before the answer":                {tells: each(at(arrived, before), at(arrived, before)), want: warning.Delivered},
		"once before the answer and once after":  {tells: each(at(arrived, before), at(arrived, behind)), want: warning.Delivered},
		"never":                                  {tells: each(), want: warning.HandedOver},
		"for an id that no answer gave":          {tells: each(strange), want: warning.HandedOver, unknown: 2},
		"for its id and for one never given":     {tells: each(at(arrived, behind), strange), want: warning.Delivered, unknown: 2},
		"late by hours":                          {tells: each(at(arrived, hours)), want: warning.Delivered},
		"late by hours, a failure":               {tells: each(at(failed, hours)), want: warning.Undelivered},
		"later than the warning lasts":           {tells: each(at(arrived, 3*time.Hour)), want: warning.Delivered},
		"all messages have one id":               {tells: each(at(arrived, behind)), ids: same, want: warning.Delivered},
		"all messages have one id, and twice":    {tells: each(at(arrived, behind), at(arrived, behind)), ids: same, want: warning.Delivered},
		"no message has an id":                   {tells: each(at(arrived, behind)), ids: none, want: warning.Delivered},
		"the answer had no id, the receipt one":  {tells: each(strange), ids: none, want: warning.HandedOver, unknown: 2},
		"on its way":                             {tells: each(passing), want: warning.HandedOver},
		"arrived, then on its way":               {tells: each(at(arrived, before), passing), want: warning.Delivered},
		"arrived, then failed":                   {tells: each(at(arrived, behind), at(failed, hours)), want: warning.Delivered},
		"failed, then arrived":                   {tells: each(at(failed, behind), at(arrived, hours)), want: warning.Delivered},
		"expired at the carrier":                 {tells: each(expired), want: warning.ExpiredOut},
		"expired at the carrier, then arrived":   {tells: each(expired, at(arrived, hours)), want: warning.Delivered},
		"one segment arrived and one is missing": {tells: func(a arrival, p uint16) []told { return each(at(arrived, behind))(a, p)[:1-a.segment] }, want: warning.HandedOver},
		"one segment arrived and one failed": {tells: func(a arrival, p uint16) []told {
			return []told{each(at(arrived, behind), at(failed, before))(a, p)[a.segment]}
		}, want: warning.Undelivered},
	}
	synctest.Test(t, func(t *testing.T) {
		names := slices.Sorted(maps.Keys(cases))
		h := newHouse(t, len(names), 1500)
		defer h.close()
		h.c.tells = func(a arrival, print uint16) []told { return cases[names[a.number-number(0)]].tells(a, print) }
		h.c.answer = func(a arrival) channels.Outcome {
			if f := cases[names[a.number-number(0)]].answer; f != nil {
				return f(a)
			}
			return channels.Outcome{Kind: channels.HandedOver}
		}
		h.c.ids = func(a arrival, print uint16) uint16 {
			if f := cases[names[a.number-number(0)]].ids; f != nil {
				return f(print)
			}
			return print
		}
		s := spec(warning.Yellow, "in two segments", "")
		s.Expires = time.Now().Add(150 * time.Minute).UTC()
		w := h.warn(s)
		pass(hours + 70*time.Minute)
		h.lane(w.ID)
		var unknown int64
		for i, name := range names {
			who, err := h.e.Who(t.Context(), approver, number(i), "test")
			if err != nil || len(who.Messages) != 1 || who.Messages[0].State != cases[name].want {
				t.Errorf("%s: %+v, want %v (%v)", name, who.Messages, cases[name].want, err)
			}
			unknown += cases[name].unknown
		}
		if n := len(h.c.log()); n != 2*len(names) {
			t.Errorf("%d segments left, want %d: nobody is told twice", n, 2*len(names))
		}
		r, err := h.e.Report(t.Context(), w.ID)
		if err != nil || r.Unmatched != unknown {
			t.Errorf("%d receipts are counted as nobody's, want %d (%v)", r.Unmatched, unknown, err)
		}
	})
}

// TestAReceiptOfAnotherWarningEndsNoRetry: the receipt of a warning comes before the answer to its submission, while another
// one is on its way to the same person who was put off once: it says nothing about that one.
func TestAReceiptOfAnotherWarningEndsNoRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1, 1500)
		defer h.close()
		h.c.tells = func(a arrival, print uint16) []told {
			if a.text != "first" {
				return []told{}
			}
			return []told{{after: 7 * time.Second, Receipt: channels.Receipt{Print: print, State: channels.Arrived}}}
		}
		var seconds atomic.Int32
		h.c.answers(func(a arrival) channels.Outcome {
			if a.text == "second" && seconds.Add(1) < 3 {
				return channels.Outcome{Kind: channels.Retry, Reason: channels.QueueFull}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		h.c.takes(15 * time.Second)
		first := h.warn(spec(warning.Red, "first", ""))
		pass(500 * time.Millisecond)
		h.c.takes(100 * time.Millisecond)
		second := h.warn(spec(warning.Red, "second", ""))
		pass(500 * time.Millisecond)
		h.c.takes(8 * time.Second) // the second try is on its way when the receipt comes
		pass(time.Minute)
		if n := seconds.Load(); n != 3 {
			t.Errorf("the person was tried %d times, and was put off twice", n)
		}
		if c := h.lane(second.ID).Counts; c[warning.HandedOver] != 1 {
			t.Errorf("who has no receipt of the second is counted as %v", c)
		}
		if c := h.lane(first.ID).Counts; c[warning.Delivered] != 1 {
			t.Errorf("who has the receipt of the first is counted as %v", c)
		}
	})
}

// TestReceiptsOfNobodyAreCountedOnce: receipts that match nothing are kept in the journal while nothing else is written to it,
// which neither grows for that nor makes them more or fewer when they are read again, also behind a crash just after a fold.
func TestReceiptsOfNobodyAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 10, 1500)
		h.c.tells = func(_ arrival, print uint16) []told {
			return []told{{after: 5 * time.Second, Receipt: channels.Receipt{Print: print + 1000, State: channels.Arrived}}}
		}
		began := time.Now()
		d := &diesBehindFold{died: make(chan struct{}), earlier: true, decides: func(dispatcher.Commit) bool { return time.Since(began) > 30*time.Second }}
		h.start(func(o *dispatcher.Options) { d.cut = h.cut; o.Queue = d })
		w := h.warn(spec(warning.Red, "lost", ""))
		pass(25 * time.Second)
		im, err := h.store.Load(t.Context(), "mobile", 0, true, nil)
		if err != nil || len(im.Journal) > 3 {
			t.Errorf("the journal has %d entries, %v", len(im.Journal), err)
		}
		pass(10 * time.Second)
		h.kill()
		h.start()
		defer h.close()
		pass(11 * time.Minute)
		r, err := h.e.Report(t.Context(), w.ID)
		if err != nil || r.Unmatched != 10 {
			t.Errorf("%d receipts are counted as matching nothing, and there were 10: %v", r.Unmatched, err)
		}
	})
}

// TestAReceiptBeforeAnAnswerIsOfWhatIsTaken: nobody got an answer about the first warning. A receipt comes just before the answer to
// the second one: where that is taken the receipt is its own, and the first is handed off again; where it is put off the receipt
// can only be of the first.
func TestAReceiptBeforeAnAnswerIsOfWhatIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		answer channels.Outcome
		first  warning.PersonState
		hands  int
	}{
		"taken":   {channels.Outcome{Kind: channels.HandedOver}, warning.Unknown, 2},
		"put off": {bad(channels.Retry, channels.QueueFull), warning.Delivered, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 100, 1500)
				defer h.close()
				var mu sync.Mutex
				seen := map[arrival]bool{}
				h.c.answers(func(a arrival) channels.Outcome {
					mu.Lock()
					defer mu.Unlock()
					a.at = time.Time{}
					switch first := !seen[a]; {
					case first && a.text == "one":
						seen[a] = true
						return bad(channels.Unknown, channels.NoAnswer)
					case first:
						seen[a] = true
						return c.answer
					}
					return channels.Outcome{Kind: channels.HandedOver}
				})
				h.c.tells = func(a arrival, print uint16) []told {
					if a.text == "one" {
						return nil
					}
					return []told{{time.Millisecond, channels.Receipt{Print: print, State: channels.Arrived}}}
				}
				one := h.warn(spec(warning.Yellow, "one", ""))
				pass(5 * time.Second)
				two := h.warn(spec(warning.Yellow, "two", ""))
				pass(time.Minute)
				if got := h.lane(one.ID).Counts; got[c.first] != 100 {
					t.Errorf("the first one: %v", got)
				}
				if got := h.lane(two.ID).Counts; got[warning.Delivered] != 100 {
					t.Errorf("the second one: %v", got)
				}
				pass(15 * time.Minute)
				for i := range 100 {
					if n := complete(h.c.log(), "one")[number(i)]; n != c.hands {
						t.Fatalf("person %d was rung %d times with the first one", i, n)
					}
				}
			})
		})
	}
}

// TestAReceiptInDoubtIsOfNoWarning: the hand-offs of two warnings had no answer, and a receipt comes that may be of either: it was
// of the first, and nobody has the second.
func TestAReceiptInDoubtIsOfNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 100, 1500)
		defer h.close()
		h.c.answers(func(arrival) channels.Outcome { return bad(channels.Unknown, channels.NoAnswer) })
		h.c.tells = func(a arrival, print uint16) []told {
			if a.text == "two" {
				return nil
			}
			return []told{{5 * time.Second, channels.Receipt{Print: print, State: channels.Arrived}}}
		}
		h.warn(spec(warning.Yellow, "one", ""))
		pass(time.Second)
		h.warn(spec(warning.Yellow, "two", ""))
		pass(15 * time.Minute)
		for i := range 100 {
			if n := complete(h.c.log(), "two")[number(i)]; n != 2 {
				t.Fatalf("person %d was rung %d times with the second one, want another time", i, n)
			}
		}
	})
}
