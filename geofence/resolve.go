package geofence

import (
	"math/bits"
	"sort"
	"sync"

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

// choose finds who is inside the shapes. Ranges of the directory are looked at side by side.
func (s *Snapshot) choose(shapes []*shape) (warning.Selection, error) {
	chosen := make([]uint64, s.Blocks()*len(warning.Mask{}))
	finders := make([]finder, 1+min(s.Blocks()/blocksTogether, rangesAtMost-1)) // not by the machine, since what is too much work must not be
	var wg sync.WaitGroup
	for i := range finders {
		f := &finders[i]
		*f = finder{s: s, chosen: chosen, left: s.limits.Work,
			from: s.Blocks() * i / len(finders) * warning.BlockSize, to: min(s.People(), s.Blocks()*(i+1)/len(finders)*warning.BlockSize)}
		wg.Go(func() {
			for _, shape := range shapes {
				f.find(shape)
			}
		})
	}
	wg.Wait()
	left := s.limits.Work
	for i := range finders {
		left -= s.limits.Work - finders[i].left
	}
	if left < 0 {
		return warning.Selection{}, warning.Invalid(warning.Violation{Field: "areas", Rule: "area.limit.work",
			Detail: "the areas are too intricate for so many people", Remedy: "simplify the outlines"})
	}
	return s.selection(chosen), nil
}

// Into how many ranges the directory is cut, and how large they are at least.
const (
	rangesAtMost   = 4
	blocksTogether = 16
)

// finder finds people by going down the quadtree that the order of the snapshot is: a square that no side of the shape
// meets is chosen or not as a whole, and only people in small squares at the line are looked at one by one.
type finder struct {
	s        *Snapshot
	from, to int        // the rows that it looks at
	chosen   []uint64   // bit i is row i
	left     int64      // steps of work that are left
	tree     *boxTree   // of the shape that is looked in
	stack    []int32    // its nodes in the squares on the way down
	near     []nearEdge // the sides in a small square
}

// square is a node of the quadtree: the keys that begin with the bits of key above 2·level, and its rows.
type square struct {
	key      uint64
	level    int  // its side is 2^level
	from, to int  // rows
	box      box  // cut to the box of the snapshot
	inside   bool // whether its lowest corner is (see side of a corner that is on a line: besideOf)
}

// fewTests is how many exact tests of a person against a side are cheaper than halving the square again.
const fewTests = 256

func (f *finder) find(shape *shape) {
	s := f.s
	if s.People() == 0 || !shape.box.meets(s.box) {
		return
	}
	// The smallest square around all of the shape that can hold anybody.
	low := coord{max(shape.box.min.x, s.box.min.x), max(shape.box.min.y, s.box.min.y)}
	high := coord{min(shape.box.max.x, s.box.max.x), min(shape.box.max.y, s.box.max.y)}
	key := morton(low.x, low.y)
	root := square{level: (bits.Len64(key^morton(high.x, high.y)) + 1) / 2, from: f.from}
	if root.key = key >> (2 * root.level) << (2 * root.level); root.key > 0 {
		root.from = f.rowAfter(f.from, f.to, root.key-1)
	}
	root.to = f.rowAfter(root.from, f.to, root.key+(1<<(2*root.level)-1))
	if root.from == root.to {
		return
	}
	root.box = squareBox(root.key, root.level, s.box)
	f.tree = shape.tree
	root.inside = f.tree.east(1, root.box.min)
	f.stack = append(f.stack[:0], 1)
	f.down(root, f.stack)
}

// squareBox is the part of a square that lies in within.
func squareBox(key uint64, level int, within box) box {
	low := unmorton(key)
	size := uint32(1<<level - 1)
	return box{
		coord{max(low.x, within.min.x), max(low.y, within.min.y)},
		coord{min(int32(uint32(low.x)+size), within.max.x), min(int32(uint32(low.y)+size), within.max.y)},
	}
}

// down looks at a square that the sides under these nodes may meet, and no others.
func (f *finder) down(q square, nodes []int32) {
	sides := 0
	for _, k := range nodes {
		from, to := f.tree.under(int(k))
		sides += to - from
	}
	if f.left -= 8 * int64(sides+1); f.left < 0 { // each side is compared with four squares at most
		return
	}
	switch {
	case sides == 0:
		if q.inside {
			f.take(q.from, q.to)
		}
		return
	case (q.to-q.from)*sides <= fewTests || q.level == 0:
		f.left -= int64((q.to - q.from) * sides)
		f.near = f.near[:0]
		for _, k := range nodes {
			from, to := f.tree.under(int(k))
			for _, e := range f.tree.sides[from:to] {
				f.near = append(f.near, nearOf(e, q.box.min))
			}
		}
		c := &f.s.columns
		for i := q.from; i < q.to; i++ {
			if q.holds(f.near, coord{c.Lon[i], c.Lat[i]}) {
				f.chosen[i>>6] |= 1 << (i & 63)
			}
		}
		return
	}
	from := q.from
	for n := range uint64(4) {
		child := square{key: q.key + n<<(2*(q.level-1)), level: q.level - 1, from: from, to: q.to}
		if n < 3 {
			child.to = f.rowAfter(from, q.to, child.key+(1<<(2*child.level)-1))
		}
		from = child.to
		if child.from == child.to {
			continue
		}
		child.box = squareBox(child.key, child.level, q.box)
		child.inside = q.inside
		mark := len(f.stack)
		for _, k := range nodes {
			if n > 0 && f.tree.crossed(int(k), q.box.min, child.box.min) {
				child.inside = !child.inside
			}
			f.stack = f.tree.meeting(f.stack, int(k), child.box)
		}
		f.down(child, f.stack[mark:len(f.stack):len(f.stack)])
		f.stack = f.stack[:mark]
	}
}

// rowAfter is the first row in from to to whose key is above last. It finds the block first, by keys that lie together.
func (f *finder) rowAfter(from, to int, last uint64) int {
	if from == to {
		return from
	}
	first := from / warning.BlockSize
	block := first + sort.Search((to-1)/warning.BlockSize-first, func(i int) bool { return f.s.firsts[first+1+i] > last })
	from, to = max(from, block*warning.BlockSize), min(to, (block+1)*warning.BlockSize)
	c := &f.s.columns
	return from + sort.Search(to-from, func(i int) bool { return morton(c.Lon[from+i], c.Lat[from+i]) > last })
}

// nearEdge is a side as it is seen from the lowest corner of a small square: from there the way to somebody in the square
// leads to the east, and then to the north.
type nearEdge struct {
	a, b      coord // a is not to the east of b
	low, high int32 // latitudes
	beyond    bool  // on the way to the east, the corner comes to it: whoever is to the east of all of it is behind it
	above     bool  // where its longitudes are, the way to the east leads above it
}

func nearOf(e edge, corner coord) nearEdge {
	if e.b.less(e.a) {
		e.a, e.b = e.b, e.a
	}
	n := nearEdge{a: e.a, b: e.b, low: min(e.a.y, e.b.y), high: max(e.a.y, e.b.y), above: e.a.y <= corner.y}
	if n.low <= corner.y && corner.y < n.high {
		n.above, n.beyond = beside(e.a, e.b, corner) > 0, east(e, corner)
	}
	return n
}

// holds tells whether p, which lies in the square, is in the shape; edges are those that meet the square. Most sides need
// no more than a look at their ends.
func (q *square) holds(edges []nearEdge, p coord) bool {
	in := q.inside
	for i := range edges {
		e := &edges[i]
		switch {
		case p.x < e.a.x:
			continue
		case p.x >= e.b.x:
			if p == e.b || p.x == e.a.x && e.low <= p.y && p.y <= e.high {
				return true
			}
			in = in != e.beyond
			continue
		}
		above := p.y > e.high
		if !above && p.y >= e.low {
			turn := side(e.a, e.b, p)
			if turn == 0 {
				return true
			}
			above = turn > 0
		}
		in = in != (above != e.above)
	}
	return in
}

// Whether a corner of a square is inside must have an answer also when the corner is on a line or a vertex. So every
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

// take chooses the rows from to to.
func (f *finder) take(from, to int) {
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

// selection is the chosen rows by block.
func (s *Snapshot) selection(chosen []uint64) warning.Selection {
	sel := warning.Selection{Snapshot: s.id}
	for b := range s.Blocks() {
		m := (*warning.Mask)(chosen[b*len(warning.Mask{}):])
		if *m != (warning.Mask{}) {
			sel.Blocks = append(sel.Blocks, uint32(b))
			sel.Masks = append(sel.Masks, *m)
		}
	}
	return sel
}
