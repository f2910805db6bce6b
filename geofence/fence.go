package geofence

import (
	"slices"
	"sync"

	"tocsin/warning"
)

// Fences finds the areas around positions: an index over many areas by id that grows and shrinks by one area at a time.
// It is a tree of squares over the whole world. An area stands in the squares that it covers wholly, each as large as can be,
// and in small squares at its line together with the few sides that matter there. It is safe for concurrent use.
type Fences struct {
	limits Limits

	mu   sync.RWMutex // guards what follows
	root fenceNode
	all  map[string][]*shape
}

// fenceNode is one square of the tree.
type fenceNode struct {
	parts []fencePart
	below *[16]fenceNode // its sixteenths, see box.part; nil: none
}

// fencePart is what one area has in a square. Without sides it covers all of the square.
type fencePart struct {
	id     string
	sides  []edge
	inside bool // whether the square's lowest corner is (see beside)
}

const (
	fewSides    = 8    // are cheaper to look at than to divide the square again
	leastSquare = 1024 // sides of a square that is divided, in units of 10^-7 degree: ten metres
)

// world holds every position, and rootSquare is the root's square, whose sides are powers of two so that the bits of a position
// are its way down the tree. It is twice as wide as it is high: see side.
var (
	world      = box{coord{-dateLine, -pole}, coord{dateLine, pole}}
	rootSquare = box{coord{-1 << 31, -1 << 30}, coord{1<<31 - 1, 1<<30 - 1}}
)

// NewFences is an index without areas; limits are those of each.
func NewFences(l Limits) *Fences { return &Fences{limits: l, all: map[string][]*shape{}} }

// Add puts a warning's areas into the index under an id, in place of those that it had. Faulty areas are refused like
// in Resolve, and change nothing.
func (f *Fences) Add(id string, areas []warning.Area) error {
	shapes, err := shapesOf(areas, f.limits, EditionAt(latest))
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(id)
	f.all[id] = shapes
	f.each(shapes, func(n *fenceNode, p fencePart) {
		p.id, p.sides = id, slices.Clone(p.sides)
		n.parts = append(n.parts, p)
	})
	return nil
}

// Remove takes the areas of an id out. An id that has none is no fault.
func (f *Fences) Remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(id)
}

func (f *Fences) remove(id string) {
	f.each(f.all[id], func(n *fenceNode, _ fencePart) {
		n.parts = slices.DeleteFunc(n.parts, func(p fencePart) bool { return p.id == id })
	})
	delete(f.all, id)
}

// Inside calls yield with the index of each position (units of 10^-7 degree) and each id whose areas it is in, boundaries
// closed; more than once where areas of one id lie over each other. Areas come and go between calls only.
func (f *Fences) Inside(lon, lat []int32, yield func(i int, id string)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for i, x := range lon {
		p := coord{x, lat[i]}
		if !world.has(p) {
			continue
		}
		for n, depth := &f.root, 0; ; depth++ {
			for k := range n.parts {
				if n.parts[k].holds(p.corner(depth), p) {
					yield(i, n.parts[k].id)
				}
			}
			if n.below == nil {
				break
			}
			n = &n.below[p.part(depth)]
		}
	}
}

// holds tells whether the area has p, which lies in the square with this lowest corner.
func (a *fencePart) holds(low, p coord) bool {
	if len(a.sides) == 0 {
		return true
	}
	in := a.inside
	for i := range a.sides {
		e := &a.sides[i]
		if e.touches(p) {
			return true
		}
		if e.crossed(low, p) {
			in = !in
		}
	}
	return in
}

// part is one of sixteen, row by row from the lowest corner. So many at once halve the places in memory that finding visits.
func (b box) part(n int) box {
	w, h := (uint32(b.max.x)-uint32(b.min.x))/4, (uint32(b.max.y)-uint32(b.min.y))/4 // one less than their sides
	b.min.x += int32(uint32(n&3) * (w + 1))
	b.min.y += int32(uint32(n>>2) * (h + 1))
	return box{b.min, coord{b.min.x + int32(w), b.min.y + int32(h)}}
}

// fromCorner is where p lies from the lowest corner of the root.
func (p coord) fromCorner() (x, y uint32) { return uint32(p.x) + 1<<31, uint32(p.y) + 1<<30 }

// part is which part has p, of the square at this depth that has it.
func (p coord) part(depth int) int {
	x, y := p.fromCorner()
	return int(y>>(29-2*depth)&3<<2 | x>>(30-2*depth)&3)
}

// corner is the lowest of the square at this depth that has p.
func (p coord) corner(depth int) coord {
	x, y := p.fromCorner()
	x, y = x>>(32-2*depth)<<(32-2*depth), y>>(31-2*depth)<<(31-2*depth)
	return coord{int32(x - 1<<31), int32(y - 1<<30)}
}

// each visits the squares in which shapes have a part, always in the same way, and forgets squares that are left empty.
func (f *Fences) each(shapes []*shape, visit func(*fenceNode, fencePart)) {
	for _, s := range shapes {
		part := fencePart{sides: s.tree.sides}
		for _, e := range part.sides {
			if east(e, rootSquare.min) {
				part.inside = !part.inside
			}
		}
		d := divider{visit: visit, left: dividing * (len(part.sides) + 100)}
		d.down(&f.root, rootSquare, part)
	}
}

// dividing bounds the work on one shape, in looks at a side; an outline of common form needs a third. Beyond it squares
// are not divided any more: finding takes longer then, and stays right.
const dividing = 100

// divider goes down the tree along the line of one shape.
type divider struct {
	visit func(*fenceNode, fencePart)
	left  int
	stack []edge // the sides in the squares on the way down
}

func (d *divider) down(n *fenceNode, b box, p fencePart) {
	switch {
	case len(p.sides) == 0:
		if p.inside {
			d.visit(n, p)
		}
		return
	case len(p.sides) <= fewSides || uint32(b.max.x-b.min.x) < leastSquare || d.left < 0:
		d.visit(n, p)
		return
	}
	d.left -= len(p.sides) + 4
	if n.below == nil {
		n.below = new([16]fenceNode)
	}
	empty := true
	for i := range n.below {
		q, in := b.part(i), p.inside
		mark := len(d.stack)
		for _, e := range p.sides {
			if e.crossed(b.min, q.min) {
				in = !in
			}
			if e.meets(q) {
				d.stack = append(d.stack, e)
			}
		}
		d.down(&n.below[i], q, fencePart{sides: d.stack[mark:len(d.stack):len(d.stack)], inside: in})
		d.stack = d.stack[:mark]
		empty = empty && len(n.below[i].parts) == 0 && n.below[i].below == nil
	}
	if empty {
		n.below = nil
	}
}
