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

// This file makes the plan of a large warning while it waits for approval, and stores its batches: megabytes that would
// otherwise lie between release and first message. The plan of the release is made from the newest directory all the same
// (promise 6): it is the prepared one only where that was made from the same people, and prepared again when they change.
// What is prepared and never released is forgotten by the store after a while.

const (
	aheadPeople = 100_000          // a smaller plan is made as fast as it is looked up
	aheadLook   = time.Second      // between two looks at what waits
	aheadRest   = 3                // times what a look took: changes of the directory must not keep a processor busy
	aheadMinute = 15 * time.Second // before a minute ends, plans that depend on it are made for the next one
)

// storedAhead is where the batches of a plan are stored.
type storedAhead struct {
	ready chan struct{} // closed when they are, or it has failed
	at    time.Time
	refs  []string // by strand; nil: nowhere
}

// preparePlans prepares the plans of what waits until ctx ends.
func (e *Engine) preparePlans(ctx context.Context) {
	waiting := map[string]*warning.Warning{} // nil: nothing is to be done ahead
	for ctx.Err() == nil {
		began := time.Now()
		if err := e.prepareAll(ctx, waiting); err != nil && ctx.Err() == nil {
			e.log.Warn("plans cannot be made ahead now; a release takes longer", zap.Error(err))
		}
		pause(ctx, aheadRest*time.Since(began))
		wait(ctx, e.ahead, aheadLook)
	}
}

func (e *Engine) prepareAll(ctx context.Context, waiting map[string]*warning.Warning) (all error) {
	list, err := e.records.Standing(ctx, []warning.State{warning.Submitted})
	if err != nil {
		return err
	}
	// What ends first comes last: it is what is remembered where there is too much.
	slices.SortFunc(list, func(a, b Standing) int { return b.Expires.Compare(a.Expires) })
	maps.DeleteFunc(waiting, func(id string, _ *warning.Warning) bool {
		return !slices.ContainsFunc(list, func(st Standing) bool { return st.ID == id })
	})
	for _, st := range list {
		w, known := waiting[st.ID]
		if !known {
			record, _, err := e.records.Warning(ctx, st.ID)
			if err != nil {
				return err
			}
			if record.Spec.Type == warning.Alert && record.Summons == nil {
				w = &record
			}
			waiting[st.ID] = w
		}
		if w == nil {
			continue
		}
		now := time.Now()
		small, err := e.prepare(ctx, w, now)
		if small {
			waiting[st.ID] = nil
			continue
		}
		_, soon := e.prepare(ctx, w, now.Add(aheadMinute))
		all = errors.Join(all, err, soon)
	}
	return all
}

// prepare makes and stores the plan of a warning as if it were released at a time, unless that was done.
func (e *Engine) prepare(ctx context.Context, w *warning.Warning, at time.Time) (small bool, err error) {
	r, err := e.resolve(w.Spec, at)
	if err != nil || r.counts.InArea < aheadPeople {
		return err == nil, err
	}
	e.mu.Lock()
	old := r.stored[w.ID]
	if old != nil && time.Since(old.at) < AheadEvery {
		e.mu.Unlock()
		return false, nil
	}
	ahead := &storedAhead{ready: make(chan struct{}), at: time.Now()}
	if old == nil { // else the old one serves until the new one is there
		r.stored[w.ID] = ahead
	}
	e.mu.Unlock()
	defer close(ahead.ready)
	strands := slices.Clone(r.plan().Strands)
	err = e.records.PutBatches(ctx, w.ID, strands)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		delete(r.stored, w.ID)
		return false, err
	}
	for i := range strands {
		ahead.refs = append(ahead.refs, strands[i].Ref)
	}
	r.stored[w.ID] = ahead
	return false, nil
}
