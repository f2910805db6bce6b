package geofence

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/warning"
)

func jurisdiction(t testing.TB, code string) *Jurisdiction {
	t.Helper()
	j, err := NewJurisdiction(code, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// tile is a drawn area around a place.
func tile(lon, lat, half float64) warning.Area {
	return warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{{
		{lon - half, lat - half}, {lon + half, lat - half}, {lon + half, lat + half}, {lon - half, lat + half}, {lon - half, lat - half},
	}}}}
}

func border(t testing.TB, j *Jurisdiction, areas ...warning.Area) warning.Outside {
	t.Helper()
	o, _, err := j.Border(areas)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBorderNamesWhoIsBeyond(t *testing.T) {
	city, county := jurisdiction(t, "500000"), jurisdiction(t, "500101")
	var all []warning.Area
	for _, u := range EditionAt(latest).Units {
		if u.Surveyed() {
			all = append(all, warning.Area{Unit: strconv.Itoa(int(u.Code)), AsOf: latest.AddDate(-1, 0, 0)})
		}
	}
	if o := border(t, city, all...); o.Share != 0 || o.Reach != 0 {
		t.Errorf("the whole city lies beyond itself: %+v", o)
	}
	wanzhou := warning.Area{Unit: "500101"}
	if o := border(t, county, wanzhou); o.Share != 0 {
		t.Errorf("the unit lies beyond itself: %+v", o)
	}
	if _, share, err := county.Border([]warning.Area{wanzhou}); err != nil || math.Abs(share-1) > 1e-9 {
		t.Errorf("it covers %g of itself, %v", share, err)
	}
	o := border(t, county, warning.Area{Unit: "500102"})
	if o.Share != 1 || o.Reach < 10_000 || len(o.Neighbours) != 1 || o.Neighbours[0].Code != "500102" || o.Neighbours[0].Name != "涪陵区" {
		t.Errorf("another unit: %+v", o)
	}
	if _, err := county.Clip([]warning.Area{wanzhou, {Unit: "500102"}}); err == nil || !strings.Contains(err.Error(), "areas[1]: nothing of it lies in the jurisdiction") {
		t.Errorf("another unit was cut: %v", err)
	}
	// 广安 in Sichuan lies on the western border.
	o = border(t, city, tile(106.7, 30.2, 0.3))
	if o.Share < 0.2 || o.Share > 0.95 || len(o.Neighbours) == 0 || o.Neighbours[0].Name != "四川省" {
		t.Errorf("across the border: %+v", o)
	}
	if got := beyond(city, 1066000000, 305000000); got != "510000" {
		t.Errorf("30.5 N 106.6 E is of %q", got)
	}
	if got := beyond(city, 1065500000, 295600000); got != "" {
		t.Errorf("the middle of the city is of %q", got)
	}
	if got := beyond(county, 1065500000, 295600000); got == "" {
		t.Error("another unit of the city is nobody's")
	}
	if _, err := NewJurisdiction("110000", DefaultLimits()); err == nil {
		t.Error("a jurisdiction without any outline passed")
	}
}

func TestWithin(t *testing.T) {
	city := jurisdiction(t, "500000")
	wanzhou := warning.Area{Unit: "500101"}
	for _, c := range []struct {
		areas []warning.Area
		units []string
		want  bool
	}{
		{[]warning.Area{wanzhou}, []string{"500101"}, true},
		{[]warning.Area{wanzhou}, []string{"500102"}, false},
		{[]warning.Area{wanzhou, {Unit: "500102"}}, []string{"500102", "500101"}, true},
		{[]warning.Area{wanzhou, {Unit: "500102"}}, []string{"500101"}, false},
		{[]warning.Area{tile(108.4, 30.8, 0.01)}, []string{"500101"}, true},
		{[]warning.Area{tile(108.4, 30.8, 1)}, []string{"500101"}, false},
		{[]warning.Area{wanzhou}, nil, false},
		{nil, []string{"500101"}, false},
	} {
		if got := city.Within(c.areas, c.units); got != c.want {
			t.Errorf("%v in %v: %v", c.areas, c.units, got)
		}
	}
}

// TestWhatIsCutIsWhatIsInBoth draws polygons across the border, cuts them, and asks of random places whether they are in the
// result exactly when they are in the polygon and in the jurisdiction; near a line both answers are right.
func TestWhatIsCutIsWhatIsInBoth(t *testing.T) {
	city := jurisdiction(t, "500000")
	cut := 0
	rapid.Check(t, func(t *rapid.T) {
		lon, lat := rapid.Float64Range(105.5, 110).Draw(t, "lon"), rapid.Float64Range(28.3, 32).Draw(t, "lat")
		n := rapid.IntRange(3, 12).Draw(t, "corners")
		var r warning.Ring
		for i := range n {
			sin, cos := math.Sincos(2 * math.Pi * (float64(i) + rapid.Float64Range(0, 0.9).Draw(t, "turn")) / float64(n))
			size := rapid.Float64Range(0.05, 0.8).Draw(t, "size")
			r = append(r, warning.Point{lon + size*cos, lat + size*sin})
		}
		a := warning.Area{CRS: "wgs84", Polygons: [][]warning.Ring{{append(r, r[0])}}}
		was, err := shapesOf([]warning.Area{a}, DefaultLimits(), city.edition)
		if err != nil {
			return // not a sound area of the jurisdiction
		}
		left, err := city.Clip([]warning.Area{a})
		if err != nil {
			if city.outside([]warning.Area{a}, was).Share < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		now, err := shapesOf(left, DefaultLimits(), city.edition)
		if err != nil {
			t.Fatalf("what is left is not sound: %v", err)
		}
		if o := city.outside(left, now); o.Share != 0 {
			t.Fatalf("%+v is left beyond the border", o)
		}
		cut++
		for range 50 {
			p := coord{int32((lon + rapid.Float64Range(-0.8, 0.8).Draw(t, "dx")) * scale), int32((lat + rapid.Float64Range(-0.8, 0.8).Draw(t, "dy")) * scale)}
			if near(p, slices.Concat(was, now)) {
				continue
			}
			if got, want := now[0].locate(p) != outside, was[0].locate(p) != outside && city.has(p); got != want {
				t.Fatalf("%v: in what is left %v, in both %v", p, got, want)
			}
		}
	})
	if cut == 0 {
		t.Error("nothing was ever cut")
	}
}

// near tells whether a line of the shapes passes within a metre.
func near(p coord, shapes []*shape) bool {
	n := nearest{p: p, east: 1, best: 2 * metre}
	for _, s := range shapes {
		n.look(s.tree, 1)
	}
	return n.best < metre
}

// beyond is the code of the neighbour around a position, asked of it alone; "" in the jurisdiction.
func beyond(j *Jurisdiction, x, y int32) (code string) {
	var m warning.Mask
	m.Set(0)
	j.Beyond(warning.Block{Lon: []int32{x}, Lat: []int32{y}}, &m, func(_ int, neighbour string) { code = neighbour })
	return code
}

// TestBlocksBeyondAreAsPeopleBeyond: of blocks of all sizes, in a unit, over borders within and around the jurisdiction and
// far from it, as many are with each neighbour as when each person is asked alone.
func TestBlocksBeyondAreAsPeopleBeyond(t *testing.T) {
	r := seed(t)
	whole, part := jurisdiction(t, "500000"), jurisdiction(t, "500101")
	found := 0
	for range 300 {
		var b warning.Block
		var m warning.Mask
		size := math.Pow(10, 2+5*r.Float64())
		x, y := 1053e6+48e6*r.Float64(), 282e6+40e6*r.Float64()
		if r.IntN(2) == 0 { // at a line
			o := whole.outlines[r.IntN(len(whole.outlines))]
			e := o.edges[r.IntN(len(o.edges))]
			x, y = float64(e.a.x), float64(e.a.y)
		}
		for i := range 100 {
			b.Lon, b.Lat = append(b.Lon, int32(x+size*(r.Float64()-0.5))), append(b.Lat, int32(y+size*(r.Float64()-0.5)))
			if r.IntN(5) > 0 {
				m.Set(i)
			}
		}
		for _, j := range []*Jurisdiction{whole, part} {
			got, want := map[string]int64{}, map[string]int64{}
			j.Beyond(b, &m, func(slot int, neighbour string) {
				if !m.Has(slot) {
					t.Fatalf("slot %d was not asked for", slot)
				}
				got[neighbour]++
			})
			for i := range m.Slots {
				p := coord{b.Lon[i], b.Lat[i]}
				if code := j.neighbour(p); code != "" && !slices.ContainsFunc(j.outlines, func(o *shape) bool { return o.locate(p) != outside }) {
					want[code]++
					found++
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("%v, asked one by one %v, around %.0f,%.0f", got, want, x, y)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d were beyond", found)
	}
}
