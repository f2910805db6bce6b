package geofence

import "math/bits"

// clear tells whether no two sides have a point in common but neighbours their corner: then no sweep is needed. Nearly
// every outline that people draw is clear, and it is found out in a fraction of the time, because boxes around pieces of
// a line hardly meet. It gives up, with false, at the first contact and when an outline is not of that kind.
func (n *nest) clear() bool {
	c := clearance{n: n, left: 16 * len(n.sides)}
	return c.alone(1)
}

// clearance is the search for contacts.
type clearance struct {
	n    *nest
	left int // comparisons that are left
}

// alone tells whether the sides under node k keep clear of each other.
func (c *clearance) alone(k int) bool {
	t := c.n.tree
	return k >= t.leaves || t.ways[k].straight() || c.alone(2*k) && c.alone(2*k+1) && c.apart(2*k, 2*k+1)
}

// apart tells whether the sides under node j keep clear of those under node k.
func (c *clearance) apart(j, k int) bool {
	t := c.n.tree
	if !t.boxes[j].meets(t.boxes[k]) {
		return true
	}
	if c.left--; c.left < 0 {
		return false
	}
	switch {
	case j < t.leaves && (k >= t.leaves || bits.Len(uint(j)) <= bits.Len(uint(k))):
		return c.apart(2*j, k) && c.apart(2*j+1, k)
	case k < t.leaves:
		return c.apart(j, 2*k) && c.apart(j, 2*k+1)
	}
	j, k = j-t.leaves, k-t.leaves
	// That neighbours do not turn back on each other is known.
	return c.n.neighbours(int32(j), int32(k)) || !t.sides[j].contacts(t.sides[k])
}

// contacts tells whether two sides whose boxes meet have a point in common.
func (e edge) contacts(o edge) bool {
	return side(e.a, e.b, o.a)*side(e.a, e.b, o.b) <= 0 && side(o.a, o.b, e.a)*side(o.a, o.b, e.b) <= 0
}
