package dispatcher

import (
	"math/bits"
	"runtime"
	"sync"

	"tocsin/warning"
)

// makePlan says who gets the warning by which accounts, in which order: responsible persons first, then the public, in
// the order of the selection. It is a pure function of its arguments; parts of the selection are sorted side by side.
func makePlan(w *warning.Warning, snap Snapshot, sel *warning.Selection, g *routing) Plan {
	accounts := g.accounts
	p := Plan{Warning: w.ID, Version: w.Version, Snapshot: snap.ID(), InArea: sel.People(), Parts: 1}
	words := warning.Alert
	if w.Summons != nil {
		words = warning.Call
	}
	for i, ch := range addressed(w.Spec.Channels) {
		parts := make([]laneBuilder, min(runtime.GOMAXPROCS(0), 1+len(sel.Blocks)/64))
		router := g.router(ch, w.Spec.Status)
		var group sync.WaitGroup
		for k := range parts {
			from, to := k*len(sel.Blocks)/len(parts), (k+1)*len(sel.Blocks)/len(parts)
			parts[k] = newLaneBuilder(router, len(accounts))
			group.Go(func() {
				for n := from; n < to; n++ {
					parts[k].block(sel.Blocks[n], snap.Block(int(sel.Blocks[n])), &sel.Masks[n])
				}
			})
		}
		group.Wait()
		for k := range parts {
			if i == 0 { // the first lane counts who is in no lane
				p.NoAddress += parts[k].noAddress
				p.OptedOut += parts[k].optedOut
				p.NoRoute += parts[k].noRoute
			}
		}
		for a := range accounts {
			if s := strandOf(parts, a); s.People > 0 {
				s.Warning, s.Version, s.Channel, s.Words = w.ID, w.Version, ch, words
				s.Account, s.Snapshot = accounts[a].Name, p.Snapshot
				p.Strands = append(p.Strands, s)
			}
		}
	}
	return p
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

// laneBuilder sorts the people of one channel, or of a part of it, into batches by account and duty.
type laneBuilder struct {
	router                       *router
	batches                      [][2][]Batch
	masks                        [][2][languages]warning.Mask // of the present block, by account, duty and language
	noAddress, optedOut, noRoute int64
}

func newLaneBuilder(r *router, accounts int) laneBuilder {
	return laneBuilder{router: r, batches: make([][2][]Batch, accounts), masks: make([][2][languages]warning.Mask, accounts)}
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
			}
			account := b.router.route(number)
			if account < 0 {
				b.noRoute++
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

// addressed is the channels that have people in their lanes.
func addressed(chs []warning.Channel) (out []warning.Channel) {
	for _, ch := range chs {
		if ch.Addressed() {
			out = append(out, ch)
		}
	}
	return out
}
