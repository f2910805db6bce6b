package dispatcher

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is about people who left the directory between plan and sending: erased, unsubscribed, or under another
// number. A plan never changes, so they keep their place in it; when their turn comes they are settled as withdrawn and no
// byte leaves. Whoever has it already, or may have, stays what they are.

// leaversEvery is how often an owner looks whether the directory has changed.
const leaversEvery = 100 * time.Millisecond

// leavers is who of a snapshot must not be sent to any more, by a newer one.
type leavers struct {
	by     string
	blocks map[uint32]*warning.Mask
}

func (l *leavers) has(block uint32, slot int) bool {
	m := l.blocks[block]
	return m != nil && m.Has(slot)
}

// hasLeft tells whether the person at a position must not be sent to.
func (s *strand) hasLeft(pos uint32) bool {
	if len(s.left.blocks) == 0 {
		return false
	}
	return s.left.has(s.place(pos))
}

// departures keeps the leavers of snapshots, so that the accounts of a process ask once for each change.
type departures struct {
	mu sync.Mutex // guards what follows; held while the directory compares
	of map[string]*leavers
}

// leaversOf is who of a snapshot has left it by the newest one.
func (e *Engine) leaversOf(ctx context.Context, of Snapshot) (*leavers, error) {
	by := of.ID()
	if newest, ok := e.dir.Current(); ok {
		by = newest.ID()
	}
	d := &e.departed
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.of[of.ID()]; l != nil && l.by == by {
		return l, nil
	}
	l := &leavers{by: by}
	if by != of.ID() {
		sel, err := e.dir.Withdrawn(ctx, of.ID())
		if err != nil {
			return nil, err
		}
		l.blocks = make(map[uint32]*warning.Mask, len(sel.Blocks))
		for i, block := range sel.Blocks {
			l.blocks[block] = &sel.Masks[i]
		}
	}
	if d.of == nil {
		d.of = map[string]*leavers{}
	}
	maps.DeleteFunc(d.of, func(_ string, old *leavers) bool { return old.by != by })
	d.of[of.ID()] = l
	return l, nil
}

// followDirectory brings the leavers of strands up to date with each change of the directory until ctx ends.
func (a *account) followDirectory(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.compare(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("who has left the directory just now is not known; it is asked again", zap.Error(err))
		}
		pause(ctx, leaversEvery)
	}
}

// compare asks who has left the snapshots of strands at work since it was asked last.
func (a *account) compare(ctx context.Context) error {
	newest, ok := a.e.dir.Current()
	if !ok {
		return nil
	}
	a.mu.Lock()
	var behind []*strand
	for _, s := range a.live {
		if s.left.by != newest.ID() {
			behind = append(behind, s)
		}
	}
	a.mu.Unlock()
	for _, s := range behind {
		left, err := a.e.leaversOf(ctx, s.snap)
		if err != nil {
			return err
		}
		a.sendMu.Lock() // nobody is on the way to a socket
		a.mu.Lock()
		s.left = left
		a.withdraw(s, time.Now())
		a.mu.Unlock()
		a.sendMu.Unlock()
	}
	return nil
}

// withdraw lets go who has left of those that are granted and not sent. A grant is only given back from its end, and
// never where somebody is settled: who stands before the last that left is sent to as if granted another time. mu is held.
func (a *account) withdraw(s *strand, now time.Time) {
	if len(s.left.blocks) == 0 {
		return
	}
	again := s.again[:0]
	for _, pos := range s.again {
		if s.hasLeft(pos) {
			a.letGo(s, pos, now)
		} else {
			again = append(again, pos)
		}
	}
	next := s.next
	for b := s.batchOf(s.next); b < len(s.Batches) && s.starts[b] < s.limit; b++ {
		pos := s.starts[b]
		for slot := range s.Batches[b].Mask.Slots {
			if pos >= s.next && pos < s.limit && s.left.has(s.Batches[b].Block, slot) {
				a.letGo(s, pos, now)
				next = pos + 1
			}
			pos++
		}
	}
	for pos := s.next; pos < next; pos++ {
		if s.led.at(pos).state == warning.Sending {
			again = append(again, pos)
		}
	}
	s.again, s.next = again, next
	s.ready(&a.sched)
}

// letGo settles somebody who has left. Who is unknown may have it, and stays so.
func (a *account) letGo(s *strand, pos uint32, now time.Time) {
	if s.led.at(pos).state == warning.Sending {
		back := record{pos: pos, kind: recBack, reason: channels.WithdrawnHere}
		s.led.apply(now, back)
		a.journal.add(s.ID, now, back)
	}
	if s.led.at(pos).state == warning.Waiting {
		a.settle(s, pos, warning.Withdrawn, channels.WithdrawnHere, now)
	}
}
