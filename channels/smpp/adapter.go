// Package smpp hands messages over by SMPP 3.4, as the contract of package channels asks.
//
// A carrier is an account with its links; a link is one connection with a window of slots, one for each submit_sm that
// has no answer. The sequence number names slot and generation, so that an answer finds its slot at once and an answer
// that comes too late finds none. One goroutine reads a link and reports; there is no queue between it and the sink.
// Whoever writes does so itself, without waiting: what a socket does not take is kept for that link alone, which gets
// nothing more until it is gone.
//
// Invariants:
//   - A slot is opened under link.mu before a byte of its PDU is written, and closed under link.mu exactly once: by its
//     answer, by the time-out, or by the end of the connection. Each closing is one Outcome.
//   - wire.written is exact once the connection is closed: what starts at or after it never reached the socket.
//   - wire.mu is taken before link.mu, and the sink is called with neither held.
//
// Messages from people (deliver_sm that is no receipt) are answered and otherwise ignored.
package smpp

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// The timers of a session where the account names none.
const (
	usualBindTimeout   = 10 * time.Second
	usualAnswerTimeout = 60 * time.Second
	usualKeepAlive     = 30 * time.Second
)

// The most that an account may ask for: the sequence number keeps at least 14 bits for the generation of a slot.
const (
	maxLinks  = 4096
	maxWindow = 1<<16 - 1
)

// Adapter opens accounts of carriers that speak SMPP 3.4.
type Adapter struct{}

var _ channels.Adapter = Adapter{}

// Open starts the links of an account. It fails with a *warning.Error that names every field that can never work.
func (Adapter) Open(a channels.Account, s channels.Sink) (channels.Carrier, error) {
	if vs := violations(a); len(vs) > 0 {
		return nil, warning.Invalid(vs...)
	}
	orUsual(&a.BindTimeout, usualBindTimeout)
	orUsual(&a.AnswerTimeout, usualAnswerTimeout)
	orUsual(&a.KeepAlive, usualKeepAlive)
	c := &carrier{
		account: a, sink: s, began: time.Now(), links: make([]*link, a.Links),
		drained: make(chan struct{}, 1), refusal: make(chan struct{}, 1), quit: make(chan struct{}), linksDone: make(chan struct{}),
	}
	c.groups.New = func() any { return new(group) }
	var dialing context.Context
	dialing, c.stopDialing = context.WithCancel(context.Background())
	for i := range c.links {
		c.links[i] = newLink(c, i)
	}
	for _, l := range c.links {
		c.linkLoops.Go(func() { l.run(dialing) })
	}
	c.loops.Go(func() { c.linkLoops.Wait(); close(c.linksDone) })
	c.loops.Go(c.watch)
	return c, nil
}

func orUsual(d *time.Duration, usual time.Duration) {
	if *d == 0 {
		*d = usual
	}
}

// violations is what of an account can never work.
func violations(a channels.Account) (vs []warning.Violation) {
	refuse := func(bad bool, field, rule, detail, remedy string) {
		if bad {
			vs = append(vs, warning.Violation{Field: "account." + field, Rule: "account." + rule, Detail: detail, Remedy: remedy})
		}
	}
	_, _, err := net.SplitHostPort(a.Address)
	refuse(err != nil, "address", "address", fmt.Sprintf("%q is not host:port", a.Address), "write it as host:port")
	refuse(a.Links < 1 || a.Links > maxLinks, "links", "links", fmt.Sprintf("%d connections", a.Links), fmt.Sprintf("use 1 to %d", maxLinks))
	refuse(a.Window < 1 || a.Window > maxWindow, "window", "window", fmt.Sprintf("%d open messages a link", a.Window), fmt.Sprintf("use 1 to %d", maxWindow))
	for _, f := range []struct {
		field, value string
		max          int
	}{{"system", a.System, 15}, {"password", a.Password, 8}, {"source", a.Source, 20}} {
		bad := len(f.value) > f.max || strings.ContainsRune(f.value, 0)
		refuse(bad, f.field, "length", fmt.Sprintf("has %d octets or a zero inside", len(f.value)), fmt.Sprintf("use at most %d octets", f.max))
	}
	refuse(a.System == "", "system", "empty", "there is no system_id", "write the one of the contract")
	refuse(len(a.Statuses) == 0, "statuses", "empty", "the links are marked for no status", "name at least one")
	refuse(a.BindTimeout < 0 || a.AnswerTimeout < 0 || a.KeepAlive < 0, "timers", "negative", "a timer is negative", "leave it out or make it positive")
	return vs
}

// carrier is an open account.
type carrier struct {
	account channels.Account
	sink    channels.Sink
	began   time.Time
	links   []*link
	groups  sync.Pool // of *group

	out []byte // of Send, which one goroutine calls

	memory memory // of what may be recalled

	mu      sync.Mutex // guards refused
	refused []channels.Outcome
	refusal chan struct{} // something was refused

	open        atomic.Int64 // slots open on all links
	closing     atomic.Bool
	drained     chan struct{} // while closing: open has become 0
	stopDialing context.CancelFunc
	linkLoops   sync.WaitGroup
	linksDone   chan struct{}
	loops       sync.WaitGroup // all other goroutines
	quit        chan struct{}
	closeOnce   sync.Once
	closeErr    error
}

var (
	_ channels.Carrier = (*carrier)(nil)
	_ channels.Staller = (*carrier)(nil)
)

// now is the monotonic time since the account was opened.
func (c *carrier) now() time.Duration { return time.Since(c.began) }

// Room adds up what the links can take.
func (c *carrier) Room() int {
	n := 0
	for _, l := range c.links {
		n += int(l.room.Load())
	}
	return n
}

// Stalled adds up what waits on links that have answered no message for so long.
func (c *carrier) Stalled(after time.Duration) int {
	now, n := c.now(), 0
	for _, l := range c.links {
		if open := l.open.Load(); open > 0 && now-time.Duration(l.moved.Load()) > after {
			n += int(open)
		}
	}
	return n
}

// Send fills the links in their order, the first with free slots first: links that were used just now are used again,
// and the others rest.
func (c *carrier) Send(p channels.Prepared, batch []channels.Message) int {
	w := p.(*words)
	n := 0
	for _, l := range c.links {
		if n == len(batch) {
			break
		}
		if l.room.Load() > 0 {
			n += l.send(w, batch[n:])
		}
	}
	return n
}

// refuse has the outcome of a message that must not leave reported by the watch: the sink is never called from Send.
func (c *carrier) refuse(o channels.Outcome) {
	c.mu.Lock()
	c.refused = append(c.refused, o)
	c.mu.Unlock()
	select {
	case c.refusal <- struct{}{}:
	default:
	}
}

// Links tells how each link is doing.
func (c *carrier) Links() []channels.LinkHealth {
	all := make([]channels.LinkHealth, len(c.links))
	for i, l := range c.links {
		all[i] = l.health()
	}
	return all
}

// closed counts slots that were closed.
func (c *carrier) closed(n int) {
	if c.open.Add(int64(-n)) == 0 && c.closing.Load() {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	}
}

// Close takes nothing more, waits for open answers until ctx ends, unbinds, and reports what is still open. The error
// says how many messages that was.
func (c *carrier) Close(ctx context.Context) error {
	c.closeOnce.Do(func() { c.closeErr = c.close(ctx) })
	return c.closeErr
}

func (c *carrier) close(ctx context.Context) error {
	c.closing.Store(true)
	c.stopDialing()
	for _, l := range c.links {
		l.retire()
	}
	for c.open.Load() > 0 && ctx.Err() == nil {
		select {
		case <-c.drained:
		case <-ctx.Done():
		}
	}
	left := c.open.Load()
	for _, l := range c.links {
		l.unbind()
	}
	patience := time.NewTimer(c.account.BindTimeout)
	defer patience.Stop()
	select {
	case <-c.linksDone:
	case <-ctx.Done():
	case <-patience.C:
	}
	for _, l := range c.links {
		if w := l.wire.Load(); w != nil {
			w.end(errClosed)
		}
	}
	<-c.linksDone
	close(c.quit)
	c.loops.Wait()
	if left > 0 {
		return fmt.Errorf("account %s was closed with %d messages that have no answer", c.account.Name, left)
	}
	return nil
}
