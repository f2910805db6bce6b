package smpp

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
)

// Why a link ended. None of them, and nothing else that becomes LastError, holds a number of a person.
var (
	errClosed     = errors.New("the account was closed")
	errNotReading = errors.New("the carrier sends and does not read")
	errSilent     = errors.New("nothing was answered for the whole answer time-out")
	errNoEcho     = errors.New("enquire_link was not answered in time")
	errUnbound    = errors.New("the carrier unbound the link")
	errUnbindResp = errors.New("unbound")
	errNotBound   = errors.New("the carrier says that the link is not bound")
)

// The waits before a link is tried again: the first short, because most breaks are short; the last short enough that a
// carrier that comes back is used at once. A connection that held for steady begins again with the first.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 10 * time.Second
	steady    = 10 * time.Second
)

// link is one connection of an account and its window, over all its reconnects.
type link struct {
	c     *carrier
	index int

	room  atomic.Int32 // segments it can take now
	open  atomic.Int32 // segments without an answer
	moved atomic.Int64 // when one of them was answered last, or the first was sent, in carrier time
	wire  atomic.Pointer[wire]

	mu      sync.Mutex // guards what follows; taken after wire.mu
	window  window
	bound   bool
	stalled bool // the socket takes nothing
	lastErr string
	since   time.Time

	heard    atomic.Int64 // when octets came last, in carrier time
	answered atomic.Int64 // when an answer to anything came last
	enquired atomic.Int64 // when enquire_link was sent and nothing came since; 0: not asked

	// Of the reading goroutine, kept from read to read.
	cutter   *pdu.Cutter
	answers  []answer
	outcomes []channels.Outcome
	replies  []byte
}

func newLink(c *carrier, index int) *link {
	return &link{c: c, index: index, window: newWindow(c.account.Window), since: time.Now(), lastErr: "not connected yet"}
}

// publish says with l.mu held how much the link takes.
func (l *link) publish() {
	n := 0
	if l.bound && !l.stalled && !l.c.closing.Load() {
		n = len(l.window.free)
	}
	l.room.Store(int32(n))
	l.open.Store(int32(l.window.used()))
}

func (l *link) health() channels.LinkHealth {
	l.mu.Lock()
	defer l.mu.Unlock()
	return channels.LinkHealth{Index: l.index, Up: l.bound, Open: l.window.used(), LastError: l.lastErr, Since: l.since}
}

// retire takes the link out of use: the carrier is closing.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish()
}

// send hands over the first messages of batch, as many as fit, in one write.
func (l *link) send(words *words, batch []channels.Message) (n int) {
	w := l.wire.Load()
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil || w.flushing {
		return 0
	}
	now, out, opened := l.c.now(), l.c.out[:0], 0
	l.mu.Lock()
	if l.room.Load() > 0 {
		for n < len(batch) {
			m := &batch[n]
			due := words.all &^ m.Skip
			if channels.Synthetic(m.Number) != l.c.account.Simulated {
				l.refuse(m, due)
				n++
				continue
			}
			count := bits.OnesCount8(due)
			if count > len(l.window.free) {
				break
			}
			for ; due != 0; due &= due - 1 {
				segment := bits.TrailingZeros8(due)
				s := l.window.take()
				s.token, s.segment, s.at, s.start = m.Token, uint8(segment), now, w.given+uint64(len(out))
				out = words.templates[segment].Append(out, s.seq, m.Number, m.Ref)
			}
			opened += count
			n++
		}
		if l.open.Load() == 0 {
			l.moved.Store(int64(now))
		}
		l.c.open.Add(int64(opened))
		l.publish()
	}
	l.mu.Unlock()
	l.c.out = out
	if len(out) > 0 {
		l.write(w, out)
	}
	return n
}

// refuse reports a message whose number the account must not carry (promise 8).
func (l *link) refuse(m *channels.Message, due uint8) {
	for ; due != 0; due &= due - 1 {
		l.c.refuse(channels.Outcome{
			Token: m.Token, Segment: uint8(bits.TrailingZeros8(due)), Kind: channels.Refused, Reason: channels.NotAllowed,
		})
	}
}

// write gives b to the wire with w.mu held. A link whose socket is full rests until it is not.
func (l *link) write(w *wire, b []byte) {
	if !w.write(b) {
		return
	}
	l.rest(true)
	w.flusher.Go(func() {
		w.flush(func() { l.rest(false) })
		l.c.sink.Changed()
	})
}

func (l *link) rest(stalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = stalled
	l.publish()
}

// run keeps the link bound until the carrier closes.
func (l *link) run(dialing context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = firstWait, lastWait, 2
	l.cutter = pdu.NewCutter()
	for {
		w, err := l.bind(dialing)
		if err == nil {
			began := l.c.now()
			err = l.read(w)
			l.down(w, err)
			if l.c.now()-began >= steady {
				wait.Reset()
			}
		} else {
			l.failed(err)
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-dialing.Done():
			timer.Stop()
			return
		}
	}
}

// bind connects and binds; the link is then in use. It has the bind time-out for both.
func (l *link) bind(dialing context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(dialing, l.c.account.BindTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.c.account.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err = l.exchange(conn); err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("connecting and binding took longer than %v", l.c.account.BindTimeout)
		}
		stop()
		_ = conn.Close()
		return nil, err
	}
	w, err := newWire(conn.(*net.TCPConn))
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.up(w)
	return w, nil
}

// exchange sends bind_transceiver and waits for the answer, which must be the first PDU that comes (clause 2.2).
func (l *link) exchange(conn net.Conn) error {
	l.mu.Lock()
	seq := l.window.next()
	l.mu.Unlock()
	a := &l.c.account
	out, err := pdu.AppendBind(nil, pdu.BindTransceiver, seq, pdu.Bind{
		SystemID: []byte(a.System), Password: []byte(a.Password), Version: pdu.Version,
	})
	if err != nil {
		return err
	}
	if _, err := conn.Write(out); err != nil {
		return err
	}
	l.cutter.Reset()
	for {
		n, err := conn.Read(l.cutter.Space())
		if err != nil {
			return fmt.Errorf("the connection ended before the bind was answered: %w", err)
		}
		l.cutter.Filled(n)
		p, ok := l.cutter.Next()
		switch {
		case l.cutter.Fault() != nil:
			return l.cutter.Fault()
		case !ok:
		case p.Sequence != seq || p.Command != pdu.BindTransceiverResp && p.Command != pdu.GenericNack:
			return fmt.Errorf("%v came before the bind was answered", p.Command)
		case p.Status != pdu.OK || p.Command == pdu.GenericNack:
			return fmt.Errorf("the bind was refused: %v", p.Status)
		default:
			_, err := pdu.ParseBindResp(p.Body)
			return err
		}
	}
}

func (l *link) up(w *wire) {
	now := int64(l.c.now())
	l.heard.Store(now)
	l.answered.Store(now)
	l.enquired.Store(0)
	l.wire.Store(w)
	l.mu.Lock()
	l.bound, l.stalled, l.lastErr, l.since = true, false, "", time.Now()
	l.publish()
	l.mu.Unlock()
	if l.c.closing.Load() { // the carrier may have looked for wires before this one was there
		w.end(errClosed)
	}
	l.c.sink.Changed()
}

// failed notes why the link could not be bound.
func (l *link) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastErr = err.Error()
}

// down cleans up after a connection and reports what has no answer: Unknown where a byte may have left, else Retry.
func (l *link) down(w *wire, err error) {
	w.end(err)
	w.flusher.Wait() // then written is final
	l.wire.Store(nil)
	l.outcomes = l.outcomes[:0]
	l.mu.Lock()
	l.bound, l.lastErr, l.since = false, w.ended.Error(), time.Now()
	for i := range l.window.slots {
		s := &l.window.slots[i]
		switch {
		case s.seq == 0:
		case s.recall != nil:
			s.recall.answered(s, false)
			l.c.closed(1)
			l.window.put(s)
		default:
			o := channels.Outcome{Token: s.token, Segment: s.segment, Kind: channels.Retry, Reason: channels.LinkDown}
			if s.start < w.written {
				o.Kind, o.Reason = channels.Unknown, channels.NoAnswer
			}
			l.outcomes = append(l.outcomes, o)
			l.window.put(s)
		}
	}
	l.publish()
	l.mu.Unlock()
	l.report()
	l.c.sink.Changed()
}

// report gives the sink the outcomes of closed slots.
func (l *link) report() {
	if len(l.outcomes) > 0 {
		l.c.sink.Outcomes(l.outcomes)
		l.c.closed(len(l.outcomes))
	}
}

// unbind asks for the end of the session (clause 4.2).
func (l *link) unbind() {
	l.ask(pdu.Unbind)
}

// ask sends a PDU of the session that has no body.
func (l *link) ask(c pdu.Command) {
	w := l.wire.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.mu.Lock()
	seq := l.window.next()
	l.mu.Unlock()
	l.write(w, pdu.AppendHeader(nil, c, pdu.OK, seq))
}
