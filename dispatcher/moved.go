package dispatcher

import (
	"context"
	"maps"
	"slices"

	"tocsin/channels"
	"tocsin/warning"
)

// This file gives a place to people who were moved, in another part of the plan: whoever a carrier does not serve with
// flash messages goes by normal SMS of the same account; whoever waited at an account that was left goes by another one.
// Who has the warning in a lane already is not rung twice (promise 3).

// moves tells whether people have moved who may have no place yet.
func (e *Engine) moves(id string, tails []StrandTail) bool {
	var n int64
	for _, t := range tails {
		n += t.Counts[warning.Moved]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n == e.moved[id] {
		return e.unfinished[id] > 0
	}
	e.moved[id] = n
	e.ask(id)
	kick(e.plan)
	return true
}

// planMoved is the part of a plan for people who have moved. Each stands in their newest strand of a lane: where that one
// moved them they need another, and nowhere else.
func (e *Engine) planMoved(ctx context.Context, w *warning.Warning, before Plan) (Plan, error) {
	next := before
	next.Parts, next.Strands = before.Parts+1, nil
	placed, err := e.covered(ctx, &before)
	if err != nil {
		return Plan{}, err
	}
	m := placer{g: e.routing.Load(), w: w, newer: map[place]*warning.Mask{}, sms: map[place]*warning.Mask{}}
	for at, mask := range placed {
		if at.channel == warning.SMS {
			maskAt(m.sms, place{snapshot: at.snapshot, block: at.block}).Add(mask)
		}
	}
	newest := before
	newest.Strands = slices.Clone(before.Strands)
	slices.Reverse(newest.Strands)
	err = e.ledgers(ctx, w, &newest, m.strand)
	next.Strands = m.out
	return next, err
}

// placer finds the next place of people who have moved.
type placer struct {
	g     *routing
	w     *warning.Warning
	newer map[place]*warning.Mask // who stands in a newer strand, by channel
	sms   map[place]*warning.Mask // who stands in the lane of SMS
	out   []Strand
}

// strand takes one strand of the plan, newest first.
func (m *placer) strand(s *strand) error {
	to := map[place]*Strand{} // by channel and account
	for i := range s.Batches {
		block := s.Batches[i].Block
		newer := maskAt(m.newer, place{channel: s.Channel, snapshot: s.Snapshot, block: block})
		numbers := s.snap.Block(int(block)).Number
		open := map[*Strand]int{} // index+1 of the batch that is open
		pos := s.starts[i]
		for slot := range s.Batches[i].Mask.Slots {
			state, at := s.led.stateOf(pos), pos
			pos++
			if newer.Has(slot) {
				continue
			}
			newer.Set(slot)
			if state != warning.Moved {
				continue
			}
			next, ok := m.next(s, at, numbers[slot], block, slot)
			if !ok {
				continue
			}
			st := to[next]
			if st == nil {
				st = &Strand{
					Warning: m.w.ID, Version: m.w.Version, Channel: next.channel, Words: s.Words, Account: next.account, Snapshot: s.Snapshot, Entered: s.Entered,
				}
				if next.channel == s.Channel {
					st.From = s.Account
				}
				to[next] = st
			}
			if open[st] == 0 {
				st.Batches = append(st.Batches, Batch{Block: block, Duty: s.Batches[i].Duty, Language: s.Batches[i].Language})
				open[st] = len(st.Batches)
			}
			st.Batches[open[st]-1].Mask.Set(slot)
			st.People++
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(to), place.compare) {
		m.out = append(m.out, *to[at])
	}
	return nil
}

// next is the channel and account of somebody who has moved; false where they are in a lane already.
func (m *placer) next(s *strand, pos uint32, number uint64, block uint32, slot int) (place, bool) {
	rerouted := pos >= s.led.granted || s.led.at(pos).reason == channels.OtherRoute
	account := s.Account
	if rerouted {
		r := m.g.router(s.Channel, m.w.Spec.Status)
		i := r.reach(number)
		if i < 0 && !m.g.has(account) { // theirs is gone: they wait at another
			i = r.route(number)
		}
		if i >= 0 {
			return place{channel: s.Channel, account: m.g.accounts[i].Name}, true
		}
		if s.Channel != warning.FlashSMS {
			return place{channel: s.Channel, account: account}, true // nobody else may: they wait for theirs
		}
		if i := m.g.router(warning.SMS, m.w.Spec.Status).route(number); i >= 0 {
			account = m.g.accounts[i].Name
		}
	}
	there := m.sms[place{snapshot: s.Snapshot, block: block}]
	return place{channel: warning.SMS, account: account}, there == nil || !there.Has(slot)
}

// placing tells whether people of a warning may have moved who have no place yet.
func (e *Engine) placing(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unfinished[id] > 0
}

// forget drops what was remembered of warnings that are over.
func (e *Engine) forget(live map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.moved, func(id string, _ int64) bool { return !live[id] })
	maps.DeleteFunc(e.known, func(id string, _ warning.Warning) bool { return !live[id] && !e.patrol.watches(id) })
}
