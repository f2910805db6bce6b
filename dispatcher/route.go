package dispatcher

import (
	"math/bits"
	"slices"
	"sort"
	"strconv"

	"tocsin/warning"
)

// router says which account carries a person's message: the longest prefix of the number, and among accounts with the
// same prefix by weight. A pure function of the number, so that a plan can be made again.
//
// Prefixes are kept as ranges of whole numbers, for each length that an E.164 number may have: the shortest table that
// can be searched some ten million times a second.
type router struct {
	ranges  []numberRange // ascending, apart from each other
	last    []uint64      // number of each range, close together
	first   [66]int       // by bits of a number: the first range that may hold it; it lies before the next one's end
	choices [][]routed
}

type numberRange struct {
	from, to uint64 // to is outside
	choice   int    // into choices
}

type routed struct {
	account int    // index into the accounts that the router was made of
	upTo    uint64 // of the sum of weights
}

// The lengths of a number: E.164 allows 15 digits, and no subscriber has fewer than 8.
const leastDigits, mostDigits = 8, 15

// newRouter is the router over the accounts that serve the channel and take the status.
func newRouter(accounts []AccountOptions, ch warning.Channel, status warning.Status) *router {
	r := &router{}
	byPrefix := map[string]int{}
	var prefixes []string
	for i := range accounts {
		a := &accounts[i]
		if !slices.Contains(a.Channels, ch) || !slices.Contains(a.Statuses, status) {
			continue
		}
		for _, p := range a.Prefixes {
			at, ok := byPrefix[p]
			if !ok {
				at = len(r.choices)
				byPrefix[p] = at
				prefixes = append(prefixes, p)
				r.choices = append(r.choices, nil)
			}
			sum := uint64(max(1, a.Weight))
			if list := r.choices[at]; len(list) > 0 {
				sum += list[len(list)-1].upTo
			}
			r.choices[at] = append(r.choices[at], routed{i, sum})
		}
	}
	sort.Slice(prefixes, func(i, j int) bool { return len(prefixes[i]) < len(prefixes[j]) }) // a longer one lies over a shorter
	for digits := leastDigits; digits <= mostDigits; digits++ {
		for _, p := range prefixes {
			if n, err := strconv.ParseUint(p, 10, 64); err == nil && len(p) <= digits {
				width := uint64(1)
				for range digits - len(p) {
					width *= 10
				}
				r.lay(numberRange{n * width, (n + 1) * width, byPrefix[p]})
			}
		}
	}
	sort.Slice(r.ranges, func(i, j int) bool { return r.ranges[i].from < r.ranges[j].from })
	for _, x := range r.ranges {
		r.last = append(r.last, x.to-1)
	}
	for n := range r.first {
		r.first[n] = sort.Search(len(r.ranges), func(i int) bool { return n > 0 && bits.Len64(r.last[i]) >= n })
	}
	return r
}

// lay puts a range over those that are there.
func (r *router) lay(over numberRange) {
	var out []numberRange
	for _, x := range r.ranges {
		if x.to <= over.from || over.to <= x.from {
			out = append(out, x)
			continue
		}
		if x.from < over.from {
			out = append(out, numberRange{x.from, over.from, x.choice})
		}
		if over.to < x.to {
			out = append(out, numberRange{over.to, x.to, x.choice})
		}
	}
	r.ranges = append(out, over)
}

// empty tells whether the router leads nowhere.
func (r *router) empty() bool { return len(r.choices) == 0 }

// route is the index of the account for a number, or -1.
func (r *router) route(number uint64) int {
	// Numbers of different carriers come mixed, so that no step can be foreseen: none of them is a jump.
	size := bits.Len64(number)
	at := r.first[size]
	for left := min(r.first[size+1]+1, len(r.last)) - at; left > 0; {
		half := (left + 1) / 2
		below := (r.last[at+half-1] - number) >> 63 // 1 where the range ends before the number
		at += half * int(below)
		left -= half
	}
	if at == len(r.ranges) || number < r.ranges[at].from {
		return -1
	}
	list := r.choices[r.ranges[at].choice]
	if len(list) == 1 {
		return list[0].account
	}
	lot := (number * 0x9e3779b97f4a7c15 >> 32) % list[len(list)-1].upTo
	for _, x := range list {
		if lot < x.upTo {
			return x.account
		}
	}
	return -1
}
