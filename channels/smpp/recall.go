package smpp

import (
	"context"
	"slices"
	"sync"
	"time"

	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
)

// heldMost is how many ids an account remembers to recall messages by, the newest; heldID is the longest that is.
const (
	heldMost = 1 << 17
	heldID   = 40
)

// held is one segment that the carrier took.
type held struct {
	token   uint64
	segment uint8
	size    uint8
	id      [heldID]byte
}

// memory is the newest segments that the carrier took, in a ring.
type memory struct {
	mu   sync.Mutex // guards all; taken after link.mu
	ring []held
	next int
}

// add remembers a segment. mu is held.
func (m *memory) add(token uint64, segment uint8, id []byte) {
	if len(id) == 0 || len(id) > heldID {
		return
	}
	h := held{token: token, segment: segment, size: uint8(len(id))}
	copy(h.id[:], id)
	if len(m.ring) < heldMost {
		m.ring = append(m.ring, h)
		return
	}
	m.ring[m.next] = h
	m.next = (m.next + 1) % heldMost
}

// of is what is remembered of messages.
func (m *memory) of(batch []channels.Message) (out []held) {
	want := make(map[uint64]bool, len(batch))
	for i := range batch {
		want[batch[i].Token] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.ring {
		if want[m.ring[i].token] {
			out = append(out, m.ring[i])
		}
	}
	return out
}

// recall is one call of Recall.
type recall struct {
	wake chan struct{} // an answer came

	mu   sync.Mutex // guards what follows; taken after link.mu
	gone []channels.Segment
	open int
}

var _ channels.Recaller = (*carrier)(nil)

// Recall sends cancel_sm (clause 4.9) for the segments whose ids are remembered, by at most half of each window, so that
// what is to be sent finds room.
func (c *carrier) Recall(ctx context.Context, batch []channels.Message) (asked int, gone []channels.Segment) {
	list := c.memory.of(batch)
	r := &recall{wake: make(chan struct{}, 1)}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		for _, l := range c.links {
			n := l.recall(r, list)
			list, asked = list[n:], asked+n
		}
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		if len(list) == 0 && open == 0 {
			break
		}
		select {
		case <-r.wake:
		case <-again.C:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return asked, slices.Clone(r.gone) // an answer that comes now comes too late
}

// answered takes the answer to one cancel_sm, or that none came.
func (r *recall) answered(s *slot, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if gone {
		r.gone = append(r.gone, channels.Segment{Token: s.token, Index: s.segment})
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// recall asks for the first of list back, as many as half of the free window holds.
func (l *link) recall(r *recall, list []held) (n int) {
	w := l.wire.Load()
	if w == nil || len(list) == 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil || w.flushing {
		return 0
	}
	source := l.c.account.Source
	ton, npi := numbering(source)
	now, out := l.c.now(), []byte(nil)
	l.mu.Lock()
	for room := (int(l.room.Load()) + 1) / 2; n < min(room, len(list)); n++ {
		h := &list[n]
		s := l.window.take()
		s.token, s.segment, s.at, s.start, s.recall = h.token, h.segment, now, w.given+uint64(len(out)), r
		out = pdu.AppendCancel(out, s.seq, h.id[:h.size], ton, npi, []byte(source))
	}
	l.c.open.Add(int64(n))
	l.publish()
	l.mu.Unlock()
	r.mu.Lock()
	r.open += n
	r.mu.Unlock()
	if n > 0 {
		l.write(w, out)
	}
	return n
}
