package carrier

// seqSet is the sequence numbers of a link that are without an answer. Ascending numbers, which is what clients use,
// never meet in the table; others that do go to the map.
type seqSet struct {
	table [2048]uint32
	over  map[uint32]struct{}
}

// add takes seq; false when it is there already.
func (s *seqSet) add(seq uint32) bool {
	p := &s.table[seq%uint32(len(s.table))]
	if *p == 0 {
		if len(s.over) > 0 {
			if _, ok := s.over[seq]; ok {
				return false
			}
		}
		*p = seq
		return true
	}
	if *p == seq {
		return false
	}
	if _, ok := s.over[seq]; ok {
		return false
	}
	if s.over == nil {
		s.over = map[uint32]struct{}{}
	}
	s.over[seq] = struct{}{}
	return true
}

func (s *seqSet) remove(seq uint32) {
	if p := &s.table[seq%uint32(len(s.table))]; *p == seq {
		*p = 0
		return
	}
	delete(s.over, seq)
}

// parcel is a receipt on a link, waiting for its answer.
type parcel struct {
	receipt
	seq  uint32 // of the deliver_sm; kept after the answer, to know a late one
	sent int64
	open bool
}

// parcels is the window of receipts of a link. A sequence number is (turn of the slot, slot), so that an answer finds
// its slot without a search.
type parcels struct {
	slots []parcel
	free  []uint32
	bits  uint
}

func newParcels(window int) *parcels {
	p := &parcels{slots: make([]parcel, window)}
	for 1<<p.bits < window {
		p.bits++
	}
	for i := window - 1; i >= 0; i-- {
		p.free = append(p.free, uint32(i))
	}
	return p
}

// enquireBase is where the sequence numbers of our own enquire_link begin; those of receipts stay below.
const enquireBase = 0x40000000

func (p *parcels) room() int { return len(p.free) }

func (p *parcels) open() int { return len(p.slots) - len(p.free) }

// put takes a receipt into a free slot and answers its sequence number.
func (p *parcels) put(r *receipt, now int64) uint32 {
	slot := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	x := &p.slots[slot]
	turn := (x.seq>>p.bits + 1) & (enquireBase>>p.bits - 1)
	x.seq = max(turn, 1)<<p.bits | slot
	x.receipt, x.sent, x.open = *r, now, true
	return x.seq
}

// take is the receipt that an answer is for. asked is false when nothing of that number was ever sent.
func (p *parcels) take(seq uint32) (r *receipt, asked bool) {
	slot := seq & (1<<p.bits - 1)
	if int(slot) >= len(p.slots) || seq>>p.bits == 0 || seq>>p.bits > p.slots[slot].seq>>p.bits {
		return nil, false
	}
	x := &p.slots[slot]
	if !x.open || x.seq != seq {
		return nil, true
	}
	x.open = false
	p.free = append(p.free, slot)
	return &x.receipt, true
}

// overdue calls f with each receipt that was sent before the time, and frees its slot.
func (p *parcels) overdue(before int64, f func(*receipt)) {
	for i := range p.slots {
		if x := &p.slots[i]; x.open && x.sent < before {
			x.open = false
			p.free = append(p.free, uint32(i))
			f(&x.receipt)
		}
	}
}

// ring is the contract: the times of the last messages that were accepted.
type ring struct {
	at   []int64
	next int
}

// admit tells whether a message at now keeps to the contract, and counts it then.
func (r *ring) admit(now, second int64) bool {
	if last := r.at[r.next]; last != 0 && now-last < second {
		return false
	}
	r.at[r.next] = now
	if r.next++; r.next == len(r.at) {
		r.next = 0
	}
	return true
}
