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

// This file makes the plans of released warnings. Many may be released in one second: what their plans wait for is the
// store, so that they are made side by side, and stored together as they come.

const (
	plansAtOnce    = 64 // most of a small one's time is the store's
	resolvesAtOnce = 4  // a large one takes a processor, and megabytes
)

// released is a warning that was released by this process, as its act has recorded it: its plan asks the store nothing.
type released struct {
	w   warning.Warning
	rev uint64
}

// releasedNow keeps a warning that was released by an act of this process at a time, if its plan follows from it alone.
func (e *Engine) releasedNow(w warning.Warning, rev uint64, at time.Time) {
	if w.Spec.Type != warning.Alert || w.Summons != nil || !w.ReleasedAt.Equal(at) {
		return
	}
	w.ReleasedAt = w.ReleasedAt.Round(0) // as it is read again
	e.mu.Lock()
	defer e.mu.Unlock()
	e.released[w.ID] = released{w, rev}
}

// takeReleased is a warning that was released a moment ago, once.
func (e *Engine) takeReleased(id string) (r released, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok = e.released[id]
	delete(e.released, id)
	return r, ok
}

// plans makes the plans of released warnings, each in its own time so that a small one does not wait for a large one.
func (e *Engine) plans(ctx context.Context) {
	busy := make(chan struct{}, plansAtOnce)
	under := newPending()
	start := func(ids []string) {
		for _, id := range ids {
			if !under.begin(id) {
				continue
			}
			busy <- struct{}{}
			go func() {
				defer func() { under.end(id); <-busy }()
				if err := e.planOne(ctx, id); err != nil && ctx.Err() == nil {
					e.log.Error("plan failed; it is made again", zap.String("warning", id), zap.Error(err))
					pause(ctx, time.Second)
				}
			}()
		}
	}
	for ctx.Err() == nil {
		e.mu.Lock()
		now := slices.Sorted(maps.Keys(e.released))
		e.mu.Unlock()
		start(now)
		ids, err := e.records.ToPlan(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("warnings to plan cannot be read", zap.Error(err))
		}
		start(append(ids, e.toFinish()...))
		wait(ctx, e.plan, time.Second)
	}
	for range cap(busy) { // nothing is under way when this returns
		busy <- struct{}{}
	}
}

// planOne resolves who is in danger over the newest snapshot, sorts them into strands, and stores these.
func (e *Engine) planOne(ctx context.Context, id string) error {
	e.mu.Lock()
	asked := e.unfinished[id]
	e.mu.Unlock()
	r, fresh := e.takeReleased(id)
	if !fresh {
		var err error
		if r.w, r.rev, err = e.records.Warning(ctx, id); err != nil {
			return err
		}
	}
	if r.w.State != warning.Released {
		e.finished(id, asked, false)
		return nil
	}
	e.know(&r.w) // the accounts open its strands next
	made := e.planFor
	if fresh {
		made = e.planAlert
	}
	plan, err := made(ctx, &r.w)
	if err != nil {
		return err
	}
	if plan.Parts > 1 && len(plan.Strands) == 0 && plan.Pending { // nothing new to store
		e.finished(id, asked, true)
		e.nudge()
		return nil
	}
	var opened []opened
	var opening sync.WaitGroup
	if fresh {
		strands := slices.Clone(plan.Strands) // storing says in them where
		opening.Go(func() { opened = e.openAhead(ctx, strands) })
	}
	stored, err := e.putPlan(ctx, r.rev, plan)
	if errors.Is(err, ErrGone) { // it waited for too long behind its batches: they are stored again
		e.log.Warn("a part of a plan that was stored ahead is gone", zap.String("warning", id))
		for i := range plan.Strands {
			plan.Strands[i].Ref = ""
		}
		stored, err = e.putPlan(ctx, r.rev, plan)
	}
	opening.Wait()
	if errors.Is(err, ErrChanged) { // held or cancelled meanwhile; or held and released: then it is to plan again
		return nil
	}
	if err == nil {
		var took []*account
		if stored.New {
			took = offer(opened, stored.IDs)
		}
		e.finished(id, asked, plan.Pending)
		for _, a := range e.all() {
			if !slices.Contains(took, a) {
				a.nudge()
			}
		}
		kick(e.patrol.look)
		e.patrol.parted(id)
	}
	return err
}

// planAlert is the plan of an alert that has none yet: to who is in its area.
func (e *Engine) planAlert(_ context.Context, w *warning.Warning) (Plan, error) {
	r, err := e.resolve(w.Spec, w.ReleasedAt)
	if err != nil {
		return Plan{}, err
	}
	return e.planAs(r, w), nil
}

// plansToStore is plans that are stored together: while some are on their way, others gather.
type plansToStore struct {
	mu    sync.Mutex
	parts []Part
	done  []chan Stored // parallel
	busy  bool
}

// putPlan stores a plan. Its large batches go first, alone, so that no small plan waits for them.
func (e *Engine) putPlan(ctx context.Context, rev uint64, p Plan) (Stored, error) {
	if err := e.records.PutBatches(ctx, p.Warning, p.Strands); err != nil {
		return Stored{}, err
	}
	q, done := &e.toStore, make(chan Stored, 1)
	q.mu.Lock()
	q.parts, q.done = append(q.parts, Part{Rev: rev, Plan: p}), append(q.done, done)
	lead := !q.busy
	q.busy = true
	q.mu.Unlock()
	for lead {
		q.mu.Lock()
		parts, answers := q.parts, q.done
		q.parts, q.done = nil, nil
		q.busy, lead = len(parts) > 0, len(parts) > 0
		q.mu.Unlock()
		for i, s := range e.records.PutPlans(ctx, parts) {
			answers[i] <- s
		}
	}
	s := <-done
	return s, s.Err
}

// opened is a strand that its account made ready while its plan was being stored.
type opened struct {
	by *account
	*strand
}

// openAhead opens the strands of a plan for the accounts that this process owns; parallel to strands, with none where that is not so.
func (e *Engine) openAhead(ctx context.Context, strands []Strand) []opened {
	all := make([]opened, len(strands))
	var group sync.WaitGroup
	for i := range strands {
		a := e.account(strands[i].Account)
		if a == nil {
			continue
		}
		a.mu.Lock()
		owned := a.owned
		a.mu.Unlock()
		if !owned {
			continue
		}
		group.Go(func() {
			if s, err := a.openOne(ctx, strands[i]); err == nil { // an error comes again where the account reads it
				all[i] = opened{a, s}
			}
		})
	}
	group.Wait()
	return all
}

// offer gives strands whose plan was stored a moment ago to their accounts, and answers which took them. These ask for grants
// before they read anything; by the answer they learn that there is something to read and to obey.
func offer(all []opened, ids []StrandID) (took []*account) {
	for i, o := range all {
		if o.by != nil && o.by.offered(o.strand, ids[i]) {
			took = append(took, o.by)
		}
	}
	return took
}

// offered takes in a strand unless it was read already, by this ownership or as it began: what another owner did of it was
// read with it.
func (a *account) offered(s *strand, id StrandID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.owned || id <= a.newest {
		return false
	}
	s.ID = id
	a.add(s)
	kick(a.commit)
	return true
}

// grown takes in people whom this process has just stored behind those of a strand, if these are here: st has the new batches
// alone. What is not taken in is read from the store.
func (a *account) grown(ctx context.Context, st Strand) {
	a.mu.Lock()
	s := a.byID[st.ID]
	a.mu.Unlock()
	if s == nil {
		return
	}
	left, err := a.e.leaversOf(ctx, s.snap)
	if err != nil {
		return
	}
	before := st.People
	for i := range st.Batches {
		before -= uint32(st.Batches[i].Mask.Count())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID[st.ID] != s || s.People != before {
		return
	}
	to := s.Strand
	to.People, to.Batches = st.People, append(to.Batches, st.Batches...)
	s.left = left
	a.grow(s, to)
	kick(a.commit)
}
