package carrier

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/loadtest/carrierlog"
)

// answers reads until n answers to submits came, answers receipts on the way, and gives the answers in order.
func (c *client) answers(n int) (out []pdu) {
	c.t.Helper()
	for len(out) < n {
		switch p := c.recv(); p.id {
		case submitSM | response:
			out = append(out, p)
		case deliverSM:
			c.send(encode(deliverSM|response, 0, p.seq, []byte{0}))
		}
	}
	return out
}

// submitAll sends hellos from the numbers on in one write.
func (c *client) submitAll(from, n int) {
	c.t.Helper()
	var b []byte
	for i := range n {
		b = append(b, encode(submitSM, 0, uint32(from+i), hello(from+i).encode())...)
	}
	c.send(b)
}

func count(ps []pdu, status uint32) (n int) {
	for _, p := range ps {
		if p.status == status {
			n++
		}
	}
	return n
}

func TestConfigNamesEveryFault(t *testing.T) {
	c := Default()
	c.Listen, c.Rate, c.WindowFull, c.IDs, c.Undelivered, c.Silent, c.ReceiptTimeout = "0.0.0.0:2775", -1, "explode", "roman", 0.7, 2, 0
	c.Expired = 0.7
	err := c.Validate()
	for _, field := range []string{"listen", "name", "log", "system_id", "password", "rate", "window_full", "ids", "undelivered", "silent", "receipt_timeout"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if _, err := Listen(c); err == nil {
		t.Error("it listens all the same")
	}
	if good := config(t); good.Validate() != nil {
		t.Error(good.Validate())
	}
}

func TestRateIsKeptOverAllLinks(t *testing.T) {
	cfg := config(t)
	cfg.Rate, cfg.Receipts = 50, false
	c, stop := start(t, cfg)
	a, b := dial(t, c).mustBind(), dial(t, c).mustBind()
	a.submitAll(2, 40)
	first := a.answers(40)
	b.submitAll(102, 40)
	second := b.answers(40)
	if count(first, 0) != 40 {
		t.Fatalf("%d of the first 40 taken", count(first, 0))
	}
	lines := pick(stop(), carrierlog.Submit)
	var taken []int64
	for _, l := range lines {
		if l.Accepted() {
			taken = append(taken, l.Time)
		} else if l.Status != throttledStatus {
			t.Fatalf("%+v", l)
		}
	}
	// Whatever the machine's pace: in no second more than the contract, and no more refused than that takes.
	slices.Sort(taken)
	for i := 50; i < len(taken); i++ {
		if taken[i]-taken[i-50] < int64(time.Second) {
			t.Fatal("51 in a second")
		}
	}
	if n := count(second, throttledStatus); n == 0 || n+len(taken) != 80 {
		t.Fatalf("%d throttled, %d taken", n, len(taken))
	}
}

// TestRingAgreesWithCounting compares the contract's ring with counting all accepted times.
func TestRingAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ring{at: make([]int64, rapid.IntRange(1, 5).Draw(t, "rate"))}
		var taken []int64
		now := int64(1)
		for range rapid.IntRange(1, 60).Draw(t, "messages") {
			now += rapid.Int64Range(0, 8).Draw(t, "gap")
			n := 0
			for _, x := range taken {
				if now-x < 10 {
					n++
				}
			}
			if got := r.admit(now, 10); got != (n < len(r.at)) {
				t.Fatalf("at %d with %d in the second: %v", now, n, got)
			} else if got {
				taken = append(taken, now)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	for _, full := range []string{"throttle", "stop"} {
		for _, trip := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprint(full, trip), func(t *testing.T) {
				cfg := config(t)
				cfg.Window, cfg.WindowFull, cfg.RoundTrip, cfg.Receipts = 10, full, trip, false
				c, stop := start(t, cfg)
				cl := dial(t, c).mustBind()
				began := time.Now()
				cl.submitAll(2, 35)
				got := cl.answers(35)
				took := time.Since(began)
				if full == "stop" && (count(got, 0) != 35 || took < 4*trip) {
					t.Fatalf("%d taken in %v", count(got, 0), took)
				}
				if full == "throttle" && (count(got, 0) < 10 || count(got, 0)+count(got, throttledStatus) != 35) {
					t.Fatalf("%d taken", count(got, 0))
				}
				if full == "throttle" && trip > 0 && count(got, throttledStatus) == 0 {
					t.Fatal("nobody was throttled")
				}
				if n := len(pick(stop(), carrierlog.Violation)); n > 0 {
					t.Fatalf("%d violations", n)
				}
			})
		}
	}
}

func TestRoundTripDelaysEachAnswer(t *testing.T) {
	cfg := config(t)
	cfg.RoundTrip = 30 * time.Millisecond
	c, stop := start(t, cfg)
	cl := dial(t, c).mustBind()
	for i := range 5 {
		began := time.Now()
		cl.submitAll(i+2, 1)
		cl.answers(1)
		if took := time.Since(began); took < cfg.RoundTrip {
			t.Fatalf("answered after %v", took)
		}
	}
	if n := len(pick(stop(), carrierlog.Submit)); n != 5 {
		t.Fatal(n)
	}
}

func TestOnlySyntheticNumbers(t *testing.T) {
	c, stop := start(t, config(t))
	cl := dial(t, c).mustBind()
	m := hello(1)
	m.to = "89900000001"
	cl.send(encode(submitSM, 0, 2, m.encode()))
	if p := cl.recv(); p.status != badDestAddr {
		t.Fatalf("status %x", p.status)
	}
	lines := stop()
	if len(pick(lines, carrierlog.NotSynthetic)) != 1 || len(pick(lines, carrierlog.Submit)) != 0 {
		t.Fatalf("%+v", lines)
	}
	if b, err := os.ReadFile(c.cfg.Log); err != nil || strings.Contains(string(b), m.to) {
		t.Fatal("the number is in the log")
	}
}

func TestFaultsByTheirShare(t *testing.T) {
	for _, x := range []struct {
		set    func(*Config)
		status uint32
		taken  bool
	}{
		{func(c *Config) { c.Throttled = 1 }, throttledStatus, false},
		{func(c *Config) { c.QueueFull = 1 }, msgQueueFull, false},
		{func(c *Config) { c.SystemError = 1 }, sysErr, false},
		{func(c *Config) { c.BadNumber = 1 }, badDestAddr, false},
	} {
		cfg := config(t)
		x.set(&cfg)
		c, stop := start(t, cfg)
		cl := dial(t, c).mustBind()
		cl.submitAll(2, 3)
		if got := cl.answers(3); count(got, x.status) != 3 {
			t.Errorf("%x: %+v", x.status, got)
		}
		for _, l := range pick(stop(), carrierlog.Submit) {
			if l.Accepted() != x.taken || l.Status != int(x.status) {
				t.Errorf("%x: %+v", x.status, l)
			}
		}
	}
}

func TestSilentSwallowedAndDropped(t *testing.T) {
	for _, x := range []struct {
		name  string
		set   func(*Config)
		taken bool
	}{
		{"silent", func(c *Config) { c.Silent = 1 }, true},
		{"swallowed", func(c *Config) { c.Swallowed = 1 }, false},
		{"dropped", func(c *Config) { c.DropLink = 1 }, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := config(t)
			x.set(&cfg)
			cfg.Receipts = false
			c, stop := start(t, cfg)
			cl := dial(t, c).mustBind()
			cl.send(append(encode(submitSM, 0, 2, hello(2).encode()), encode(enquireLink, 0, 3, nil)...))
			if x.name == "dropped" {
				cl.ended()
			} else if p := cl.recv(); p.id != enquireLink|response {
				t.Fatalf("answer %x", p.id)
			}
			got := pick(stop(), carrierlog.Submit)
			if len(got) != 1 || got[0].Status != carrierlog.NoAnswer || got[0].Accepted() != x.taken {
				t.Fatalf("%+v", got)
			}
		})
	}
}

// TestReceiptsOutliveTheClient: a receipt that was not answered comes again on another link, later, to a receiver.
func TestReceiptsOutliveTheClient(t *testing.T) {
	c, stop := start(t, config(t))
	cl := dial(t, c)
	if p := cl.bind(bindTransmitter); p.status != 0 {
		t.Fatal(p.status)
	}
	cl.submitAll(2, 5)
	ids := map[string]bool{}
	for _, p := range cl.answers(5) {
		ids[string(p.body[:20])] = true
	}
	cl.conn.Close() // without a receipt, and without an unbind
	until(t, "the receipts wait", func() bool { return c.Counts().Pending == 5 })
	second := dial(t, c)
	if p := second.bind(bindReceiver); p.status != 0 {
		t.Fatal(p.status)
	}
	for range 5 {
		if p := second.recv(); p.id != deliverSM {
			t.Fatalf("%x", p.id)
		}
	}
	second.conn.Close() // five are open
	third := dial(t, c).mustBind()
	for range 5 {
		p := third.recv()
		if id := field(receiptText(t, p), "id"); !ids[id] {
			t.Fatalf("%q is unknown or came twice", id)
		} else {
			delete(ids, id)
		}
		third.send(encode(deliverSM|response, 0, p.seq, []byte{0}))
	}
	until(t, "all are answered", func() bool { n := c.Counts(); return n.Receipts == 5 && n.Pending == 0 })
	answered, unanswered := 0, 0
	for _, l := range pick(stop(), carrierlog.Receipt) {
		if l.Status == carrierlog.NoAnswer {
			unanswered += l.IDs.Count()
		} else {
			answered += l.IDs.Count()
		}
	}
	if answered != 5 || unanswered != 5 {
		t.Fatalf("%d answered, %d not", answered, unanswered)
	}
}

func TestReceiptsComeAgainAfterTheTimeOutAndARefusal(t *testing.T) {
	cfg := config(t)
	cfg.ReceiptTimeout = 30 * time.Millisecond
	c, stop := start(t, cfg)
	cl := dial(t, c).mustBind()
	cl.submitAll(2, 1)
	first := cl.recv()
	for first.id != deliverSM {
		first = cl.recv()
	}
	again := cl.recv() // after the time-out
	if again.id != deliverSM || again.seq == first.seq || receiptText(t, again) != receiptText(t, first) {
		t.Fatalf("%x %d", again.id, again.seq)
	}
	cl.send(encode(deliverSM|response, 0, first.seq, []byte{0})) // late: no violation, and no answer to the second
	cl.send(encode(deliverSM|response, temporaryApp, again.seq, nil))
	until(t, "the refusal is counted", func() bool { return c.Counts().Receipts >= 1 })
	third := cl.recv()
	if third.id != deliverSM {
		t.Fatalf("%x", third.id)
	}
	cl.send(encode(deliverSM|response, 0, third.seq, []byte{0}))
	until(t, "it is answered", func() bool { return c.Counts().Pending == 0 })
	if v := pick(stop(), carrierlog.Violation); len(v) > 0 {
		t.Fatalf("%+v", v)
	}
}

func TestReceiptForms(t *testing.T) {
	cfg := config(t)
	cfg.IDs, cfg.Undelivered, cfg.EarlyReceipts = "hex", 1, 1
	c, _ := start(t, cfg)
	cl := dial(t, c).mustBind()
	cl.submitAll(2, 1)
	early := cl.recv()
	if early.id != deliverSM {
		t.Fatalf("%x came before the receipt", early.id)
	}
	answer := cl.recv()
	text := receiptText(t, early)
	dec, err := strconv.ParseUint(field(text, "id"), 10, 64)
	if err != nil || fmt.Sprintf("%X", dec) != strings.TrimRight(string(answer.body), "\x00") {
		t.Fatalf("receipt %q for %q", text, answer.body)
	}
	if field(text, "stat") != "UNDELIV" || field(text, "dlvrd") != "000" {
		t.Fatal(text)
	}
	b := early.body
	if tail := tlv(tagNetworkError, 3, 0, 27); string(b[len(b)-len(tail):]) != string(tail) {
		t.Fatalf("%x", b)
	}
}

func TestDuplicateAndStrayReceipts(t *testing.T) {
	cfg := config(t)
	cfg.DuplicateReceipts, cfg.StrayReceipts = 1, 1
	c, _ := start(t, cfg)
	cl := dial(t, c).mustBind()
	cl.submitAll(2, 1)
	ids := map[string]int{}
	mine := ""
	for range 4 {
		p := cl.recv()
		if p.id == deliverSM {
			ids[field(receiptText(t, p), "id")]++
			cl.send(encode(deliverSM|response, 0, p.seq, []byte{0}))
		} else {
			mine = string(p.body[:20])
		}
	}
	if len(ids) != 2 || ids[mine] != 2 {
		t.Fatalf("%v, mine is %s", ids, mine)
	}
}

func TestReceiptWindow(t *testing.T) {
	cfg := config(t)
	cfg.ReceiptWindow = 3
	c, _ := start(t, cfg)
	cl := dial(t, c)
	if p := cl.bind(bindTransmitter); p.status != 0 {
		t.Fatal(p.status)
	}
	cl.submitAll(2, 10)
	cl.answers(10)
	r := dial(t, c)
	if p := r.bind(bindReceiver); p.status != 0 {
		t.Fatal(p.status)
	}
	var open []pdu
	for range 3 {
		open = append(open, r.recv())
	}
	// The window is full: the next thing that comes is the answer to this.
	r.send(encode(enquireLink, 0, 2, nil))
	if p := r.recv(); p.id != enquireLink|response {
		t.Fatalf("%x beyond the window", p.id)
	}
	for n := 3; len(open) > 0; {
		r.send(encode(deliverSM|response, 0, open[0].seq, []byte{0}))
		open = open[1:]
		if n < 10 {
			open = append(open, r.recv())
			n++
		}
	}
	until(t, "all are answered", func() bool { return c.Counts().Receipts == 10 })
}

func TestIDsAreUniqueAndOutOfOrderAlsoAfterARestart(t *testing.T) {
	cfg := config(t)
	seen := map[string]bool{}
	ordered := true
	last := ""
	for range 2 {
		c, stop := start(t, cfg)
		cl := dial(t, c).mustBind()
		cl.submitAll(2, 400)
		for _, p := range cl.answers(400) {
			id := string(p.body[:len(p.body)-1])
			if len(id) != 20 || seen[id] {
				t.Fatalf("id %q", id)
			}
			ordered = ordered && id > last
			seen[id], last = true, id
		}
		stop()
	}
	if ordered {
		t.Fatal("ids are in order")
	}
	lines := readLog(t, cfg.Log)
	if len(pick(lines, carrierlog.Start)) != 2 || len(pick(lines, carrierlog.Submit)) != 800 || len(pick(lines, carrierlog.Text)) != 2 {
		t.Fatal("the second start did not append to the log of the first")
	}
}

func TestTooManyLinks(t *testing.T) {
	cfg := config(t)
	cfg.Links = 1
	c, _ := start(t, cfg)
	first := dial(t, c).mustBind()
	if p := dial(t, c).bind(bindTransceiver); p.status != bindFailed {
		t.Fatalf("status %x", p.status)
	}
	first.conn.Close()
	until(t, "the place is free again", func() bool { return dial(t, c).bind(bindTransceiver).status == 0 })
}

func TestKeepAlive(t *testing.T) {
	cfg := config(t)
	cfg.EnquireEvery, cfg.BindTimeout = 20*time.Millisecond, 20*time.Millisecond
	c, stop := start(t, cfg)
	dial(t, c).ended() // never bound
	cl := dial(t, c).mustBind()
	for range 3 {
		p := cl.recv()
		if p.id != enquireLink {
			t.Fatalf("%x", p.id)
		}
		cl.send(encode(enquireLink|response, 0, p.seq, nil))
	}
	cl.ended() // answers no more
	var why []string
	for _, l := range pick(stop(), carrierlog.Unbind) {
		why = append(why, l.Why)
	}
	if !slices.Equal(why, []string{"not bound in time", "enquire_link not answered"}) {
		t.Fatal(why)
	}
}

// TestReadsInPieces sends the same bytes cut at every place.
func TestReadsInPieces(t *testing.T) {
	c, stop := start(t, config(t))
	whole := append(encode(submitSM, 0, 2, hello(2).encode()), encode(enquireLink, 0, 3, nil)...)
	for cut := 1; cut < len(whole); cut += 3 {
		cl := dial(t, c).mustBind()
		cl.send(whole[:cut], whole[cut:])
		cl.answers(1)
		cl.conn.Close()
	}
	if v := pick(stop(), carrierlog.Violation); len(v) > 0 {
		t.Fatalf("%+v", v)
	}
}

func TestALogThatFailsStopsTheCarrier(t *testing.T) {
	cfg := config(t)
	cfg.Log = "/dev/full"
	if _, err := os.Stat(cfg.Log); err != nil {
		cfg.Log = t.TempDir() // a directory cannot be opened either
	}
	if err := Run(context.Background(), cfg); err == nil {
		t.Fatal("it went on")
	}
}

func TestExpiredMessagesAreRefused(t *testing.T) {
	c, stop := start(t, config(t))
	cl := dial(t, c).mustBind()
	m := hello(1)
	m.validity = "200101000000000+"
	cl.send(encode(submitSM, 0, 2, m.encode()))
	if p := cl.recv(); p.status != badExpiry {
		t.Fatalf("%x", p.status)
	}
	if lines := stop(); len(pick(lines, carrierlog.Violation)) != 0 || len(pick(lines, carrierlog.Submit)) != 1 {
		t.Fatalf("%+v", lines)
	}
}

// TestWheelLosesNothing: what is added comes out once, within a tick of its time.
func TestWheelLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := wheel{wake: make(chan struct{}, 1)}
		now, next := int64(1_000_000)*tickNanos, uint64(1)
		want := map[uint64]int64{}
		var out []receipt
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			var add []receipt
			for range rapid.IntRange(0, 20).Draw(t, "receipts") {
				r := receipt{id: next, due: now + rapid.Int64Range(-5, 3*wheelSlots).Draw(t, "delay")*tickNanos}
				want[next] = r.due
				add = append(add, r)
				next++
			}
			w.add(add)
			now += rapid.Int64Range(0, 2*wheelSlots).Draw(t, "pause")*tickNanos/2 + 2*tickNanos
			out, _ = w.due(now, out[:0])
			for _, r := range out {
				if due, ok := want[r.id]; !ok || due >= now+tickNanos {
					t.Fatalf("receipt %d of %d at %d", r.id, due, now)
				}
				delete(want, r.id)
			}
			for id, due := range want {
				if due <= now {
					t.Fatalf("receipt %d of %d is still there at %d", id, due, now)
				}
			}
		}
		out, more := w.due(now+4*wheelSlots*tickNanos, out[:0])
		if len(out) != len(want) || more {
			t.Fatalf("%d left, %d came", len(want), len(out))
		}
	})
}
