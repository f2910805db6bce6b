package geofence

import (
	"sort"

	"tocsin/warning"
)

// Resolve finds who is inside the areas by their position, each person once, boundaries closed. Areas that are missing
// or faulty are refused with a *warning.Error that names every fault; an area without people is not a fault.
func (s *Snapshot) Resolve(areas []warning.Area) (warning.Selection, error) {
	shapes, err := shapesOf(areas, s.limits, s.edition)
	if err != nil {
		return warning.Selection{}, err
	}
	sel, err := s.choose(shapes)
	if err == nil {
		sel.Share = s.edition.share(shapes)
	}
	return sel, err
}

// choose finds who is inside the shapes.
func (s *Snapshot) choose(shapes []*shape) (warning.Selection, error) {
	f := finder{s: s, chosen: make([]uint64, s.Blocks()*len(warning.Mask{})), left: s.limits.Work}
	for _, shape := range shapes {
		f.find(shape)
	}
	if f.left < 0 {
		return warning.Selection{}, warning.Invalid(warning.Violation{Field: "areas", Rule: "area.limit.work",
			Detail: "the areas are too intricate for so many people", Remedy: "simplify the outlines"})
	}
	return f.selection(), nil
}

// finder finds people by going down the quadtree that the order of the snapshot is: a square that no side of the shape
// meets is chosen or not as a whole, and only people in small squares at the line are looked at one by one.
type finder struct {
	s      *Snapshot
	chosen []uint64 // bit i is row i
	left   int64    // steps of work that are left
	stack  []edge   // the sides in the squares on the way down
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
	root := square{level: 32, to: s.People(), box: s.box}
	for _, e := range shape.edges {
		if east(e, root.box.min) {
			root.inside = !root.inside
		}
	}
	f.stack = f.stack[:0]
	f.down(root, shape.edges)
}

func (f *finder) down(q square, edges []edge) {
	if f.left -= 8 * int64(len(edges)+1); f.left < 0 { // each side is compared with four squares
		return
	}
	switch {
	case len(edges) == 0:
		if q.inside {
			f.take(q.from, q.to)
		}
		return
	case (q.to-q.from)*len(edges) <= fewTests || q.level == 0:
		f.left -= int64((q.to - q.from) * len(edges))
		c := &f.s.columns
		for i := q.from; i < q.to; i++ {
			if q.holds(edges, coord{c.Lon[i], c.Lat[i]}) {
				f.chosen[i>>6] |= 1 << (i & 63)
			}
		}
		return
	}
	from := q.from
	for n := range uint64(4) {
		child := square{key: q.key + n<<(2*(q.level-1)), level: q.level - 1, from: from, to: q.to}
		if n < 3 {
			child.to = f.rowOf(from, q.to, q.key+(n+1)<<(2*(q.level-1)))
		}
		from = child.to
		if child.from == child.to {
			continue
		}
		low := unmorton(child.key)
		size := uint32(1)<<child.level - 1
		child.box = box{
			coord{max(low.x, q.box.min.x), max(low.y, q.box.min.y)},
			coord{min(int32(uint32(low.x)+size), q.box.max.x), min(int32(uint32(low.y)+size), q.box.max.y)},
		}
		child.inside = q.inside != crossed(edges, q.box.min, child.box.min)
		mark := len(f.stack)
		for _, e := range edges {
			if e.meets(child.box) {
				f.stack = append(f.stack, e)
			}
		}
		f.down(child, f.stack[mark:len(f.stack):len(f.stack)])
		f.stack = f.stack[:mark]
	}
}

// rowOf is the first row in from to to whose key is not below key.
func (f *finder) rowOf(from, to int, key uint64) int {
	c := &f.s.columns
	return from + sort.Search(to-from, func(i int) bool { return morton(c.Lon[from+i], c.Lat[from+i]) >= key })
}

// holds tells whether p, which lies in the square, is in the shape; edges are those that meet the square.
func (q *square) holds(edges []edge, p coord) bool {
	for _, e := range edges {
		if e.touches(p) {
			return true
		}
	}
	return q.inside != crossed(edges, q.box.min, p)
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

// crossed tells whether an odd number of sides is crossed on the way from p to q: east or west first, then north or
// south.
func crossed(edges []edge, p, q coord) (odd bool) {
	turn := coord{q.x, p.y}
	for _, e := range edges {
		across, along := (e.a.y <= p.y) != (e.b.y <= p.y), (e.a.x <= q.x) != (e.b.x <= q.x)
		if !across && !along {
			continue
		}
		at := beside(e.a, e.b, turn)
		if across && beside(e.a, e.b, p) != at {
			odd = !odd
		}
		if along && beside(e.a, e.b, q) != at {
			odd = !odd
		}
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
func (f *finder) selection() warning.Selection {
	sel := warning.Selection{Snapshot: f.s.id}
	for b := range f.s.Blocks() {
		m := (*warning.Mask)(f.chosen[b*len(warning.Mask{}):])
		if *m != (warning.Mask{}) {
			sel.Blocks = append(sel.Blocks, uint32(b))
			sel.Masks = append(sel.Masks, *m)
		}
	}
	return sel
}
