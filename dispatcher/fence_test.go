package dispatcher_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/channels"
	"tocsin/dispatcher"
	"tocsin/warning"
)

// inTown and outOfTown are in district 500101 and in 500103.
var inTown, outOfTown = [2]int32{1084000000, 308000000}, [2]int32{1065500000, 295500000}

// move brings the people numbered from to to (without) to a place, as one stream.
func (h *house) move(from, to int, at [2]int32) dispatcher.Moved {
	h.t.Helper()
	m, err := h.e.Move(context.Background(), h.positions(from, to, at))
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) positions(from, to int, at [2]int32) func() (dispatcher.Positions, error) {
	sent := false
	return func() (dispatcher.Positions, error) {
		var p dispatcher.Positions
		if sent {
			return p, io.EOF
		}
		sent = true
		for i := from; i < to; i++ {
			p.Number, p.Lon, p.Lat = append(p.Number, number(i)), append(p.Lon, at[0]), append(p.Lat, at[1])
		}
		return p, nil
	}
}

// once wants exactly the people from to to to have got a text, each once.
func (h *house) once(text string, from, to int) {
	h.t.Helper()
	got := complete(h.c.log(), text)
	for i := from; i < to; i++ {
		if got[number(i)] != 1 {
			h.t.Fatalf("person %d got %q %d times", i, text, got[number(i)])
		}
	}
	if len(got) != to-from {
		h.t.Errorf("%d people got %q, want %d", len(got), text, to-from)
	}
}

// balanced wants the sums of promise 2 with those who entered.
func (h *house) balanced(id string, inArea, entered int64) {
	h.t.Helper()
	r, err := h.e.Report(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	planned := h.lane(id).Planned
	if r.InArea != inArea || r.Entered != entered || r.InArea+r.Entered != planned+r.NoAddress+r.OptedOut {
		h.t.Errorf("%d in the area, %d entered, %d planned, %d without address, %d opted out", r.InArea, r.Entered, planned, r.NoAddress, r.OptedOut)
	}
}

// TestWhoWalksInGetsItOnce: also when the warning was completed, and not again on coming back, nor when in the plan.
func TestWhoWalksInGetsItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 3000, 1500)
		h.town.blocks[2].Flags[0] = warning.OptedOut // person 2048
		h.start()
		defer h.close()
		w := h.warn(spec(warning.Orange, "walk in", "first 100"))
		pass(3 * time.Second)
		if s := h.state(w.ID); s != warning.Completed {
			t.Fatalf("the warning is %v", s)
		}
		if m := h.move(0, 3000, outOfTown); m != (dispatcher.Moved{Positions: 3000, Known: 3000}) {
			t.Errorf("out of town: %+v", m)
		}
		began := time.Now()
		if m := h.move(0, 200, inTown); m.Entered != 100 {
			t.Errorf("into town: %+v", m)
		}
		pass(900*time.Millisecond - time.Since(began))
		h.once("walk in", 0, 200)
		h.move(0, 200, outOfTown)
		if m := h.move(0, 200, inTown); m.Entered != 0 {
			t.Errorf("back in town: %+v", m)
		}
		if m := h.move(2040, 2060, inTown); m.Entered != 19 {
			t.Errorf("one of twenty has opted out: %+v", m)
		}
		if m := h.move(4000, 4010, inTown); m.Entered != 0 || m.Known != 0 {
			t.Errorf("strangers: %+v", m)
		}
		pass(2 * time.Second)
		h.balanced(w.ID, 100, 120) // who has opted out is counted, once
		h.move(0, 3000, outOfTown)
		h.move(2040, 2060, inTown)
		h.balanced(w.ID, 100, 120)
		if n := len(complete(h.c.log(), "walk in")); n != 219 {
			t.Errorf("%d people got it", n)
		}
		pass(12 * time.Second)
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("when nobody enters any more the warning is %v", s)
		}
	})
}

// TestEachFenceCountsForItself: who enters two areas that lie over each other gets both warnings; a third that is elsewhere
// stays silent.
func TestEachFenceCountsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		h.warn(spec(warning.Orange, "one", "first 10"))
		h.warn(spec(warning.Yellow, "two", "first 20"))
		third := spec(warning.Yellow, "three", "first 30")
		third.Areas[0].Unit = "500103"
		h.warn(third)
		pass(2 * time.Second)
		if m := h.move(0, 100, inTown); m.Entered != 90+80 {
			t.Errorf("%+v", m)
		}
		pass(time.Second)
		h.once("one", 0, 100)
		h.once("two", 0, 100)
		h.once("three", 0, 30)
	})
}

// TestNobodyEntersWhatHasEnded: held, cancelled, expired; after a hold the fence stands again.
func TestNobodyEntersWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1000, 1500)
		defer h.close()
		ctx := context.Background()
		s := spec(warning.Orange, "short", "first 10")
		s.Expires = time.Now().Add(time.Minute).UTC()
		h.warn(s)
		held := h.warn(spec(warning.Orange, "held", "first 900")) // takes long enough to be held
		stopped := h.warn(prepared(spec(warning.Orange, "stopped", "first 10")))
		pass(300 * time.Millisecond)
		if _, err := h.e.Hold(ctx, approver, "hold", held.ID, "wait"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if _, _, err := h.e.Cancel(ctx, approver, "cancel", stopped.ID, "mistake"); err != nil {
			t.Fatal(err)
		}
		if m := h.move(900, 950, inTown); m.Entered != 50 {
			t.Errorf("one of three lives: %+v", m)
		}
		if _, err := h.e.Release(ctx, commander, "go on", held.ID); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if m := h.move(900, 1000, inTown); m.Entered != 100+50 {
			t.Errorf("two of three live: %+v", m)
		}
		pass(time.Minute)
		h.once("held", 0, 1000)
		h.once("stopped", 0, 10)
		if m := h.move(0, 1000, inTown); m.Entered != 0 {
			t.Errorf("after the end: %+v", m)
		}
		if n := len(complete(h.c.log(), "short")); n != 110 {
			t.Errorf("%d people got what has expired", n)
		}
	})
}

// TestCorrectionGoesToWhoEntered: they were reached like all others.
func TestCorrectionGoesToWhoEntered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		w := h.warn(prepared(spec(warning.Orange, "mistake", "first 10")))
		pass(2 * time.Second)
		h.move(10, 50, inTown)
		pass(time.Second)
		_, correction, err := h.e.Cancel(context.Background(), approver, "cancel", w.ID, "mistake")
		if err != nil {
			t.Fatal(err)
		}
		h.release(correction)
		pass(3 * time.Second)
		h.once("no mistake", 0, 50)
	})
}

// TestRestartRingsNobodyTwice: who entered before a crash is known after it, by the plan alone; what was not durable is
// told to the feed.
func TestRestartRingsNobodyTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer func() { h.close() }()
		w := h.warn(spec(warning.Orange, "crash", "first 10"))
		pass(2 * time.Second)
		h.move(10, 50, inTown)
		pass(time.Second)
		h.kill()
		if _, err := h.e.Move(context.Background(), h.positions(0, 60, inTown)); warning.ReasonOf(err) != warning.ReasonUnavailable {
			t.Errorf("an engine that has ended answers %v", err)
		}
		h.start()
		if m := h.move(0, 60, inTown); m.Entered != 10 {
			t.Errorf("after the crash: %+v", m)
		}
		pass(time.Second)
		h.once("crash", 0, 60)
		h.balanced(w.ID, 10, 50)
	})
}

// TestTwoProcessesRingOnce: both hear of the same people; the plan takes each once.
func TestTwoProcessesRingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		other := *h
		other.ids = &epochs{}
		other.node = "n2"
		other.start()
		defer other.close()
		w := h.warn(spec(warning.Orange, "both", "first 10"))
		pass(11 * time.Second) // the other one looks for completed warnings
		done := make(chan dispatcher.Moved)
		for i, e := range []*house{h, &other} { // who is stored second has to leave out whom the first has
			go func() { done <- e.move(250*i, 500+250*i, inTown) }()
		}
		<-done
		<-done
		pass(2 * time.Second)
		h.once("both", 0, 750)
		h.balanced(w.ID, 10, 740)
	})
}

// TestWhoEntersWhileTheOthersAreRead: somebody enters here just when it is being read that another process has them.
func TestWhoEntersWhileTheOthersAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3000, 1500)
		defer h.close()
		other := *h
		other.ids = &epochs{}
		other.node = "n2"
		other.start()
		defer other.close()
		w := h.warn(spec(warning.Orange, "late", "first 10"))
		pass(11 * time.Second) // the other one looks for completed warnings
		h.move(10, 50, inTown)
		again := make(chan dispatcher.Moved)
		var once sync.Once
		other.cut.mu.Lock()
		other.cut.read = func() {
			once.Do(func() {
				go func() { again <- other.move(10, 50, inTown) }()
				pass(time.Millisecond) // they are in an open entry now
			})
		}
		other.cut.mu.Unlock()
		other.move(50, 60, inTown)
		<-again
		pass(2 * time.Second)
		h.once("late", 0, 60)
		h.balanced(w.ID, 10, 50)
	})
}

// TestABadChunkBreaksTheStreamOff: what came before has happened.
func TestABadChunkBreaksTheStreamOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 300, 1500)
		defer h.close()
		h.warn(spec(warning.Orange, "broken", "first 10"))
		pass(2 * time.Second)
		next := h.positions(10, 20, inTown)
		bad := errors.New("bad chunk")
		_, err := h.e.Move(context.Background(), func() (dispatcher.Positions, error) {
			p, err := next()
			if errors.Is(err, io.EOF) {
				err = bad
			}
			return p, err
		})
		if !errors.Is(err, bad) {
			t.Errorf("answered %v", err)
		}
		pass(time.Second)
		h.once("broken", 0, 20)
	})
}

// TestASteadyFeedNeedsFewStrands: however often somebody enters, the strands of entrants grow, up to a chunk of the ledger
// each; also for an owner that takes them over half-way, for the report, and for one who looks somebody up.
func TestASteadyFeedNeedsFewStrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 6000, 1500)
		h.town.blocks[1].Flags[5] = warning.OptedOut // person 1029
		for i := range h.town.blocks[2].Language {
			h.town.blocks[2].Language[i] = uint8(i % 2)
		}
		h.start()
		defer func() { h.close() }()
		w := h.warn(spec(warning.Orange, "steady", "first 10"))
		pass(2 * time.Second)
		kills := 0
		for i := 10; i < 5990; i += 65 {
			h.move(i, i+65, inTown)
			if i%100 == 75 {
				pass(time.Second) // nothing is in open windows
				h.kill()
				h.start()
				kills++
			}
		}
		pass(12 * time.Second)
		got := complete(h.c.log(), "steady")
		for i := range 5990 {
			if n := got[number(i)]; n != 1 && i != 1029 {
				t.Fatalf("person %d got it %d times", i, n)
			}
		}
		if n := got[number(1029)]; n != 0 {
			t.Errorf("who has opted out got it %d times", n)
		}
		h.balanced(w.ID, 10, 5980)
		plan, _, err := h.store.PlanOf(context.Background(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(plan.Strands); n > 5+4*(kills+1) || kills == 0 || plan.Parts < 90 {
			t.Errorf("%d strands of %d parts, %d kills", n, plan.Parts, kills)
		}
		who, err := h.e.Who(context.Background(), commander, number(5000), "asked")
		if err != nil || len(who.Messages) != 1 || who.Messages[0].State != warning.Delivered {
			t.Errorf("who: %+v, %v", who, err)
		}
	})
}

// beforeEnd does something just before a warning is recorded as completed, as another process may; who records it that time
// does nothing more, as where it ends there.
type beforeEnd struct {
	dispatcher.Records
	once *sync.Once
	do   func()
}

func (r beforeEnd) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	if a.Warning != nil && a.Warning.State == warning.Completed {
		first := false
		r.once.Do(func() { first = true; r.do() })
		if first {
			_, _ = r.Records.Do(ctx, a)
			return dispatcher.Done{}, errCut
		}
	}
	return r.Records.Do(ctx, a)
}

// TestWhoEntersWhileTheWarningCompletes: people are added to the plan between the look at its lanes and the end of the warning.
func TestWhoEntersWhileTheWarningCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 50)
		h.start(func(o *dispatcher.Options) {
			o.Records = beforeEnd{h.store, &sync.Once{}, func() { h.move(100, 200, inTown) }}
		})
		defer h.close()
		w := h.warn(spec(warning.Orange, "late", "first 100"))
		pass(30 * time.Second)
		h.once("late", 0, 200)
		h.balanced(w.ID, 100, 100)
		if s := h.state(w.ID); s != warning.Completed {
			t.Errorf("the warning is %v", s)
		}
	})
}

// counted counts what is read of its store, and which parts of plans it refuses.
type counted struct {
	dispatcher.Records
	dispatcher.Queue
	warnings, refused, strands atomic.Int64
}

func (c *counted) Warning(ctx context.Context, id string) (warning.Warning, uint64, error) {
	c.warnings.Add(1)
	return c.Records.Warning(ctx, id)
}

func (c *counted) PutPlans(ctx context.Context, parts []dispatcher.Part) []dispatcher.Stored {
	done := c.Records.PutPlans(ctx, parts)
	for _, d := range done {
		if d.Err != nil {
			c.refused.Add(1)
		}
	}
	return done
}

func (c *counted) Load(ctx context.Context, account string, after uint64, ledger bool, have func(dispatcher.StrandID) uint32) (dispatcher.Image, error) {
	im, err := c.Queue.Load(ctx, account, after, ledger, have)
	c.strands.Add(int64(len(im.Strands)))
	return im, err
}

// TestWhoEntersWaitsForNoReading: what this process has completed and planned itself it need not read before it stores who
// enters, nor its account whom it stores behind others. Flash messages that are refused make another part of the plan.
func TestWhoEntersWaitsForNoReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := houseOf(t, 300, 1500)
		h.c.answers(func(a arrival) channels.Outcome {
			if a.flash {
				return channels.Outcome{Kind: channels.Refused, Reason: channels.BadContent}
			}
			return channels.Outcome{Kind: channels.HandedOver}
		})
		var c counted
		h.start(func(o *dispatcher.Options) {
			c.Records, c.Queue = o.Records, o.Queue
			o.Records, o.Queue = &c, &c
		})
		defer h.close()
		s := spec(warning.Orange, "unread", "first 10")
		s.Channels = []warning.Channel{warning.FlashSMS}
		w := h.warn(s)
		pass(5 * time.Second)
		if plan, _, err := h.store.PlanOf(t.Context(), w.ID); h.state(w.ID) != warning.Completed || plan.Parts != 2 || err != nil {
			t.Fatalf("it is %v, with %d parts, %v", h.state(w.ID), plan.Parts, err)
		}
		s.Channels, s.Words[0].Text = []warning.Channel{warning.SMS}, "other"
		other := h.warn(s)
		pass(5 * time.Second)
		c.warnings.Store(0)
		h.move(10, 20, inTown)
		if c.warnings.Load() != 0 || c.refused.Load() != 0 {
			t.Errorf("%d warnings were read, %d parts refused", c.warnings.Load(), c.refused.Load())
		}
		pass(time.Second)
		c.strands.Store(0)
		h.move(20, 30, inTown)
		pass(time.Second)
		if n := c.strands.Load(); n > 1 { // a flash message that is refused again falls back in a new one
			t.Errorf("%d strands were read", n)
		}
		h.once("other", 0, 30)
		h.balanced(other.ID, 10, 20)
	})
}
