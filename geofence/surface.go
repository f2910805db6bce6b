package geofence

import (
	"cmp"
	"math"
	"slices"
)

// surfaceRows is how many lines of latitude measure a surface. Only shares for people are computed from it, never who
// is inside.
const surfaceRows = 1024

// surfaceHits is how many times sides may cut those lines, about; an outline with more gets fewer lines.
const surfaceHits = 300_000

// span is a stretch of longitudes on a line of latitude.
type span struct {
	row      int32
	from, to float64
}

// share is the part of the jurisdiction's surface that the shapes cover together, 0 to 1.
func (e *Edition) share(shapes []*shape) float64 {
	return min(1, surfaceIn(shapes, e.outlines(), e.box)/e.surface)
}

// surfaceIn measures what of the shapes lies in the outlines, whose box is within, in square coordinate units with
// longitudes shortened by the cosine of the latitude.
func surfaceIn(shapes, outlines []*shape, within box) float64 {
	b := nothing()
	for _, s := range shapes {
		b.join(s.box)
	}
	l := linesOver(shapes, box{coord{b.min.x, max(b.min.y, within.min.y)}, coord{b.max.x, min(b.max.y, within.max.y)}})
	return l.surface(common(l.cut(shapes), l.cut(outlines)))
}

// rulings is lines of latitude that measure surfaces: along them stretches are cut, and the stretches are added.
type rulings struct {
	box  box
	rows []int32 // each is the latitude rows[i] + ½, where no vertex can be
}

// linesOver is the lines that measure the shapes between the latitudes of b.
func linesOver(shapes []*shape, b box) rulings {
	height := int64(b.max.y) - int64(b.min.y)
	if height <= 0 {
		return rulings{}
	}
	climbs := 0.0 // of all sides, in heights of b
	for _, s := range shapes {
		for _, e := range s.edges {
			climbs += math.Abs(float64(e.b.y)-float64(e.a.y)) / float64(height)
		}
	}
	n := max(1, min(surfaceRows, height, int64(surfaceHits/climbs)))
	l := rulings{b, make([]int32, n)}
	for i := range l.rows {
		l.rows[i] = b.min.y + int32((int64(2*i+1)*height)/(2*n))
	}
	return l
}

// cut is the stretches of the lines that lie in any of the shapes, in order and without overlap.
func (l rulings) cut(shapes []*shape) []span {
	if len(l.rows) == 0 {
		return nil
	}
	return cut(shapes, l.rows, l.box)
}

// surface is what stretches stand for.
func (l rulings) surface(spans []span) (sum float64) {
	for _, s := range spans {
		sum += (s.to - s.from) * math.Cos((float64(l.rows[s.row])+0.5)/scale*math.Pi/180)
	}
	return sum * float64(l.box.height()) / float64(max(1, len(l.rows)))
}

// common is where two lists of stretches, each in order and without overlap, lie over each other.
func common(mine, all []span) (out []span) {
	for i, j := 0, 0; i < len(mine) && j < len(all); {
		p, q := mine[i], all[j]
		if from, to := max(p.from, q.from), min(p.to, q.to); p.row == q.row && from < to {
			out = append(out, span{p.row, from, to})
		}
		if p.row < q.row || p.row == q.row && p.to <= q.to {
			i++
		} else {
			j++
		}
	}
	return out
}

// without is what of the first stretches does not lie in the others.
func without(mine, others []span) (out []span) {
	j := 0
	for _, p := range mine {
		for j < len(others) && (others[j].row < p.row || others[j].row == p.row && others[j].to <= p.from) {
			j++
		}
		for k := j; k < len(others) && others[k].row == p.row && others[k].from < p.to; k++ {
			if others[k].from > p.from {
				out = append(out, span{p.row, p.from, others[k].from})
			}
			p.from = max(p.from, others[k].to)
		}
		if p.from < p.to {
			out = append(out, p)
		}
	}
	return out
}

// cut is the stretches of the rows that lie in any of the shapes, in order and without overlap.
func cut(shapes []*shape, rows []int32, b box) []span {
	var hits, spans []span
	for _, s := range shapes {
		if s.box.max.y < b.min.y || s.box.min.y > b.max.y {
			continue
		}
		hits = hits[:0]
		for _, e := range s.edges {
			low, high := e.a, e.b
			if low.y > high.y {
				low, high = high, low
			}
			slope := (float64(high.x) - float64(low.x)) / (float64(high.y) - float64(low.y))
			for i := rowFrom(rows, low.y); i < len(rows) && rows[i] < high.y; i++ {
				x := float64(low.x) + slope*(float64(rows[i])+0.5-float64(low.y))
				hits = append(hits, span{int32(i), x, x})
			}
		}
		sorted := byRow(hits, len(rows))
		for i := 0; i+1 < len(sorted); i += 2 {
			spans = append(spans, span{sorted[i].row, sorted[i].from, sorted[i+1].from})
		}
	}
	spans = byRow(spans, len(rows))
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].row == s.row && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// rowFrom is the first of the evenly spaced rows that is not below y.
func rowFrom(rows []int32, y int32) int {
	first, last := int64(rows[0]), int64(rows[len(rows)-1])
	i := 0
	if last > first {
		i = int(min(max((int64(y)-first)*int64(len(rows)-1)/(last-first), 0), int64(len(rows)-1)))
	}
	for i > 0 && rows[i-1] >= y {
		i--
	}
	for i < len(rows) && rows[i] < y {
		i++
	}
	return i
}

// byRow sorts stretches by row and where they begin: first into the rows, then each row.
func byRow(spans []span, rows int) []span {
	ends := make([]int32, rows+1)
	for _, s := range spans {
		ends[s.row+1]++
	}
	for i := range rows {
		ends[i+1] += ends[i]
	}
	out := make([]span, len(spans))
	for _, s := range spans {
		out[ends[s.row]] = s
		ends[s.row]++ // from where the row begins to where it ends
	}
	from := int32(0)
	for _, end := range ends[:rows] {
		slices.SortFunc(out[from:end], func(p, q span) int { return cmp.Compare(p.from, q.from) })
		from = end
	}
	return out
}
