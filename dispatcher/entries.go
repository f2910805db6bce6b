package dispatcher

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// open makes a post for a warning whose plan is made, or nil: what follows another is no area to walk into, but an update
// is. While a part of its plan waits for answers, everybody whom that may be for is left to it.
func (p *patrol) open(ctx context.Context, id string) (*post, error) {
	w, rev, err := p.e.records.Warning(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &post{p: p, w: w, seen: map[StrandID]uint32{}, lines: map[line]grown{}}
	if ok, err := s.reread(ctx, w, rev); !ok || err != nil {
		return nil, err
	}
	if s.plan.Pending {
		before := &post{p: p, seen: map[StrandID]uint32{}}
		if before.plan, _, err = p.e.records.PlanOf(ctx, w.Spec.References[0]); err == nil {
			err = p.recall(ctx, []*post{before})
		}
		if s.awaited = before.told; err != nil {
			return nil, err
		}
	}
	s.base, err = p.e.dir.Snapshot(ctx, s.plan.Snapshot)
	return s, err
}

// reread takes the plan as it is stored; false: the warning does not live any more, or not yet.
func (s *post) reread(ctx context.Context, w warning.Warning, rev uint64) (bool, error) {
	walkable := w.Spec.Type == warning.Alert || w.Spec.Type == warning.Update
	if w.State != warning.Released && w.State != warning.Completed || !walkable {
		return false, nil
	}
	plan, _, err := s.p.e.records.PlanOf(ctx, w.ID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if s.rev, s.plan = rev, plan; !plan.Pending {
		s.mu.Lock()
		s.awaited = nil
		s.mu.Unlock()
	}
	s.rests.Store(w.State == warning.Completed)
	return err == nil, err
}

// recall reads who is in the plans of posts and not in told yet: not who was told by an update that it does not hold for them,
// since it does once they are inside. Of an account's strands it reads each once for all posts.
func (p *patrol) recall(ctx context.Context, posts []*post) error {
	var strands []Strand
	wanted := map[StrandID]*post{}
	for _, s := range posts {
		for _, st := range s.plan.Strands {
			if s.seen[st.ID] < st.People && st.Words != warning.Left {
				strands, wanted[st.ID] = append(strands, st), s
			}
		}
	}
	err := p.e.eachStrand(ctx, strands, func(st *Strand) error {
		snap, err := p.e.dir.Snapshot(ctx, st.Snapshot)
		if err != nil {
			return err
		}
		s := wanted[st.ID]
		s.mu.Lock()
		defer s.mu.Unlock()
		t := in(&s.told, snap)
		for k := range st.Batches {
			maskAt(t.masks, st.Batches[k].Block).Add(&st.Batches[k].Mask)
		}
		s.seen[st.ID] = st.People
		return nil
	})
	for _, s := range posts {
		if err == nil {
			s.plan.Strands = nil
		}
	}
	return err
}

// stores makes durable who entered, of all warnings together, until ctx ends.
func (p *patrol) stores(ctx context.Context) {
	var began time.Time
	for ctx.Err() == nil {
		pause(ctx, entryWait-time.Since(began)) // under load more people come together
		began = time.Now()
		p.queueMu.Lock()
		posts, behind := p.queue, p.behind
		p.queue, p.behind = nil, nil
		p.queueMu.Unlock()
		p.side(behind, func(_ int, s *post) {
			if s.storing == nil {
				_ = s.changed(ctx) // whatever it is, it comes again where somebody is stored
			}
		})
		if len(posts) == 0 {
			wait(ctx, p.store, time.Minute)
			continue
		}
		for some := range slices.Chunk(posts, entryRound) { // who comes in meanwhile is stored with the rest of their own
			p.round(ctx, some)
		}
	}
}

// round stores what posts have, and queues those again of which anything is left.
func (p *patrol) round(ctx context.Context, posts []*post) {
	for _, s := range posts {
		s.mu.Lock()
		if s.storing == nil {
			s.storing, s.open = s.open, nil
		}
		s.mu.Unlock()
	}
	errs := make([]error, len(posts))
	p.side(posts, func(i int, s *post) {
		if s.rests.Swap(false) {
			errs[i] = s.reopen(ctx)
		}
	})
	var parts []Part
	var of []int
	for i, s := range posts {
		if errs[i] != nil {
			continue
		}
		if part, any := s.part(); any {
			parts, of = append(parts, Part{s.rev, part}), append(of, i)
		}
	}
	for k, done := range p.e.records.PutPlans(ctx, parts) {
		if errs[of[k]] = done.Err; done.Err == nil {
			posts[of[k]].stored(ctx, parts[k].Plan, done)
		}
	}
	p.e.nudge()
	p.side(posts, func(i int, s *post) {
		err := errs[i]
		if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
			err = s.changed(ctx)
		} else if err == nil {
			s.storing.who = s.storing.who[1:]
		}
		if errors.Is(err, errEnded) {
			p.mu.Lock()
			p.drop(s.w.ID)
			p.mu.Unlock()
			s.finish(err)
		} else if err != nil && ctx.Err() == nil {
			p.e.log.Warn("who entered an area cannot be stored now", zap.String("warning", s.w.ID), zap.Error(err))
		} else if len(s.storing.who) == 0 {
			s.finish(nil)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.queued = s.storing != nil || s.open != nil; s.queued {
			p.enqueue(s)
		}
	})
}

// side does something with posts, some of them side by side.
func (p *patrol) side(posts []*post, do func(int, *post)) {
	var group sync.WaitGroup
	busy := make(chan struct{}, entryAhead)
	for i, s := range posts {
		busy <- struct{}{}
		group.Go(func() {
			do(i, s)
			<-busy
		})
	}
	group.Wait()
}

// finish says that what is being stored is durable, or will not be.
func (s *post) finish(err error) {
	s.storing.err = err
	close(s.storing.done)
	s.storing = nil
}

// giveUp ends what could not be stored. Nobody enters or stores any more.
func (p *patrol) giveUp(err error) {
	for _, s := range p.queue {
		for _, all := range []*entries{s.storing, s.open} {
			if all != nil {
				all.err = err
				close(all.done)
			}
		}
		s.storing, s.open, s.queued = nil, nil, false
	}
	p.queue = nil
}

// part is people of one snapshot as another part of the plan; false: nobody is left of them.
func (s *post) part() (Plan, bool) {
	t, now := &s.storing.who[0], time.Now()
	ways := s.ways(now)
	sel := warning.Selection{Snapshot: t.snap.ID()}
	apart := Strand{Warning: s.w.ID, Version: s.w.Version, Snapshot: t.snap.ID()} // who cannot be told
	for _, block := range slices.Sorted(maps.Keys(t.masks)) {
		sel.Blocks, sel.Masks = append(sel.Blocks, block), append(sel.Masks, *t.masks[block])
		blk, b := t.snap.Block(int(block)), Batch{Block: block}
		for slot := range t.masks[block].Slots {
			if !s.mayGet(ways, blk, slot) {
				b.Mask.Set(slot)
			}
		}
		if n := b.Mask.Count(); n > 0 {
			apart.Batches, apart.People = append(apart.Batches, b), apart.People+uint32(n)
		}
	}
	if len(sel.Blocks) == 0 {
		return Plan{}, false
	}
	next := makePlan(&s.w, s.w.Spec.TellsAll(now), t.snap, &sel, s.p.e.routing.Load())
	next.Parts, next.Pending, next.Steps, next.Snapshot = s.plan.Parts+1, s.plan.Pending, s.plan.Steps, s.plan.Snapshot
	next.Entered, next.InArea = s.plan.Entered+next.InArea, s.plan.InArea
	next.NoAddress += s.plan.NoAddress
	next.OptedOut += s.plan.OptedOut
	next.NoRoute += s.plan.NoRoute
	next.Untold += s.plan.Untold
	next.Strands = s.inLines(append(next.Strands, apart))
	for i := range next.Strands {
		next.Strands[i].Entered = true
	}
	return next, true
}

// inLines is strands by line, each of them behind the one that its line has already, where that has room.
func (s *post) inLines(strands []Strand) (out []Strand) {
	at := map[line]int{} // index+1
	for _, st := range strands {
		for _, b := range st.Batches {
			l := line{st.Channel, st.Account, st.Snapshot, b.Language, b.Duty}
			if at[l] == 0 {
				one := st
				one.Batches, one.People = nil, 0
				out = append(out, one)
				at[l] = len(out)
			}
			one := &out[at[l]-1]
			one.Batches, one.People = append(one.Batches, b), one.People+uint32(b.Mask.Count())
		}
	}
	for l, i := range at {
		if g := s.lines[l]; g.id != 0 && g.people+out[i-1].People <= ChunkSize {
			out[i-1].ID, out[i-1].People = g.id, out[i-1].People+g.people
		}
	}
	return out
}

// stored notes what a part has come to, and gives who was added to a strand to its account, which need not read them.
func (s *post) stored(ctx context.Context, p Plan, done Stored) {
	added := 0
	for i := range p.Strands {
		if p.Strands[i].ID == 0 {
			added++
		}
	}
	ids := done.IDs[len(done.IDs)-added:]
	for i := range p.Strands {
		st := &p.Strands[i]
		if st.ID == 0 {
			st.ID, ids = ids[0], ids[1:]
		} else if a := s.p.e.account(st.Account); a != nil && done.New {
			a.grown(ctx, *st)
		}
		s.seen[st.ID] = st.People
		s.lines[line{st.Channel, st.Account, st.Snapshot, st.Batches[0].Language, st.Batches[0].Duty}] = grown{st.ID, st.People}
	}
	p.Strands = nil
	s.plan = p
}

// reopen takes a warning whose lanes had run empty back to work: somebody waits again.
func (s *post) reopen(ctx context.Context) error {
	s.mu.Lock()
	last := s.rested
	s.rested = nil
	s.mu.Unlock()
	if last == nil {
		w, rev, err := s.p.e.records.Warning(ctx, s.w.ID)
		if err != nil {
			return err
		}
		last = &released{w, rev}
	}
	w, rev, now := last.w, last.rev, time.Now().UTC()
	switch {
	case w.State == warning.Completed && now.Before(w.Spec.Expires):
		w.State, w.EndedAt, w.CompletedAt = warning.Released, time.Time{}, time.Time{}
		if _, _, err := s.p.e.do(ctx, itself(), "", "", Act{Entry: entryOf(itself(), now, "warning.entered", &w, ""), Warning: &w, Rev: rev}); err != nil {
			return err
		}
		rev++
	case w.State != warning.Released:
		return ErrChanged
	}
	s.rev = rev
	return nil
}

// changed reads the warning and its plan again; errEnded. Who was added meanwhile by another process is taken out of the
// entries.
func (s *post) changed(ctx context.Context) error {
	w, rev, err := s.p.e.records.Warning(ctx, s.w.ID)
	if err != nil {
		return err
	}
	live, err := s.reread(ctx, w, rev)
	if err != nil {
		return err
	}
	if !live || !time.Now().Before(w.Spec.Expires) {
		return errEnded
	}
	others := &post{p: s.p, plan: s.plan, seen: s.seen}
	if err := s.p.recall(ctx, []*post{others}); err != nil {
		return err
	}
	s.plan.Strands = nil
	clear(s.lines) // one of them may be closed
	if s.storing != nil {
		s.storing.leaveOut(others.told)
		for i := range s.storing.who {
			if t := &s.storing.who[i]; t.snap.ID() != s.base.ID() {
				s.p.e.renew(t)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.leaveOut(others.told) // who entered here before the others were read
	for _, o := range others.told {
		t := in(&s.told, o.snap)
		for block, m := range o.masks {
			maskAt(t.masks, block).Add(m)
		}
	}
	return nil
}

// leaveOut takes people out who have their place by another process.
func (all *entries) leaveOut(told []crowd) {
	if all == nil {
		return
	}
	for i := range all.who {
		t := &all.who[i]
		for block, m := range t.masks {
			numbers := t.snap.Block(int(block)).Number
			for slot := range m.Slots {
				if knows(told, t.snap, numbers[slot], int(block), slot) {
					m[slot>>6] &^= 1 << (slot & 63)
				}
			}
			if *m == (warning.Mask{}) {
				delete(t.masks, block)
			}
		}
	}
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
