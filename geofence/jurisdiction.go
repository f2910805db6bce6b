package geofence

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/warning"
)

// Jurisdiction is where an installation may warn: the surveyed units of the newest edition that belong to one province,
// city or unit. It knows who is competent around it.
type Jurisdiction struct {
	edition    *Edition
	limits     Limits
	mine       map[uint32]bool // the codes of its units
	outlines   []*shape        // of its units
	box        box
	surface    float64
	neighbours []neighbour // units of the edition that do not belong to it, and the provinces around the edition
}

type neighbour struct {
	code, name string
	outline    *shape
}

// NewJurisdiction is the jurisdiction of a six-digit code: of a province (500000), a city (510100) or one unit (500101).
// The error says that no surveyed unit belongs to it.
func NewJurisdiction(code string, l Limits) (*Jurisdiction, error) {
	e := EditionAt(time.Time{})
	j := &Jurisdiction{edition: e, limits: l, mine: map[uint32]bool{}, box: nothing()}
	prefix := strings.TrimSuffix(strings.TrimSuffix(code, "00"), "00")
	for _, u := range e.Units {
		c := fmt.Sprintf("%06d", u.Code)
		ours := strings.HasPrefix(c, prefix)
		switch {
		case ours:
			j.mine[u.Code] = true
		case u.outline != nil:
			j.neighbours = append(j.neighbours, neighbour{c, u.Name, u.outline})
		}
		if !ours || u.outline == nil {
			continue
		}
		j.outlines = append(j.outlines, u.outline)
		j.box.join(u.outline.box)
	}
	if len(j.outlines) == 0 {
		return nil, fmt.Errorf("jurisdiction.units: edition %s has no outline of a unit of %s: give the code of a province, city or unit that it has, e.g. \"500000\"", e.ID, code)
	}
	j.surface = surfaceIn(j.outlines, j.outlines, j.box)
	around, err := provinces()
	j.neighbours = append(j.neighbours, around...)
	return j, err
}

// provinces is those around the shipped edition. Their outlines are simplified: they name who is competent beyond the
// border, and the border itself is that of the units.
func provinces() (out []neighbour, err error) {
	raw, err := data.ReadFile("data/neighbours_osm_wgs84.geojson")
	if err != nil {
		return nil, err
	}
	var collection struct {
		Features []struct {
			Properties struct{ Adcode, Name string }
			Geometry   json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &collection); err != nil {
		return nil, err
	}
	for _, f := range collection.Features {
		outline, err := outlineOf(f.Geometry)
		if err != nil {
			return nil, fmt.Errorf("outline of %s: %w", f.Properties.Name, err)
		}
		out = append(out, neighbour{f.Properties.Adcode, f.Properties.Name, outline})
	}
	return out, nil
}

// negligible is a reach over the border, in metres, that comes from rounding positions.
const negligible = 1

// Border measures what of the areas lies beyond the jurisdiction, and the part of the jurisdiction's surface that they
// cover, 0 to 1. The people of the neighbours are left at 0: the areas hold none. Faulty areas are refused as Resolve does.
func (j *Jurisdiction) Border(areas []warning.Area) (o warning.Outside, share float64, err error) {
	shapes, err := shapesOf(inDistricts(areas), j.limits, j.edition)
	if err != nil {
		return o, 0, err
	}
	return j.outside(areas, shapes), min(1, surfaceIn(shapes, j.outlines, j.box)/j.surface), nil
}

// Pin names for each unit of the areas the edition whose outline is meant at a time (Atlas.Pin).
func (j *Jurisdiction) Pin(areas []warning.Area, at time.Time) []warning.Area {
	return j.limits.Atlas.Pin(areas, at)
}

// outside measures what of the shapes of areas lies beyond. Units of the jurisdiction lie in it by their code: their
// outlines may come from another survey than its border.
func (j *Jurisdiction) outside(areas []warning.Area, shapes []*shape) (o warning.Outside) {
	land, other := slices.Clone(j.outlines), []*shape(nil)
	for i, s := range shapes {
		if j.owns(areas[i].Unit) {
			land = append(land, s)
		} else {
			other = append(other, s)
		}
	}
	if len(other) == 0 {
		return o
	}
	b := nothing()
	for _, s := range shapes {
		b.join(s.box)
	}
	l := linesOver(shapes, b)
	all := l.cut(shapes)
	beyond := without(all, l.cut(land))
	if len(beyond) == 0 {
		return o
	}
	if o.Reach = j.reach(other, l, beyond); o.Reach < negligible {
		return warning.Outside{}
	}
	total := l.surface(all)
	o.Share = min(1, l.surface(beyond)/total)
	for _, n := range j.neighbours {
		if s := l.surface(common(beyond, l.cut([]*shape{n.outline}))) / total; s > 0 {
			o.Neighbours = append(o.Neighbours, warning.Neighbour{Code: n.code, Name: n.name, Share: s})
		}
	}
	slices.SortStableFunc(o.Neighbours, func(a, b warning.Neighbour) int {
		if a.Share > b.Share {
			return -1
		}
		return 1
	})
	return o
}

// owns tells whether a code is that of a unit of the jurisdiction, or of a town in one.
func (j *Jurisdiction) owns(code string) bool {
	n, err := strconv.ParseUint(code[:min(6, len(code))], 10, 32)
	return err == nil && j.mine[uint32(n)]
}

// reach is how many metres the farthest corner, or end of a stretch, lies from the border.
func (j *Jurisdiction) reach(shapes []*shape, l rulings, beyond []span) float64 {
	var n nearest
	most := 0.0
	look := func(p coord) {
		if !j.has(p) {
			most = max(most, j.distance(&n, p, most))
		}
	}
	for _, s := range shapes {
		for _, e := range s.edges {
			look(e.a)
		}
	}
	for _, s := range beyond {
		look(coord{int32(s.from), l.rows[s.row]})
		look(coord{int32((s.from + s.to) / 2), l.rows[s.row]})
		look(coord{int32(s.to), l.rows[s.row]})
	}
	return most / metre
}

// has tells whether p is in the jurisdiction.
func (j *Jurisdiction) has(p coord) bool {
	return slices.ContainsFunc(j.outlines, func(s *shape) bool { return s.locate(p) != outside })
}

// metre is units of 10^-7 degree of latitude.
const metre = scale * 180 / (math.Pi * wgs84Axis)

// distance is how far p, which is outside, lies from the border, in units of latitude. The nearest line of any unit is a part
// of it. Where some line is no farther than enough, any such distance is the answer; n is the search before, for a point that
// lies near, most of the time: its line is looked at first.
func (j *Jurisdiction) distance(n *nearest, p coord, enough float64) float64 {
	n.p, n.east, n.enough = p, math.Cos(float64(p.y)/scale*math.Pi/180), enough
	if n.best = math.Inf(1); n.line != (edge{}) {
		n.best = n.side(n.line)
	}
	for _, s := range j.outlines {
		n.look(s.tree, 1)
	}
	return n.best
}

// nearest is the search for the line that is nearest to p, in units of latitude.
type nearest struct {
	p      coord
	east   float64 // how long a unit of longitude is
	best   float64
	enough float64 // nothing nearer is looked for than this
	line   edge    // the nearest
}

func (n *nearest) look(t *boxTree, k int) {
	if n.best <= n.enough || n.to(t.boxes[k]) >= n.best {
		return
	}
	if k >= t.leaves {
		if d := n.side(t.sides[k-t.leaves]); d < n.best {
			n.best, n.line = d, t.sides[k-t.leaves]
		}
		return
	}
	near, far := 2*k, 2*k+1
	if n.to(t.boxes[far]) < n.to(t.boxes[near]) {
		near, far = far, near
	}
	n.look(t, near)
	n.look(t, far)
}

// to is how far a box is; infinitely where it holds nothing.
func (n *nearest) to(b box) float64 {
	if b.min.x > b.max.x {
		return math.Inf(1)
	}
	dx := max(0, float64(b.min.x)-float64(n.p.x), float64(n.p.x)-float64(b.max.x))
	dy := max(0, float64(b.min.y)-float64(n.p.y), float64(n.p.y)-float64(b.max.y))
	return math.Hypot(dx*n.east, dy)
}

// side is how far e is.
func (n *nearest) side(e edge) float64 {
	ax, ay := (float64(e.a.x)-float64(n.p.x))*n.east, float64(e.a.y)-float64(n.p.y)
	bx, by := (float64(e.b.x)-float64(n.p.x))*n.east, float64(e.b.y)-float64(n.p.y)
	return fromSegment(ax, ay, bx, by)
}

// Beyond tells found who of a block is where outside of the jurisdiction, with the code of the neighbour; not where no
// neighbour is known.
func (j *Jurisdiction) Beyond(b warning.Block, mask *warning.Mask, found func(slot int, neighbour string)) {
	people := newGathering(b.Lon, b.Lat)
	people.see(0)
	people.rise()
	var f finder
	here := f.block(&people, 0, j.outlines)
	for slot := range mask.Slots {
		if here.Has(slot) {
			continue
		}
		if code := j.neighbour(coord{b.Lon[slot], b.Lat[slot]}); code != "" {
			found(slot, code)
		}
	}
}

// neighbour is the code of the neighbour around a position that is not in the jurisdiction, or "".
func (j *Jurisdiction) neighbour(p coord) string {
	for _, n := range j.neighbours {
		if n.outline.locate(p) != outside {
			return n.code
		}
	}
	return ""
}

// Within tells whether all of the areas lie in the units, six digits each. Faulty areas lie nowhere.
func (j *Jurisdiction) Within(areas []warning.Area, units []string) bool {
	shapes, err := shapesOf(inDistricts(areas), j.limits, j.edition)
	if err != nil {
		return false
	}
	in := Jurisdiction{edition: j.edition, mine: map[uint32]bool{}}
	b := nothing()
	for _, s := range shapes {
		b.join(s.box)
	}
	for _, code := range units {
		n, err := strconv.ParseUint(code, 10, 32)
		if s := j.limits.Atlas.outline(code, time.Now()); err == nil && s != nil {
			in.mine[uint32(n)], in.outlines = true, append(in.outlines, s)
		}
	}
	return len(in.outlines) > 0 && in.outside(areas, shapes).Share == 0
}
