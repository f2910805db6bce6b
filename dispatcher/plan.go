package dispatcher

import (
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"tocsin/warning"
)

// makePlan says who gets the warning by which accounts, in which order: responsible persons first, then the public, each by
// the channels that tells names for them, in the order of the selection. It is a pure function of its arguments; parts of
// the selection are sorted side by side.
func makePlan(w *warning.Warning, tells warning.Telling, snap Snapshot, sel *warning.Selection, g *routing) Plan {
	p := Plan{Warning: w.ID, Version: w.Version, Snapshot: snap.ID(), InArea: sel.People(), Parts: 1}
	words := warning.Alert
	if w.Summons != nil {
		words = warning.Call
	}
	chs := addressed(tells.Channels())
	if len(chs) == 0 {
		p.Untold = p.InArea
	}
	ways := waysOf(tells, w.Spec.Status, g)
	var counted [2]bool // of this duty who is in no lane
	for i, ch := range chs {
		strands, l := makeLane(w, ch, words, tells, ways, snap, sel, g)
		p.Strands = append(p.Strands, strands...)
		if i == 0 {
			p.NoAddress, p.OptedOut = l.noAddress, l.optedOut
		}
		for d := range counted {
			switch {
			case slices.Contains(tells[d], ch) && !counted[d]:
				p.NoRoute += l.noRoute[d]
				counted[d] = true
			case len(ways[d]) == 0 && i == 0:
				p.Untold += l.untold[d]
			}
		}
	}
	return p
}

// waysOf is by which routers people can be told, by duty.
func waysOf(tells warning.Telling, status warning.Status, g *routing) (ways [2][]*router) {
	for d := range tells {
		for _, ch := range addressed(tells[d]) {
			ways[d] = append(ways[d], g.router(ch, status))
		}
	}
	return ways
}

// makeLane is the strands of one channel, and who of the selection is in none of them.
func makeLane(w *warning.Warning, ch warning.Channel, words warning.Type, tells warning.Telling, ways [2][]*router, snap Snapshot, sel *warning.Selection, g *routing) (strands []Strand, outside unplaced) {
	parts := make([]laneBuilder, min(runtime.GOMAXPROCS(0), 1+len(sel.Blocks)/64))
	var in [2]bool
	for d := range tells {
		in[d] = slices.Contains(tells[d], ch)
	}
	router := g.router(ch, w.Spec.Status)
	var group sync.WaitGroup
	for k := range parts {
		from, to := k*len(sel.Blocks)/len(parts), (k+1)*len(sel.Blocks)/len(parts)
		parts[k] = newLaneBuilder(router, in, ways, len(g.accounts))
		group.Go(func() {
			for n := from; n < to; n++ {
				parts[k].block(sel.Blocks[n], snap.Block(int(sel.Blocks[n])), &sel.Masks[n])
			}
		})
	}
	group.Wait()
	for k := range parts {
		outside.add(&parts[k].unplaced)
	}
	for a := range g.accounts {
		if s := strandOf(parts, a); s.People > 0 {
			s.Warning, s.Version, s.Channel, s.Words = w.ID, w.Version, ch, words
			s.Account, s.Snapshot = g.accounts[a].Name, snap.ID()
			strands = append(strands, s)
		}
	}
	return strands, outside
}

// strandOf joins what the parts have for one account: the responsible persons of all parts first.
func strandOf(parts []laneBuilder, account int) (s Strand) {
	for _, duty := range []warning.Duty{warning.Responsible, warning.Public} {
		for k := range parts {
			s.Batches = append(s.Batches, parts[k].batches[account][duty]...)
		}
	}
	for i := range s.Batches {
		s.People += uint32(s.Batches[i].Mask.Count())
	}
	return s
}

// languages is how many there are at most; the index is stored in a byte and checked on the way in.
const languages = 8

// unplaced is people who are in no strand of a lane.
type unplaced struct {
	noAddress, optedOut int64
	noRoute             [2]int64 // by duty: no account carries them in any channel of theirs
	untold              [2]int64 // by duty: the lane is not for them
}

func (u *unplaced) add(o *unplaced) {
	u.noAddress += o.noAddress
	u.optedOut += o.optedOut
	for d := range u.noRoute {
		u.noRoute[d] += o.noRoute[d]
		u.untold[d] += o.untold[d]
	}
}

// laneBuilder sorts the people of one channel, or of a part of it, into batches by account and duty.
type laneBuilder struct {
	router  *router
	in      [2]bool // by duty: the lane is for them
	ways    [2][]*router
	batches [][2][]Batch
	masks   [][2][languages]warning.Mask // of the present block, by account, duty and language
	unplaced
}

func newLaneBuilder(r *router, in [2]bool, ways [2][]*router, accounts int) laneBuilder {
	return laneBuilder{router: r, in: in, ways: ways, batches: make([][2][]Batch, accounts), masks: make([][2][languages]warning.Mask, accounts)}
}

func (b *laneBuilder) block(block uint32, people warning.Block, mask *warning.Mask) {
	for w, word := range mask {
		for ; word != 0; word &= word - 1 {
			slot := w<<6 | bits.TrailingZeros64(word)
			number, duty := people.Number[slot], warning.Duty(people.Duty[slot])
			switch {
			case number == 0:
				b.noAddress++
				continue
			case people.Flags[slot]&warning.OptedOut != 0 && duty != warning.Responsible:
				b.optedOut++
				continue
			case !b.in[duty]:
				b.untold[duty]++
				continue
			}
			account := b.router.route(number)
			if account < 0 {
				if !carried(b.ways[duty], number) {
					b.noRoute[duty]++
				}
				continue
			}
			b.masks[account][duty][people.Language[slot]][w] |= word & -word
		}
	}
	for account := range b.masks {
		for duty := range b.masks[account] {
			for language := range b.masks[account][duty] {
				m := &b.masks[account][duty][language]
				if *m != (warning.Mask{}) {
					b.batches[account][duty] = append(b.batches[account][duty], Batch{
						Block: block, Duty: warning.Duty(duty), Language: uint8(language), Mask: *m,
					})
					*m = warning.Mask{}
				}
			}
		}
	}
}

// carried tells whether an account may carry a person's message in one of the ways.
func carried(ways []*router, number uint64) bool {
	return slices.ContainsFunc(ways, func(r *router) bool { return r.route(number) >= 0 })
}

// addressed is the channels that have people in their lanes.
func addressed(chs []warning.Channel) (out []warning.Channel) {
	for _, ch := range chs {
		if ch.Addressed() {
			out = append(out, ch)
		}
	}
	return out
}
