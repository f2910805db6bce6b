package geofence

import "math/bits"

// bunch is how many sides are looked at one after the other sooner than by their boxes.
const bunch = 8

// boxTree is boxes around the sides of an area in their order: node 1 is around all, 2k and 2k+1 are around the halves of
// k, and node leaves+i is around side i. Sides that follow each other lie near each other, so the boxes are small.
type boxTree struct {
	sides  []edge
	boxes  []box
	ways   []way // where the sides under a node lead
	leaves int
}

// newBoxTree makes the tree of sides; starts tells which of them begin a ring.
func newBoxTree(sides []edge, starts func(i int) bool) *boxTree {
	t := &boxTree{sides: sides, leaves: 1 << bits.Len(uint(len(sides)-1))}
	t.boxes, t.ways = make([]box, 2*t.leaves), make([]way, 2*t.leaves)
	for i := range t.leaves {
		if i >= len(sides) {
			t.boxes[t.leaves+i] = nothing()
			continue
		}
		t.boxes[t.leaves+i], t.ways[t.leaves+i] = sides[i].box(), sides[i].way()
		if starts(i) {
			t.ways[t.leaves+i] |= begins
		}
	}
	for k := t.leaves - 1; k > 0; k-- {
		t.boxes[k] = t.boxes[2*k]
		t.boxes[k].join(t.boxes[2*k+1])
		t.ways[k] = t.ways[2*k] | t.ways[2*k+1]
	}
	return t
}

// under is the first side under node k, and the first behind them.
func (t *boxTree) under(k int) (from, to int) {
	below := bits.Len(uint(t.leaves)) - bits.Len(uint(k))
	from = k<<below - t.leaves
	return from, min(from+1<<below, len(t.sides))
}

// crossed tells whether an odd number of the sides under node k is crossed on the way from p to q (see crossed).
func (t *boxTree) crossed(k int, p, q coord) (odd bool) {
	b := &t.boxes[k]
	across := b.min.y <= p.y && p.y < b.max.y && b.min.x <= max(p.x, q.x) && b.max.x >= min(p.x, q.x)
	along := b.min.x <= q.x && q.x < b.max.x && b.min.y <= max(p.y, q.y) && b.max.y >= min(p.y, q.y)
	switch {
	case !across && !along:
		return false
	case k >= t.leaves/bunch:
		from, to := t.under(k)
		for _, e := range t.sides[from:to] {
			if e.crossed(p, q) {
				odd = !odd
			}
		}
		return odd
	}
	return t.crossed(2*k, p, q) != t.crossed(2*k+1, p, q)
}

// east tells whether an odd number of the sides under node k is crossed on the way from p to the east.
func (t *boxTree) east(k int, p coord) bool {
	b := &t.boxes[k]
	switch {
	case p.y < b.min.y || p.y >= b.max.y || p.x > b.max.x:
		return false
	case k >= t.leaves:
		return east(t.sides[k-t.leaves], p)
	}
	return t.east(2*k, p) != t.east(2*k+1, p)
}

// touches tells whether p lies on one of the sides under node k.
func (t *boxTree) touches(k int, p coord) bool {
	switch {
	case !t.boxes[k].has(p):
		return false
	case k >= t.leaves:
		return t.sides[k-t.leaves].touches(p)
	}
	return t.touches(2*k, p) || t.touches(2*k+1, p)
}

// enter appends the nodes under k that meet r, none of them much larger than it, and tells whether an odd number of the
// sides under k is crossed on the way from p to the lowest corner of r, which is not to the west nor to the south of p.
func (t *boxTree) enter(out []int32, k int, p coord, r *box) (_ []int32, odd bool) {
	b := &t.boxes[k]
	if b.min.x > r.max.x || b.min.y > r.max.y {
		return out, false
	}
	meets := b.max.x >= r.min.x && b.max.y >= r.min.y
	crossed := b.min.y <= p.y && p.y < b.max.y && b.min.x <= r.min.x && b.max.x >= p.x ||
		b.min.x <= r.min.x && r.min.x < b.max.x && b.min.y <= r.min.y && b.max.y >= p.y
	switch {
	case !meets && !crossed:
		return out, false
	case meets && b.width() <= r.width() && b.height() <= r.height():
		return append(out, int32(k)), crossed && t.crossed(k, p, r.min)
	case k >= t.leaves/bunch:
		from, to := t.under(k)
		for i, e := range t.sides[from:to] {
			if crossed && e.crossed(p, r.min) {
				odd = !odd
			}
			if meets && e.meets(*r) {
				out = append(out, int32(t.leaves+from+i))
			}
		}
		return out, odd
	}
	out, odd = t.enter(out, 2*k, p, r)
	out, also := t.enter(out, 2*k+1, p, r)
	return out, odd != also
}

func (b *box) width() int64  { return int64(b.max.x) - int64(b.min.x) }
func (b *box) height() int64 { return int64(b.max.y) - int64(b.min.y) }

// way is a set of directions.
type way uint8

const (
	toEast way = 1 << iota
	toWest
	toNorth
	toSouth
	onMeridian // neither to the east nor to the west
	onParallel
	begins // a ring
)

func (e edge) way() way {
	w := onMeridian
	switch {
	case e.a.x < e.b.x:
		w = toEast
	case e.a.x > e.b.x:
		w = toWest
	}
	switch {
	case e.a.y < e.b.y:
		return w | toNorth
	case e.a.y > e.b.y:
		return w | toSouth
	}
	return w | onParallel
}

// straight tells whether sides that lead in these directions are one line that cannot come back to where it was.
func (w way) straight() bool {
	x, y := w&(toEast|toWest|onMeridian), w&(toNorth|toSouth|onParallel)
	return w&begins == 0 && (x == toEast || x == toWest || y == toNorth || y == toSouth)
}
