package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// e7 is degrees times 10^7.
const e7 = 1e7

type point struct{ x, y int64 } // longitude and latitude in e7

// place is whether somebody is inside.
type place uint8

const (
	out  place = iota
	edge       // so near the line of a converted outline or a circle that nobody can say
	in
)

// side is one side of a ring.
type side struct{ a, b point }

// shape is one polygon with its holes. Its edges are listed by the bands of latitude that they touch, so that a person is
// tried against those of one band only.
type shape struct {
	min, max point
	height   int64
	bands    [][]side
	blur     int64 // in e7: how far its line may be from where it is drawn
}

const maxBands = 2048

func newShape(rings [][]point) (*shape, error) {
	s := &shape{min: point{math.MaxInt64, math.MaxInt64}, max: point{math.MinInt64, math.MinInt64}}
	if len(rings) == 0 {
		return nil, fmt.Errorf("a polygon without rings")
	}
	n := 0
	for i, r := range rings {
		if len(r) < 4 || r[0] != r[len(r)-1] {
			return nil, fmt.Errorf("ring %d is not closed", i)
		}
		for _, p := range r {
			s.min = point{min(s.min.x, p.x), min(s.min.y, p.y)}
			s.max = point{max(s.max.x, p.x), max(s.max.y, p.y)}
		}
		n += len(r) - 1
	}
	s.height = (s.max.y-s.min.y)/int64(min(n, maxBands)) + 1
	s.bands = make([][]side, (s.max.y-s.min.y)/s.height+1)
	for _, r := range rings {
		for i := range r[1:] {
			e := side{r[i], r[i+1]}
			from, to := (min(e.a.y, e.b.y)-s.min.y)/s.height, (max(e.a.y, e.b.y)-s.min.y)/s.height
			for b := from; b <= to; b++ {
				s.bands[b] = append(s.bands[b], e)
			}
		}
	}
	return s, nil
}

// holds tells whether p is inside or on the line.
func (s *shape) holds(p point) bool {
	if p.y == 90*e7 || p.y == -90*e7 { // at every longitude
		return s.min.y <= p.y && p.y <= s.max.y
	}
	if p.x < s.min.x || p.x > s.max.x || p.y < s.min.y || p.y > s.max.y {
		return false
	}
	in := false
	for _, e := range s.bands[(p.y-s.min.y)/s.height] {
		side := turn(e, p)
		if side == 0 && between(e.a.x, p.x, e.b.x) && between(e.a.y, p.y, e.b.y) {
			return true
		}
		if up := e.b.y > p.y; up != (e.a.y > p.y) && up == (side > 0) {
			in = !in
		}
	}
	return in
}

func between(a, v, b int64) bool { return min(a, b) <= v && v <= max(a, b) }

// where tells where p is, its own line included.
func (s *shape) where(p point) place {
	if s.blur > 0 && s.near(p) {
		return edge
	}
	if s.holds(p) {
		return in
	}
	return out
}

// near tells whether p is within blur of a side.
func (s *shape) near(p point) bool {
	for _, band := range s.bands {
		for _, e := range band {
			dx, dy := float64(e.b.x-e.a.x), float64(e.b.y-e.a.y)
			px, py := float64(p.x-e.a.x), float64(p.y-e.a.y)
			t := 0.0
			if l := dx*dx + dy*dy; l > 0 {
				t = min(1, max(0, (px*dx+py*dy)/l))
			}
			if math.Hypot(px-t*dx, py-t*dy) <= float64(s.blur) {
				return true
			}
		}
	}
	return false
}

func (s *shape) latitudes() (from, to int64) { return s.min.y - s.blur, s.max.y + s.blur }

// turn is the exact sign of the turn from the edge to p: positive to the left.
func turn(e side, p point) int {
	return compare(e.b.x-e.a.x, p.y-e.a.y, e.b.y-e.a.y, p.x-e.a.x)
}

// compare is the sign of a·b − c·d. Differences of coordinates have 33 bits, so that their products need more than 64.
func compare(a, b, c, d int64) int {
	sl, hl, ll := product(a, b)
	sr, hr, lr := product(c, d)
	switch {
	case sl != sr:
		if sl > sr {
			return 1
		}
		return -1
	case hl > hr || hl == hr && ll > lr:
		return sl
	case hl == hr && ll == lr:
		return 0
	}
	return -sl
}

// product is the sign and the 128 bits of a·b.
func product(a, b int64) (sign int, hi, lo uint64) {
	if a == 0 || b == 0 {
		return 0, 0, 0
	}
	sign = 1
	if a < 0 {
		sign, a = -sign, -a
	}
	if b < 0 {
		sign, b = -sign, -b
	}
	hi, lo = bits.Mul64(uint64(a), uint64(b))
	return sign, hi, lo
}

// surface is a part of an area.
type surface interface {
	where(p point) place
	latitudes() (from, to int64)
}

// area is the surfaces of one warning.
type area []surface

func (a area) where(p point) (best place) {
	for _, s := range a {
		best = max(best, s.where(p))
		if p.x == 180*e7 || p.x == -180*e7 { // one meridian, at both ends
			best = max(best, s.where(point{-p.x, p.y}))
		}
		if best == in {
			break
		}
	}
	return best
}

// latitudes is from where to where the area reaches.
func (a area) latitudes() (from, to int64) {
	from, to = a[0].latitudes()
	for _, s := range a {
		f, t := s.latitudes()
		from, to = min(from, f), max(to, t)
	}
	return from, to
}

// geometry is what of GeoJSON (RFC 7946) has a surface, or holds something that has.
type geometry struct {
	Type        string          `json:"type"`
	Features    []feature       `json:"features"`
	Geometries  []geometry      `json:"geometries"`
	Geometry    *geometry       `json:"geometry"`
	Coordinates json.RawMessage `json:"coordinates"`
}

type feature struct {
	Properties struct {
		Adcode json.RawMessage `json:"adcode"`
	} `json:"properties"`
	Geometry geometry `json:"geometry"`
}

// shapes is the surface, of coordinates in a system.
func (g *geometry) shapes(crs string) (out area, err error) {
	add := func(x *geometry) error {
		s, err := x.shapes(crs)
		out = append(out, s...)
		return err
	}
	switch g.Type {
	case "FeatureCollection":
		for i := range g.Features {
			if err := add(&g.Features[i].Geometry); err != nil {
				return nil, fmt.Errorf("features[%d]: %w", i, err)
			}
		}
	case "GeometryCollection":
		for i := range g.Geometries {
			if err := add(&g.Geometries[i]); err != nil {
				return nil, fmt.Errorf("geometries[%d]: %w", i, err)
			}
		}
	case "Feature":
		if g.Geometry == nil {
			return nil, fmt.Errorf("a feature without a geometry")
		}
		return g.Geometry.shapes(crs)
	case "Polygon":
		var rings [][][]float64
		if err := json.Unmarshal(g.Coordinates, &rings); err != nil {
			return nil, err
		}
		return polygon(rings, crs)
	case "MultiPolygon":
		var parts [][][][]float64
		if err := json.Unmarshal(g.Coordinates, &parts); err != nil {
			return nil, err
		}
		for i, rings := range parts {
			s, err := polygon(rings, crs)
			if err != nil {
				return nil, fmt.Errorf("part %d: %w", i, err)
			}
			out = append(out, s...)
		}
	default:
		return nil, fmt.Errorf("a %q has no surface", g.Type)
	}
	return out, nil
}

func polygon(rings [][][]float64, crs string) (area, error) {
	exact := make([][]point, len(rings))
	for i, r := range rings {
		for _, p := range r {
			if len(p) < 2 {
				return nil, fmt.Errorf("ring %d has a point without two coordinates", i)
			}
			exact[i] = append(exact[i], in84(p[0], p[1], crs))
		}
	}
	s, err := newShape(exact)
	if err != nil {
		return nil, err
	}
	s.blur = blurOf(crs)
	return area{s}, nil
}

func degrees(lon, lat float64) point {
	return point{int64(math.Round(lon * e7)), int64(math.Round(lat * e7))}
}

// outlines reads the outlines of units: a FeatureCollection with properties.adcode, a number or a string.
func outlines(b []byte) (map[string]area, error) {
	units := map[string]area{}
	if len(b) == 0 {
		return units, nil
	}
	var g geometry
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("outlines: %w", err)
	}
	for i := range g.Features {
		f := &g.Features[i]
		s, err := f.Geometry.shapes("")
		if err != nil {
			return nil, fmt.Errorf("outlines: features[%d]: %w", i, err)
		}
		code := string(f.Properties.Adcode)
		if len(code) > 1 && code[0] == '"' {
			code = code[1 : len(code)-1]
		}
		units[code] = append(units[code], s...)
	}
	return units, nil
}

// areaOf is where a warning applies.
func areaOf(spec *tocsinv1.WarningSpec, units map[string]area) (out area, err error) {
	for i, a := range spec.GetAreas() {
		s, err := partOf(a, units)
		if err != nil {
			return nil, fmt.Errorf("areas[%d]%w", i, err)
		}
		out = append(out, s...)
	}
	if len(out) == 0 && !slices.ContainsFunc(spec.GetAreas(), byHome) {
		return nil, fmt.Errorf("areas: none")
	}
	return out, nil
}

func partOf(a *tocsinv1.Area, units map[string]area) (area, error) {
	switch w := a.GetWhere().(type) {
	case *tocsinv1.Area_Unit:
		if e := a.GetEdition(); e != "" {
			s, ok := units[imported(short(w.Unit), e)]
			if !ok {
				return nil, fmt.Errorf(".edition: the outline of %s is that of the imported edition %s: give the file that was imported", w.Unit, e)
			}
			return s, nil
		}
		if byHome(a) {
			return nil, nil
		}
		s, ok := units[w.Unit]
		if !ok {
			return nil, fmt.Errorf(".unit: there is no outline of %s", w.Unit)
		}
		return s, nil
	case *tocsinv1.Area_Polygons:
		var out area
		for j, part := range w.Polygons.GetParts() {
			rings := make([][][]float64, len(part.GetRings()))
			for k, r := range part.GetRings() {
				for _, p := range r.GetPoints() {
					rings[k] = append(rings[k], []float64{p.GetLon(), p.GetLat()})
				}
			}
			s, err := polygon(rings, w.Polygons.GetCrs())
			if err != nil {
				return nil, fmt.Errorf(".polygons.parts[%d]: %w", j, err)
			}
			out = append(out, s...)
		}
		return out, nil
	case *tocsinv1.Area_Geojson:
		var g geometry
		if err := json.Unmarshal([]byte(w.Geojson), &g); err != nil {
			return nil, fmt.Errorf(".geojson: %w", err)
		}
		s, err := g.shapes(a.GetGeojsonCrs())
		if err != nil {
			return nil, fmt.Errorf(".geojson: %w", err)
		}
		return s, nil
	case *tocsinv1.Area_Circle:
		c := w.Circle
		return area{&disc{in84(c.GetCentre().GetLon(), c.GetCentre().GetLat(), c.GetCrs()), c.GetRadiusM(), blurOf(c.GetCrs()) > 0}}, nil
	}
	return nil, fmt.Errorf(": says no place")
}
