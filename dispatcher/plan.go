package dispatcher

import (
	"slices"

	"tocsin/warning"
)

// makePlan says who gets the warning by which accounts, in which order: responsible persons first, then the public, each by
// the channels that tells names for them, in the order of the selection. It is a pure function of its arguments; parts of
// the selection are sorted side by side.
func makePlan(w *warning.Warning, tells warning.Telling, snap Snapshot, sel *warning.Selection, g *routing) Plan {
	p, _ := sortOut(w, tells, snap, sel, g, true)
	return p
}

// tally is how many people of a lane go by one account, by duty and language.
type tally struct {
	channel warning.Channel
	account int // index into the accounts
	people  [2][languages]int64
}

// sortOut is makePlan with how many go where; without batches its strands have none.
func sortOut(w *warning.Warning, tells warning.Telling, snap Snapshot, sel *warning.Selection, g *routing, batches bool) (Plan, []tally) {
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
	var tallies []tally
	var counted [2]bool // of this duty who is in no lane
	for i, ch := range chs {
		l := makeLane(ch, tells, ways, snap, sel, g.router(ch, w.Spec.Status), len(g.accounts), batches)
		strands, some := l.strands(Strand{Warning: w.ID, Version: w.Version, Channel: ch, Words: words, Snapshot: p.Snapshot}, g)
		p.Strands, tallies = append(p.Strands, strands...), append(tallies, some...)
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
	return p, tallies
}

// of is everybody of a duty.
func (t *tally) of(d warning.Duty) (n int64) {
	for _, people := range t.people[d] {
		n += people
	}
	return n
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

// sortedLane is one channel of a plan: by account who goes there, and who of the selection goes nowhere.
type sortedLane struct {
	people  [][2][languages]int64
	batches [][]Batch // responsible persons first
	unplaced
}

// makeLane sorts the selection for one channel.
func makeLane(ch warning.Channel, tells warning.Telling, ways [2][]*router, snap Snapshot, sel *warning.Selection, r *router, accounts int, batches bool) (l sortedLane) {
	var in [2]bool
	for d := range tells {
		in[d] = slices.Contains(tells[d], ch)
	}
	parts := make([]laneBuilder, partsOf(len(sel.Blocks)))
	for k := range parts {
		parts[k] = newLaneBuilder(r, in, ways, accounts)
	}
	each := func(do func(b *laneBuilder, block uint32, people warning.Block, mask *warning.Mask)) {
		sideBySide(len(sel.Blocks), func(k, from, to int) {
			for n := from; n < to; n++ {
				do(&parts[k], sel.Blocks[n], snap.Block(int(sel.Blocks[n])), &sel.Masks[n])
			}
		})
	}
	each((*laneBuilder).count)
	l = sortedLane{people: make([][2][languages]int64, accounts), batches: make([][]Batch, accounts)}
	for k := range parts {
		l.add(&parts[k].unplaced)
		for a := range l.people {
			for d := range l.people[a] {
				for language, n := range parts[k].people[a][d] {
					l.people[a][d][language] += n
				}
			}
		}
	}
	if !batches {
		return l
	}
	for a := range l.batches { // each part has its place in a list that is as long as it must be: a large one is megabytes
		n := 0
		for k := range parts {
			n += parts[k].batches[a][warning.Responsible] + parts[k].batches[a][warning.Public]
		}
		all, at := make([]Batch, n), 0
		for _, duty := range []warning.Duty{warning.Responsible, warning.Public} {
			for k := range parts {
				to := at + parts[k].batches[a][duty]
				parts[k].room[a][duty], at = all[at:at:to], to
			}
		}
		l.batches[a] = all
	}
	each((*laneBuilder).fill)
	return l
}

// strands is one like head for each account that has people.
func (l *sortedLane) strands(head Strand, g *routing) (strands []Strand, tallies []tally) {
	for a := range l.people {
		t := tally{channel: head.Channel, account: a, people: l.people[a]}
		if n := t.of(warning.Responsible) + t.of(warning.Public); n > 0 {
			head.Account, head.People, head.Batches = g.accounts[a].Name, uint32(n), l.batches[a]
			strands, tallies = append(strands, head), append(tallies, t)
		}
	}
	return strands, tallies
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

// laneBuilder sorts the people of one channel, or of a part of it, into batches by account and duty: it counts, and then
// it fills in.
type laneBuilder struct {
	router  *router
	in      [2]bool // by duty: the lane is for them
	ways    [2][]*router
	people  [][2][languages]int64
	batches [][2]int // how many
	room    [][2][]Batch
	unplaced
}

func newLaneBuilder(r *router, in [2]bool, ways [2][]*router, accounts int) laneBuilder {
	return laneBuilder{
		router: r, in: in, ways: ways,
		people: make([][2][languages]int64, accounts), batches: make([][2]int, accounts), room: make([][2][]Batch, accounts),
	}
}

// count counts who of a block goes where.
func (b *laneBuilder) count(block uint32, people warning.Block, mask *warning.Mask) {
	piles := b.router.pilesOf(block, people, mask)
	for i := range piles {
		p := &piles[i]
		m, n := p.mask.Both(mask)
		if n == 0 {
			continue
		}
		switch {
		case p.account == noAddress:
			b.noAddress += int64(n)
		case p.account == optedOut:
			b.optedOut += int64(n)
		case !b.in[p.duty]:
			b.untold[p.duty] += int64(n)
		case p.account == toNobody:
			for slot := range m.Slots {
				if !carried(b.ways[p.duty], people.Number[slot]) {
					b.noRoute[p.duty]++
				}
			}
		default:
			b.people[p.account][p.duty][p.language] += int64(n)
			b.batches[p.account][p.duty]++
		}
	}
}

// fill makes the batches that were counted.
func (b *laneBuilder) fill(block uint32, people warning.Block, mask *warning.Mask) {
	piles := b.router.pilesOf(block, people, mask)
	for i := range piles {
		p := &piles[i]
		if m, n := p.mask.Both(mask); n > 0 && p.account >= 0 && b.in[p.duty] {
			into := &b.room[p.account][p.duty]
			*into = append(*into, Batch{Block: block, Duty: p.duty, Language: p.language, Mask: m})
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
