package geofence

import (
	"slices"
	"time"

	"tocsin/warning"
)

// Drawing is what a picture of areas shows, in WGS-84 degrees.
type Drawing struct {
	Area  [][]warning.Point // closed lines; what an odd number of them is around lies inside
	Units []DrawnUnit       // those of the newest edition that have an outline, ascending by code
}

// DrawnUnit is a unit in a picture.
type DrawnUnit struct {
	*Unit
	Outline [][]warning.Point
	Seat    warning.Point
	Touched bool // it has a point in common with the area
}

// Draw makes the lines of a picture, or refuses areas as Check does.
func Draw(l Limits, areas ...warning.Area) (Drawing, error) {
	e := EditionAt(time.Time{})
	shapes, err := shapesOf(areas, l, e)
	if err != nil {
		return Drawing{}, err
	}
	var d Drawing
	for _, s := range shapes {
		d.Area = append(d.Area, s.lines()...)
	}
	for _, u := range e.Units {
		if u.outline != nil {
			d.Units = append(d.Units, DrawnUnit{Unit: u, Outline: u.outline.lines(), Seat: u.seat.point(),
				Touched: slices.ContainsFunc(shapes, u.outline.touches)})
		}
	}
	return d, nil
}

// ByHome counts the people in the areas by the unit of their home.
func (s *Snapshot) ByHome(areas ...warning.Area) (map[uint32]int64, error) {
	sel, err := s.Resolve(areas)
	if err != nil {
		return nil, err
	}
	people := map[uint32]int64{}
	for i, b := range sel.Blocks {
		home := s.Block(int(b)).Home
		for slot := range sel.Masks[i].Slots {
			people[warning.DistrictOf(home[slot])]++
		}
	}
	return people, nil
}

func (c coord) point() warning.Point {
	return warning.Point{float64(c.x) / scale, float64(c.y) / scale}
}

// lines is the rings of a shape, each closed.
func (s *shape) lines() (rings [][]warning.Point) {
	first := 0
	for i, e := range s.edges {
		if e.b == s.edges[first].a {
			r := make([]warning.Point, 0, i-first+2)
			for _, side := range s.edges[first : i+1] {
				r = append(r, side.a.point())
			}
			rings = append(rings, append(r, e.b.point()))
			first = i + 1
		}
	}
	return rings
}

// touches tells whether the shapes have a point in common: their sides meet, or one has a corner in the other.
func (s *shape) touches(o *shape) bool {
	if !s.box.meets(o.box) {
		return false
	}
	corner := func(in *shape) func(edge) bool {
		return func(e edge) bool { return in.locate(e.a) != outside }
	}
	return s.tree.contacts(1, o.tree, 1) || slices.ContainsFunc(s.edges, corner(o)) || slices.ContainsFunc(o.edges, corner(s))
}

// contacts tells whether a side under node j of t has a point in common with one under node k of o.
func (t *boxTree) contacts(j int, o *boxTree, k int) bool {
	switch {
	case !t.boxes[j].meets(o.boxes[k]):
		return false
	case j < t.leaves && (k >= o.leaves || t.boxes[j].width() > o.boxes[k].width()):
		return t.contacts(2*j, o, k) || t.contacts(2*j+1, o, k)
	case k < o.leaves:
		return t.contacts(j, o, 2*k) || t.contacts(j, o, 2*k+1)
	}
	return t.sides[j-t.leaves].contacts(o.sides[k-o.leaves])
}
