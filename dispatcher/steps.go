package dispatcher

import (
	"context"
	"maps"
	"slices"
	"time"

	"tocsin/warning"
)

// This file is the later steps of the channel table: when the time of one has passed, the people of its duty who have no
// receipt in any lane before are told by its channels, in another part of the plan. How many steps were planned stands in
// the plan (Plan.Steps), so that a process that begins anew goes on with the next one. A warning that is held takes its
// steps when it is released again; one that is cancelled or has expired takes none. Who has the warning in a lane of a
// channel already gets no second place in it (promise 3).

// nextStep is the step of a plan that comes next, and when; false where there is none.
func nextStep(w *warning.Warning, plan *Plan) (step warning.Later, at time.Time, ok bool) {
	later := w.Spec.LaterSteps(w.ReleasedAt)
	if plan.Steps >= len(later) {
		return step, at, false
	}
	step = later[plan.Steps]
	return step, w.ReleasedAt.Add(step.After), true
}

// steps tells whether a warning still has a step to come, and has it planned when its time has passed.
func (e *Engine) steps(ctx context.Context, id string, plan *Plan) (bool, error) {
	known, err := e.warning(ctx, id)
	if err != nil || !slices.ContainsFunc(known.Spec.Table, func(r warning.ChannelRow) bool { return len(r.Then) > 0 }) {
		return false, err
	}
	w, _, err := e.records.Warning(ctx, id) // with the time of its release
	if err != nil {
		return false, err
	}
	_, at, ok := nextStep(&w, plan)
	if ok && !time.Now().Before(at) {
		e.finish(id)
		kick(e.plan)
	}
	return ok, nil
}

// planLater is the next part of a plan that is made: for people who have moved, else for the step whose time has passed.
func (e *Engine) planLater(ctx context.Context, w *warning.Warning, before Plan) (Plan, error) {
	next, err := e.planMoved(ctx, w, before)
	if err != nil || len(next.Strands) > 0 {
		return next, err
	}
	step, at, ok := nextStep(w, &before)
	if !ok || time.Now().Before(at) {
		return next, nil
	}
	return e.planStep(ctx, w, before, step)
}

// planStep is the part of a plan for one later step.
func (e *Engine) planStep(ctx context.Context, w *warning.Warning, before Plan, step warning.Later) (Plan, error) {
	next := before
	next.Parts, next.Steps, next.Strands = before.Parts+1, before.Steps+1, nil
	snap, err := e.dir.Snapshot(ctx, before.Snapshot)
	if err != nil {
		return next, err
	}
	sel, err := selected(&w.Spec, snap, e.policy().Presence(w.Spec.Tier, w.ReleasedAt))
	if err != nil {
		return next, err
	}
	p := stepper{
		step: step, home: snap, placed: map[uint32]*warning.Mask{}, there: map[place]*warning.Mask{}, told: map[place]*warning.Mask{},
		crowds: map[audience]map[uint32]*warning.Mask{}, snaps: map[string]Snapshot{snap.ID(): snap},
	}
	if err := e.ledgers(ctx, w, &before, p.strand); err != nil {
		return next, err
	}
	aside := audience{snap.ID(), warning.Alert} // who is in no lane yet hears the warning itself
	for i, block := range sel.Blocks {
		m := sel.Masks[i]
		if in := p.placed[block]; in != nil {
			m.Remove(in)
		}
		maskAt(p.crowd(aside), block).Add(&m)
	}
	tells := warning.Telling{}
	tells[step.Duty] = step.Channels
	g := e.routing.Load()
	ways := waysOf(tells, w.Spec.Status, g)
	added := map[uint32]*warning.Mask{}
	for _, to := range slices.SortedFunc(maps.Keys(p.crowds), audience.compare) {
		for _, ch := range addressed(step.Channels) {
			who := p.who(to, ch)
			if w.Spec.Focus != nil {
				who = ordered(who, p.snaps[to.snapshot].Order(&who, *w.Spec.Focus))
			}
			l := makeLane(ch, tells, ways, p.snaps[to.snapshot], &who, g.router(ch, w.Spec.Status), len(g.accounts), true)
			strands, _ := l.strands(Strand{Warning: w.ID, Version: w.Version, Channel: ch, Words: to.words, Snapshot: to.snapshot}, g)
			next.Strands = append(next.Strands, strands...)
			for i := range strands {
				for _, b := range strands[i].Batches {
					if to.snapshot == snap.ID() {
						maskAt(added, b.Block).Add(&b.Mask)
					}
				}
			}
		}
	}
	n := int64(0) // people who are in a lane for the first time
	for block, m := range added {
		if in := p.placed[block]; in != nil {
			m.Remove(in)
		}
		n += int64(m.Count())
	}
	if tells := w.Spec.Tells(w.ReleasedAt); len(addressed(tells[step.Duty])) == 0 {
		next.Untold -= n
	} else {
		next.NoRoute -= n
	}
	return next, nil
}

// audience is people of one snapshot who hear the same words.
type audience struct {
	snapshot string
	words    warning.Type
}

func (a audience) compare(b audience) int {
	if a.snapshot != b.snapshot {
		return slices.Compare([]byte(a.snapshot), []byte(b.snapshot))
	}
	return int(a.words) - int(b.words)
}

// stepper finds who lacks a receipt when the time of a step has passed.
type stepper struct {
	step   warning.Later
	home   Snapshot                              // of the plan
	placed map[uint32]*warning.Mask              // of it, who is in a lane
	there  map[place]*warning.Mask               // who is in a lane, by channel and snapshot
	told   map[place]*warning.Mask               // who has a receipt, by snapshot
	crowds map[audience]map[uint32]*warning.Mask // of the step's duty, who may get it
	snaps  map[string]Snapshot
}

func (p *stepper) crowd(a audience) map[uint32]*warning.Mask {
	if p.crowds[a] == nil {
		p.crowds[a] = map[uint32]*warning.Mask{}
	}
	return p.crowds[a]
}

// strand takes one strand of the plan.
func (p *stepper) strand(s *strand) error {
	p.snaps[s.Snapshot] = s.snap
	for i := range s.Batches {
		b := &s.Batches[i]
		maskAt(p.there, place{channel: s.Channel, snapshot: s.Snapshot, block: b.Block}).Add(&b.Mask)
		p.place(s, b)
		if b.Duty == p.step.Duty && (s.Words == warning.Alert || s.Words == warning.Update) {
			maskAt(p.crowd(audience{s.Snapshot, s.Words}), b.Block).Add(&b.Mask)
		}
		told := maskAt(p.told, place{snapshot: s.Snapshot, block: b.Block})
		pos := s.starts[i]
		for slot := range b.Mask.Slots {
			if s.led.stateOf(pos) == warning.Delivered {
				told.Set(slot)
			}
			pos++
		}
	}
	return nil
}

// place notes that the people of a batch are in a lane; those of another snapshot by their numbers.
func (p *stepper) place(s *strand, b *Batch) {
	if s.Snapshot == p.home.ID() {
		maskAt(p.placed, b.Block).Add(&b.Mask)
		return
	}
	numbers := s.snap.Block(int(b.Block)).Number
	for slot := range b.Mask.Slots {
		if block, at, ok := p.home.Find(numbers[slot]); ok {
			maskAt(p.placed, uint32(block)).Set(at)
		}
	}
}

// who is those of an audience who are to be told by a channel.
func (p *stepper) who(to audience, ch warning.Channel) warning.Selection {
	sel := warning.Selection{Snapshot: to.snapshot}
	for _, block := range slices.Sorted(maps.Keys(p.crowds[to])) {
		m := *p.crowds[to][block]
		for _, out := range []*warning.Mask{
			p.told[place{snapshot: to.snapshot, block: block}], p.there[place{channel: ch, snapshot: to.snapshot, block: block}],
		} {
			if out != nil {
				m.Remove(out)
			}
		}
		if m.Count() > 0 {
			sel.Blocks, sel.Masks = append(sel.Blocks, block), append(sel.Masks, m)
		}
	}
	return sel
}
