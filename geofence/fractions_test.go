package geofence

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"tocsin/warning"
)

// oracle is how many random points TestResolveAgreesWithFractions asks about; a million takes minutes:
// go test ./geofence -run Fractions -oracle 1000000 -timeout 30m
var oracle = flag.Int("oracle", 8000, "random points that exact fractions are asked about")

// TestResolveAgreesWithFractions puts people on corners, sides and beside them, and anywhere, and asks of each whether
// exact fractions find them inside too.
func TestResolveAgreesWithFractions(t *testing.T) {
	r := seed(t)
	asked, checked, polygons := 0, map[where]int{}, 0
	for asked < *oracle {
		// Tiny shapes make points on lines common, large ones need all bits.
		radius := math.Pow(10, -6+6.3*r.Float64())
		middle := warning.Point{108.25 + 0.2*r.Float64(), 30.65 + 0.2*r.Float64()}
		rings := []warning.Ring{star(r, middle, radius, 3+r.IntN(20))}
		if r.IntN(3) == 0 {
			rings = append(rings, star(r, middle, 0.25*radius, 3+r.IntN(6)))
		}
		s, _ := verdict([][]warning.Ring{rings})
		if s == nil {
			continue // rounding flattened it, or the hole leaves the shell
		}
		polygons++
		people := crowdAround(r, s)
		snapshot, bad := Build(people)
		if len(bad) > 0 {
			t.Fatal(bad[0])
		}
		sel, err := snapshot.Resolve([]warning.Area{{CRS: "wgs84", Polygons: [][]warning.Ring{rings}}})
		if err != nil {
			t.Fatal(err)
		}
		var exact []ring
		for _, given := range rings {
			var out ring
			for _, p := range given[:len(given)-1] {
				out = append(out, coordOf(p))
			}
			exact = append(exact, dropRepeats(out))
		}
		block := snapshot.Block(0)
		for i := range block.Number {
			want := rationalLocate(exact, coord{block.Lon[i], block.Lat[i]})
			if got := len(sel.Masks) > 0 && sel.Masks[0].Has(i); got != (want != outside) {
				t.Fatalf("%d,%d in %v: inside %v, fractions say %d", block.Lon[i], block.Lat[i], exact, got, want)
			}
			if got := s.locate(coord{block.Lon[i], block.Lat[i]}); got != want {
				t.Fatalf("%d,%d in %v: located %d, fractions say %d", block.Lon[i], block.Lat[i], exact, got, want)
			}
			checked[want]++
			asked++
		}
	}
	t.Logf("%d points in %d polygons: %d inside, %d on a line, %d outside", asked, polygons, checked[inside], checked[onLine], checked[outside])
	for _, w := range []where{inside, onLine, outside} {
		if checked[w] < *oracle/20 {
			t.Errorf("too few of kind %d: %v", w, checked)
		}
	}
}

// crowdAround is people on the corners and sides of a shape, a unit beside them, and anywhere in its box.
func crowdAround(r *rand.Rand, s *shape) (c Columns) {
	add := func(x, y int64) {
		c.Lon, c.Lat, c.Number = append(c.Lon, int32(x)), append(c.Lat, int32(y)), append(c.Number, 0)
	}
	for _, e := range s.edges {
		x, y := int64(e.a.x), int64(e.a.y)
		add(x, y)
		add(x-1+2*r.Int64N(2), y)
		add((x+int64(e.b.x))/2, (y+int64(e.b.y))/2)
		add(int64(e.b.x), y)
	}
	for range 60 {
		add(int64(s.box.min.x)-1+r.Int64N(s.box.width()+3), int64(s.box.min.y)-1+r.Int64N(s.box.height()+3))
	}
	return c
}

// dropRepeats leaves out points that equal the one before.
func dropRepeats(r ring) (out ring) {
	for _, p := range r {
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	for len(out) > 1 && out[0] == out[len(out)-1] {
		out = out[1:]
	}
	return out
}
