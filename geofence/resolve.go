package geofence

import (
	"math"
	"math/bits"
	"sync/atomic"

	"tocsin/warning"
)

// Resolve finds who is inside the areas by their position, each person once, boundaries closed. Areas that are missing
// or faulty are refused with a *warning.Error that names every fault; an area without people is not a fault.
func (s *Snapshot) Resolve(areas []warning.Area) (warning.Selection, error) {
	shapes, err := shapesOf(areas, s.limits, s.edition)
	if err != nil {
		return warning.Selection{}, err
	}
	return s.choose(shapes)
}

// choose finds who is inside the shapes. Stretches of the directory are looked at side by side.
func (s *Snapshot) choose(shapes []*shape) (warning.Selection, error) {
	parts := make([]warning.Selection, len(s.gathering.groups[stretch-word]))
	var work atomic.Int64
	togetherWith(len(parts), func(i int, f *finder) {
		f.gathering, f.work, f.most = &s.gathering, &work, s.limits.Work
		parts[i] = f.look(i, shapes)
	})
	if work.Load() > s.limits.Work {
		return warning.Selection{}, warning.Invalid(warning.Violation{Field: "areas", Rule: "area.limit.work",
			Detail: "the areas are too intricate for so many people", Remedy: "simplify the outlines"})
	}
	blocks := 0
	for i := range parts {
		blocks += len(parts[i].Blocks)
	}
	sel := warning.Selection{Snapshot: s.id}
	if blocks == 0 {
		return sel, nil
	}
	sel.Blocks, sel.Masks = make([]uint32, 0, blocks), make([]warning.Mask, 0, blocks)
	for i := range parts {
		sel.Blocks, sel.Masks = append(sel.Blocks, parts[i].Blocks...), append(sel.Masks, parts[i].Masks...)
	}
	return sel, nil
}

// finder finds people by going down from groups to smaller groups: one whose box no side of a shape meets is chosen or
// not as a whole, and only people in small groups at a line are looked at one by one.
type finder struct {
	gathering *gathering
	first     int                             // row of the first group
	chosen    [1 << (2 * stretch) / 64]uint64 // bit i is row first+i
	work      *atomic.Int64                   // steps of all finders: what is too much must not depend on the machine
	most      int64                           // of them
	steps     int64                           // those that work does not have yet
	parts     []portion                       // of the groups on the way down
	nodes     []int32                         // of the parts
}

// portion is what a shape has in a group that its sides may meet.
type portion struct {
	tree   *boxTree
	nodes  []int32 // of the tree, with the sides
	inside bool    // whether the lowest corner of the box is (see side of a corner that is on a line: beside)
}

// fewTests is how many exact tests of a person against a side are cheaper than dividing the group again.
const fewTests = 256

// look is who of a stretch is in one of the shapes.
func (f *finder) look(number int, shapes []*shape) (sel warning.Selection) {
	f.find(stretch, number, shapes)
	for i := 0; i < len(f.chosen); i += len(warning.Mask{}) {
		if m := (*warning.Mask)(f.chosen[i:]); *m != (warning.Mask{}) {
			sel.Blocks = append(sel.Blocks, uint32((f.first+i*64)/warning.BlockSize))
			sel.Masks = append(sel.Masks, *m)
		}
	}
	return sel
}

// block is who of a block is in one of the shapes, whatever the work.
func (f *finder) block(g *gathering, number int, shapes []*shape) warning.Mask {
	f.gathering, f.work, f.most = g, &atomic.Int64{}, math.MaxInt64
	f.find(block, number, shapes)
	return warning.Mask(f.chosen[:len(warning.Mask{})])
}

// find chooses who of a group, which is not less than a word, is in one of the shapes.
func (f *finder) find(level, number int, shapes []*shape) {
	f.first, f.parts, f.nodes = number<<(2*level), f.parts[:0], f.nodes[:0]
	clear(f.chosen[:1<<(2*level)/64])
	q := group{level, number, f.gathering.boxOf(level, number)}
	all := []int32{1}
	for _, shape := range shapes {
		if shape.box.meets(q.box) && f.spend(len(shape.tree.sides)/8) {
			f.parts = append(f.parts, portion{shape.tree, all, shape.tree.east(1, q.box.min)})
		}
	}
	f.into(q, f.parts, q.box.min)
	f.work.Add(f.steps)
	f.steps = 0
}

// spend counts work and tells whether there is any left.
func (f *finder) spend(steps int) bool {
	if f.steps += int64(steps); f.steps > 1<<14 {
		f.work.Add(f.steps)
		f.steps = 0
	}
	return f.work.Load() <= f.most
}

// into looks at a group; parts are what the shapes have in a larger one, whose box has this lowest corner.
func (f *finder) into(q group, parts []portion, corner coord) {
	before, nodes, whole := len(f.parts), len(f.nodes), false
	for i := 0; i < len(parts) && !whole; i++ {
		whole = f.enter(&parts[i], corner, &q.box)
	}
	if whole {
		f.take(q)
	} else {
		f.down(q, f.parts[before:len(f.parts):len(f.parts)])
	}
	f.parts, f.nodes = f.parts[:before], f.nodes[:nodes]
}

// enter appends what a shape has in a box, or tells that it has all of it; p and corner are as in into.
func (f *finder) enter(p *portion, corner coord, b *box) (whole bool) {
	from, inside := len(f.nodes), p.inside
	for _, k := range p.nodes {
		var odd bool
		f.nodes, odd = p.tree.enter(f.nodes, int(k), corner, b)
		inside = inside != odd
	}
	if len(f.nodes) == from {
		return inside
	}
	f.parts = append(f.parts, portion{p.tree, f.nodes[from:len(f.nodes):len(f.nodes)], inside})
	return false
}

// down looks at a group that sides of the shapes may meet.
func (f *finder) down(q group, parts []portion) {
	sides := 0
	for i := range parts {
		sides += parts[i].sides()
	}
	from := q.number << (2 * q.level)
	to := min(from+1<<(2*q.level), len(f.gathering.lon))
	switch {
	case sides == 0:
		return
	case !f.spend(8 * (sides + 1)): // each side is compared with four boxes at most
		return
	case q.level <= word && (to-from)*sides <= fewTests || q.level == 0:
		f.spend((to - from) * sides)
		lon, lat := f.gathering.lon[from:to], f.gathering.lat[from:to]
		for i := range parts {
			f.chosen[(from-f.first)>>6] |= parts[i].test(q.box.min, lon, lat) << (from & 63)
		}
		return
	}
	for n := range 4 {
		child := group{level: q.level - 1, number: 4*q.number + n}
		if child.number<<(2*child.level) >= to {
			return
		}
		child.box = f.gathering.boxOf(child.level, child.number)
		f.into(child, parts, q.box.min)
	}
}

// sides is how many may meet the group.
func (p *portion) sides() (n int) {
	for _, k := range p.nodes {
		from, to := p.tree.under(int(k))
		n += to - from
	}
	return n
}

// test is a bit for each of up to 64 people of a group who is in the shape; their box has this lowest corner.
func (p *portion) test(corner coord, lon, lat []int32) uint64 {
	var in, on uint64
	if p.inside {
		in = ^in
	}
	for _, k := range p.nodes {
		from, to := p.tree.under(int(k))
		for _, e := range p.tree.sides[from:to] {
			odd, line := nearOf(e, corner).between(lon, lat)
			in ^= odd
			for ; line != 0; line &= line - 1 {
				if i := bits.TrailingZeros64(line); e.touches(coord{lon[i], lat[i]}) {
					on |= 1 << i
				}
			}
		}
	}
	return (in | on) & (^uint64(0) >> (64 - len(lon)))
}

// nearEdge is a side as it is seen from the lowest corner of a small group's box: from there the way to somebody in it
// leads to the east, and then to the north.
type nearEdge struct {
	a, b   coord // a is not to the east of b
	beyond bool  // on the way to the east, the corner comes to it: whoever is to the east of all of it is behind it
	above  bool  // where its longitudes are, the way to the east leads above it
}

func nearOf(e edge, corner coord) nearEdge {
	if e.b.less(e.a) {
		e.a, e.b = e.b, e.a
	}
	n := nearEdge{a: e.a, b: e.b, above: e.a.y <= corner.y}
	if min(e.a.y, e.b.y) <= corner.y && corner.y < max(e.a.y, e.b.y) {
		n.above, n.beyond = beside(e.a, e.b, corner) > 0, east(e, corner)
	}
	return n
}

// between is a bit for each of the people to whom the way leads over the side, and one for each who is on its line. A bit is
// the sign of a number: nothing branches that cannot be foretold.
func (e nearEdge) between(lon, lat []int32) (odd, line uint64) {
	west, width, height := int64(e.a.x), int64(e.b.x)-int64(e.a.x), int64(e.b.y)-int64(e.a.y)
	beyond, on := sign(e.beyond), sign(e.above)
	// The turn (see side) is made negative where the way to somebody below or above the side leads over it.
	dx, dy, c := -width, -height, width*int64(e.a.y)
	if e.above {
		dx, dy, c = -dx, -dy, -c-1 // on the line it is -1 then
	}
	lat = lat[:len(lon)]
	for i := len(lon) - 1; i >= 0; i-- {
		x := int64(lon[i]) - west
		turn := dx*int64(lat[i]) - dy*x + c
		if turn == on {
			line |= 1 << (i & 63)
		}
		odd = odd<<1 | uint64(beyond^(x-width)&(beyond^turn&^x))>>63
	}
	return odd, line
}

func sign(is bool) int64 {
	if is {
		return -1
	}
	return 0
}

// Whether a corner of a box is inside must have an answer also when the corner is on a line or a vertex. So every
// point asked about here stands for one that is moved to the east by a distance smaller than any other, and to the north
// by one smaller than that: it is on no line, and all answers fit together.

// beside is the side of the moved p from the way a to b: never 0 for a ≠ b.
func beside(a, b, p coord) int {
	if s := side(a, b, p); s != 0 {
		return s
	}
	switch {
	case b.y > a.y:
		return -1
	case b.y < a.y:
		return 1
	case b.x > a.x:
		return 1
	}
	return -1
}

// east tells whether e is crossed on the way from the moved p to the east.
func east(e edge, p coord) bool {
	if (e.a.y <= p.y) == (e.b.y <= p.y) {
		return false
	}
	return (beside(e.a, e.b, p) > 0) == (e.a.y < e.b.y)
}

// crossed tells whether e is crossed an odd number of times on the way from p to q: east or west first, then north or
// south.
func (e edge) crossed(p, q coord) (odd bool) {
	across, along := (e.a.y <= p.y) != (e.b.y <= p.y), (e.a.x <= q.x) != (e.b.x <= q.x)
	if !across && !along {
		return false
	}
	at := beside(e.a, e.b, coord{q.x, p.y})
	if across && beside(e.a, e.b, p) != at {
		odd = !odd
	}
	if along && beside(e.a, e.b, q) != at {
		odd = !odd
	}
	return odd
}

// take chooses all of a group.
func (f *finder) take(q group) {
	from := q.number<<(2*q.level) - f.first
	to := min(from+1<<(2*q.level), len(f.gathering.lon)-f.first)
	for ; from < to && from&63 != 0; from++ {
		f.chosen[from>>6] |= 1 << (from & 63)
	}
	for ; from+64 <= to; from += 64 {
		f.chosen[from>>6] = ^uint64(0)
	}
	for ; from < to; from++ {
		f.chosen[from>>6] |= 1 << (from & 63)
	}
}
