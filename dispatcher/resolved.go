package dispatcher

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/warning"
)

// resolved is who some areas reach over one snapshot, and by which accounts: what a preview shows and a plan stores. It
// is the same for all warnings that differ in words alone.
type resolved struct {
	areas   []warning.Area
	focus   *warning.Focus
	status  warning.Status
	who     warning.Presence
	tells   warning.Telling
	routing *routing
	snap    Snapshot
	sel     warning.Selection
	share   float64
	beyond  warning.Outside
	remarks []warning.Violation // on the areas
	units   []PreviewUnit
	towns   []PreviewUnit
	counts  Plan // of no warning yet; its strands are without batches
	tallies []tally
	plan    func() Plan  // the same with batches, which are made when they are asked for
	batches atomic.Int64 // how many there are

	ready  chan struct{} // closed when all of it is there, or err is
	err    error
	stored map[string]*storedAhead // by warning; the engine's mu guards it
}

// The most that is remembered. What was asked for last stays.
const (
	keptResolved = 512
	keptBytes    = 128 << 20 // of masks
)

// fits tells whether it is what another one is to be.
func (r *resolved) fits(o *resolved) bool {
	return r.snap.ID() == o.snap.ID() && r.who == o.who && r.status == o.status && r.routing == o.routing && r.tells.Equal(o.tells) &&
		reflect.DeepEqual(r.focus, o.focus) && reflect.DeepEqual(r.areas, o.areas)
}

// resolve finds who a spec reaches that is released at a time, over the newest directory. What was resolved a moment ago,
// or is being resolved, is not resolved again: release comes soon after approval was looked at, and every millisecond
// counts there.
func (e *Engine) resolve(s warning.Spec, at time.Time) (*resolved, error) {
	snap, ok := e.dir.Current()
	if !ok {
		return nil, warning.Refuse(warning.ReasonConflict, "nobody is in the directory yet; import it with tocsin directory import FILE")
	}
	r := &resolved{
		areas: s.Areas, focus: s.Focus, status: s.Status, who: e.policy().Presence(s.Tier, at), tells: s.Tells(at),
		routing: e.routing.Load(), snap: snap, ready: make(chan struct{}), stored: map[string]*storedAhead{},
	}
	e.mu.Lock()
	for i := len(e.recent) - 1; i >= 0; i-- {
		if old := e.recent[i]; old.fits(r) {
			e.recent = append(slices.Delete(e.recent, i, i+1), old)
			e.mu.Unlock()
			<-old.ready
			return old, old.err
		}
	}
	e.recent = append(e.recent, r)
	e.mu.Unlock()
	e.resolves <- struct{}{}
	r.err = e.find(r, &s)
	<-e.resolves
	close(r.ready)
	e.tidy()
	return r, r.err
}

// find does the work of resolve.
func (e *Engine) find(r *resolved, s *warning.Spec) error {
	var outside error
	var group sync.WaitGroup
	group.Go(func() { r.beyond, r.share, outside = e.land.Border(s.Areas) })
	group.Go(func() { r.remarks = r.snap.Remarks(s.Areas) })
	var err error
	r.sel, err = selected(s, r.snap, r.who)
	group.Wait()
	if err = cmp.Or(err, outside); err != nil {
		return err
	}
	e.countBeyond(&r.beyond, r.snap, &r.sel)
	r.units, r.towns = e.census.places(r.snap, &r.sel)
	w := warning.Warning{Spec: *s}
	r.counts, r.tallies = sortOut(&w, r.tells, r.snap, &r.sel, r.routing, false)
	r.plan = sync.OnceValue(func() Plan {
		p := makePlan(&w, r.tells, r.snap, &r.sel, r.routing)
		for i := range p.Strands {
			r.batches.Add(int64(len(p.Strands[i].Batches)))
		}
		return p
	})
	return nil
}

// tidy forgets what failed, what is of a directory that is not the newest (each may take a gigabyte), and what was asked for
// least lately where there is too much.
func (e *Engine) tidy() {
	newest, ok := e.dir.Current()
	e.mu.Lock()
	defer e.mu.Unlock()
	size, kept := 0, 0
	for i := len(e.recent) - 1; i >= 0; i-- {
		r := e.recent[i]
		select {
		case <-r.ready:
			if size += r.size(); r.err != nil || ok && r.snap.ID() != newest.ID() || kept > 0 && (kept == keptResolved || size > keptBytes) {
				e.recent[i] = nil
				continue
			}
		default:
		}
		kept++
	}
	e.recent = slices.DeleteFunc(e.recent, func(r *resolved) bool { return r == nil })
}

// size is the bytes of its masks.
func (r *resolved) size() int {
	return (len(r.sel.Blocks) + int(r.batches.Load())) * (8 + warning.BlockSize/8)
}

// bordering is what of the areas lies beyond the jurisdiction, and the part of it that they cover, where that was found
// a moment ago.
func (e *Engine) bordering(areas []warning.Area) (warning.Outside, float64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.recent) - 1; i >= 0; i-- {
		r := e.recent[i]
		select {
		case <-r.ready:
			if r.err == nil && reflect.DeepEqual(r.areas, areas) {
				return r.beyond, r.share, true
			}
		default:
		}
	}
	return warning.Outside{}, 0, false
}

// planAs is the plan of a warning with such a spec. Where its batches are being stored it waits for them.
func (e *Engine) planAs(r *resolved, w *warning.Warning) Plan {
	p := r.plan()
	p.Warning, p.Version = w.ID, w.Version
	p.Strands = slices.Clone(p.Strands)
	e.mu.Lock()
	ahead := r.stored[w.ID]
	e.mu.Unlock()
	if ahead != nil {
		<-ahead.ready
	}
	for i := range p.Strands {
		p.Strands[i].Warning, p.Strands[i].Version = w.ID, w.Version
		if ahead != nil && ahead.refs != nil {
			p.Strands[i].Ref = ahead.refs[i]
		}
	}
	return p
}
