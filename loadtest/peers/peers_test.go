// Package peers measures the geofence beside what others offer: the same people, the same areas, the same process. It is
// a module of its own, so that their code stays out of the engine's; go.work in this directory brings the engine in.
//
//	cd loadtest/peers && go test -bench . -benchtime 3x -people 1000000 -tile38 $(which tile38-server)
package peers

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/golang/geo/s2"
	"github.com/tidwall/geojson/geometry"
	"github.com/tidwall/rtree"

	"tocsin/geofence"
	"tocsin/warning"
)

var people = flag.Int("people", 100_000, "how many people there are")

// finder counts who is inside a polygon of one ring, having every one of them in its hands: what is timed is the way
// from the corners to the people.
type finder struct {
	name string
	find func(ring warning.Ring) int
}

// world is the same people for everybody.
func world(tb testing.TB) []finder {
	c, err := geofence.Synth(*people, 1, nil)
	if err != nil {
		tb.Fatal(err)
	}
	points := make([]geometry.Point, c.Len())
	for i := range points {
		points[i] = geometry.Point{X: float64(c.Lon[i]) / 1e7, Y: float64(c.Lat[i]) / 1e7}
	}
	s, bad := geofence.Build(c)
	if len(bad) > 0 {
		tb.Fatal(bad[0])
	}
	all := []finder{{"tocsin", tocsin(tb, s)}, {"s2", spherical(points)}, {"rtree", boxes(points)}, {"brute", brute(points)}}
	if *tile38 != "" {
		all = append(all, finder{"tile38", server(tb, points)})
	}
	return all
}

func tocsin(tb testing.TB, s *geofence.Snapshot) func(warning.Ring) int {
	return func(r warning.Ring) int {
		sel, err := s.Resolve([]warning.Area{{CRS: "wgs84", Polygons: [][]warning.Ring{{r}}}})
		if err != nil {
			tb.Fatal(err)
		}
		return int(sel.People())
	}
}

// spherical keeps people as sorted leaf cells. Cells of a covering that lie inside are taken whole, in the others each
// person is asked about.
func spherical(points []geometry.Point) func(warning.Ring) int {
	type person struct {
		cell s2.CellID
		at   s2.Point
	}
	all := make([]person, len(points))
	for i, p := range points {
		ll := s2.LatLngFromDegrees(p.Y, p.X)
		all[i] = person{s2.CellIDFromLatLng(ll), s2.PointFromLatLng(ll)}
	}
	slices.SortFunc(all, func(a, b person) int {
		switch {
		case a.cell < b.cell:
			return -1
		case a.cell > b.cell:
			return 1
		}
		return 0
	})
	within := func(id s2.CellID) []person {
		from, _ := slices.BinarySearchFunc(all, id.RangeMin(), func(p person, c s2.CellID) int { return int(int64(p.cell>>1) - int64(c>>1)) })
		to, _ := slices.BinarySearchFunc(all, id.RangeMax()+1, func(p person, c s2.CellID) int { return int(int64(p.cell>>1) - int64(c>>1)) })
		return all[from:to]
	}
	return func(r warning.Ring) (n int) {
		corners := make([]s2.Point, len(r)-1)
		for i := range corners {
			corners[i] = s2.PointFromLatLng(s2.LatLngFromDegrees(r[i][1], r[i][0]))
		}
		loop := s2.LoopFromPoints(corners)
		loop.Normalize()
		polygon := s2.PolygonFromLoops([]*s2.Loop{loop})
		coverer := &s2.RegionCoverer{MinLevel: 4, MaxLevel: 16, LevelMod: 1, MaxCells: 2000}
		index := s2.NewShapeIndex()
		index.Add(polygon)
		query := s2.NewContainsPointQuery(index, s2.VertexModelClosed)
		for _, id := range coverer.Covering(polygon) {
			if polygon.ContainsCell(s2.CellFromCellID(id)) {
				n += len(within(id))
				continue
			}
			for _, p := range within(id) {
				if query.Contains(p.at) {
					n++
				}
			}
		}
		return n
	}
}

// boxes keeps people in an R-tree; those in the box of the polygon are each asked about, with the polygon indexed.
func boxes(points []geometry.Point) func(warning.Ring) int {
	var tree rtree.RTreeG[int32]
	for i, p := range points {
		at := [2]float64{p.X, p.Y}
		tree.Insert(at, at, int32(i))
	}
	return func(r warning.Ring) (n int) {
		line := make([]geometry.Point, len(r))
		for i, p := range r {
			line[i] = geometry.Point{X: p[0], Y: p[1]}
		}
		poly := geometry.NewPoly(line, nil, &geometry.IndexOptions{Kind: geometry.QuadTree, MinPoints: 64})
		b := poly.Rect()
		tree.Search([2]float64{b.Min.X, b.Min.Y}, [2]float64{b.Max.X, b.Max.Y}, func(at, _ [2]float64, _ int32) bool {
			if poly.ContainsPoint(geometry.Point{X: at[0], Y: at[1]}) {
				n++
			}
			return true
		})
		return n
	}
}

// brute looks at every side for every person in the box of the polygon.
func brute(points []geometry.Point) func(warning.Ring) int {
	return func(r warning.Ring) (n int) {
		low, high := r[0], r[0]
		for _, p := range r {
			low = warning.Point{min(low[0], p[0]), min(low[1], p[1])}
			high = warning.Point{max(high[0], p[0]), max(high[1], p[1])}
		}
		for _, p := range points {
			if p.X < low[0] || p.X > high[0] || p.Y < low[1] || p.Y > high[1] {
				continue
			}
			in := false
			for i := range r[1:] {
				a, b := r[i], r[i+1]
				if (a[1] > p.Y) != (b[1] > p.Y) && p.X < a[0]+(p.Y-a[1])*(b[0]-a[0])/(b[1]-a[1]) {
					in = !in
				}
			}
			if in {
				n++
			}
		}
		return n
	}
}

// winding is an outline like a river's banks around the middle of the city.
func winding(corners int) warning.Ring {
	r := make(warning.Ring, corners+1)
	for i := range corners {
		angle := 2 * math.Pi * float64(i) / float64(corners)
		d := 0.8 + 0.2*math.Sin(7*angle) + 0.01*math.Sin(float64(corners/20)*angle)
		r[i] = warning.Point{106.9 + d*math.Cos(angle), 29.7 + d*math.Sin(angle)}
	}
	r[corners] = r[0]
	return r
}

// TestPeersAgree: the sphere's sides are great circles, so somebody near a long side may be on the other side of it.
func TestPeersAgree(t *testing.T) {
	finders := world(t)
	for _, corners := range []int{100, 1000} {
		want := finders[0].find(winding(corners))
		for _, f := range finders[1:] {
			slack := 0
			if f.name == "s2" {
				slack = want / 1000
			}
			if got := f.find(winding(corners)); max(got-want, want-got) > slack || want == 0 {
				t.Errorf("%d corners: %s finds %d, tocsin %d", corners, f.name, got, want)
			}
		}
	}
}

func BenchmarkFind(b *testing.B) {
	finders := world(b)
	for _, corners := range []int{100, 1000, 10_000} {
		r := winding(corners)
		for _, f := range finders {
			b.Run(fmt.Sprintf("corners=%d/%s", corners, f.name), func(b *testing.B) {
				n := 0
				for b.Loop() {
					n = f.find(r)
				}
				b.ReportMetric(float64(n), "inside")
			})
		}
	}
}
