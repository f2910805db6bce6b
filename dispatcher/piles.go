package dispatcher

import (
	"cmp"
	"math/bits"
	"slices"

	"tocsin/warning"
)

// This file sorts the people of a block by the ways they go: whoever asks who of a block goes by which account then compares
// masks, and looks at nobody.

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

// keeps is what the router knows of blocks; nil where enough other routers of the routing know them already.
func (r *router) keeps() *perBlock[[]pile] {
	r.first.Do(func() {
		if r.kept != nil && r.kept.Add(1) <= keptRouters {
			r.sorted.Store(&perBlock[[]pile]{})
		}
	})
	return r.sorted.Load()
}

// pilesOf is the piles of a block by this router, in the order of accounts, duties and languages. They may hold others than
// those of mask too.
func (r *router) pilesOf(block uint32, people warning.Block, mask *warning.Mask) []pile {
	sorted := r.keeps()
	if sorted == nil || !sorted.has(block, people) && 4*mask.Count() < people.Len() { // a few are asked for: looking at these is less
		return r.sort(people, mask)
	}
	return sorted.of(block, people, func() []pile {
		all := warning.First(people.Len())
		return r.sort(people, &all)
	})
}

// sort looks at each person.
func (r *router) sort(people warning.Block, mask *warning.Mask) []pile {
	var places [2 * warning.BlockSize]uint16 // by way, and on from there: 1 + the index of its pile
	var room [16]pile
	piles := room[:0]
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
			place := (int(goes.account)<<4 ^ int(goes.language)<<1 ^ int(goes.duty)) & (len(places) - 1)
			for places[place] > 0 && piles[places[place]-1].way != goes {
				place = (place + 1) & (len(places) - 1)
			}
			if places[place] == 0 {
				piles = append(piles, pile{way: goes})
				places[place] = uint16(len(piles))
			}
			piles[places[place]-1].mask[w] |= word & -word
		}
	}
	slices.SortFunc(piles, func(a, b pile) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.duty, b.duty), cmp.Compare(a.language, b.language))
	})
	return slices.Clone(piles)
}
