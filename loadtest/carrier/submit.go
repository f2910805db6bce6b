package carrier

import (
	"bytes"
	"time"

	"tocsin/loadtest/carrierlog"
)

// submit decides over one message; false ends the link.
func (l *link) submit(seq uint32, body []byte, now int64) bool {
	if l.c.cfg.DeadAfter > 0 && l.c.brought.Add(1) == int64(l.c.cfg.DeadAfter) {
		l.die()
		return true
	}
	if !l.sends {
		l.arrived++
		l.violate(faultNotBound, submitSM|response, seq, now)
		return true
	}
	for l.c.cfg.Window > 0 && l.open >= l.c.cfg.Window {
		if l.c.cfg.WindowFull == "throttle" {
			break
		}
		if !l.waitForRoom() {
			return false
		}
	}
	l.arrived++ // from here on it stands in the log
	if !l.seqs.add(seq) {
		l.violate(faultSequenceOpen, submitSM|response, seq, now)
		return true
	}
	s := &l.sub
	bad := decodeSubmit(body, s)
	var t *text
	if bad == 0 {
		t = l.text(s, now)
		if bad = t.bad; bad == 0 {
			bad = l.joined(s)
		}
	}
	if bad != 0 {
		l.violate(bad, 0, seq, now)
		l.reply(seq, faults[bad].status)
		return true
	}
	if !synthetic(s.toDigits) {
		l.lines = carrierlog.Append(l.lines, &carrierlog.Line{Event: carrierlog.NotSynthetic, Time: now, Link: l.number, Status: badDestAddr})
		l.reply(seq, badDestAddr)
		return true
	}
	status, fate := l.decide(s, t, now)
	l.line.To, l.line.Ref, l.line.Total, l.line.Seq, l.line.Text = s.to, s.ref, s.total, s.seq, t.number
	l.line.Until, l.line.ID = l.until, nil
	l.line.Status = int(status)
	var id uint64
	if status == statusOK && fate != swallowed {
		l.taken++
		id = l.newID()
		l.idText = l.c.ids.inAnswer(l.idText[:0], id)
		l.line.ID = l.idText
	}
	if fate == silent || fate == swallowed || fate == dropLink {
		l.line.Status = carrierlog.NoAnswer
	}
	l.lines = carrierlog.AppendSubmit(l.lines, l.head, &l.line)
	if id != 0 {
		l.owe(s, id, now)
	}
	switch {
	case fate == dropLink:
		l.batch.out = l.batch.out[:0]
		l.record()
		l.close("dropped")
		return false
	case l.line.Status == carrierlog.NoAnswer: // its sequence number stays open
		return true
	case status != statusOK:
		l.reply(seq, status)
		return true
	}
	b := &l.batch.out
	*b = appendHeader(*b, headerLen+len(l.idText)+1, submitSM|response, statusOK, seq)
	*b = append(append(*b, l.idText...), 0)
	l.batch.seqs = append(l.batch.seqs, seq)
	l.open++
	return true
}

// idBlock is how many ids a link reserves at a time.
const idBlock = 256

// newID is an id that was never given: numbers in order, spread by a bijection.
func (l *link) newID() uint64 {
	if l.nextID == l.lastID {
		l.lastID = l.c.lastID.Add(idBlock)
		l.nextID = l.lastID - idBlock
	}
	l.nextID++
	return mix(l.nextID ^ l.c.cfg.Seed)
}

// reply refuses a message.
func (l *link) reply(seq, status uint32) {
	l.batch.out = appendHeader(l.batch.out, headerLen, submitSM|response, status, seq)
	l.batch.seqs = append(l.batch.seqs, seq)
	l.open++
}

// waitForRoom reads no further until the window has room; false when the link has ended.
func (l *link) waitForRoom() bool {
	l.settle()
	l.reclaim()
	for l.open >= l.c.cfg.Window {
		l.mu.Lock()
		for len(l.settled) == 0 && !l.dead {
			l.turned.Wait()
		}
		dead := l.dead
		l.mu.Unlock()
		if dead {
			return false
		}
		l.reclaim()
	}
	l.from = l.c.clock.now()
	return true
}

// decide is the status of a well-formed message, and what else befalls it.
func (l *link) decide(s *submit, t *text, now int64) (status uint32, fate mishap) {
	c := l.c
	if len(s.validity) == 0 {
		l.until = 0
	} else if at := now / int64(time.Second); at != l.untilAt || !bytes.Equal(l.validity[:], s.validity) {
		l.until = deadline(s.validity, time.Unix(at, 0).UTC())
		l.untilAt = at
		copy(l.validity[:], s.validity)
	}
	if l.until != 0 && l.until <= now/int64(time.Second) {
		return badExpiry, none
	}
	if c.cfg.Window > 0 && l.open >= c.cfg.Window {
		return throttledStatus, none
	}
	if c.cfg.BadNumber > 0 && mix(s.to^mix(c.cfg.Seed))>>11 < uint64(c.cfg.BadNumber*(1<<53)) {
		return badDestAddr, none
	}
	if !c.admit(now) {
		return throttledStatus, none
	}
	if t.status != statusOK {
		return t.status, none
	}
	l.draw += 0x9e3779b97f4a7c15
	switch fate = mishap(c.faults.draw(mix(l.draw))); fate {
	case throttled:
		return throttledStatus, fate
	case queueFull:
		return msgQueueFull, fate
	case systemError:
		return sysErr, fate
	}
	return statusOK, fate
}

// owe remembers the receipt of an accepted message, where one was asked for (5.2.17).
func (l *link) owe(s *submit, id uint64, now int64) {
	c := l.c
	r := receipt{id: id, to: s.to, sub: uint32(now / int64(time.Second))}
	r.state = state(c.outcomes.draw(mix(s.to + c.cfg.Seed)))
	if want := s.registered & 3; !c.cfg.Receipts || want == 0 || want == 2 && r.state == delivered {
		return
	}
	if s.sourceTON != l.sender.ton || s.sourceNPI != l.sender.npi || string(s.source) != l.sender.addr || l.sender.addr == "" {
		l.senderNo = c.senders.of(s.sourceTON, s.sourceNPI, s.source)
		l.sender = sender{s.sourceTON, s.sourceNPI, string(s.source)}
	}
	r.source = l.senderNo
	r.due = l.from + int64(c.cfg.RoundTrip+c.cfg.ReceiptDelay)
	if j := int64(c.cfg.ReceiptJitter); j > 0 {
		l.draw += 0x9e3779b97f4a7c15
		r.due += int64(mix(l.draw)%uint64(2*j+1)) - j
	}
	if c.cfg.EarlyReceipts > 0 {
		l.draw += 0x9e3779b97f4a7c15
		if mix(l.draw)>>11 < uint64(c.cfg.EarlyReceipts*(1<<53)) && l.ahead(&r, now) {
			return
		}
	}
	l.batch.owed = append(l.batch.owed, r)
}

// ahead puts the receipt in front of the answer to its message; false when the link takes none just now.
func (l *link) ahead(r *receipt, now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.takes || l.parcels.room() == 0 {
		return false
	}
	l.early.senders = l.c.senders.list()
	l.batch.out = l.early.appendDeliver(l.batch.out, r, l.parcels.put(r, now), now)
	return true
}

// text finds the text of s: by its last look in the link's own table, else in the carrier's.
func (l *link) text(s *submit, now int64) *text {
	l.key = textKey(l.key[:0], s)
	k := l.key
	at := len(k)*31 + int(k[len(k)-1])*7 + int(k[len(k)/2])
	slot := &l.known[at%len(l.known)]
	if *slot == nil || (*slot).key != string(k) {
		*slot = l.c.texts.of(k, s, now)
	}
	return *slot
}

// joined checks the coding of a segment against the other segments of its message on this link.
func (l *link) joined(s *submit) fault {
	if s.total < 2 || s.total > 64 {
		return 0
	}
	p := &l.parts[mix(s.to^uint64(s.ref)<<48)%uint64(len(l.parts))]
	bit := uint64(1) << (s.seq - 1)
	if p.to != s.to || p.ref != s.ref || p.total != s.total || p.seen&bit != 0 {
		*p = part{to: s.to, ref: s.ref, total: s.total, coding: s.coding, seen: bit}
		return 0
	}
	if p.coding != s.coding {
		return faultMixedCoding
	}
	if p.seen |= bit; p.seen == 1<<s.total-1 {
		*p = part{}
	}
	return 0
}
