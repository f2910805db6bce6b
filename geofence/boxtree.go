package geofence

import "math/bits"

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
		if b := t.boxes[2*k+1]; b != nothing() {
			t.boxes[k].join(b)
		}
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
func (t *boxTree) crossed(k int, p, q coord) bool {
	b := &t.boxes[k]
	across := b.min.y <= p.y && p.y < b.max.y && b.min.x <= max(p.x, q.x) && b.max.x >= min(p.x, q.x)
	along := b.min.x <= q.x && q.x < b.max.x && b.min.y <= max(p.y, q.y) && b.max.y >= min(p.y, q.y)
	switch {
	case !across && !along:
		return false
	case k >= t.leaves:
		return t.sides[k-t.leaves].crossed(p, q)
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

// meeting appends the nodes under k that meet r, none of them much larger than it.
func (t *boxTree) meeting(out []int32, k int, r box) []int32 {
	b := &t.boxes[k]
	switch {
	case !b.meets(r):
		return out
	case k >= t.leaves:
		if !t.sides[k-t.leaves].meets(r) {
			return out
		}
	case b.width() > r.width() || b.height() > r.height():
		return t.meeting(t.meeting(out, 2*k, r), 2*k+1, r)
	}
	return append(out, int32(k))
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
