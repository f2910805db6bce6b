package carrier

import (
	"bytes"
	"strconv"

	"tocsin/loadtest/carrierlog"
)

// cancelFailed is ESME_RCANCELFAIL (5.1.3): the message is not here, or is delivered.
const cancelFailed = 0x11

// maxMessageID is the octets of a message_id with its zero (5.2.23).
const maxMessageID = 65

// recall gives up the message that a cancel_sm (4.9) names by its id, if it is not delivered: its receipt, which says
// delivered or what else is to become of it, is not due yet. The receipt of a message that was given up says DELETED, at
// once. A group by source and destination, without an id, is none that this carrier gives up.
func (l *link) recall(seq uint32, body []byte, now int64) bool {
	f := fields{b: body, ok: true}
	f.text(maxServiceType)
	id := f.text(maxMessageID)
	ton, npi := f.octet(), f.octet()
	f.text(maxAddress)
	toTON, toNPI := f.octet(), f.octet()
	f.text(maxAddress)
	bad := fault(0)
	switch {
	case !l.sends:
		bad = faultNotBound
	case !f.ok:
		bad = faultCut
	case f.at != len(body):
		bad = faultTrailing
	case !validTON(ton):
		bad = faultSourceTON
	case !validNPI(npi):
		bad = faultSourceNPI
	case !validTON(toTON):
		bad = faultDestTON
	case !validNPI(toNPI):
		bad = faultDestNPI
	}
	if bad != 0 {
		l.violate(bad, cancelSM|response, seq, now)
		return true
	}
	status := uint32(cancelFailed)
	if n, ok := l.c.ids.parse(id); ok {
		if r, held := l.c.wheel.remove(n); held {
			status = statusOK
			r.state, r.due, r.again = deleted, now, true
			l.batch.owed = append(l.batch.owed, r)
		}
	}
	l.lines = carrierlog.Append(l.lines, &carrierlog.Line{
		Event: carrierlog.Recall, Time: now, Link: l.number, ID: bytes.Clone(id), Status: int(status),
	})
	l.batch.out = appendHeader(l.batch.out, headerLen, cancelSM|response, status, seq)
	return true
}

// remove takes the receipt of a message off the wheel, if it is not due yet.
func (w *wheel) remove(id uint64) (receipt, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.slots {
		for k := range s {
			if s[k].id == id && !s[k].again {
				r := s[k]
				s[k] = s[len(s)-1]
				w.slots[i] = s[:len(s)-1]
				w.held--
				return r, true
			}
		}
	}
	return receipt{}, false
}

// parse reads an id as inAnswer writes it.
func (f *idForm) parse(b []byte) (id uint64, ok bool) {
	if f.hex {
		n, err := strconv.ParseUint(string(b), 16, 64)
		return n, err == nil
	}
	if len(b) != 20 || !bytes.Equal(b[:7], f.prefix[:]) {
		return 0, false
	}
	for _, c := range b[7:] {
		at := bytes.IndexByte([]byte(base32), c)
		if at < 0 {
			return 0, false
		}
		id = id<<5 | uint64(at)
	}
	return id, true
}
