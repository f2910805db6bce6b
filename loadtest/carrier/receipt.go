package carrier

import (
	"encoding/binary"
	"strconv"
	"sync"
	"time"
)

// state is what became of a message at the phone.
type state uint8

const (
	delivered state = iota
	undelivered
	expired
	rejected
	deleted
	unknown
)

// states is how a receipt says each: stat, message_state (5.2.28) and the error of the network.
var states = [...]struct {
	stat  string
	state byte
	err   string
	code  uint16
}{
	delivered:   {"DELIVRD", 2, "000", 0},
	undelivered: {"UNDELIV", 5, "027", 27},
	expired:     {"EXPIRED", 3, "032", 32},
	rejected:    {"REJECTD", 8, "021", 21},
	deleted:     {"DELETED", 4, "040", 40},
	unknown:     {"UNKNOWN", 7, "255", 255},
}

// receipt is a receipt on its way: 32 octets.
type receipt struct {
	due    int64 // nanoseconds of the carrier's clock
	id     uint64
	to     uint64
	sub    uint32 // when the message was accepted, Unix seconds
	source uint16 // index into senders
	state  state
	again  bool // was on its way before, or is a copy: its message is not held, and it makes no copy
}

// tickNanos is the width of a slot of the wheel, and wheelSlots how many there are; what is due later goes round again.
const (
	tickNanos  = int64(time.Millisecond)
	wheelSlots = 1 << 13
)

// wheel holds receipts until they are due.
type wheel struct {
	wake chan struct{} // something was added

	mu    sync.Mutex // guards what follows
	slots [wheelSlots][]receipt
	spare [][]receipt // emptied slots
	tick  int64       // drained up to and including
	held  int
}

// add takes receipts.
func (w *wheel) add(rs []receipt) {
	if len(rs) == 0 {
		return
	}
	w.mu.Lock()
	for i := range rs {
		w.put(&rs[i])
	}
	w.held += len(rs)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *wheel) put(r *receipt) {
	at := max(r.due/tickNanos, w.tick+1) & (wheelSlots - 1)
	s := w.slots[at]
	if s == nil && len(w.spare) > 0 {
		s = w.spare[len(w.spare)-1]
		w.spare = w.spare[:len(w.spare)-1]
	}
	w.slots[at] = append(s, *r)
}

// due appends what is due at now to out; more tells whether anything is left.
func (w *wheel) due(now int64, out []receipt) (_ []receipt, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := now / tickNanos
	if w.held == 0 {
		w.tick = max(w.tick, to)
		return out, false
	}
	from := max(w.tick+1, to-wheelSlots+1)
	w.tick = max(w.tick, to)
	for t := from; t <= to; t++ {
		s := w.slots[t&(wheelSlots-1)]
		if s == nil {
			continue
		}
		kept := s[:0]
		for i := range s {
			if s[i].due/tickNanos <= to {
				out = append(out, s[i])
				w.held--
			} else {
				kept = append(kept, s[i])
			}
		}
		if len(kept) == 0 {
			w.spare = append(w.spare, kept)
			kept = nil
		}
		w.slots[t&(wheelSlots-1)] = kept
	}
	return out, w.held > 0
}

func (w *wheel) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

// sender is who a message came from, as a receipt is addressed to.
type sender struct {
	ton, npi byte
	addr     string
}

// senders numbers the senders of a carrier.
type senders struct {
	mu  sync.Mutex // guards all
	all []sender
}

// of is the number of the sender. Beyond 65,536 senders the last one stands for all.
func (s *senders) of(ton, npi byte, addr []byte) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range s.all {
		if x.ton == ton && x.npi == npi && x.addr == string(addr) {
			return uint16(i)
		}
	}
	if len(s.all) < 1<<16 {
		s.all = append(s.all, sender{ton, npi, string(addr)})
	}
	return uint16(len(s.all) - 1)
}

func (s *senders) list() []sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all // only ever appended to
}

// idForm writes ids: opaque, or hexadecimal in the answer and decimal in the receipt.
type idForm struct {
	hex    bool
	prefix [7]byte
}

const base32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func newIDForm(hex bool, name string) idForm {
	f := idForm{hex: hex}
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	for i := range f.prefix {
		f.prefix[i] = base32[h>>(5*i)&31]
	}
	return f
}

// inAnswer appends the id as submit_sm_resp has it, inReceipt as receipts have it.
func (f *idForm) inAnswer(b []byte, id uint64) []byte {
	if f.hex {
		const digits = "0123456789ABCDEF"
		n := 60
		for n > 0 && id>>n == 0 {
			n -= 4
		}
		for ; n >= 0; n -= 4 {
			b = append(b, digits[id>>n&15])
		}
		return b
	}
	return f.opaque(b, id)
}

func (f *idForm) inReceipt(b []byte, id uint64) []byte {
	if f.hex {
		return strconv.AppendUint(b, id, 10)
	}
	return f.opaque(b, id)
}

func (f *idForm) opaque(b []byte, id uint64) []byte {
	var t [20]byte
	for i := 19; i >= 7; i-- {
		t[i] = base32[id&31]
		id >>= 5
	}
	copy(t[:7], f.prefix[:])
	return append(b, t[:]...)
}

// stamp keeps the last minute that was written as YYMMDDhhmm.
type stamp struct {
	minute int64
	text   [10]byte
}

func (s *stamp) at(unix int64) []byte {
	if m := unix / 60; m != s.minute {
		s.minute = m
		copy(s.text[:], time.Unix(unix, 0).UTC().Format("0601021504"))
	}
	return s.text[:]
}

// writer of receipts: what it needs to render them without allocating.
type renderer struct {
	ids             idForm
	submitted, done stamp
	senders         []sender
	scratch         [20]byte
}

// appendDeliver appends a deliver_sm (4.6.1) with the receipt r (appendix B) and sequence number seq.
func (w *renderer) appendDeliver(b []byte, r *receipt, seq uint32, now int64) []byte {
	from := len(b)
	st, snd := &states[r.state], &w.senders[r.source]
	id := w.ids.inReceipt(w.scratch[:0], r.id)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, deliverSM, 0, 0, 0, 0, byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq))
	b = append(b, 0, 1, 1) // service_type, and the number as an international one of the telephone plan
	b = strconv.AppendUint(b, r.to, 10)
	b = append(b, 0, snd.ton, snd.npi)
	b = append(b, snd.addr...)
	b = append(b, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0) // esm_class: receipt
	length := len(b)
	b = append(b, 0)
	b = append(b, "id:"...)
	b = append(b, id...)
	if r.state == delivered {
		b = append(b, " sub:001 dlvrd:001 submit date:"...)
	} else {
		b = append(b, " sub:001 dlvrd:000 submit date:"...)
	}
	b = append(b, w.submitted.at(int64(r.sub))...)
	b = append(b, " done date:"...)
	b = append(b, w.done.at(now/int64(time.Second))...)
	b = append(b, " stat:"...)
	b = append(b, st.stat...)
	b = append(b, " err:"...)
	b = append(b, st.err...)
	b = append(b, " text:"...)
	b[length] = byte(len(b) - length - 1)
	b = append(b, 0, tagReceiptedID, 0, byte(len(id)+1))
	b = append(b, id...)
	b = append(b, 0, tagMessageState>>8, tagMessageState&0xFF, 0, 1, st.state)
	if r.state != delivered {
		b = append(b, tagNetworkError>>8, tagNetworkError&0xFF, 0, 3, 3, byte(st.code>>8), byte(st.code)) // GSM
	}
	binary.BigEndian.PutUint32(b[from:], uint32(len(b)-from))
	return b
}
