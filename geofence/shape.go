package geofence

// ring is a closed line without its repeated last point and without repeated consecutive points.
type ring []coord

// edges calls yield with each side of the ring.
func (r ring) edges(yield func(edge) bool) {
	for i, c := range r {
		next := 0
		if i+1 < len(r) {
			next = i + 1
		}
		if !yield(edge{c, r[next]}) {
			return
		}
	}
}

// shape is a surface: the sides of all its rings. What lies inside is decided by even and odd, so that shells and holes
// need no order and no direction; that is right because a shape is checked before it is made.
type shape struct {
	edges []edge
	box   box
	tree  *boxTree // of the edges and their seam; only a shape in which people are looked for has one
}

// where a point lies.
type where int8

const (
	outside where = iota
	onLine
	inside
)

// locate tells where p lies: by the tree where there is one, else by a look at every edge.
func (s *shape) locate(p coord) where {
	if !s.box.has(p) {
		return outside
	}
	if s.tree != nil {
		switch {
		case s.tree.touches(1, p):
			return onLine
		case s.tree.east(1, p):
			return inside
		}
		return outside
	}
	odd := false
	for _, e := range s.edges {
		if e.touches(p) {
			return onLine
		}
		if e.crossesRay(p) {
			odd = !odd
		}
	}
	if odd {
		return inside
	}
	return outside
}
