package dispatcher

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/warning"
)

// This file keeps what is known of blocks of the directory, and finds it out ahead, so that nobody who looks at a warning
// waits for it. Snapshots that share blocks share what is known of them, and of what changed it is found out again.

// learnsEvery is how often it is looked whether there is another directory, or other routes.
const learnsEvery = 100 * time.Millisecond

// Learn finds out all that previews and plans ask of the blocks of the newest directory, on all cores: who looks at a warning
// after it waits for none of it.
func (e *Engine) Learn() {
	if snap, ok := e.dir.Current(); ok {
		e.LearnOf(snap)
	}
}

// LearnOf does the same of a directory that is to be the newest.
func (e *Engine) LearnOf(snap Snapshot) {
	routers := e.routing.Load().keeping()
	sideBySide(snap.Blocks(), func(_, from, to int) {
		for i := from; i < to; i++ {
			e.learn(snap, i, routers)
		}
	})
	e.census.byDistrict(snap)
}

// learnsAhead learns the newest directory whenever it or a way has changed: after an import, a change, a fail-over or a reload.
func (e *Engine) learnsAhead(ctx context.Context) {
	var known string
	var by *routing
	for ctx.Err() == nil {
		snap, ok := e.dir.Current()
		if g := e.routing.Load(); ok && (snap.ID() != known || g != by) && e.learnAll(ctx, snap, g) {
			known, by = snap.ID(), g
		}
		pause(ctx, learnsEvery)
	}
}

// learnAll learns on one core and after everybody else who wants it: red messages come first. It goes from the last block to
// the first, so that it meets a preview, which begins with the first, once, and neither waits for the other at each block. It
// is false when it was broken off for something newer.
func (e *Engine) learnAll(ctx context.Context, snap Snapshot, g *routing) bool {
	routers := g.keeping()
	for i := snap.Blocks() - 1; i >= 0; i-- {
		newest, ok := e.dir.Current()
		if ctx.Err() != nil || !ok || newest.ID() != snap.ID() || e.routing.Load() != g {
			return false
		}
		e.learn(snap, i, routers)
	}
	e.census.byDistrict(snap)
	return true
}

// learn finds out by which of the routers people of a block go, where they live, and who is beyond the border.
func (e *Engine) learn(snap Snapshot, block int, routers []*router) {
	people := snap.Block(block)
	all := warning.First(people.Len())
	for _, r := range routers {
		r.pilesOf(uint32(block), people, &all)
	}
	e.census.whole(uint32(block), people)
	e.abroad(uint32(block), people, &all)
	runtime.Gosched()
}

// keeping is the routers that keep what they know of blocks, of those that warnings to the public need.
func (g *routing) keeping() (out []*router) {
	for _, status := range []warning.Status{warning.Actual, warning.Exercise} {
		for ch := range warning.Channel(math.MaxUint8) {
			if !ch.Addressed() {
				continue
			}
			if r := g.router(ch, status); !r.empty() && !slices.Contains(out, r) && r.keeps() != nil {
				out = append(out, r)
			}
		}
	}
	return out
}

// perBlock is something that is known of blocks, by their index. It is safe for concurrent use.
type perBlock[T any] struct {
	mu   sync.Mutex // for growing
	list atomic.Pointer[[]atomic.Pointer[known[T]]]
}

type known[T any] struct {
	of   *warning.Identity
	once sync.Once
	is   T
}

func (k *known[T]) about(people warning.Block) bool {
	return k != nil && k.of == people.Identity
}

// has tells whether it is known of a block, or is being found out.
func (p *perBlock[T]) has(block uint32, people warning.Block) bool {
	list := p.list.Load()
	return list != nil && int(block) < len(*list) && (*list)[block].Load().about(people)
}

// of is what is known of a block. What is not is found out once: whoever asks at the same time waits for it.
func (p *perBlock[T]) of(block uint32, people warning.Block, find func() T) T {
	if people.Identity == nil {
		return find()
	}
	at := p.at(block)
	k := at.Load()
	if !k.about(people) {
		was := k
		if k = (&known[T]{of: people.Identity}); !at.CompareAndSwap(was, k) {
			if k = at.Load(); !k.about(people) {
				return find()
			}
		}
	}
	k.once.Do(func() { k.is = find() })
	return k.is
}

// at is the place for a block.
func (p *perBlock[T]) at(block uint32) *atomic.Pointer[known[T]] {
	list := p.list.Load()
	if list == nil || int(block) >= len(*list) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if list = p.list.Load(); list == nil || int(block) >= len(*list) {
			longer := make([]atomic.Pointer[known[T]], max(64, int(block)*9/8+1))
			if list != nil {
				for i := range *list { // what comes in meanwhile is found out again
					longer[i].Store((*list)[i].Load())
				}
			}
			list = &longer
			p.list.Store(list)
		}
	}
	return &(*list)[block]
}

// sideBySide cuts n in parts for all cores and does them at once; do gets the number of the part.
func sideBySide(n int, do func(part, from, to int)) {
	parts := partsOf(n)
	var group sync.WaitGroup
	for k := range parts {
		group.Go(func() { do(k, k*n/parts, (k+1)*n/parts) })
	}
	group.Wait()
}

// partsOf is in how many parts sideBySide cuts n blocks.
func partsOf(n int) int { return min(runtime.GOMAXPROCS(0), 1+n/64) }
