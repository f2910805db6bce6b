package dispatcher

import (
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
	lo, hi := 0, len(r.ranges)
	for lo < hi {
		mid := (lo + hi) / 2
		if r.ranges[mid].to <= number {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(r.ranges) || number < r.ranges[lo].from {
		return -1
	}
	list := r.choices[r.ranges[lo].choice]
	if len(list) == 1 {
		return list[0].account
	}
	at := (number * 0x9e3779b97f4a7c15 >> 32) % list[len(list)-1].upTo
	for _, x := range list {
		if at < x.upTo {
			return x.account
		}
	}
	return -1
}
