package geofence

import (
	"cmp"
	"math"
	"slices"

	"tocsin/warning"
)

// Order is the order in which the focus is told of: indices into sel.Blocks, those in the greatest danger first. Nobody
// nearer to the focus than a whole block waits behind that block: a block counts as near as the box around its chosen
// people, within it the order of the directory stays. Of a front that moves, blocks come by the time when it arrives;
// those that it has reached or passed count as now, and among equals, and where it never comes, the nearer go first.
// Distances are planar, with degrees of longitude shortened as in the middle of the focus.
func (s *Snapshot) Order(sel *warning.Selection, f warning.Focus) []int {
	return order(s.Block, sel, f)
}

// Order is that of Snapshot.Order.
func (r *Revision) Order(sel *warning.Selection, f warning.Focus) []int {
	return order(r.Block, sel, f)
}

// danger is how soon and how near the focus is to a block.
type danger struct {
	arrival  float64 // seconds; 0 when it is there, or does not move
	distance float64 // metres
	index    int
}

func order(block func(int) warning.Block, sel *warning.Selection, f warning.Focus) []int {
	l := newFocusLine(f)
	keys := make([]danger, len(sel.Blocks))
	for i, b := range sel.Blocks {
		people, around := block(int(b)), nothing()
		for slot := range sel.Masks[i].Slots {
			around.add(coord{people.Lon[slot], people.Lat[slot]})
		}
		keys[i] = l.danger(around)
		keys[i].index = i
	}
	slices.SortStableFunc(keys, func(a, b danger) int {
		return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.distance, b.distance))
	})
	out := make([]int, len(keys))
	for i, k := range keys {
		out[i] = k.index
	}
	return out
}

// plane is a point in metres east and north of the middle of a focus.
type plane struct{ x, y float64 }

// focusLine is a focus in a plane.
type focusLine struct {
	middle       plane   // in coordinate units
	shrink       float64 // of degrees of longitude
	corners      []plane
	toX, toY     float64 // where a front moves, a unit vector
	metresPerSec float64 // 0: it stands
}

func newFocusLine(f warning.Focus) *focusLine {
	in, _ := systems(f.CRS) // an unknown one was refused with the warning
	l := &focusLine{metresPerSec: f.Speed}
	points := make([]plane, len(f.Points))
	low, high := plane{math.Inf(1), math.Inf(1)}, plane{math.Inf(-1), math.Inf(-1)}
	for i, p := range f.Points {
		p = in.read(p)
		points[i] = plane{math.Round(p[0] * scale), math.Round(p[1] * scale)}
		points[i].x -= turns(points[i].x - points[0].x)
		low = plane{min(low.x, points[i].x), min(low.y, points[i].y)}
		high = plane{max(high.x, points[i].x), max(high.y, points[i].y)}
	}
	l.middle = plane{(low.x + high.x) / 2, (low.y + high.y) / 2}
	l.shrink = math.Cos(l.middle.y / scale * math.Pi / 180)
	l.toX, l.toY = math.Sincos(f.Bearing * math.Pi / 180)
	for _, p := range points {
		l.corners = append(l.corners, l.place(p.x, p.y))
	}
	if len(l.corners) == 1 {
		l.corners = append(l.corners, l.corners[0])
	}
	return l
}

// turns is the whole turns around the earth in a difference of longitudes: without them it is the short way, which may lead
// over the date line.
func turns(dx float64) float64 { return 2 * dateLine * math.Round(dx/(2*dateLine)) }

func (l *focusLine) place(x, y float64) plane {
	return plane{(x - l.middle.x) * l.shrink / unitsPerMetre, (y - l.middle.y) / unitsPerMetre}
}

// danger is the least of all segments.
func (l *focusLine) danger(around box) danger {
	west, east := float64(around.min.x), float64(around.max.x)
	back := turns((west+east)/2 - l.middle.x)
	low, high := l.place(west-back, float64(around.min.y)), l.place(east-back, float64(around.max.y))
	d := danger{distance: math.Inf(1)}
	if l.metresPerSec > 0 {
		d.arrival = math.Inf(1)
	}
	for i := range l.corners[1:] {
		a, b := l.corners[i], l.corners[i+1]
		d.distance = min(d.distance, fromBox(low, high, a, b))
		if l.metresPerSec > 0 {
			d.arrival = min(d.arrival, l.way(low, high, a, b)/l.metresPerSec)
		}
	}
	return d
}

// fromBox is the distance of the box low–high from the segment a–b.
func fromBox(low, high, a, b plane) float64 {
	outside := func(p plane) float64 {
		return math.Hypot(max(low.x-p.x, 0, p.x-high.x), max(low.y-p.y, 0, p.y-high.y))
	}
	d := min(outside(a), outside(b))
	if d == 0 {
		return 0
	}
	left, right := false, false
	for _, c := range corners(low, high) {
		d = min(d, fromSegment(a.x-c.x, a.y-c.y, b.x-c.x, b.y-c.y))
		turn := (b.x-a.x)*(c.y-a.y) - (b.y-a.y)*(c.x-a.x)
		left, right = left || turn >= 0, right || turn <= 0
	}
	if left && right && max(a.x, b.x) >= low.x && min(a.x, b.x) <= high.x && max(a.y, b.y) >= low.y && min(a.y, b.y) <= high.y {
		return 0
	}
	return d
}

func corners(low, high plane) [4]plane {
	return [4]plane{low, {high.x, low.y}, high, {low.x, high.y}}
}

// way is how far the segment a–b moves until it meets the box: 0 when it meets it or has passed it, infinite when it
// never will. Box and segment are convex, so the shifts at which they meet are one interval, which begins where a corner
// of one meets a side of the other.
func (l *focusLine) way(low, high, a, b plane) float64 {
	first := math.Inf(1)
	box := corners(low, high)
	for i, c := range box {
		if shift, ok := l.shift(a, b, c); ok {
			first = min(first, shift)
		}
		for _, end := range [2]plane{a, b} {
			if shift, ok := l.shift(c, box[(i+1)%4], end); ok {
				first = min(first, -shift)
			}
		}
	}
	return max(0, first)
}

// shift is how far the segment a–b is moved, forwards or back, until it holds p.
func (l *focusLine) shift(a, b, p plane) (float64, bool) {
	across := func(q plane) float64 { return q.x*l.toY - q.y*l.toX }
	along := func(q plane) float64 { return q.x*l.toX + q.y*l.toY }
	from, to, at := across(a), across(b), across(p)
	if at < min(from, to) || at > max(from, to) {
		return 0, false
	}
	if from == to { // the segment lies along the way: its ends are looked at from the other side
		return along(p) - along(a), true
	}
	return along(p) - along(a) - (along(b)-along(a))*(at-from)/(to-from), true
}
