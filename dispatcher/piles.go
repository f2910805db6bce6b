package dispatcher

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"tocsin/warning"
)

// This file sorts blocks of the directory ahead: whoever asks who of a block goes by which account then compares masks,
// and looks at nobody. A block is known by its columns in memory, which are never written to, so snapshots that share
// blocks share what is known of them, and what changed is sorted again.

// way is what people of one pile have in common.
type way struct {
	account  int16 // index into the accounts, or one of those below
	duty     warning.Duty
	language uint8
}

// Ways to no account.
const (
	toNobody  = -1 - iota // no account carries the number
	optedOut              // of the public
	noAddress             // whatever the duty
)

// pile is the people of one block who go the same way.
type pile struct {
	way
	mask warning.Mask
}

// keptRouters is for how many routers of a routing the blocks are kept sorted: of 32 million people by three accounts each
// costs some 45 MB.
const keptRouters = 3

// pilesOf is the piles of a block by this router, in the order of accounts, duties and languages. They may hold others than
// those of mask too.
func (r *router) pilesOf(block uint32, people warning.Block, mask *warning.Mask) []pile {
	r.keeps.Do(func() {
		if r.kept != nil && r.kept.Add(1) <= keptRouters {
			r.sorted = &perBlock[[]pile]{}
		}
	})
	if r.sorted == nil {
		return r.sort(nil, people, mask)
	}
	if piles, ok := r.sorted.get(block, people); ok {
		return piles
	}
	if 4*mask.Count() < people.Len() { // a few are asked for: looking at these is less
		return r.sort(nil, people, mask)
	}
	all := first(people.Len())
	var few [16]pile // of which as many are kept as there are
	piles := slices.Clone(r.sort(few[:0], people, &all))
	r.sorted.put(block, people, piles)
	return piles
}

// sort looks at each person. It appends to piles, which are none.
func (r *router) sort(piles []pile, people warning.Block, mask *warning.Mask) []pile {
	for w, word := range mask {
		for ; word != 0; word &= word - 1 {
			slot := w<<6 | bits.TrailingZeros64(word)
			number := people.Number[slot]
			goes := way{duty: warning.Duty(people.Duty[slot]), language: people.Language[slot]}
			switch {
			case number == 0:
				goes = way{account: noAddress}
			case people.Flags[slot]&warning.OptedOut != 0 && goes.duty != warning.Responsible:
				goes = way{account: optedOut}
			default:
				if goes.account = int16(r.route(number)); goes.account < 0 {
					goes.account = toNobody
				}
			}
			at := 0
			for at < len(piles) && piles[at].way != goes {
				at++
			}
			if at == len(piles) {
				piles = append(piles, pile{way: goes})
			}
			piles[at].mask[w] |= word & -word
		}
	}
	slices.SortFunc(piles, func(a, b pile) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.duty, b.duty), cmp.Compare(a.language, b.language))
	})
	return piles
}

// sortsAhead sorts the newest directory whenever it or a way has changed, so that nobody who looks at a warning waits for it.
func (e *Engine) sortsAhead(ctx context.Context) {
	var snapshot string
	var by *routing
	for ctx.Err() == nil {
		if snap, ok := e.dir.Current(); ok && (snap.ID() != snapshot || e.routing.Load() != by) {
			snapshot, by = snap.ID(), e.routing.Load()
			e.sortAll(ctx, snap, by)
		}
		pause(ctx, time.Second)
	}
}

// sortAll works on one core: plans and carriers come first.
func (e *Engine) sortAll(ctx context.Context, snap Snapshot, g *routing) {
	for _, status := range []warning.Status{warning.Actual, warning.Exercise} {
		for ch := range warning.Channel(math.MaxUint8) {
			if !ch.Addressed() {
				continue
			}
			r := g.router(ch, status)
			for i := 0; i < snap.Blocks() && !r.empty() && ctx.Err() == nil; i++ {
				people := snap.Block(i)
				all := first(people.Len())
				r.pilesOf(uint32(i), people, &all)
			}
		}
	}
	e.census.byDistrict(snap)
}

// first chooses the first n slots.
func first(n int) (m warning.Mask) {
	for w := range m {
		m[w] = 1<<min(64, max(0, n-64*w)) - 1
	}
	return m
}

// perBlock is something that is known of blocks, by their index. It is safe for concurrent use.
type perBlock[T any] struct {
	mu   sync.Mutex // for growing
	list atomic.Pointer[[]atomic.Pointer[known[T]]]
}

type known[T any] struct {
	of weak.Pointer[uint64] // the first number in the columns of the block; it does not keep them in memory
	is T
}

func (p *perBlock[T]) get(block uint32, people warning.Block) (is T, ok bool) {
	list := p.list.Load()
	if list == nil || int(block) >= len(*list) {
		return is, false
	}
	k := (*list)[block].Load()
	if k == nil || k.of.Value() != &people.Number[0] {
		return is, false
	}
	return k.is, true
}

func (p *perBlock[T]) put(block uint32, people warning.Block, is T) {
	list := p.list.Load()
	if list == nil || int(block) >= len(*list) {
		p.mu.Lock()
		if list = p.list.Load(); list == nil || int(block) >= len(*list) {
			longer := make([]atomic.Pointer[known[T]], max(64, 2*int(block)))
			if list != nil {
				for i := range *list { // what comes in meanwhile is found out again
					longer[i].Store((*list)[i].Load())
				}
			}
			list = &longer
			p.list.Store(list)
		}
		p.mu.Unlock()
	}
	(*list)[block].Store(&known[T]{weak.Make(&people.Number[0]), is})
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
