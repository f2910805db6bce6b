package dispatcher

import (
	"math/bits"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"

	"tocsin/warning"
)

// router says which account carries a person's message. The person's carrier decides, as the table of numbers has it: the
// number itself (it was ported), else the longest prefix, of the table or of an account. Among the accounts of one prefix
// it goes by weight. A pure function of the number, so that a plan can be made again.
//
// Prefixes are kept as ranges of whole numbers, for each length that an E.164 number may have: the shortest table that
// can be searched some ten million times a second.
type router struct {
	numbers *Numbers
	open    lanes // accounts that are in use
	all     lanes // for whom no open account may carry: they wait for theirs
	weights []uint64

	first  sync.Once     // look at a block
	kept   *atomic.Int32 // how many routers of the routing keep what they know of blocks
	sorted atomic.Pointer[perBlock[[]pile]]
}

// lanes is a router over some of the accounts.
type lanes struct {
	ranges  []numberRange // ascending, apart from each other
	last    []uint64      // number of each range, close together
	first   [66]int       // by bits of a number: the first range that may hold it; it lies before the next one's end
	choices [][]routed
	ported  []int // by carrier: into choices; -1: no account
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

// routing is what routers are made of.
type routing struct {
	accounts []AccountOptions
	shares   []float64 // by account, 0 to 1: how much of its weight it is trusted with; nil: all of it
	numbers  *Numbers  // nil: prefixes of accounts alone
	failOver FailOver
	routers  sync.Map // by lane: routers that were asked for before

	mu   sync.Mutex // guards made
	made []*router  // each once, whatever lanes it serves
	kept atomic.Int32
}

// lane is what a router is for.
type lane struct {
	channel warning.Channel
	status  warning.Status
}

// has tells whether an account is configured.
func (g *routing) has(account string) bool {
	return slices.ContainsFunc(g.accounts, func(a AccountOptions) bool { return a.Name == account })
}

// router is the router over the accounts that serve the channel and take the status.
func (g *routing) router(ch warning.Channel, status warning.Status) *router {
	if r, ok := g.routers.Load(lane{ch, status}); ok {
		return r.(*router)
	}
	return g.routerLike(lane{ch, status}, nil)
}

// routerLike makes the router of a lane, or takes like where that leads every number the same way and knows blocks.
func (g *routing) routerLike(l lane, like *router) *router {
	weights := make([]uint64, len(g.accounts))
	whole := true
	for i := range g.accounts {
		a := &g.accounts[i]
		if !slices.Contains(a.Channels, l.channel) || !slices.Contains(a.Statuses, l.status) {
			continue
		}
		weights[i] = 1000 * uint64(max(1, a.Weight))
		whole = whole && (g.shares == nil || g.shares[i] == 1)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.made, func(r *router) bool { return slices.Equal(r.weights, weights) })
	if at < 0 {
		at = len(g.made)
		r := g.newRouter(weights, whole)
		if like != nil && like.sorted.Load() != nil && r.same(like) {
			r = like
			g.kept.Add(1)
		}
		g.made = append(g.made, r)
	}
	g.routers.Store(l, g.made[at])
	return g.made[at]
}

// after lets g go on with the routers of was that lead every number the same way: what they know of blocks stays known.
func (g *routing) after(was *routing) *routing {
	was.routers.Range(func(l, r any) bool {
		g.routerLike(l.(lane), r.(*router))
		return true
	})
	return g
}

// same tells whether two routers lead every number to the same account.
func (r *router) same(o *router) bool {
	return slices.Equal(r.weights, o.weights) && reflect.DeepEqual(r.open, o.open) && reflect.DeepEqual(r.all, o.all) && r.numbers.same(o.numbers)
}

// newRouter is the router over the accounts that have a weight; whole says that all of them are wholly trusted.
func (g *routing) newRouter(weights []uint64, whole bool) *router {
	r := &router{numbers: g.numbers, weights: weights, kept: &g.kept, all: g.lanes(weights)}
	if r.open = r.all; !whole {
		left := slices.Clone(weights)
		for i := range left {
			left[i] = uint64(float64(left[i]) * g.shares[i])
		}
		r.open = g.lanes(left)
	}
	return r
}

// lanes lays out the accounts that have a weight.
func (g *routing) lanes(weights []uint64) (l lanes) {
	byPrefix := map[string]int{}
	choice := func(prefix string) int {
		at, ok := byPrefix[prefix]
		if !ok {
			at = len(l.choices)
			byPrefix[prefix] = at
			l.choices = append(l.choices, nil)
		}
		return at
	}
	add := func(at, account int) {
		list := l.choices[at]
		if slices.ContainsFunc(list, func(x routed) bool { return x.account == account }) {
			return
		}
		sum := weights[account]
		if len(list) > 0 {
			sum += list[len(list)-1].upTo
		}
		l.choices[at] = append(list, routed{account, sum})
	}
	ofCarrier := map[string][]int{}
	for i := range g.accounts {
		if weights[i] == 0 {
			continue
		}
		for _, p := range g.accounts[i].Prefixes {
			add(choice(p), i)
		}
		if c := g.accounts[i].Carrier; c != "" {
			ofCarrier[c] = append(ofCarrier[c], i)
		}
	}
	if n := g.numbers; n != nil {
		for _, p := range n.prefixes {
			for _, i := range ofCarrier[n.carriers[p.carrier]] {
				add(choice(p.digits), i)
			}
		}
		for _, c := range n.carriers {
			at := -1
			if len(ofCarrier[c]) > 0 {
				at = choice("of " + c)
				for _, i := range ofCarrier[c] {
					add(at, i)
				}
			}
			l.ported = append(l.ported, at)
		}
	}
	l.ranges = spread(byPrefix)
	for _, x := range l.ranges {
		l.last = append(l.last, x.to-1)
	}
	for n := range l.first {
		l.first[n] = sort.Search(len(l.ranges), func(i int) bool { return n > 0 && bits.Len64(l.last[i]) >= n })
	}
	return l
}

// spread cuts prefixes into ranges that do not overlap. Of two prefixes one holds the other or they are apart, so the
// innermost counts.
func spread(byPrefix map[string]int) (out []numberRange) {
	var in []numberRange
	for p, choice := range byPrefix {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			continue // of ported numbers: no range
		}
		for digits := max(leastDigits, len(p)); digits <= mostDigits; digits++ {
			width := uint64(1)
			for range digits - len(p) {
				width *= 10
			}
			in = append(in, numberRange{n * width, (n + 1) * width, choice})
		}
	}
	sort.Slice(in, func(i, j int) bool {
		return in[i].from < in[j].from || in[i].from == in[j].from && in[i].to > in[j].to
	})
	var within []numberRange // innermost last
	at := uint64(0)
	upTo := func(to uint64) {
		if k := len(within); k > 0 && at < to {
			out = append(out, numberRange{at, to, within[k-1].choice})
		}
		at = max(at, to)
	}
	leave := func(from uint64) {
		for k := len(within); k > 0 && within[k-1].to <= from; k-- {
			upTo(within[k-1].to)
			within = within[:k-1]
		}
	}
	for _, x := range in {
		leave(x.from)
		upTo(x.from)
		within = append(within, x)
	}
	leave(1 << 63)
	return out
}

// empty tells whether the router leads nowhere.
func (r *router) empty() bool { return len(r.all.choices) == 0 }

// route is the index of the account for a number, or -1.
func (r *router) route(number uint64) int {
	carrier := r.numbers.ported(number)
	if i := r.open.route(number, carrier); i >= 0 {
		return i
	}
	return r.all.route(number, carrier)
}

// reach answers like route, and -1 where only an account that is out could carry the message.
func (r *router) reach(number uint64) int { return r.open.route(number, r.numbers.ported(number)) }

// route is the account for a number of a carrier, -1 for none that is known.
func (l *lanes) route(number uint64, carrier int) int {
	if carrier >= 0 && l.ported[carrier] >= 0 {
		return pick(l.choices[l.ported[carrier]], number)
	}
	// Numbers of different carriers come mixed, so that no step can be foreseen: none of them is a jump.
	size := bits.Len64(number)
	at := l.first[size]
	for left := min(l.first[size+1]+1, len(l.last)) - at; left > 0; {
		half := (left + 1) / 2
		below := (l.last[at+half-1] - number) >> 63 // 1 where the range ends before the number
		at += half * int(below)
		left -= half
	}
	if at == len(l.ranges) || number < l.ranges[at].from {
		return -1
	}
	return pick(l.choices[l.ranges[at].choice], number)
}

// pick takes one of the accounts of a choice by weight.
func pick(list []routed, number uint64) int {
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
