package geofence

import (
	"fmt"
	"math"

	"github.com/peterstace/simplefeatures/geom"

	"tocsin/warning"
)

// Clip is the areas without what lies beyond the jurisdiction. An area that does not reach beyond is left as it is; what is
// cut is polygons in WGS-84. An area of which nothing is left, and one that cannot be cut cleanly, is refused.
func (j *Jurisdiction) Clip(areas []warning.Area) ([]warning.Area, error) {
	shapes, err := shapesOf(inDistricts(areas), j.limits, j.edition)
	if err != nil {
		return nil, err
	}
	out := make([]warning.Area, len(areas))
	for i, a := range areas {
		if out[i], err = j.clip(fmt.Sprintf("areas[%d]", i), a, shapes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (j *Jurisdiction) clip(field string, a warning.Area, s *shape) (warning.Area, error) {
	refuse := func(detail, remedy string) (warning.Area, error) {
		return a, warning.Invalid(warning.Violation{Field: field, Rule: "area.clip", Detail: detail, Remedy: remedy})
	}
	switch beyond := j.outside([]warning.Area{a}, []*shape{s}); {
	case beyond.Share == 0:
		return a, nil
	case beyond.Share == 1:
		return refuse("nothing of it lies in the jurisdiction", "leave it out")
	}
	left, err := j.within(s)
	if err != nil || len(left) == 0 {
		return refuse("it cannot be cut at the border", "draw it so that it ends in the jurisdiction")
	}
	cut := warning.Area{Name: a.Name, Polygons: left, CRS: "wgs84"}
	c := newChecker(j.limits, j.edition)
	if s = c.area(field, &cut); s == nil || j.outside([]warning.Area{cut}, []*shape{s}).Share > 0 {
		return refuse("what is left of it at the border is no sound surface", "draw it so that it ends in the jurisdiction")
	}
	return cut, nil
}

// within is the part of s that lies in the jurisdiction, its corners rounded to positions.
func (j *Jurisdiction) within(s *shape) (out [][]warning.Ring, err error) {
	mine, err := geometryOf(s)
	if err != nil {
		return nil, err
	}
	units := make([]geom.Geometry, len(j.outlines))
	for i, o := range j.outlines {
		if units[i], err = geometryOf(o); err != nil {
			return nil, err
		}
	}
	land, err := geom.UnionMany(units)
	if err != nil {
		return nil, err
	}
	left, err := geom.Intersection(mine, land)
	if err != nil {
		return nil, err
	}
	for _, g := range left.Dump() {
		p, ok := g.AsPolygon() // else a line or a point that both have in common
		if !ok {
			continue
		}
		var part []warning.Ring
		for i, line := range p.DumpRings() {
			if r := rounded(line.Coordinates()); r != nil {
				part = append(part, r)
			} else if i == 0 {
				break
			}
		}
		if len(part) > 0 {
			out = append(out, part)
		}
	}
	return out, nil
}

// geometryOf is s for the library: by even and odd, as a shape is meant.
func geometryOf(s *shape) (g geom.Geometry, err error) {
	for from := 0; from < len(s.edges); {
		to := from + 1
		for to < len(s.edges) && s.edges[to].a == s.edges[to-1].b && s.edges[to-1].b != s.edges[from].a {
			to++
		}
		xy := make([]float64, 0, 2*(to-from+1))
		for _, e := range s.edges[from:to] {
			xy = append(xy, float64(e.a.x), float64(e.a.y))
		}
		ring := geom.NewPolygonXY(append(xy, xy[0], xy[1])).AsGeometry()
		if from == 0 {
			g = ring
		} else if g, err = geom.SymmetricDifference(g, ring); err != nil {
			return g, err
		}
		from = to
	}
	return g, nil
}

// rounded is a ring in degrees on the grid of positions; nil when nothing of its surface is left there.
func rounded(line geom.Sequence) warning.Ring {
	var corners ring
	for i := range line.Length() {
		at := line.GetXY(i)
		x, y := int32(math.Round(at.X)), int32(math.Round(at.Y))
		if c := (coord{x, y}); len(corners) == 0 || corners[len(corners)-1] != c {
			corners = append(corners, c)
		}
	}
	if len(corners) < 4 || flat(corners[:len(corners)-1]) {
		return nil
	}
	out := make(warning.Ring, len(corners))
	for i, c := range corners {
		out[i] = warning.Point{float64(c.x) / scale, float64(c.y) / scale}
	}
	return out
}
