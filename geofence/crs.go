package geofence

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tocsin/warning"
)

// krasovsky is the ellipsoid of which GCJ-02 was made: half axis in metres and squared eccentricity.
const (
	krasovskyAxis = 6378245.0
	krasovskyEcc2 = 0.00669342162296594323
)

// Outside this rectangle GCJ-02 is WGS-84.
const (
	gcjWest, gcjEast   = 72.004, 137.8347
	gcjSouth, gcjNorth = 0.8293, 55.8271
)

// system is one way to write positions.
type system struct {
	// fromWGS84 writes a WGS-84 position; nil: the same numbers.
	fromWGS84 func(warning.Point) warning.Point
}

// systems is every name of warning.CoordinateSystems.
func systems(name string) (system, bool) {
	switch name {
	case "wgs84", "cgcs2000":
		return system{}, true
	case "gcj02":
		return system{toGCJ02}, true
	case "bd09":
		return system{toBD09}, true
	}
	return system{}, false
}

// IsCRS tells whether name is one of warning.CoordinateSystems.
func IsCRS(name string) bool {
	_, ok := systems(name)
	return ok
}

// Convert is p, given in the coordinate system from, in the system to: names of warning.CoordinateSystems. There and
// back again is the same place to less than a millimetre. What is no position does not become one.
func Convert(p warning.Point, from, to string) (warning.Point, error) {
	f, okFrom := systems(from)
	t, okTo := systems(to)
	if !okFrom || !okTo {
		name := from
		if okFrom {
			name = to
		}
		return p, warning.Invalid(warning.Violation{Field: "crs", Rule: "area.crs", Detail: fmt.Sprintf("%.20q is no coordinate system", name),
			Remedy: "say one of " + strings.Join(warning.CoordinateSystems, ", ")})
	}
	if from == to {
		return p, nil
	}
	return t.write(f.read(p)), nil
}

// WGS84 is the area with its geometry in WGS-84, whatever system it was given in, for whoever passes it on.
func WGS84(a warning.Area) (warning.Area, error) {
	if a.Unit != "" {
		return a, nil
	}
	f, ok := systems(a.CRS)
	if !ok {
		_, err := Convert(warning.Point{}, a.CRS, "wgs84")
		return a, err
	}
	a.CRS, a.Polygons = "wgs84", f.readAll(a.Polygons)
	if a.Circle != nil {
		a.Circle = &warning.Circle{Centre: f.read(a.Circle.Centre), Radius: a.Circle.Radius}
	}
	return a, nil
}

func (s system) write(p warning.Point) warning.Point {
	if s.fromWGS84 == nil {
		return p
	}
	return s.fromWGS84(p)
}

// closeEnough ends the search for a WGS-84 position: a hundredth of a millimetre, in degrees.
const closeEnough = 1e-10

// read is the WGS-84 position that is written as p. The shift hardly changes within its own length, so each step comes
// a hundred times nearer.
func (s system) read(p warning.Point) warning.Point {
	if s.fromWGS84 == nil {
		return p
	}
	w := p
	for range 20 {
		q := s.fromWGS84(w)
		dx, dy := p[0]-q[0], p[1]-q[1]
		w[0], w[1] = w[0]+dx, w[1]+dy
		if math.Abs(dx) < closeEnough && math.Abs(dy) < closeEnough {
			break
		}
	}
	return w
}

// readAll is read for every point; the polygons of a system with the same numbers are shared.
func (s system) readAll(polygons [][]warning.Ring) [][]warning.Ring {
	if s.fromWGS84 == nil {
		return polygons
	}
	out := make([][]warning.Ring, len(polygons))
	for i, part := range polygons {
		out[i] = make([]warning.Ring, len(part))
		for j, r := range part {
			out[i][j] = slices.Clone(r)
			for k, p := range r {
				out[i][j][k] = s.read(p)
			}
		}
	}
	return out
}

// toGCJ02 shifts a position as public web maps in China do.
func toGCJ02(p warning.Point) warning.Point {
	if !(p[0] >= gcjWest && p[0] <= gcjEast && p[1] >= gcjSouth && p[1] <= gcjNorth) {
		return p
	}
	x, y := p[0]-105, p[1]-35
	wave := func(v, period float64) float64 { return math.Sin(v * math.Pi / period) }
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) +
		2.0/3*(20*wave(x, 1.0/6)+20*wave(x, 0.5)+20*wave(x, 1)+40*wave(x, 3)+150*wave(x, 12)+300*wave(x, 30))
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) +
		2.0/3*(20*wave(x, 1.0/6)+20*wave(x, 0.5)+20*wave(y, 1)+40*wave(y, 3)+160*wave(y, 12)+320*wave(y, 30))
	sin, cos := math.Sincos(p[1] * math.Pi / 180)
	w := 1 - krasovskyEcc2*sin*sin
	metres := krasovskyAxis * math.Pi / 180 / math.Sqrt(w) // of a degree of longitude on the equator of that latitude
	return warning.Point{p[0] + east/(metres*cos), p[1] + north*w/(metres*(1-krasovskyEcc2))}
}

// toBD09 twists a GCJ-02 position once more.
func toBD09(p warning.Point) warning.Point {
	const wave = math.Pi * 3000 / 180
	g := toGCJ02(p)
	sinY, cosX := math.Sin(g[1]*wave), math.Cos(g[0]*wave)
	sin, cos := math.Sincos(math.Atan2(g[1], g[0]) + 0.000003*cosX)
	d := math.Hypot(g[0], g[1]) + 0.00002*sinY
	return warning.Point{d*cos + 0.0065, d*sin + 0.006}
}
