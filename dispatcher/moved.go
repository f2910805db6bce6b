package dispatcher

import (
	"context"
	"maps"

	"tocsin/warning"
)

// This file is the fall-back of flash messages: whoever a carrier does not serve so goes by normal SMS of the same
// account, in another part of the plan. Who has the warning by SMS anyway is not rung twice (promise 3).

// moves tells whether more people have moved to another channel than the plan has been extended for.
func (e *Engine) moves(id string, plan *Plan, tails []StrandTail) bool {
	var n int64
	for i, t := range tails {
		if plan.Strands[i].Channel == warning.FlashSMS {
			n += t.Counts[warning.Moved]
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n == e.moved[id] {
		return false
	}
	e.moved[id] = n
	e.unfinished[id] = true
	kick(e.plan)
	return true
}

// planMoved is the part of a plan for people who have moved and are in no lane of SMS yet.
func (e *Engine) planMoved(ctx context.Context, w *warning.Warning, before Plan) (Plan, error) {
	e.finish(w.ID, false)
	next := before
	next.Parts, next.Strands = before.Parts+1, nil
	placed, err := e.covered(ctx, &before)
	if err != nil {
		return Plan{}, err
	}
	has := map[place]*warning.Mask{} // of the lane, whatever the account
	for at, m := range placed {
		if at.channel == warning.SMS {
			maskAt(has, place{snapshot: at.snapshot, block: at.block}).Add(m)
		}
	}
	err = e.ledgers(ctx, w, &before, func(s *strand) error {
		if s.Channel != warning.FlashSMS {
			return nil
		}
		st := Strand{Warning: w.ID, Version: w.Version, Channel: warning.SMS, Words: s.Words, Account: s.Account, Snapshot: s.Snapshot}
		for i := range s.Batches {
			b := Batch{Block: s.Batches[i].Block, Duty: s.Batches[i].Duty, Language: s.Batches[i].Language}
			pos := s.starts[i]
			there := has[place{snapshot: s.Snapshot, block: b.Block}]
			for slot := range s.Batches[i].Mask.Slots {
				if s.led.stateOf(pos) == warning.Moved && (there == nil || !there.Has(slot)) {
					b.Mask.Set(slot)
					st.People++
				}
				pos++
			}
			if b.Mask.Count() > 0 {
				st.Batches = append(st.Batches, b)
			}
		}
		if st.People > 0 {
			next.Strands = append(next.Strands, st)
		}
		return nil
	})
	return next, err
}

// forget drops what was remembered of warnings that are over.
func (e *Engine) forget(live map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.moved, func(id string, _ int64) bool { return !live[id] })
	maps.DeleteFunc(e.known, func(id string, _ warning.Warning) bool { return !live[id] })
}
