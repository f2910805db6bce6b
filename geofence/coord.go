package geofence

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
)

// scale is the number of coordinate units in a degree.
const scale = 1e7

// coord is a position in units of 10^-7 degree, WGS-84: x is longitude, y is latitude.
type coord struct{ x, y int32 }

func (c coord) String() string {
	return fmt.Sprintf("%.7f,%.7f", float64(c.x)/scale, float64(c.y)/scale)
}

// less orders coordinates by longitude, then latitude.
func (c coord) less(d coord) bool { return c.x < d.x || c.x == d.x && c.y < d.y }

// inRange tells whether x and y can be a longitude and a latitude.
func inRange(x, y int32) bool {
	return world.has(coord{x, y})
}

// E7 is degrees in units of 10^-7 degree, rounded to the nearest; false when the value is not a longitude (|d| ≤ 180).
func E7(degrees float64) (int32, bool) {
	if !(math.Abs(degrees) <= 180) { // NaN fails too
		return 0, false
	}
	return int32(math.Round(degrees * scale)), true
}

// box is a closed rectangle.
type box struct{ min, max coord }

// nothing is the box that holds no point and grows by add.
func nothing() box {
	return box{coord{math.MaxInt32, math.MaxInt32}, coord{math.MinInt32, math.MinInt32}}
}

func (b *box) add(c coord) {
	b.min.x, b.min.y = min(b.min.x, c.x), min(b.min.y, c.y)
	b.max.x, b.max.y = max(b.max.x, c.x), max(b.max.y, c.y)
}

func (b *box) join(o box) {
	b.min.x, b.min.y = min(b.min.x, o.min.x), min(b.min.y, o.min.y)
	b.max.x, b.max.y = max(b.max.x, o.max.x), max(b.max.y, o.max.y)
}

func (b box) has(c coord) bool {
	return b.min.x <= c.x && c.x <= b.max.x && b.min.y <= c.y && c.y <= b.max.y
}

func (b box) meets(o box) bool {
	return b.min.x <= o.max.x && o.min.x <= b.max.x && b.min.y <= o.max.y && o.min.y <= b.max.y
}

// edge is one side of a ring.
type edge struct{ a, b coord }

func (e edge) box() box {
	b := box{e.a, e.a}
	b.add(e.b)
	return b
}

// side is the sign of the turn from a over b to p: 1 left, -1 right, 0 on the line. Within the range of longitudes and
// latitudes a difference is below 2^32 and 2^31, so each product fits in 63 bits; comparing the two products instead of
// subtracting them keeps the answer exact.
func side(a, b, p coord) int {
	return cmp.Compare(
		(int64(b.x)-int64(a.x))*(int64(p.y)-int64(a.y)),
		(int64(b.y)-int64(a.y))*(int64(p.x)-int64(a.x)))
}

// touches tells whether p lies on e, ends included.
func (e edge) touches(p coord) bool {
	return e.box().has(p) && side(e.a, e.b, p) == 0
}

// meets tells whether e and the closed rectangle have a point in common.
func (e edge) meets(r box) bool {
	if !e.box().meets(r) {
		return false
	}
	if r.has(e.a) || r.has(e.b) {
		return true
	}
	// The line of e has the rectangle on one side only if it has those two corners there that lie farthest from it.
	p, q := r.min, r.max
	if (e.a.x <= e.b.x) == (e.a.y <= e.b.y) {
		p.y, q.y = q.y, p.y
	}
	return side(e.a, e.b, p)*side(e.a, e.b, q) <= 0
}

// crossesRay tells whether the ray from p to the east crosses e. Of each edge the lower end counts and the upper does
// not, so that a ray through a vertex is counted right.
func (e edge) crossesRay(p coord) bool {
	if (e.a.y <= p.y) == (e.b.y <= p.y) {
		return false
	}
	if e.a.y < e.b.y {
		return side(e.a, e.b, p) > 0
	}
	return side(e.b, e.a, p) > 0
}

// compareProducts compares a·b with c·d exactly.
func compareProducts(a, b, c, d int64) int {
	h1, l1 := mul(a, b)
	h2, l2 := mul(c, d)
	if h1 != h2 {
		return cmp.Compare(h1, h2)
	}
	return cmp.Compare(l1, l2)
}

// mul is a·b in 128 bits, two's complement.
func mul(a, b int64) (hi int64, lo uint64) {
	h, l := bits.Mul64(uint64(a), uint64(b))
	h -= uint64(b) & uint64(a>>63) // correct for reading the negative factors as unsigned
	h -= uint64(a) & uint64(b>>63)
	return int64(h), l
}
