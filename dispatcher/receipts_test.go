package dispatcher_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
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
