package geofence

import "slices"

// sweep finds where sides meet that must not, from west to east, and stops at the first fault. A line is swept over the
// sides (from lower to higher longitude, at one longitude from south to north); the sides under it are kept in their
// order along the line, and only neighbours can be the next to meet. It takes n·log n steps whatever the sides look
// like, but for points where many rings touch at once (Shamos and Hoey, Geometric intersection problems, 1976).
func (n *nest) sweep() {
	if !n.c.spend(n.field, 2*len(n.sides)) {
		return
	}
	type event struct {
		at    coord
		side  int32
		start bool
	}
	events := make([]event, 0, 2*len(n.sides))
	for i, s := range n.sides {
		events = append(events, event{earlier(s.a, s.b), int32(i), true}, event{later(s.a, s.b), int32(i), false})
	}
	slices.SortFunc(events, func(a, b event) int {
		switch {
		case a.at.less(b.at):
			return -1
		case b.at.less(a.at):
			return 1
		}
		return int(a.side - b.side)
	})
	line := newLine(n)
	var ending, starting, here []int32
	before := len(n.c.faults)
	for len(events) > 0 {
		p := events[0].at
		ending, starting = ending[:0], starting[:0]
		for ; len(events) > 0 && events[0].at == p; events = events[1:] {
			if events[0].start {
				starting = append(starting, events[0].side)
			} else {
				ending = append(ending, events[0].side)
			}
		}
		for _, i := range ending {
			line.remove(i)
		}
		below, above := line.around(p)
		here = append(append(here[:0], ending...), starting...)
		for i := line.next[below]; i != above; i = line.next[i] {
			here = append(here, i) // it runs through p
		}
		if !n.meeting(here, p) {
			return
		}
		for _, i := range starting {
			line.insert(i)
		}
		line.compare(below, line.next[below])
		line.compare(line.prev[above], above)
		if len(n.c.faults) > before {
			return
		}
	}
}

// meeting looks at all sides that have the point p in common. Two sides of one ring are its corner, as nearly always.
func (n *nest) meeting(here []int32, p coord) bool {
	if len(here) == 2 && n.neighbours(here[0], here[1]) {
		return true
	}
	if !n.c.spend(n.field, len(here)*len(here)/2) {
		return false
	}
	before := len(n.c.faults)
	for k, i := range here {
		for _, j := range here[:k] {
			if !n.neighbours(i, j) {
				n.compare(i, j)
			}
		}
	}
	return len(n.c.faults) == before
}

// neighbours tells whether two sides follow each other in a ring.
func (n *nest) neighbours(i, j int32) bool {
	if i > j {
		i, j = j, i
	}
	r := &n.rings[n.owner[i]]
	return n.owner[i] == n.owner[j] && (j == i+1 || int(i) == r.first && int(j) == r.first+len(r.ring)-1)
}

// line is the sides under the sweeping line from south to north: a treap, so that any order of sides keeps it flat, and
// a list through it. The number after the last side stands for the ends of the list and for no node.
type line struct {
	n                 *nest
	end               int32
	root              int32
	parent, low, high []int32 // of the treap
	next, prev        []int32 // of the list
}

func newLine(n *nest) *line {
	size := len(n.sides) + 1
	l := &line{n: n, end: int32(size - 1), root: int32(size - 1)}
	for _, column := range []*[]int32{&l.parent, &l.low, &l.high, &l.next, &l.prev} {
		*column = make([]int32, size)
	}
	l.next[l.end], l.prev[l.end] = l.end, l.end
	return l
}

// over tells on which side of i, looked along it from its start, p lies: 1 to the north, -1 to the south.
func (l *line) over(i int32, p coord) int {
	s := &l.n.sides[i]
	if s.b.less(s.a) {
		return side(s.b, s.a, p)
	}
	return side(s.a, s.b, p)
}

// compare compares two neighbours on the line, unless one is its end.
func (l *line) compare(i, j int32) {
	if i != l.end && j != l.end {
		l.n.compare(i, j)
	}
}

// around is the last side south of p and the first north of it; between them are those that run through p.
func (l *line) around(p coord) (below, above int32) {
	below, above = l.end, l.end
	for at := l.root; at != l.end; {
		if l.over(at, p) > 0 {
			below, at = at, l.high[at]
		} else {
			at = l.low[at]
		}
	}
	for at := l.root; at != l.end; {
		if l.over(at, p) < 0 {
			above, at = at, l.low[at]
		} else {
			at = l.high[at]
		}
	}
	return below, above
}

// insert puts side i, which starts at the line, into the order. Sides that start where it does are ordered by where
// they go.
func (l *line) insert(i int32) {
	s := &l.n.sides[i]
	from, to := earlier(s.a, s.b), later(s.a, s.b)
	parent, higher := l.end, false
	for at := l.root; at != l.end; {
		turn := l.over(at, from)
		if turn == 0 {
			turn = l.over(at, to)
		}
		parent, higher = at, turn > 0
		if higher {
			at = l.high[at]
		} else {
			at = l.low[at]
		}
	}
	l.parent[i], l.low[i], l.high[i] = parent, l.end, l.end
	var prev int32
	switch {
	case parent == l.end:
		l.root, prev = i, l.end
	case higher:
		l.high[parent], prev = i, parent
	default:
		l.low[parent], prev = i, l.prev[parent]
	}
	l.prev[i], l.next[i] = prev, l.next[prev]
	l.prev[l.next[i]], l.next[prev] = i, i
	for l.parent[i] != l.end && rank(i) > rank(l.parent[i]) {
		l.lift(i)
	}
}

// remove takes side i out.
func (l *line) remove(i int32) {
	for l.low[i] != l.end || l.high[i] != l.end {
		child := l.low[i]
		if child == l.end || l.high[i] != l.end && rank(l.high[i]) > rank(child) {
			child = l.high[i]
		}
		l.lift(child)
	}
	l.replace(i, l.end)
	l.next[l.prev[i]], l.prev[l.next[i]] = l.next[i], l.prev[i]
}

// rank is the height that a node strives for.
func rank(i int32) uint64 { return mix(uint64(i) + 1) }

// lift makes i the parent of its parent.
func (l *line) lift(i int32) {
	p := l.parent[i]
	l.replace(p, i)
	var middle int32
	if l.low[p] == i {
		middle = l.high[i]
		l.low[p], l.high[i] = middle, p
	} else {
		middle = l.low[i]
		l.high[p], l.low[i] = middle, p
	}
	if middle != l.end {
		l.parent[middle] = p
	}
	l.parent[p] = i
}

// replace puts node by, or nothing, in the place of i under its parent.
func (l *line) replace(i, by int32) {
	p := l.parent[i]
	switch {
	case p == l.end:
		l.root = by
	case l.low[p] == i:
		l.low[p] = by
	default:
		l.high[p] = by
	}
	if by != l.end {
		l.parent[by] = p
	}
}
