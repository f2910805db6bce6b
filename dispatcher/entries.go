package dispatcher

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// open makes a post for a warning whose plan is made, or nil: what follows another is no area to walk into, but an update
// is, when everybody who was reached before has their place in it.
func (p *patrol) open(ctx context.Context, id string) (*post, error) {
	w, rev, err := p.e.records.Warning(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &post{p: p, w: w}
	for _, ch := range addressed(w.Spec.Channels) {
		s.routers = append(s.routers, p.e.routing.Load().router(ch, w.Spec.Status))
	}
	if ok, err := s.reread(ctx, w, rev); !ok || err != nil {
		return nil, err
	}
	return s, nil
}

// reread takes the plan as it is stored; false: the warning does not live any more, or not yet.
func (s *post) reread(ctx context.Context, w warning.Warning, rev uint64) (bool, error) {
	walkable := w.Spec.Type == warning.Alert || w.Spec.Type == warning.Update
	if w.State != warning.Released && w.State != warning.Completed || !walkable {
		return false, nil
	}
	plan, _, err := s.p.e.records.PlanOf(ctx, w.ID)
	if errors.Is(err, ErrNotFound) || plan.Pending {
		return false, nil
	}
	s.rev, s.state, s.plan = rev, w.State, plan
	return err == nil, err
}

// recall reads who is in the plans of posts. Of an account's strands it reads each once for all of them.
func (p *patrol) recall(ctx context.Context, posts []*post) error {
	first := map[string]StrandID{}
	wanted := map[StrandID]*post{}
	for _, s := range posts {
		for _, st := range s.plan.Strands[s.have:] {
			if at, ok := first[st.Account]; !ok || st.ID < at {
				first[st.Account] = st.ID
			}
			wanted[st.ID] = s
		}
	}
	for name, id := range first {
		img, err := p.e.queue.Load(ctx, name, id-1, false)
		if err != nil {
			return err
		}
		for i := range img.Strands {
			st := &img.Strands[i]
			s := wanted[st.ID]
			if s == nil {
				continue
			}
			snap, err := p.e.dir.Snapshot(ctx, st.Snapshot)
			if err != nil {
				return err
			}
			s.mu.Lock()
			t := in(&s.told, snap)
			for k := range st.Batches {
				m := maskAt(t.masks, st.Batches[k].Block)
				for w := range m {
					m[w] |= st.Batches[k].Mask[w]
				}
			}
			s.mu.Unlock()
		}
	}
	for _, s := range posts {
		s.have, s.plan.Strands = len(s.plan.Strands), nil
	}
	return nil
}

// store makes entries durable, however long it takes; errEnded when the warning ended meanwhile.
func (s *post) store(ctx context.Context, all *entries) error {
	for len(all.who) > 0 {
		err := s.part(ctx, &all.who[0])
		if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
			var live bool
			if live, err = s.changed(ctx, all); err == nil && !live {
				s.p.mu.Lock()
				s.p.drop(s.w.ID)
				s.p.mu.Unlock()
				return errEnded
			}
		} else if err == nil {
			all.who = all.who[1:]
		}
		if ctx.Err() != nil && len(all.who) > 0 {
			return ctx.Err()
		}
		if err != nil {
			s.p.e.log.Warn("who entered an area cannot be stored now", zap.String("warning", s.w.ID), zap.Error(err))
			pause(ctx, 50*time.Millisecond)
		}
	}
	s.p.e.nudge()
	return nil
}

// part adds people of one snapshot to the plan.
func (s *post) part(ctx context.Context, t *crowd) error {
	sel := warning.Selection{Snapshot: t.snap.ID()}
	for _, block := range slices.Sorted(maps.Keys(t.masks)) {
		sel.Blocks, sel.Masks = append(sel.Blocks, block), append(sel.Masks, *t.masks[block])
	}
	if len(sel.Blocks) == 0 {
		return nil
	}
	if s.state == warning.Completed {
		if err := s.reopen(ctx); err != nil {
			return err
		}
	}
	next := makePlan(&s.w, t.snap, &sel, s.p.e.routing.Load())
	next.Parts, next.Pending = s.plan.Parts+1, s.plan.Pending
	next.Entered, next.InArea = s.plan.Entered+next.InArea, s.plan.InArea
	next.NoAddress += s.plan.NoAddress
	next.OptedOut += s.plan.OptedOut
	next.NoRoute += s.plan.NoRoute
	ids, err := s.p.e.records.PutPlan(ctx, s.rev, next)
	if err != nil {
		return err
	}
	next.Strands = nil
	s.plan, s.have = next, len(ids)
	return nil
}

// reopen takes a warning whose lanes had run empty back to work: somebody waits again.
func (s *post) reopen(ctx context.Context) error {
	_, err := s.p.e.change(ctx, itself(), "", "", "warning.entered", s.w.ID,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if w.State == warning.Completed && now.Before(w.Spec.Expires) {
				w.State, w.EndedAt = warning.Released, time.Time{}
				return decision{}, nil
			}
			return decision{}, ErrChanged
		})
	if err == nil {
		var w warning.Warning
		w, s.rev, err = s.p.e.records.Warning(ctx, s.w.ID)
		s.state = w.State
	}
	return err
}

// changed reads the warning and its plan again. Who was added meanwhile by another process is taken out of the entries.
func (s *post) changed(ctx context.Context, all *entries) (live bool, err error) {
	w, rev, err := s.p.e.records.Warning(ctx, s.w.ID)
	if err != nil {
		return false, err
	}
	if !time.Now().Before(w.Spec.Expires) {
		return false, nil
	}
	if live, err = s.reread(ctx, w, rev); !live || err != nil {
		return false, err
	}
	others := &post{p: s.p, plan: s.plan, have: s.have}
	if err := s.p.recall(ctx, []*post{others}); err != nil {
		return false, err
	}
	s.have, s.plan.Strands = others.have, nil
	for i := range all.who {
		t := &all.who[i]
		for block, m := range t.masks {
			numbers := t.snap.Block(int(block)).Number
			for slot := range m.Slots {
				if knows(&others.told, t.snap, numbers[slot], int(block), slot) {
					m[slot>>6] &^= 1 << (slot & 63)
				}
			}
			if *m == (warning.Mask{}) {
				delete(t.masks, block)
			}
		}
		s.p.e.renew(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range others.told {
		t := in(&s.told, o.snap)
		for block, m := range o.masks {
			into := maskAt(t.masks, block)
			for w := range m {
				into[w] |= m[w]
			}
		}
	}
	return true, nil
}

// renew brings people into the newest snapshot: the one that they were found in may be retired by now. Who is not in the
// directory any more is left out.
func (e *Engine) renew(t *crowd) {
	snap, ok := e.dir.Current()
	if !ok || snap.ID() == t.snap.ID() {
		return
	}
	now := crowd{snap, map[uint32]*warning.Mask{}}
	for block, m := range t.masks {
		numbers := t.snap.Block(int(block)).Number
		for slot := range m.Slots {
			if b, s, ok := snap.Find(numbers[slot]); ok {
				maskAt(now.masks, uint32(b)).Set(s)
			}
		}
	}
	*t = now
}
