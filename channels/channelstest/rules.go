package channelstest

import (
	"context"
	"testing"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// testBatchLargerThanWindows: Send takes what fits, never half a message, and leaves the others alone.
func testBatchLargerThanWindows(t *testing.T, h Harness) {
	// An odd window cannot be filled by messages of two segments.
	s := open(t, h, Late, func(a *channels.Account) { a.Window, a.AnswerTimeout = 5, time.Minute })
	if s.carrier.Room() > 10 {
		t.Fatalf("room for %d in two windows of 5", s.carrier.Room())
	}
	p := s.prepare(nil)
	s.wait("both links", func() bool { return s.carrier.Room() == 10 })
	b := batch(0, people)
	n := s.carrier.Send(p, b)
	for _, m := range b[:n] {
		s.sink.expect(m, segments)
	}
	if n != 4 || s.carrier.Room() != 2 {
		t.Fatalf("%d messages were taken and room is %d; want 4 and 2", n, s.carrier.Room())
	}
	if n := s.carrier.Send(p, b[n:]); n != 0 {
		t.Fatalf("%d messages of two segments were taken by windows that hold one", n)
	}
	s.wait("the answers", s.sink.complete)
	for _, l := range s.carrier.Links() {
		if l.Open != 0 {
			t.Errorf("link %d has %d open messages after all outcomes", l.Index, l.Open)
		}
	}
}

// testSkip: segments that the carrier has already do not leave again.
func testSkip(t *testing.T, h Harness) {
	s := open(t, h, Plain, nil)
	p := s.prepare(nil)
	b := batch(0, 3)
	b[0].Skip, b[1].Skip, b[2].Skip = 0b01, 0b10, 0b11
	s.wait("a link", func() bool { return s.carrier.Room() > 0 })
	s.hand(p, b)
	s.wait("the outcomes", s.sink.complete)
	got := s.peer.Got()
	want := map[Got]bool{{Number(0), 1, 0}: true, {Number(1), 0, 1}: true}
	if len(got) != 2 || !want[got[0]] || !want[got[1]] {
		t.Errorf("the carrier got %+v", got)
	}
}

func testRealNumbers(t *testing.T, h Harness) {
	testNumbers(t, h, true, 1) // not synthetic, and nobody's either
}

func testSyntheticNumbers(t *testing.T, h Harness) { testNumbers(t, h, false, Number(0)) }

// testNumbers: a number that the account must not carry is refused and no byte of it leaves (promise 8).
func testNumbers(t *testing.T, h Harness, simulated bool, number uint64) {
	s := open(t, h, Plain, func(a *channels.Account) { a.Simulated = simulated })
	p := s.prepare(nil)
	s.wait("a link", func() bool { return s.carrier.Room() > 0 })
	s.hand(p, []channels.Message{{Token: 7, Number: number}})
	s.wait("the outcomes", s.sink.complete)
	if n := s.sink.words()[notAllowed]; n != segments {
		t.Errorf("%d segments are refused, want %d: %v", n, segments, s.sink.words())
	}
	if err := s.close(time.Second); err != nil {
		t.Error(err)
	}
	if got := s.peer.Got(); len(got) != 0 {
		t.Errorf("the carrier got %d segments", len(got))
	}
}

func testPrepareRefuses(t *testing.T, h Harness) {
	s := open(t, h, Plain, nil)
	for name, c := range map[string]channels.Content{
		"no status":                     {Text: text},
		"a status that is not marked":   {Text: text, Status: warning.Actual},
		"a public drill without a mark": {Text: text, Status: warning.PublicDrill},
		"no words":                      {Status: warning.Exercise},
		"broken UTF-8":                  {Text: "\xff", Status: warning.Exercise},
	} {
		if _, err := s.carrier.Prepare(c); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := s.carrier.Prepare(channels.Content{Text: "【演练】" + text, Status: warning.PublicDrill}); err != nil {
		t.Errorf("a public drill with its mark: %v", err)
	}
}

// testReceiptsWaitForAck: the carrier gets its answer when the engine has kept the receipt, not before.
func testReceiptsWaitForAck(t *testing.T, h Harness) {
	s := open(t, h, Plain, nil)
	s.sink.keep = true
	p := s.prepare(nil)
	s.wait("room", func() bool { return s.carrier.Room() >= people*segments })
	s.hand(p, batch(0, people))
	s.wait("outcomes and receipts", func() bool { return s.sink.complete() && s.sink.receiptCount() == people*segments })
	if n := s.peer.ReceiptsAnswered(); n != 0 {
		t.Errorf("%d receipts were answered before Ack", n)
	}
	s.sink.mu.Lock()
	groups := s.sink.groups
	s.sink.mu.Unlock()
	for _, g := range groups[1:] {
		g.Ack()
	}
	rest := len(groups[0].All())
	s.wait("the answers", func() bool { return s.peer.ReceiptsAnswered() == people*segments-rest })
	if err := s.close(time.Second); err != nil {
		t.Error(err)
	}
	groups[0].Ack() // after Close: nothing to answer on, and no harm
}

func testCloseWaits(t *testing.T, h Harness) {
	s := open(t, h, Late, func(a *channels.Account) { a.AnswerTimeout = time.Minute })
	p := s.prepare(nil)
	s.wait("room", func() bool { return s.carrier.Room() >= people*segments })
	s.hand(p, batch(0, people))
	if err := s.close(patience); err != nil {
		t.Error(err)
	}
	if n := s.sink.words()[handedOver]; n != people*segments {
		t.Errorf("%d of %d segments were answered by the end of Close", n, people*segments)
	}
	if n := s.carrier.Send(p, batch(people, 1)); n != 0 || s.carrier.Room() != 0 {
		t.Errorf("a closed account took %d messages and has room for %d", n, s.carrier.Room())
	}
}

func testCloseReports(t *testing.T, h Harness) {
	s := open(t, h, Mute, func(a *channels.Account) { a.AnswerTimeout = time.Minute })
	p := s.prepare(nil)
	s.wait("room", func() bool { return s.carrier.Room() >= people*segments })
	s.hand(p, batch(0, people))
	if err := s.close(20 * time.Millisecond); err == nil {
		t.Error("Close says that all was answered")
	}
	if n := s.sink.words()[noAnswer]; n != people*segments {
		t.Errorf("%d of %d segments are unknown", n, people*segments)
	}
}

func testCloseEarly(t *testing.T, h Harness) {
	s := open(t, h, BindIgnored, func(a *channels.Account) { a.Links, a.BindTimeout = 1, time.Minute })
	s.wait("a bind", func() bool { return s.peer.Binds() > 0 })
	if s.carrier.Room() != 0 || s.carrier.Send(s.prepare(nil), batch(0, 1)) != 0 {
		t.Error("a link that is not bound has room")
	}
	if err := s.close(time.Second); err != nil {
		t.Error(err)
	}
}

// testKeepAlive: an idle link is asked; one that does not answer is replaced.
func testKeepAlive(t *testing.T, h Harness) {
	idle := func(a *channels.Account) { a.KeepAlive = 50 * time.Millisecond }
	s := open(t, h, Plain, idle)
	s.wait("keep-alives", func() bool { return s.peer.KeepAlives() >= 6 })
	if n := s.peer.Binds(); n != 2 {
		t.Errorf("two links that answer were bound %d times", n)
	}
	s = open(t, h, KeepAliveIgnored, idle)
	s.wait("links to be replaced", func() bool { return s.peer.Binds() >= 4 })
}

func testOpenRefuses(t *testing.T, h Harness) {
	good := h.Account
	good.Address, good.Links, good.Window, good.Statuses = "127.0.0.1:1", 1, 1, []warning.Status{warning.Exercise}
	for name, change := range map[string]func(*channels.Account){
		"no address":        func(a *channels.Account) { a.Address = "" },
		"no port":           func(a *channels.Account) { a.Address = "127.0.0.1" },
		"no links":          func(a *channels.Account) { a.Links = 0 },
		"no window":         func(a *channels.Account) { a.Window = 0 },
		"no statuses":       func(a *channels.Account) { a.Statuses = nil },
		"a negative timer":  func(a *channels.Account) { a.AnswerTimeout = -1 },
		"a negative window": func(a *channels.Account) { a.Window = -1 },
	} {
		a := good
		change(&a)
		if c, err := h.Adapter.Open(a, newRecorder()); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%s: error %v", name, err)
			if c != nil {
				t.Error("and it was opened")
			}
		}
	}
}

// testRecall: what the carrier still holds is asked for once, and what it gives up is told; a message that it never had is
// not asked for. Who recalls counts nothing twice, and what is sent meanwhile finds its room.
func testRecall(t *testing.T, h Harness) {
	s := open(t, h, GivesBack, nil)
	r, ok := s.carrier.(channels.Recaller)
	if !ok {
		return // the transport cannot
	}
	p := s.prepare(nil)
	s.wait("room", func() bool { return s.carrier.Room() >= people*segments })
	s.hand(p, batch(0, people))
	s.wait("the outcomes", s.sink.complete)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asked, gone := r.Recall(ctx, batch(0, people+3))
	if asked != people*segments || len(gone) != people*segments/2 {
		t.Errorf("asked for %d segments and got %d back; of %d the carrier gives every second", asked, len(gone), people*segments)
	}
	seen := map[channels.Segment]bool{}
	for _, g := range gone {
		if g.Token >= people || g.Index >= segments || seen[g] {
			t.Errorf("segment %d of message %d was given back twice, or was never there", g.Index, g.Token)
		}
		seen[g] = true
	}
	if s.carrier.Room() != people*segments {
		t.Errorf("room for %d after the answers", s.carrier.Room())
	}
	if n := len(s.sink.all()); n != people*segments {
		t.Errorf("%d outcomes of %d segments", n, people*segments)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if asked, gone := r.Recall(ended, batch(0, people)); asked != 0 || gone != nil {
		t.Errorf("after its context had ended it asked for %d", asked)
	}
}
