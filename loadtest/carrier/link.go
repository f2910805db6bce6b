package carrier

import (
	"encoding/binary"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/loadtest/carrierlog"
)

// Sizes of buffers: a read buffer grows to readMost while reads fill it; more than outMost octets that a client does not
// read stop the carrier from reading from it.
const (
	readLeast = 16 << 10
	readMost  = 256 << 10
	outMost   = 1 << 20
)

// batch is the answers to what one read brought, and the receipts that are owed once they have left.
type batch struct {
	due  int64
	out  []byte
	seqs []uint32
	owed []receipt
}

// link is one connection. Its reader decodes and decides; its writer sends what became due.
type link struct {
	c       *Carrier
	conn    net.Conn
	number  int
	deaf    bool          // it hears and says nothing; set by the reader, with mu held
	counted bool          // among the bound ones; guarded by the carrier's mu
	wake    chan struct{} // the writer has something to do
	gone    chan struct{} // closed when the reader has ended
	heard   atomic.Int64  // when something was read last

	// The reader's own.
	kind       string // bound as; empty before
	sends      bool   // may submit
	batch      *batch // of the read at hand
	lines      []byte // log lines of the read at hand
	head       []byte
	receipts   []byte // an open receipt line, and what its receipts share
	sameState  state
	sameStatus int
	open       int
	seqs       seqSet
	known      [64]*text
	parts      [256]part
	key        []byte
	draw       uint64
	sub        submit
	line       carrierlog.Line
	idText     []byte
	nextID     uint64 // of the ids reserved for this link
	lastID     uint64
	sender     sender // the last one, and its number
	senderNo   uint16
	validity   [timeLen - 1]byte // the last one, and its moment
	until      int64
	untilAt    int64
	early      renderer
	arrived    int64 // messages of the read at hand
	taken      int64
	from       int64 // the round trip of the read at hand counts from here

	mu      sync.Mutex // guards what follows
	turned  sync.Cond  // batches were settled, octets were written, or the link is dead
	out     []byte     // to be written
	spare   []byte
	writing bool
	dead    bool
	why     string // of the end
	bound   bool
	takes   bool // receipts
	held    []*batch
	settled []*batch // sent; the reader takes their numbers back
	free    []*batch
	parcels *parcels
	// enquired is the sequence number of our enquire_link without an answer, 0: none; asked is when it left.
	enquired  uint32
	asked     int64
	enquiries uint32
}

// part remembers a message of several segments while they come in.
type part struct {
	to     uint64
	ref    int
	total  int
	coding byte
	seen   uint64
}

func newLink(c *Carrier, conn net.Conn, number int) *link {
	l := &link{
		c: c, conn: conn, number: number,
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
		batch: &batch{}, parcels: newParcels(c.cfg.ReceiptWindow),
		draw: mix(c.cfg.Seed + uint64(number)), early: renderer{ids: c.ids},
	}
	l.turned.L = &l.mu
	l.heard.Store(c.clock.now())
	return l
}

// close ends the link; the first reason counts.
func (l *link) close(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked(why)
}

func (l *link) closeLocked(why string) {
	if l.why == "" {
		l.why = why
	}
	l.dead = true
	l.conn.Close()
	l.turned.Broadcast()
}

// read is the reader: it lives as long as the link.
func (l *link) read() {
	buf := make([]byte, readLeast)
	end := 0
	for {
		n, err := l.conn.Read(buf[end:])
		if n > 0 && !l.deaf {
			now := l.c.clock.now()
			l.heard.Store(now)
			end += n
			used, ok := l.take(buf[:end], now)
			l.settle()
			if !ok {
				break
			}
			full := end == len(buf)
			end = copy(buf, buf[used:end])
			if full && len(buf) < readMost {
				buf = append(make([]byte, 0, 2*len(buf)), buf[:end]...)
				buf = buf[:cap(buf)]
			}
		}
		if err != nil {
			l.close("connection closed")
			break
		}
	}
	l.leave()
}

// take handles the whole PDUs of b and answers how many octets they are; false ends the link.
func (l *link) take(b []byte, now int64) (used int, ok bool) {
	l.reclaim()
	l.from = now
	l.head = carrierlog.AppendSubmitHead(l.head[:0], now, l.number)
	for len(b)-used >= 4 {
		n := int(binary.BigEndian.Uint32(b[used:]))
		if n < headerLen || n > maxPDU {
			var seq uint32
			if len(b)-used >= headerLen {
				seq = binary.BigEndian.Uint32(b[used+12:])
			}
			l.violate(faultLength, genericNack, seq, now)
			l.settle()
			l.close("framing lost")
			return used, false
		}
		if len(b)-used < n {
			break
		}
		if !l.one(b[used:used+n], now) {
			return used + n, false
		}
		if used += n; l.deaf {
			return len(b), true
		}
	}
	return used, true
}

// one handles one PDU; false ends the link.
func (l *link) one(p []byte, now int64) bool {
	id, status, seq := binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint32(p[12:])
	body := p[headerLen:]
	if id&response != 0 {
		return l.answer(id, status, seq, body, now)
	}
	bad := fault(0)
	switch {
	case seq == 0 || seq > maxSequence:
		bad = faultSequence
	case status != 0:
		bad = faultRequestStatus
	}
	switch id {
	case submitSM:
		if bad == 0 {
			return l.submit(seq, body, now)
		}
		l.arrived++
	case bindReceiver, bindTransmitter, bindTransceiver:
		if bad == 0 {
			return l.bind(id, seq, body, now)
		}
	case cancelSM:
		if bad == 0 {
			return l.recall(seq, body, now)
		}
	case enquireLink, unbind:
		if bad == 0 && len(body) != 0 {
			bad = faultTrailing
		}
		if bad == 0 {
			l.batch.out = appendHeader(l.batch.out, headerLen, id|response, statusOK, seq)
			if id == unbind {
				l.record()
				l.flushHeld()
				l.flushBatch()
				l.close("unbind")
				return false
			}
			return true
		}
	default:
		bad, id = faultCommand, genericNack
	}
	l.violate(bad, id|response, seq, now)
	return true
}

func appendHeader(b []byte, length int, id, status, seq uint32) []byte {
	return append(b, byte(length>>24), byte(length>>16), byte(length>>8), byte(length),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id),
		byte(status>>24), byte(status>>16), byte(status>>8), byte(status),
		byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq))
}

// violate writes a violation down and answers it; id is that of the answer, 0 for none.
func (l *link) violate(bad fault, id, seq uint32, now int64) {
	f := &faults[bad]
	l.lines = carrierlog.Append(l.lines, &carrierlog.Line{
		Event: carrierlog.Violation, Time: now, Link: l.number, Sequence: seq, Rule: f.rule, Clause: f.clause, Status: int(f.status),
	})
	if id != 0 {
		l.batch.out = appendHeader(l.batch.out, headerLen, id, f.status, seq)
	}
}

// bind lets a client in, or does not.
func (l *link) bind(id, seq uint32, body []byte, now int64) bool {
	kind := map[uint32]string{bindReceiver: "receiver", bindTransmitter: "transmitter", bindTransceiver: "transceiver"}[id]
	if l.kind != "" {
		l.violate(faultBound, id|response, seq, now)
		return true
	}
	r, bad := decodeBind(body)
	if bad != 0 {
		l.violate(bad, id|response, seq, now)
		return true
	}
	status := uint32(statusOK)
	switch {
	case string(r.system) != l.c.cfg.SystemID:
		status = badSystemID
	case string(r.password) != l.c.cfg.Password:
		status = badPassword
	case !l.c.admitLink(l):
		status = bindFailed
	}
	l.lines = carrierlog.Append(l.lines, &carrierlog.Line{
		Event: carrierlog.Bind, Time: now, Link: l.number, System: string(r.system), Kind: kind, Status: int(status),
	})
	if status != statusOK {
		l.batch.out = appendHeader(l.batch.out, headerLen, id|response, status, seq)
		return true
	}
	name := l.c.cfg.SystemID
	l.batch.out = appendHeader(l.batch.out, headerLen+len(name)+1+5, id|response, statusOK, seq)
	l.batch.out = append(append(l.batch.out, name...), 0, tagVersion>>8, tagVersion&0xFF, 0, 1, version34)
	l.kind, l.sends = kind, id != bindReceiver
	l.record()
	l.flushBatch() // before a receipt can leave
	l.mu.Lock()
	l.bound, l.takes = true, id != bindTransmitter
	l.mu.Unlock()
	return true
}

// answer handles a response of the client.
func (l *link) answer(id, status, seq uint32, body []byte, now int64) bool {
	switch id {
	case deliverSM | response:
		// The body is a message_id that is not used: one zero octet; a refusal may leave it out (4.6.2).
		if !(len(body) == 1 && body[0] == 0) && !(len(body) == 0 && status != 0) {
			l.violate(faultResponseBody, 0, seq, now)
		}
		l.mu.Lock()
		p, asked := l.parcels.take(seq)
		var r receipt
		if p != nil {
			r = *p
		}
		l.mu.Unlock()
		if p == nil {
			if !asked {
				l.violate(faultResponseUnknown, 0, seq, now)
			}
			return true
		}
		l.receiptLine(&r, int(status), now)
		l.c.answered.Add(1)
		switch status {
		case temporaryApp, msgQueueFull, throttledStatus, sysErr: // not now: again in a second
			r.due, r.again = now+int64(time.Second), true
			l.batch.owed = append(l.batch.owed, r)
		}
	case enquireLink | response:
		l.mu.Lock()
		known := seq >= enquireBase
		if l.enquired == seq {
			l.enquired = 0
		}
		l.mu.Unlock()
		if !known {
			l.violate(faultResponseUnknown, 0, seq, now)
		}
	case genericNack:
		l.violate(faultNack, 0, seq, now)
	default:
		l.violate(faultResponseUnknown, 0, seq, now)
	}
	return true
}

// receiptLine writes an answered receipt down; those of one read with the same word share a line.
func (l *link) receiptLine(r *receipt, status int, now int64) {
	if len(l.receipts) > 0 && (r.state != l.sameState || status != l.sameStatus) {
		l.closeReceipts()
	}
	if len(l.receipts) == 0 {
		l.sameState, l.sameStatus = r.state, status
		l.receipts = carrierlog.AppendReceipts(l.receipts, now, l.number, states[r.state].stat, status)
	}
	l.receipts = append(l.c.ids.inAnswer(l.receipts, r.id), ' ')
}

func (l *link) closeReceipts() {
	if len(l.receipts) > 0 {
		l.lines = append(l.lines, carrierlog.CloseReceipts(l.receipts)...)
		l.receipts = l.receipts[:0]
	}
}

// record writes down what was read.
func (l *link) record() {
	l.closeReceipts()
	if len(l.lines) > 0 {
		l.c.log.Append(l.lines)
		l.lines = l.lines[:0]
	}
	if l.arrived > 0 {
		l.c.submits.Add(l.arrived)
		l.c.accepted.Add(l.taken)
		l.arrived, l.taken = 0, 0
	}
}

// settle ends a read: it is recorded, then its answers leave or wait for their round trip.
func (l *link) settle() {
	l.record()
	if l.c.cfg.RoundTrip == 0 || len(l.batch.seqs) == 0 {
		l.flushBatch()
		return
	}
	l.mu.Lock()
	l.batch.due = l.from + int64(l.c.cfg.RoundTrip)
	l.held = append(l.held, l.batch)
	first := len(l.held) == 1
	l.batch = l.newBatch()
	l.mu.Unlock()
	if first {
		l.nudge()
	}
}

// flushBatch sends the answers of the read at hand now.
func (l *link) flushBatch() {
	for _, s := range l.batch.seqs {
		l.seqs.remove(s)
	}
	l.open -= len(l.batch.seqs)
	l.batch.seqs = l.batch.seqs[:0]
	l.mu.Lock()
	if !l.deaf {
		l.out = append(l.out, l.batch.out...)
	}
	l.c.wheel.add(l.batch.owed)
	l.flush()
	for len(l.out) > outMost && !l.dead {
		l.turned.Wait()
	}
	l.mu.Unlock()
	l.batch.out, l.batch.owed = l.batch.out[:0], l.batch.owed[:0]
}

// flushHeld lets go all answers that wait for their round trip.
func (l *link) flushHeld() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due(math.MaxInt64)
}

// due moves the answers that are due to out. It is called with mu held.
func (l *link) due(now int64) {
	n := 0
	for _, b := range l.held {
		if b.due > now {
			break
		}
		if !l.deaf {
			l.out = append(l.out, b.out...)
		}
		l.c.wheel.add(b.owed)
		n++
	}
	if n > 0 {
		l.settled = append(l.settled, l.held[:n]...)
		l.held = l.held[:copy(l.held, l.held[n:])]
		l.turned.Broadcast()
	}
}

func (l *link) newBatch() *batch {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		b.out, b.seqs, b.owed = b.out[:0], b.seqs[:0], b.owed[:0]
		return b
	}
	return &batch{}
}

// reclaim takes back the sequence numbers of answers that have left.
func (l *link) reclaim() {
	if l.open == 0 {
		return
	}
	l.mu.Lock()
	for _, b := range l.settled {
		for _, s := range b.seqs {
			l.seqs.remove(s)
		}
		l.open -= len(b.seqs)
	}
	l.free = append(l.free, l.settled...)
	l.settled = l.settled[:0]
	l.mu.Unlock()
}

// flush writes out. It is called with mu held, and gives it up while it writes; only one writes at a time.
func (l *link) flush() {
	if l.writing {
		return
	}
	l.writing = true
	for len(l.out) > 0 && !l.dead {
		b := l.out
		l.out = l.spare[:0]
		l.mu.Unlock()
		_, err := l.conn.Write(b)
		l.mu.Lock()
		l.spare = b
		if err != nil {
			l.closeLocked("connection closed")
		}
		l.turned.Broadcast()
	}
	l.writing = false
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the writer: answers when they are due, receipts, and the keep-alive.
func (l *link) write() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	bindBy := l.c.clock.now() + int64(l.c.cfg.BindTimeout)
	for {
		select {
		case <-l.gone:
			return
		case <-timer.C:
		case <-l.wake:
		}
		l.mu.Lock()
		now := l.c.clock.now()
		l.due(now)
		next := l.keepAlive(now, bindBy)
		l.flush()
		if len(l.held) > 0 {
			next = min(next, l.held[0].due)
		}
		l.mu.Unlock()
		timer.Reset(max(0, time.Duration(next-l.c.clock.now())))
	}
}

// post gives the link receipts, as many as its window takes, and answers how many.
func (l *link) post(rs []receipt, now int64, w *renderer) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.takes || l.dead || len(l.out) > outMost {
		return 0
	}
	for n < len(rs) && l.parcels.room() > 0 {
		l.out = w.appendDeliver(l.out, &rs[n], l.parcels.put(&rs[n], now), now)
		n++
	}
	if n > 0 {
		l.nudge()
	}
	return n
}

// retire gives back the receipts that were sent before the time and not answered.
func (l *link) retire(before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveBack(before)
}

// giveBack is called with mu held.
func (l *link) giveBack(before int64) {
	var lines []byte
	var rs []receipt
	now := l.c.clock.now()
	l.parcels.overdue(before, func(r *receipt) {
		lines = carrierlog.AppendReceipts(lines, now, l.number, states[r.state].stat, carrierlog.NoAnswer)
		lines = carrierlog.CloseReceipts(append(l.c.ids.inAnswer(lines, r.id), ' '))
		x := *r
		x.due, x.again = now, true
		rs = append(rs, x)
	})
	if len(rs) > 0 {
		l.c.log.Append(lines)
		l.c.wheel.add(rs)
	}
}

// leave ends the link for the carrier.
func (l *link) leave() {
	l.c.leave(l)
	close(l.gone)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takes = false
	l.due(math.MaxInt64) // what was accepted is owed a receipt, answered or not
	l.c.wheel.add(l.batch.owed)
	l.giveBack(math.MaxInt64)
	l.c.log.Append(carrierlog.Append(nil, &carrierlog.Line{Event: carrierlog.Unbind, Time: l.c.clock.now(), Link: l.number, Why: l.why}))
}
