package smpp

import (
	"errors"
	"time"

	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
)

// answer is one answer to a submit_sm or cancel_sm.
type answer struct {
	seq    uint32
	status pdu.Status
	nack   bool
	cancel bool // to a cancel_sm
	print  uint16
	id     []byte // a view of what was read
}

// read takes what the carrier sends until the connection ends, and gives the reason.
func (l *link) read(w *wire) error {
	for {
		if err := l.take(w); err != nil {
			return err
		}
		n, err := w.conn.Read(l.cutter.Space())
		if err != nil {
			return err
		}
		l.heard.Store(int64(l.c.now()))
		l.cutter.Filled(n)
	}
}

// take handles all PDUs of one read: their answers are written together, then outcomes and receipts are reported
// together.
func (l *link) take(w *wire) (end error) {
	l.answers, l.replies = l.answers[:0], l.replies[:0]
	var g *group
	over := false // nothing that follows is meant for a session
	for p, ok := l.cutter.Next(); ok && !over; p, ok = l.cutter.Next() {
		switch p.Command {
		case pdu.SubmitSMResp:
			a := answer{seq: p.Sequence, status: p.Status}
			if p.Status == pdu.OK {
				// An id that cannot be read is no id; the status has said that the message is theirs.
				id, _ := pdu.ParseSubmitResp(p.Body)
				a.print, a.id = l.c.print(id, true), id
			} else if p.Status == pdu.InvalidBindStatus {
				end = errNotBound
			}
			l.answers = append(l.answers, a)
		case pdu.CancelSMResp:
			l.answers = append(l.answers, answer{seq: p.Sequence, status: p.Status, cancel: true})
		case pdu.GenericNack:
			l.answers = append(l.answers, answer{seq: p.Sequence, status: p.Status, nack: true})
		case pdu.DeliverSM:
			g = l.deliver(w, p, g)
		case pdu.EnquireLink:
			l.replies = pdu.AppendHeader(l.replies, pdu.EnquireLinkResp, pdu.OK, p.Sequence)
		case pdu.EnquireLinkResp:
			l.answered.Store(int64(l.c.now()))
		case pdu.Unbind:
			l.replies = pdu.AppendHeader(l.replies, pdu.UnbindResp, pdu.OK, p.Sequence)
			end, over = errUnbound, true
		case pdu.UnbindResp:
			end, over = errUnbindResp, true
		default:
			if p.Command&pdu.Response == 0 {
				l.replies = pdu.AppendHeader(l.replies, pdu.GenericNack, pdu.InvalidCommandID, p.Sequence)
			}
		}
	}
	if len(l.replies) > 0 {
		w.mu.Lock()
		l.write(w, l.replies)
		w.mu.Unlock()
	}
	if len(l.answers) > 0 {
		l.settle()
	}
	if g != nil {
		l.c.sink.Receipts(g)
	}
	if end == nil {
		end = l.cutter.Fault()
	}
	return end
}

// settle closes the slots of the answers of one read. An answer that finds no open slot came after its time-out, or
// twice, or for nothing: it changes nothing.
func (l *link) settle() {
	now := l.c.now()
	l.answered.Store(int64(now))
	l.moved.Store(int64(now))
	l.outcomes = l.outcomes[:0]
	recalls := 0
	l.mu.Lock()
	l.c.memory.mu.Lock()
	for _, a := range l.answers {
		s := l.window.find(a.seq)
		if s == nil || a.cancel && s.recall == nil {
			continue
		}
		if s.recall != nil {
			recalls++
			s.recall.answered(s, a.cancel && a.status == pdu.OK)
			l.window.put(s)
			continue
		}
		v := verdictOf(a.status)
		if a.nack && a.status == pdu.OK {
			v = verdictOf(pdu.UnknownError)
		}
		l.outcomes = append(l.outcomes, channels.Outcome{
			Token: s.token, Segment: s.segment, Kind: v.kind, Reason: v.reason, Print: a.print,
			Sent: l.c.began.Add(s.at), Took: now - s.at,
		})
		if v.kind == channels.HandedOver {
			l.c.memory.add(s.token, s.segment, a.id)
		}
		l.window.put(s)
	}
	l.c.memory.mu.Unlock()
	l.publish()
	l.mu.Unlock()
	l.c.closed(recalls)
	if len(l.outcomes) > 0 {
		l.report()
		l.c.sink.Changed()
	}
}

// deliver adds a receipt to the group of this read. What is no receipt is answered at once; what cannot be read is
// refused, so that it does not come again and again, and the link stays.
func (l *link) deliver(w *wire, p pdu.PDU, g *group) *group {
	var sm pdu.SM
	if err := pdu.ParseSM(p.Body, &sm); err != nil {
		fault := &pdu.Fault{Status: pdu.UnknownError}
		_ = errors.As(err, &fault)
		l.replies = pdu.AppendDeliverResp(l.replies, fault.Status, p.Sequence)
		return g
	}
	var r pdu.Receipt
	if !pdu.ParseReceipt(&sm, &r) {
		l.replies = pdu.AppendDeliverResp(l.replies, pdu.OK, p.Sequence)
		return g
	}
	if g == nil {
		g = l.c.groups.Get().(*group)
		g.link, g.wire = l, w
	}
	g.sequences = append(g.sequences, p.Sequence)
	g.receipts = append(g.receipts, l.c.receipt(&sm, &r))
	return g
}

// watch looks after time-outs and keep-alive of all links, and reports what Send refused.
func (c *carrier) watch() {
	const finest, coarsest = 5 * time.Millisecond, time.Second
	tick := time.NewTicker(min(max(min(c.account.AnswerTimeout, c.account.KeepAlive)/10, finest), coarsest))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, l := range c.links {
				l.watch()
			}
		case <-c.refusal:
			c.reportRefused()
		case <-c.quit:
			c.reportRefused()
			return
		}
	}
}

func (c *carrier) reportRefused() {
	c.mu.Lock()
	refused := c.refused
	c.refused = nil
	c.mu.Unlock()
	if len(refused) > 0 {
		c.sink.Outcomes(refused)
	}
}

// watch closes slots whose answer is overdue, ends a connection on which nothing is answered any more, and asks an idle
// one whether it lives.
func (l *link) watch() {
	w := l.wire.Load()
	if w == nil {
		return
	}
	a, now := &l.c.account, l.c.now()
	overdue, never := l.overdue(w, now)
	if len(overdue) > 0 {
		l.c.sink.Outcomes(overdue)
		l.c.closed(len(overdue))
		l.c.sink.Changed()
	}
	heard, enquired := time.Duration(l.heard.Load()), time.Duration(l.enquired.Load())
	asked := enquired > heard // whatever came since is a sign of life
	switch {
	case never:
		w.end(errSilent)
	case asked && now-enquired >= a.AnswerTimeout:
		w.end(errNoEcho)
	case !asked && now-heard >= a.KeepAlive:
		l.enquired.Store(int64(now))
		l.ask(pdu.EnquireLink)
	}
}

// overdue closes the slots that have waited too long. never says that the connection is to be ended instead, which
// closes them all: nothing at all was answered, or a PDU has not even reached the socket.
func (l *link) overdue(w *wire, now time.Duration) (late []channels.Outcome, never bool) {
	limit := l.c.account.AnswerTimeout
	w.mu.Lock()
	defer w.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.window.used() == 0 || w.ended != nil {
		return nil, false
	}
	silent := now-time.Duration(l.answered.Load()) >= limit
	for i := range l.window.slots {
		s := &l.window.slots[i]
		if s.seq == 0 || now-s.at < limit {
			continue
		}
		if silent || s.start >= w.written {
			return late, true
		}
		if s.recall != nil {
			s.recall.answered(s, false)
			l.c.closed(1)
			l.window.put(s)
			continue
		}
		late = append(late, channels.Outcome{Token: s.token, Segment: s.segment, Kind: channels.Unknown, Reason: channels.NoAnswer})
		l.window.put(s)
	}
	l.publish()
	return late, false
}
