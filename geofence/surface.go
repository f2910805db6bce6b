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
	b := nothing()
	for _, s := range shapes {
		b.join(s.box)
	}
	b = box{coord{b.min.x, max(b.min.y, e.box.min.y)}, coord{b.max.x, min(b.max.y, e.box.max.y)}}
	return min(1, e.surfaceOf(shapes, b)/e.surface)
}

// surfaceOf measures what of the jurisdiction the shapes cover between the latitudes of b, in square coordinate units
// with longitudes shortened by the cosine of the latitude. It cuts along lines of latitude and adds the stretches.
func (e *Edition) surfaceOf(shapes []*shape, b box) (sum float64) {
	height := int64(b.max.y) - int64(b.min.y)
	if height <= 0 {
		return 0
	}
	climbs := 0.0 // of all sides, in heights of b
	for _, s := range shapes {
		for _, e := range s.edges {
			climbs += math.Abs(float64(e.b.y)-float64(e.a.y)) / float64(height)
		}
	}
	n := max(1, min(surfaceRows, height, int64(surfaceHits/climbs)))
	rows := make([]int32, n) // a row is the latitude rows[i] + ½, where no vertex can be
	for i := range rows {
		rows[i] = b.min.y + int32((int64(2*i+1)*height)/(2*n))
	}
	mine, all := cut(shapes, rows, b), cut(e.outlines(), rows, b)
	for i, j := 0, 0; i < len(mine) && j < len(all); {
		p, q := mine[i], all[j]
		if p.row == q.row {
			if w := min(p.to, q.to) - max(p.from, q.from); w > 0 {
				sum += w * math.Cos((float64(rows[p.row])+0.5)/scale*math.Pi/180)
			}
		}
		if p.row < q.row || p.row == q.row && p.to <= q.to {
			i++
		} else {
			j++
		}
	}
	return sum * float64(height) / float64(n)
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
