package geofence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tocsin/warning"
)

// TestFencesAgreeWithALookAtEverySide: whatever areas come and go, a position is in those in which a look at every side
// of every area finds it; corners, lines and corners of squares are among the positions.
func TestFencesAgreeWithALookAtEverySide(t *testing.T) {
	r := seed(t)
	f := NewFences(DefaultLimits())
	for range 60 {
		id := fmt.Sprint(r.IntN(20))
		if r.IntN(3) == 0 {
			f.Remove(id)
		} else {
			var areas []warning.Area
			for range 1 + r.IntN(2) {
				centre := warning.Point{107 + r.Float64(), 29.5 + r.Float64()}
				areas = append(areas, warning.Area{Polygons: [][]warning.Ring{{star(r, centre, 0.001+r.Float64(), 3+r.IntN(300))}}, CRS: "wgs84"})
			}
			if r.IntN(8) == 0 {
				areas = append(areas, warning.Area{Unit: "500101"})
			}
			if err := f.Add(id, areas); err != nil && !strings.Contains(err.Error(), "area.outside") {
				t.Fatal(err)
			}
		}
		var lon, lat []int32
		add := func(p coord) { lon, lat = append(lon, p.x), append(lat, p.y) }
		for range 200 {
			add(coord{int32(105*scale + r.IntN(6*scale)), int32(28*scale + r.IntN(5*scale))})
		}
		for _, shapes := range f.all {
			for _, s := range shapes {
				for range 5 {
					e := s.edges[r.IntN(len(s.edges))]
					add(e.a)
					add(coord{e.a.x + int32(r.IntN(3)) - 1, e.a.y + int32(r.IntN(3)) - 1})
					add(coord{int32((int64(e.a.x) + int64(e.b.x)) / 2), int32((int64(e.a.y) + int64(e.b.y)) / 2)})
					b := rootSquare
					for depth := range r.IntN(11) {
						if b.min != e.a.corner(depth) {
							t.Fatalf("the square of %v at depth %d begins at %v, by its bits at %v", e.a, depth, b.min, e.a.corner(depth))
						}
						b = b.part(e.a.part(depth))
					}
					add(b.min)
					add(b.max)
				}
			}
		}
		got := map[string]bool{}
		f.Inside(lon, lat, func(i int, id string) { got[fmt.Sprint(i, " ", id)] = true })
		for i := range lon {
			p := coord{lon[i], lat[i]}
			for id, shapes := range f.all {
				want := slices.ContainsFunc(shapes, func(s *shape) bool { return s.locate(p) != outside })
				if is := got[fmt.Sprint(i, " ", id)]; is != want {
					t.Fatalf("%v in %s: %v, want %v", p, id, is, want)
				}
			}
		}
		for key := range got {
			var i int
			var id string
			if _, err := fmt.Sscan(key, &i, &id); err != nil || f.all[id] == nil {
				t.Fatalf("%s: %v, and there is no such area", key, err)
			}
		}
	}
	for id := range f.all {
		f.Remove(id)
	}
	if f.root.below != nil || len(f.root.parts) > 0 {
		t.Error("squares stay behind when every area is gone")
	}
}

func TestFencesRefuseAsResolveDoes(t *testing.T) {
	f := NewFences(DefaultLimits())
	if err := f.Add("a", []warning.Area{{Unit: "500103"}}); err != nil {
		t.Fatal(err)
	}
	if f.Add("a", []warning.Area{{Unit: "999999"}}) == nil || f.Add("b", nil) == nil {
		t.Error("faulty areas are taken")
	}
	if len(f.all) != 1 || f.all["a"] == nil {
		t.Error("a refused area changed the index")
	}
	f.Inside([]int32{2147483647}, []int32{-2147483648}, func(int, string) { t.Error("nowhere is inside") })
}

// TestFencesBoundTheirWork: an outline that fills its box with lines costs a bounded number of squares.
func TestFencesBoundTheirWork(t *testing.T) {
	f := NewFences(DefaultLimits())
	if err := f.Add("a", []warning.Area{spiked(20_000)}); err != nil {
		t.Fatal(err)
	}
	sides := 0
	var count func(n *fenceNode)
	count = func(n *fenceNode) {
		for _, p := range n.parts {
			sides += len(p.sides) + 1
		}
		if n.below != nil {
			for i := range n.below {
				count(&n.below[i])
			}
		}
	}
	count(&f.root)
	if sides > 4*dividing*20_100 {
		t.Errorf("%d sides are kept for 20,000", sides)
	}
}

// thousand is fences of 500 corners all over the jurisdiction, of some kilometres each.
func thousand(tb testing.TB) *Fences {
	r := rand.New(rand.NewPCG(7, 7))
	f := NewFences(DefaultLimits())
	for len(f.all) < 1000 {
		centre := warning.Point{106 + 3*r.Float64(), 29 + 2*r.Float64()}
		areas := []warning.Area{{Polygons: [][]warning.Ring{{star(r, centre, 0.02+0.05*r.Float64(), 500)}}, CRS: "wgs84"}}
		if err := f.Add(fmt.Sprint(len(f.all)), areas); err != nil && !strings.Contains(err.Error(), "area.outside") {
			tb.Fatal(err)
		}
	}
	return f
}

func BenchmarkFences(b *testing.B) {
	f := thousand(b)
	r := rand.New(rand.NewPCG(8, 8))
	const n = 1 << 16
	lon, lat := make([]int32, n), make([]int32, n)
	for i := range n {
		lon[i], lat[i] = int32(106*scale+r.IntN(3*scale)), int32(29*scale+r.IntN(2*scale))
	}
	b.Run("inside", func(b *testing.B) {
		hits := 0
		for i := 0; i < b.N; i += n {
			k := min(n, b.N-i)
			f.Inside(lon[:k], lat[:k], func(int, string) { hits++ })
		}
		b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
	})
	b.Run("add and remove", func(b *testing.B) {
		areas := []warning.Area{{Polygons: [][]warning.Ring{{star(r, warning.Point{107, 30}, 0.05, 500)}}, CRS: "wgs84"}}
		for b.Loop() {
			if err := f.Add("one more", areas); err != nil {
				b.Fatal(err)
			}
			f.Remove("one more")
		}
	})
}
