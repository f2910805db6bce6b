package geofence

import (
	"cmp"
	"fmt"
	"slices"
)

// nest is the rings of one area while it is decided whether they are a sound surface: no ring meets itself, rings of
// one area meet in single points only and do not cross there, holes lie in their shell and beside each other, the
// inside of a part hangs together, and parts do not overlap (OGC Simple Features 06-103r4, sections 6.1.11 and 6.1.14).
type nest struct {
	c     *checker
	field string
	rings []nestedRing
	sides []edge  // of all rings, one after the other
	owner []int32 // the ring of each side
	tree  *boxTree

	touches map[touch]struct{}   // where a ring touches another
	seen    map[meeting]struct{} // faults told already
}

type nestedRing struct {
	ring  ring
	part  int
	path  string
	first int // index of its first side
	box   box
}

// touch is a point that a ring has in common with another ring.
type touch struct {
	ring int32
	at   coord
}

// meeting is where two rings meet that must not; a ≤ b.
type meeting struct {
	a, b int32
	at   coord
}

// newNest is a nest without rings, with room for so many sides.
func newNest(c *checker, field string, sides int) *nest {
	return &nest{c: c, field: field, sides: make([]edge, 0, sides), owner: make([]int32, 0, sides), touches: map[touch]struct{}{}, seen: map[meeting]struct{}{}}
}

// add takes the next ring; the first of a part is its shell.
func (n *nest) add(part int, path string, r ring) {
	nr := nestedRing{ring: r, part: part, path: path, first: len(n.sides), box: nothing()}
	for e := range r.edges {
		n.sides = append(n.sides, e)
		n.owner = append(n.owner, int32(len(n.rings)))
		nr.box.add(e.a)
	}
	n.rings = append(n.rings, nr)
}

// check names the faults of the first kind that it finds; later kinds mean nothing while earlier ones are there.
func (n *nest) check() {
	before := len(n.c.faults)
	n.tree = newBoxTree(n.sides, func(i int) bool { return n.rings[n.owner[i]].first == i })
	if !n.clear() {
		n.sweep()
	}
	for _, step := range []func(){n.connected, n.holes, n.parts} {
		if len(n.c.faults) > before {
			return
		}
		step()
	}
}

// spend counts work and tells whether there is any left; it names the fault when it has just run out.
func (c *checker) spend(field string, steps int) bool {
	spent := c.work.Add(int64(steps))
	if spent > c.limits.Work && spent-int64(steps) <= c.limits.Work {
		c.fault(field, "area.limit.work", "simplify the outline", "the area is too intricate to be checked")
	}
	return spent <= c.limits.Work
}

// compare finds out whether two sides meet where they must not. It may see the same two more than once.
func (n *nest) compare(i, j int32) {
	if i > j {
		i, j = j, i
	}
	s, t := n.sides[i], n.sides[j]
	if !s.box().meets(t.box()) {
		return
	}
	if n.neighbours(i, j) {
		return // neighbours share a corner; that they do not turn back on each other is known
	}
	a, b := side(t.a, t.b, s.a), side(t.a, t.b, s.b)
	c, d := side(s.a, s.b, t.a), side(s.a, s.b, t.b)
	switch {
	case a == 0 && b == 0: // on one line
		from, to := later(earlier(s.a, s.b), earlier(t.a, t.b)), earlier(later(s.a, s.b), later(t.a, t.b))
		if from.less(to) {
			n.meet(n.owner[i], n.owner[j], from, "have a line in common at")
		} else if from == to {
			n.touch(i, j, from)
		}
	case a*b < 0 && c*d < 0:
		n.meet(n.owner[i], n.owner[j], crossing(s, t), "cross at")
	case a == 0 && t.box().has(s.a):
		n.touch(i, j, s.a)
	case b == 0 && t.box().has(s.b):
		n.touch(i, j, s.b)
	case c == 0 && s.box().has(t.a):
		n.touch(i, j, t.a)
	case d == 0 && s.box().has(t.b):
		n.touch(i, j, t.b)
	}
}

func earlier(a, b coord) coord {
	if b.less(a) {
		return b
	}
	return a
}

func later(a, b coord) coord {
	if a.less(b) {
		return b
	}
	return a
}

// crossing is where two sides cross, rounded: it is only shown.
func crossing(s, t edge) coord {
	ux, uy := float64(s.b.x)-float64(s.a.x), float64(s.b.y)-float64(s.a.y)
	vx, vy := float64(t.b.x)-float64(t.a.x), float64(t.b.y)-float64(t.a.y)
	k := ((float64(t.a.x)-float64(s.a.x))*vy - (float64(t.a.y)-float64(s.a.y))*vx) / (ux*vy - uy*vx)
	return coord{int32(float64(s.a.x) + k*ux), int32(float64(s.a.y) + k*uy)}
}

// meet names the fault of two rings (or one with itself) that meet at p.
func (n *nest) meet(a, b int32, p coord, how string) {
	key := meeting{min(a, b), max(a, b), p}
	if _, told := n.seen[key]; told {
		return
	}
	n.seen[key] = struct{}{}
	r, s := &n.rings[key.a], &n.rings[key.b]
	switch {
	case a == b:
		n.c.fault(r.path, "area.ring.crossing", "draw the ring so that it does not meet itself", "sides of the ring %s %v", how, p)
	case r.part != s.part:
		n.c.fault(s.path, "area.part.overlap", "merge the parts, or give them as areas of their own", "it and %s %s %v", r.path, how, p)
	default:
		n.c.fault(s.path, "area.hole.crossing", "keep the hole inside its shell and clear of other holes", "it and %s %s %v", r.path, how, p)
	}
}

// touch takes note of a point that two sides have in common and finds out whether the rings cross there.
func (n *nest) touch(i, j int32, p coord) {
	a, b := n.owner[i], n.owner[j]
	if a == b {
		n.meet(a, b, p, "touch at")
		return
	}
	a0, a1 := n.around(i, p)
	b0, b1 := n.around(j, p)
	if leftOf(a0, p, a1, b0) != leftOf(a0, p, a1, b1) {
		n.meet(a, b, p, "cross at")
		return
	}
	n.touches[touch{a, p}] = struct{}{}
	n.touches[touch{b, p}] = struct{}{}
}

// around is where the ring of side i comes from and goes to at its point p.
func (n *nest) around(i int32, p coord) (from, to coord) {
	s, r := n.sides[i], &n.rings[n.owner[i]]
	k, size := int(i)-r.first, len(r.ring)
	switch p {
	case s.a:
		return r.ring[(k+size-1)%size], s.b
	case s.b:
		return s.a, r.ring[(k+2)%size]
	}
	return s.a, s.b
}

// leftOf tells whether q, seen from p, lies to the left of the way from a over p to b. Where q lies on that way the rings
// have a line in common, and that fault is found elsewhere.
func leftOf(a, p, b, q coord) bool {
	switch turn := side(a, p, b); {
	case turn > 0:
		return side(a, p, q) > 0 && side(p, b, q) > 0
	case turn < 0:
		return side(a, p, q) > 0 || side(p, b, q) > 0
	}
	return side(a, p, q) > 0
}

// connected finds parts whose inside is cut in two: rings and the points where they touch form a net, and where the
// net has a mesh, the mesh encloses a piece.
func (n *nest) connected() {
	type point struct {
		part int
		at   coord
	}
	ids := map[point]int{}
	root := make([]int, len(n.rings))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	for t := range n.touches {
		key := point{n.rings[t.ring].part, t.at}
		id, ok := ids[key]
		if !ok {
			id = len(root)
			ids[key] = id
			root = append(root, id)
		}
		r, p := find(int(t.ring)), find(id)
		if r == p {
			n.c.fault(fmt.Sprintf("%s.parts[%d]", n.field, key.part), "area.part.split", "give the pieces as parts of their own",
				"holes that touch each other or the shell (at %v, for one) cut the part in pieces", t.at)
			return
		}
		root[r] = p
	}
}

// holes finds holes outside their shell and holes in holes. A hole touches another ring at most once by now, so one of
// any two of its corners is clear of it.
func (n *nest) holes() {
	shell := -1
	for i := range n.rings {
		h := &n.rings[i]
		if shell < 0 || n.rings[shell].part != h.part {
			shell = i
			continue
		}
		if n.corner(i, shell) != inside {
			n.c.fault(h.path, "area.hole.outside", "put the hole inside its shell, or make it a part of its own", "the hole at %v lies outside its shell", h.ring[0])
		}
		for j := shell + 1; j < i; j++ {
			o := &n.rings[j]
			if !n.c.spend(n.field, 1) {
				return
			}
			if h.box.meets(o.box) && (n.corner(i, j) == inside || n.corner(j, i) == inside) {
				n.c.fault(h.path, "area.hole.nested", "leave out the inner hole, or make it a part", "the hole at %v and %s lie in each other", h.ring[0], o.path)
			}
		}
	}
}

// parts finds parts that lie in each other.
func (n *nest) parts() {
	type part struct {
		shell  *nestedRing
		number int
		shape  *shape
	}
	var parts []part
	for i := 0; i < len(n.rings); {
		first := i
		p := part{shell: &n.rings[first], number: n.rings[first].part}
		for ; i < len(n.rings) && n.rings[i].part == p.number; i++ {
		}
		p.shape = n.shape(first, i)
		parts = append(parts, p)
	}
	// From west to east, so that only parts whose boxes can meet are looked at.
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.shape.box.min.x, b.shape.box.min.x) })
	for i, p := range parts {
		for _, q := range parts[:i] {
			if !n.c.spend(n.field, 1) {
				return
			}
			if p.shape.box.meets(q.shape.box) && (n.within(p.shell.ring, q.shape) || n.within(q.shell.ring, p.shape)) {
				n.c.fault(p.shell.path, "area.part.overlap", "merge the parts, or give them as areas of their own", "the part at %v and parts[%d] overlap", p.shell.ring[0], q.number)
			}
		}
	}
}

// shape is the surface of the rings from to to.
func (n *nest) shape(from, to int) *shape {
	last := &n.rings[to-1]
	s := &shape{edges: n.sides[n.rings[from].first : last.first+len(last.ring)], box: nothing()}
	for i := range n.rings[from:to] {
		s.box.join(n.rings[from+i].box)
	}
	return s
}

// corner tells where the first corner of ring r that is not on the line of ring o lies.
func (n *nest) corner(r, o int) where {
	s := n.shape(o, o+1)
	for _, c := range n.rings[r].ring[:2] {
		if n.c.spend(n.field, len(s.edges)) {
			if w := s.locate(c); w != onLine {
				return w
			}
		}
	}
	return outside
}

// within tells whether the ring, which does not cross s, runs in its inside. Where all its corners lie on the line the
// middles of its sides decide; where those do too, it counts as within: refused rather than guessed.
func (n *nest) within(r ring, s *shape) bool {
	for _, p := range r {
		if !n.c.spend(n.field, len(s.edges)) {
			return false
		}
		if w := s.locate(p); w != onLine {
			return w == inside
		}
	}
	for e := range r.edges {
		if !n.c.spend(n.field, len(s.edges)) {
			return false
		}
		if w := s.locateDoubled(int64(e.a.x)+int64(e.b.x), int64(e.a.y)+int64(e.b.y)); w != onLine {
			return w == inside
		}
	}
	return true
}

// locateDoubled is locate for a point whose coordinates are doubled, so that the middle of a side is a whole number.
func (s *shape) locateDoubled(x, y int64) where {
	odd := false
	for _, e := range s.edges {
		ax, ay, bx, by := 2*int64(e.a.x), 2*int64(e.a.y), 2*int64(e.b.x), 2*int64(e.b.y)
		turn := compareProducts(bx-ax, y-ay, by-ay, x-ax)
		if turn == 0 && min(ax, bx) <= x && x <= max(ax, bx) && min(ay, by) <= y && y <= max(ay, by) {
			return onLine
		}
		if (ay <= y) != (by <= y) && (turn > 0) == (ay < by) {
			odd = !odd
		}
	}
	if odd {
		return inside
	}
	return outside
}
