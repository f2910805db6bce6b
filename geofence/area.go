package geofence

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/warning"
)

// Limits bounds what a warning's areas may cost, and says which outlines they may name. They are configuration.
type Limits struct {
	Areas    int   // of one warning
	Rings    int   // of all its polygons together
	Vertices int   // of all its polygons together
	Work     int64 // steps of checking, and again of finding people; a step takes some nanoseconds

	Atlas *Atlas // the outlines beyond the shipped ones; nil: none
}

// DefaultLimits is what holds where the configuration says nothing: a second of work or so.
func DefaultLimits() Limits {
	return Limits{Areas: 100, Rings: 2000, Vertices: 200_000, Work: 150_000_000}
}

// maxFaults is how many faults one refusal lists; more help nobody.
const maxFaults = 20

// Check refuses areas that a Resolve would refuse, without needing a directory: a *warning.Error with every fault.
func Check(areas []warning.Area, l Limits) error {
	_, err := shapesOf(areas, l, EditionAt(time.Time{}))
	return err
}

// shapesOf makes one shape of each area but towns without an outline, or names every fault (promise 6). Units without a
// day are those of e.
func shapesOf(areas []warning.Area, l Limits, e *Edition) ([]*shape, error) {
	c := newChecker(l, e)
	if len(areas) == 0 {
		c.fault("areas", "area.missing", "name units or give polygons", "no area is given")
	}
	if len(areas) > l.Areas {
		c.fault("areas", "area.limit.areas", "join areas, or send two warnings", "%d areas are more than %d", len(areas), l.Areas)
		areas = nil
	}
	found, each := make([]*shape, len(areas)), make([]checker, len(areas))
	for i := range areas {
		each[i] = *c
		c.count(&areas[i])
	}
	together(len(areas), func(i int) { found[i] = each[i].area(fmt.Sprintf("areas[%d]", i), &areas[i]) })
	for i := range each {
		c.faults, c.failed = append(c.faults, each[i].faults...), errors.Join(c.failed, each[i].failed)
	}
	switch {
	case len(c.faults) > 0:
		return nil, warning.Invalid(c.faults[:min(len(c.faults), maxFaults)]...)
	case c.failed != nil:
		return nil, c.failed
	}
	return slices.DeleteFunc(found, func(s *shape) bool { return s == nil }), nil
}

// checker gathers the faults of an area and counts what it costs; areas of one warning are checked side by side.
type checker struct {
	limits   Limits
	edition  *Edition // the jurisdiction; nil while its own outlines are read
	faults   []warning.Violation
	failed   error         // outlines could not be loaded
	rings    int           // with those of the areas before
	vertices int           // the same
	work     *atomic.Int64 // of all areas
}

func newChecker(l Limits, e *Edition) *checker {
	return &checker{limits: l, edition: e, work: &atomic.Int64{}}
}

// count adds the rings and corners of an area to those before.
func (c *checker) count(a *warning.Area) {
	if a.Circle != nil {
		c.rings, c.vertices = c.rings+1, c.vertices+cornersAround(a.Circle.Radius)+1
	}
	for _, part := range a.Polygons {
		c.rings += len(part)
		for _, r := range part {
			c.vertices += len(r)
		}
	}
}

func (c *checker) fault(field, rule, remedy, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, warning.Violation{Field: field, Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
	}
}

// area is the shape of one area, or nil after a fault and for a town. Faults name places in WGS-84.
func (c *checker) area(field string, a *warning.Area) *shape {
	given := 0
	for _, is := range []bool{a.Unit != "", a.Polygons != nil, a.Circle != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		c.fault(field, "area.empty", "name a unit or give a polygon or a circle", "the area is empty")
		return nil
	case given > 1:
		c.fault(field, "area.kind", "give several areas", "more than one of unit, polygons and circle is given")
		return nil
	case a.Edition != "":
		return c.imported(field, a)
	case len(a.Unit) == 9 || len(a.Unit) == 12:
		c.town(field+".unit", a.Unit)
		return nil // no shape: who lives there is found by home
	case a.Unit != "":
		return c.unit(field+".unit", a)
	}
	in, ok := systems(a.CRS)
	if !ok {
		c.fault(field+".crs", "area.crs", "say one of "+strings.Join(warning.CoordinateSystems, ", "), "%.20q is not a coordinate system that is taken", a.CRS)
		return nil
	}
	polygons := in.readAll(a.Polygons)
	if a.Circle != nil {
		if field += ".circle"; !c.circle(field, a.Circle) {
			return nil
		}
		polygons = around(warning.Circle{Centre: in.read(a.Circle.Centre), Radius: a.Circle.Radius})
	} else {
		field += ".polygon"
	}
	if c.swapped(polygons) {
		c.fault(field, "area.swapped", "write longitude first, then latitude", "latitude and longitude look swapped: %v lies outside the jurisdiction, the swapped point inside", polygons[0][0][0])
		return nil
	}
	s := c.polygons(field, polygons)
	if s == nil || c.inJurisdiction(s) {
		return s
	}
	c.fault(field, "area.outside", "check the coordinates and their order", "the area lies outside the jurisdiction (%v to %v)", c.edition.box.min, c.edition.box.max)
	return nil
}

// unit is the outline of a unit, or nil after a fault.
func (c *checker) unit(field string, a *warning.Area) *shape {
	e := c.edition
	if !a.AsOf.IsZero() {
		e = EditionAt(a.AsOf)
	}
	u, v := e.UnitAt(field, a.Unit, a.AsOf)
	if v != nil {
		c.fault(v.Field, v.Rule, v.Remedy, "%s", v.Detail)
		return nil
	}
	return u.outline
}

// circle checks the measures of a circle.
func (c *checker) circle(field string, o *warning.Circle) bool {
	before := len(c.faults)
	if !(math.Abs(o.Centre[0]) <= 180 && math.Abs(o.Centre[1]) <= 90) {
		c.fault(field+".centre", "area.coordinate", "longitude is -180 to 180, latitude -90 to 90, in this order", "%v is not a position", o.Centre)
	}
	if !(o.Radius >= warning.MinRadius && o.Radius <= warning.MaxRadius) {
		c.fault(field+".radius_m", "area.radius", fmt.Sprintf("give %d to %d metres", warning.MinRadius, warning.MaxRadius), "a radius of %v metres", o.Radius)
	}
	return len(c.faults) == before
}

// swapped tells whether no point lies in the box of the jurisdiction as it is written, and most do with longitude and
// latitude exchanged.
func (c *checker) swapped(polygons [][]warning.Ring) bool {
	b := c.edition.box
	within := func(lon, lat float64) bool {
		return lon*scale >= float64(b.min.x) && lon*scale <= float64(b.max.x) && lat*scale >= float64(b.min.y) && lat*scale <= float64(b.max.y)
	}
	all, swapped := 0, 0
	for _, part := range polygons {
		for _, r := range part {
			for _, p := range r {
				if within(p[0], p[1]) {
					return false
				}
				all++
				if within(p[1], p[0]) {
					swapped++
				}
			}
		}
	}
	return swapped*2 > all && len(polygons[0]) > 0 && len(polygons[0][0]) > 0
}

// inJurisdiction tells whether s has a part in the jurisdiction: a vertex, or surface.
func (c *checker) inJurisdiction(s *shape) bool {
	if c.edition == nil {
		return true
	}
	for _, e := range s.edges {
		if _, ok := c.edition.Locate(e.a.x, e.a.y); ok {
			return true
		}
	}
	return c.edition.share([]*shape{s}) > 0
}

// polygons checks the parts and makes a shape of them, or answers nil after a fault.
func (c *checker) polygons(field string, parts [][]warning.Ring) *shape {
	before := len(c.faults)
	if len(parts) == 0 {
		c.fault(field, "area.empty", "give at least one polygon", "there is no polygon")
	}
	others := c.vertices
	c.count(&warning.Area{Polygons: parts})
	if c.rings > c.limits.Rings {
		c.fault(field, "area.limit.rings", "leave out small parts and holes", "%d rings are more than %d", c.rings, c.limits.Rings)
	}
	if c.vertices > c.limits.Vertices {
		c.fault(field, "area.limit.vertices", "simplify the outline", "%d points are more than %d", c.vertices, c.limits.Vertices)
	}
	if len(c.faults) > before {
		return nil
	}
	n := newNest(c, field, c.vertices-others)
	for i, part := range parts {
		if len(part) == 0 {
			c.fault(fmt.Sprintf("%s.parts[%d]", field, i), "area.empty", "give the outer ring", "the part has no ring")
		}
		for j, r := range part {
			path := fmt.Sprintf("%s.parts[%d].rings[%d]", field, i, j)
			if converted, ok := c.ring(path, r); ok {
				n.add(i, path, converted)
			}
		}
	}
	if len(c.faults) > before {
		return nil
	}
	n.check()
	if len(c.faults) > before {
		return nil
	}
	s := n.shape(0, len(n.rings))
	s.tree = n.tree
	if also := seam(s.edges); len(also) > 0 {
		s.tree = newBoxTree(slices.Concat(s.edges, also), func(int) bool { return false })
		s.box = s.tree.boxes[1]
	}
	return s
}

// cutThere is what makes a ring over the date line plain (RFC 7946 section 3.1.9).
const cutThere = "cut the ring at longitude 180 into a part that ends at 180 and one that begins at -180; if it does not cross there, put a corner between"

// ring converts one ring and checks what can be seen without the others.
func (c *checker) ring(field string, r warning.Ring) (ring, bool) {
	if len(r) < 4 {
		c.fault(field, "area.ring.short", "give at least three corners and the first again", "%d points are not a surface", len(r))
		return nil, false
	}
	out := make(ring, 0, len(r))
	for i, p := range r {
		x, okX := E7(p[0])
		y, okY := E7(p[1])
		if beyond := math.Abs(p[0]); beyond > 180 && beyond <= 360 && okY && math.Abs(p[1]) <= 90 {
			c.fault(fmt.Sprintf("%s[%d]", field, i), "area.ring.dateline", cutThere, "the ring goes on beyond the date line to %v", p)
			return nil, false
		}
		if !okX || !okY || math.Abs(p[1]) > 90 {
			c.fault(fmt.Sprintf("%s[%d]", field, i), "area.coordinate", "longitude is -180 to 180, latitude -90 to 90, in this order", "%v is not a position", p)
			return nil, false
		}
		if q := (coord{x, y}); len(out) == 0 || out[len(out)-1] != q {
			out = append(out, q)
		}
	}
	first, last := out[0], out[len(out)-1]
	if len(out) > 1 && first != last {
		c.fault(field, "area.ring.open", "end the ring with its first point", "the ring is open: it begins at %v and ends at %v", first, last)
		return nil, false
	}
	if len(out) > 1 {
		out = out[:len(out)-1]
	}
	for e := range out.edges {
		if e.longWay() {
			c.fault(field, "area.ring.dateline", cutThere, "the side from %v to %v may lead either way around the earth", e.a, e.b)
			return nil, false
		}
	}
	if len(out) < 3 || flat(out) {
		c.fault(field, "area.ring.zero", "give three corners that do not lie on one line", "the ring at %v has no surface", first)
		return nil, false
	}
	before := out[len(out)-1]
	for e := range out.edges {
		if side(before, e.a, e.b) == 0 && turnsBack(before, e.a, e.b) {
			c.fault(field, "area.ring.spike", "remove the spike", "the ring runs to %v and back on the same line", e.a)
			return nil, false
		}
		before = e.a
	}
	return out, true
}

// flat tells whether all points lie on one line.
func flat(r ring) bool {
	for _, p := range r[2:] {
		if side(r[0], r[1], p) != 0 {
			return false
		}
	}
	return true
}

// turnsBack tells, of three points on one line, whether the way from b to d leads back towards a.
func turnsBack(a, b, d coord) bool {
	ux, uy := int64(b.x)-int64(a.x), int64(b.y)-int64(a.y)
	vx, vy := int64(d.x)-int64(b.x), int64(d.y)-int64(b.y)
	return compareProducts(ux, vx, -uy, vy) < 0 // u·v < 0
}
