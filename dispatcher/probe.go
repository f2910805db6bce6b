package dispatcher

import (
	"context"
	"fmt"
	"math"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is link tests: a message of status test to a number of the operator's own, within the contract like any
// other. It belongs to no warning and no plan; what came of it steers the choice of route.

// LinkTest is what came of one link test.
type LinkTest struct {
	At          time.Time     `json:"at"`
	OK          bool          `json:"ok"`                // the carrier took it, and no receipt said that it failed
	Outcome     string        `json:"outcome,omitempty"` // handed_over, retry, refused, unknown; empty: it did not leave
	Reason      string        `json:"reason,omitempty"`
	Answer      time.Duration `json:"answer,omitempty"`  // from the message to its answer
	Receipt     string        `json:"receipt,omitempty"` // arrived, failed; empty: none came
	ReceiptTook time.Duration `json:"receipt_took,omitempty"`
}

// The times of a link test.
const (
	testLeave   = 10 * time.Second // to find room in a window
	testReceipt = 30 * time.Second // from its beginning on; a phone may be off, so that no receipt is no failure
)

// testStrand is the upper half of the token of a link test: no strand has it.
const testStrand = math.MaxUint32

// linkTest is one under way. Its account's mu guards it.
type linkTest struct {
	LinkTest
	number uint64
	sent   time.Time
	open   int                // segments without an answer
	prints []uint16           // of the segments that the carrier took
	early  []channels.Receipt // for its number, before the answer
	left   int                // receipts that are to come
	done   chan struct{}      // closed when nothing more is to come
}

// sameTest tells whether two results say the same.
func sameTest(a, b *LinkTest) bool {
	return a == b || a != nil && b != nil && a.At.Equal(b.At) && a.OK == b.OK && a.Outcome == b.Outcome && a.Receipt == b.Receipt
}

var outcomeNames = [...]string{
	channels.HandedOver: "handed_over", channels.Retry: "retry", channels.Refused: "refused", channels.Unknown: "unknown",
}

// answered takes the answer to one segment; nil is no test.
func (t *linkTest) answered(o *channels.Outcome, now time.Time) {
	if t == nil || t.open == 0 {
		return
	}
	t.open--
	t.Answer = now.Sub(t.sent)
	if name := outcomeNames[o.Kind]; t.Outcome == "" || o.Kind != channels.HandedOver {
		t.Outcome, t.Reason = name, o.Reason.String()
	}
	if o.Kind == channels.HandedOver && o.Print != 0 {
		t.prints = append(t.prints, o.Print)
		t.left++
	}
	early := t.early
	t.early = nil
	for _, r := range early {
		t.received(r, now)
	}
	t.finish()
}

// received takes a receipt for the number of the test; false: it is for somebody else, or of another message.
func (t *linkTest) received(r channels.Receipt, now time.Time) bool {
	if t == nil || r.Number != t.number || t.sent.IsZero() {
		return false
	}
	for i, p := range t.prints {
		if p != r.Print || r.Print == 0 {
			continue
		}
		t.prints = append(t.prints[:i], t.prints[i+1:]...)
		t.left--
		t.ReceiptTook = now.Sub(t.sent)
		if r.State == channels.Failed {
			t.Receipt, t.Reason = "failed", r.Reason.String()
		} else if t.Receipt == "" {
			t.Receipt = "arrived"
		}
		t.finish()
		return true
	}
	if t.open > 0 {
		t.early = append(t.early, r)
		return true
	}
	return false
}

func (t *linkTest) finish() {
	if t.open == 0 && t.left == 0 {
		close(t.done)
		t.left = -1
	}
}

// Probe tests the links of an account now, and answers its health with the result. It stands in the record.
func (e *Engine) Probe(ctx context.Context, c Caller, name string) (AccountHealth, error) {
	a := e.account(name)
	switch {
	case a == nil:
		return AccountHealth{}, warning.Refuse(warning.ReasonNotFound, "there is no account %q; tocsin channel list shows those there are", name)
	case a.options().TestNumber == 0:
		return AccountHealth{}, warning.Refuse(warning.ReasonConflict,
			"account %s has no number for link tests; write one of your own into accounts.test.number of the configuration", name)
	}
	if _, err := e.records.Do(ctx, Act{Entry: Entry{
		At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "account.probe", Subject: name,
	}}); err != nil {
		return AccountHealth{}, unavailable(err)
	}
	if _, err := a.testLinks(ctx); err != nil {
		return AccountHealth{}, err
	}
	if err := e.reroute(ctx); err != nil {
		return AccountHealth{}, unavailable(err)
	}
	all, err := e.Accounts(ctx)
	for _, h := range all {
		if h.Name == name {
			return h, err
		}
	}
	return AccountHealth{}, err
}

// testWhenDue begins the next scheduled test, if it is time. An account whose test failed is asked more often.
func (a *account) testWhenDue(ctx context.Context, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	every := a.opt.TestEvery
	if a.tested != nil && !a.tested.OK {
		every = min(every, a.e.routing.Load().failOver.Stay/2)
	}
	if !a.owned || !a.judging || a.opt.TestNumber == 0 || every == 0 || a.control.Paused || a.test != nil || now.Before(a.quiet) ||
		a.tested != nil && now.Sub(a.tested.At) < every {
		return
	}
	a.tests.Go(func() {
		if _, err := a.testLinks(ctx); err != nil {
			a.note(fmt.Errorf("link test: %w", err))
		}
	})
}

// testLinks sends one link test and waits for what comes of it.
func (a *account) testLinks(ctx context.Context) (LinkTest, error) {
	began := time.Now()
	language := warning.Languages[0]
	a.mu.Lock()
	carrier := a.carrier
	var refused error
	switch {
	case !a.owned || carrier == nil:
		refused = warning.Refuse(warning.ReasonConflict, "this process does not own account %s; tocsin channel list says which does: ask that one", a.name)
	case a.control.Paused:
		refused = warning.Refuse(warning.ReasonConflict, "account %s is paused; tocsin channel resume %s lets it go on", a.name, a.name)
	case a.test != nil:
		refused = warning.Refuse(warning.ReasonConflict, "account %s is being tested; ask again in %s", a.name, testReceipt)
	}
	t := &linkTest{LinkTest: LinkTest{At: began.UTC()}, number: a.opt.TestNumber, done: make(chan struct{})}
	owning := a.owning
	if refused == nil {
		a.test = t
	}
	a.mu.Unlock()
	if refused != nil {
		return LinkTest{}, refused
	}
	ctx, stop := context.WithCancel(ctx) // the end of an ownership waits for its tests
	defer stop()
	defer context.AfterFunc(owning, stop)()
	p, err := carrier.Prepare(channels.Content{
		Text:   warning.Say(language, warning.TextLinkTest, a.name, began.In(warning.China).Format("15:04:05")),
		Status: warning.Test, Expires: began.Add(testReceipt), WithReceipt: true,
	})
	if err == nil {
		for !a.sendTest(carrier, t, p) && time.Since(began) < testLeave && ctx.Err() == nil {
			pause(ctx, 10*time.Millisecond)
		}
	}
	a.mu.Lock()
	sent := !t.sent.IsZero()
	a.mu.Unlock()
	if sent {
		wait, cancel := context.WithDeadline(ctx, began.Add(testReceipt))
		defer cancel()
		select {
		case <-t.done:
		case <-wait.Done():
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.test = nil
	if !sent {
		t.Reason = channels.LinkDown.String()
	}
	t.OK = t.Outcome == outcomeNames[channels.HandedOver] && t.Receipt != "failed"
	if err == nil && ctx.Err() == nil {
		a.tested = &t.LinkTest
	}
	return t.LinkTest, err
}

// sendTest gives the test to a link if the contract and a window allow it now.
func (a *account) sendTest(c channels.Carrier, t *linkTest, p channels.Prepared) bool {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	a.mu.Lock()
	now := time.Now()
	n, open := a.mayLeave(now, c.Room())
	if !open || n < p.Segments() || a.carrier != c {
		a.mu.Unlock()
		return false
	}
	t.sent, t.open = now, p.Segments()
	a.inflight += t.open
	a.mu.Unlock()
	took := c.Send(p, []channels.Message{{Token: testStrand << 32, Number: t.number}})
	a.mu.Lock()
	defer a.mu.Unlock()
	if took == 0 {
		a.inflight -= t.open
		t.sent, t.open = time.Time{}, 0
		return false
	}
	now = time.Now()
	a.ring.Add(now, p.Segments())
	a.burst.AllowN(now, min(p.Segments(), a.burst.Burst()))
	a.sentTotal.add(now, p.Segments())
	return true
}
