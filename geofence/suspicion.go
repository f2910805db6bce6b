package geofence

import (
	"cmp"
	"math"
	"slices"
	"time"

	"tocsin/warning"
)

// Suspicion is an area that seems to be given in another coordinate system than it says.
type Suspicion struct {
	Area int    // index
	CRS  string // the system that it seems to be in
	// AsGiven and AsCRS are how far half of its corners lie from a border of a unit at most, in metres: as it was given,
	// and read in CRS.
	AsGiven, AsCRS float64
}

// How sure a suspicion must be: outlines of different makers lie up to 300 metres apart, the systems about 500.
const (
	suspectCorners = 400   // so many corners are looked at
	suspectAcross  = 5000  // metres that an outline measures at least: a small one is near some border by chance
	suspectWithin  = 300.0 // metres: half of the corners fit a border so well
	suspectTimes   = 1.4   // and so many times better than as given
)

// Suspicious finds polygons whose corners follow the borders of units, but only when they are read as GCJ-02 or BD-09:
// an outline from a public web map that was passed off as WGS-84 misses by half a kilometre. Polygons that follow no
// border are never suspicious. It refuses nothing; faulty areas are not looked at.
func Suspicious(areas []warning.Area, l Limits) (found []Suspicion) {
	e := EditionAt(time.Time{})
	for i := range areas {
		a := &areas[i]
		if in, ok := systems(a.CRS); !ok || in.fromWGS84 != nil || a.Polygons == nil || Check(areas[i:i+1], l) != nil {
			continue
		}
		corners := someCorners(a.Polygons)
		if b := boxAround(corners); max(int64(b.max.x)-int64(b.min.x), int64(b.max.y)-int64(b.min.y)) < suspectAcross*unitsPerMetre {
			continue
		}
		given := e.distanceOfHalf(corners)
		s := Suspicion{Area: i, AsGiven: given, AsCRS: suspectWithin}
		for _, crs := range []string{"gcj02", "bd09"} {
			other, _ := systems(crs)
			if d := e.distanceOfHalf(other.readAll([][]warning.Ring{{corners}})[0][0]); d < s.AsCRS && d*suspectTimes < given {
				s.CRS, s.AsCRS = crs, d
			}
		}
		if s.CRS != "" {
			found = append(found, s)
		}
	}
	return found
}

// someCorners is up to suspectCorners corners, evenly chosen.
func someCorners(polygons [][]warning.Ring) warning.Ring {
	var all warning.Ring
	for _, part := range polygons {
		for _, r := range part {
			all = append(all, r[1:]...)
		}
	}
	if len(all) <= suspectCorners {
		return all
	}
	some := make(warning.Ring, suspectCorners)
	for i := range some {
		some[i] = all[i*len(all)/suspectCorners]
	}
	return some
}

// unitsPerMetre is coordinate units of latitude; at 30° north a degree of longitude is 0.866 as long.
const unitsPerMetre = 90

// distanceOfHalf is the median distance of the points to the nearest border of a unit, in metres; what is farther than
// two kilometres counts as infinite.
func (e *Edition) distanceOfHalf(points []warning.Point) float64 {
	const reach = 2000 * unitsPerMetre
	distances := make([]float64, len(points))
	for i, q := range points {
		p := coordOf(q)
		n := nearest{p: p, east: math.Cos(float64(p.y) / scale * math.Pi / 180), best: reach}
		for _, o := range e.outlines() {
			n.look(o.tree, 1)
		}
		if distances[i] = n.best / unitsPerMetre; n.best == reach {
			distances[i] = math.Inf(1)
		}
	}
	slices.SortFunc(distances, cmp.Compare[float64])
	return distances[(len(distances)-1)/2]
}

// boxAround is the box of points that are positions.
func boxAround(points []warning.Point) box {
	b := nothing()
	for _, p := range points {
		b.add(coordOf(p))
	}
	return b
}

// coordOf is a point that is known to be a position.
func coordOf(p warning.Point) coord {
	x, _ := E7(p[0])
	y, _ := E7(p[1])
	return coord{x, y}
}

// fromSegment is the distance of the origin from the segment a–b.
func fromSegment(ax, ay, bx, by float64) float64 {
	dx, dy := bx-ax, by-ay
	k := 0.0
	if d := dx*dx + dy*dy; d > 0 {
		k = min(1, max(0, -(ax*dx+ay*dy)/d))
	}
	return math.Hypot(ax+k*dx, ay+k*dy)
}
