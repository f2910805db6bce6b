package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peterstace/simplefeatures/geom"

	"tocsin/warning"
)

// samePlaces is every way to write a position.
func samePlaces(p coord, corners []coord) (all []coord) {
	switch p.y {
	case pole, -pole: // whichever corner is on the pole, p is there
		for _, c := range corners {
			if c.y == p.y {
				all = append(all, c)
			}
		}
		return append(all, p)
	}
	if p.x == dateLine || p.x == -dateLine {
		return []coord{p, {-p.x, p.y}}
	}
	return []coord{p}
}

// onEarth tells by exact fractions whether somebody at p is in the polygons, in which a position may have several places.
func onEarth(polygons [][]warning.Ring, p coord) bool {
	var rings []ring
	var corners []coord
	for _, part := range polygons {
		for _, r := range part {
			var out ring
			for _, q := range r[:len(r)-1] {
				out = append(out, coordOf(q))
			}
			rings = append(rings, dropRepeats(out))
			corners = append(corners, out...)
		}
	}
	return slices.ContainsFunc(samePlaces(p, corners), func(q coord) bool { return rationalLocate(rings, q) != outside })
}

// everywhere answers by all that look for positions, and fails where they differ: a directory, an index of fences, the
// outline itself.
func everywhere(t *testing.T, polygons [][]warning.Ring, points []coord) []bool {
	t.Helper()
	s, faults := verdict(polygons)
	if s == nil {
		t.Fatalf("%v: %v", polygons, faults)
	}
	var people Columns
	for i, p := range points {
		people.Lon, people.Lat, people.Number = append(people.Lon, p.x), append(people.Lat, p.y), append(people.Number, uint64(9991000000000+i))
	}
	snapshot, bad := Build(people)
	if len(bad) > 0 {
		t.Fatal(bad[0])
	}
	sel, err := snapshot.choose([]*shape{s})
	if err != nil {
		t.Fatal(err)
	}
	found := make([]bool, len(points))
	for i, b := range sel.Blocks {
		numbers := snapshot.Block(int(b)).Number
		for slot := range sel.Masks[i].Slots {
			found[numbers[slot]-9991000000000] = true
		}
	}
	f := NewFences(DefaultLimits())
	f.all["a"] = []*shape{s}
	f.each(f.all["a"], func(n *fenceNode, p fencePart) {
		p.id, p.sides = "a", slices.Clone(p.sides)
		n.parts = append(n.parts, p)
	})
	crossing := make([]bool, len(points))
	lon, lat := make([]int32, len(points)), make([]int32, len(points))
	for i, p := range points {
		lon[i], lat[i] = p.x, p.y
	}
	f.Inside(lon, lat, func(i int, _ string) { crossing[i] = true })
	for i, p := range points {
		if located := s.locate(p) != outside; found[i] != located || crossing[i] != located {
			t.Fatalf("%v in %v: found in the directory %v, by the fences %v, located %v", p, polygons, found[i], crossing[i], located)
		}
	}
	return found
}

// TestTheDateLineIsOneMeridian, and a pole is one place.
func TestTheDateLineIsOneMeridian(t *testing.T) {
	band := warning.Ring{{-180, 40}, {180, 40}, {180, 50}, {-180, 50}, {-180, 40}}
	north := warning.Ring{{-180, 89}, {0, 88}, {180, 89}, {180, 90}, {-180, 90}, {-180, 89}}
	south := warning.Ring{{10, -80}, {-90, -80}, {-180, -80}, {-180, -90}, {180, -90}, {180, -80}, {20, -80}, {15, -85}, {10, -80}}
	for _, c := range []struct {
		name     string
		polygons [][]warning.Ring
		in, out  []warning.Point
	}{
		{"west of it", [][]warning.Ring{{{{179, 10}, {180, 10}, {180, 12}, {179, 12}, {179, 10}}}},
			[]warning.Point{{180, 11}, {-180, 11}, {-180, 10}, {-180, 12}, {179.5, 11}}, []warning.Point{{-179.9999999, 11}, {-180, 9.9999999}, {-180, 12.0000001}, {180, 9}}},
		{"east of it", [][]warning.Ring{{{{-180, 10}, {-179, 10}, {-179, 12}, {-180, 12}, {-180, 10}}}},
			[]warning.Point{{180, 11}, {-180, 11}, {180, 10}, {180, 12}}, []warning.Point{{179.9999999, 11}, {180, 9.9999999}, {180, 12.0000001}}},
		{"on both sides", [][]warning.Ring{{{{170, 10}, {180, 10}, {180, 20}, {170, 20}, {170, 10}}}, {{{-180, 12}, {-170, 12}, {-170, 22}, {-180, 22}, {-180, 12}}}},
			[]warning.Point{{180, 22}, {-180, 10}, {175, 11}, {-175, 21}}, []warning.Point{{175, 21}, {-175, 11}, {0, 15}, {180, 23}}},
		{"a corner on it", [][]warning.Ring{{{{178, 10}, {180, 11}, {178, 12}, {178, 10}}}},
			[]warning.Point{{180, 11}, {-180, 11}}, []warning.Point{{180, 11.0000001}, {-180, 10.9999999}}},
		{"all longitudes", [][]warning.Ring{{band}}, []warning.Point{{180, 45}, {-180, 45}, {0, 40}, {-180, 50}}, []warning.Point{{180, 50.0000001}, {0, 39}, {0, 90}}},
		{"around the north pole", [][]warning.Ring{{north}}, []warning.Point{{0, 90}, {-77, 90}, {180, 89}, {-180, 89.5}, {0, 88}}, []warning.Point{{180, 88.9999999}, {0, 87}, {0, -90}}},
		{"around the south pole", [][]warning.Ring{{south}}, []warning.Point{{13, -90}, {180, -80}, {-180, -85}, {15, -85}}, []warning.Point{{15, -84.9999999}, {15, 90}}},
		{"up to the north pole", [][]warning.Ring{{{{-10, 80}, {10, 80}, {0, 90}, {-10, 80}}}}, []warning.Point{{0, 90}, {180, 90}, {-180, 90}, {77, 90}}, []warning.Point{{77, 89.9999999}, {180, 89}}},
		{"the whole world", [][]warning.Ring{{{{-180, -90}, {180, -90}, {180, 90}, {-180, 90}, {-180, -90}}}}, []warning.Point{{0, 1}, {180, 90}, {-180, -90}, {180, 0}}, nil},
	} {
		var points []coord
		for _, p := range slices.Concat(c.in, c.out) {
			points = append(points, coordOf(p))
		}
		for i, in := range everywhere(t, c.polygons, points) {
			if in != (i < len(c.in)) {
				t.Errorf("%s: %v is inside: %v", c.name, points[i], in)
			}
			if want := onEarth(c.polygons, points[i]); in != want {
				t.Errorf("%s: %v is inside: %v, fractions say %v", c.name, points[i], in, want)
			}
		}
	}
}

// TestRingsThatMayLeadEitherWayAreRefused with the place and how to make them plain.
func TestRingsThatMayLeadEitherWayAreRefused(t *testing.T) {
	for _, c := range []struct {
		ring   warning.Ring
		detail string
	}{
		{warning.Ring{{179, 10}, {-179, 10}, {-179, 11}, {179, 11}, {179, 10}}, "from 179.0000000,10.0000000 to -179.0000000,10.0000000"},
		{warning.Ring{{166, 77}, {180, 78}, {-180, 81}, {162, 81}, {166, 77}}, "from 180.0000000,78.0000000 to -180.0000000,81.0000000"},
		{warning.Ring{{45, 40}, {135, 40}, {-135, 40}, {-45, 40}, {45, 40}}, "from 135.0000000,40.0000000 to -135.0000000,40.0000000"},
		{warning.Ring{{170, 40}, {190, 40}, {190, 50}, {170, 50}, {170, 40}}, "190 40"},
		{warning.Ring{{-170, 40}, {-190, 40}, {-190, 50}, {-170, 50}, {-170, 40}}, "-190 40"},
	} {
		s, faults := verdict([][]warning.Ring{{c.ring}})
		if s != nil || len(faults) != 1 || faults[0].Rule != "area.ring.dateline" || !strings.Contains(faults[0].Detail, c.detail) || !strings.Contains(faults[0].Remedy, "180") {
			t.Errorf("%v: %v", c.ring, faults)
		}
	}
	for _, sound := range []warning.Ring{
		{{-90, 10}, {90, 10}, {90, 11}, {-90, 11}, {-90, 10}},
		{{-120, 10}, {0, 10}, {120, 10}, {120, 11}, {0, 11}, {-120, 11}, {-120, 10}},
	} {
		if s, faults := verdict([][]warning.Ring{{sound}}); s == nil {
			t.Errorf("%v: %v", sound, faults)
		}
	}
}

// cutForTest cuts a ring that has corners on the meridian x = 0 wherever it crosses that, and moves it by 180 degrees: what
// lies to the east of 0 begins at -180. It does so by looking at each side, for its own.
func cutForTest(r ring) (parts [][]warning.Ring) {
	for _, east := range []bool{false, true} {
		var out warning.Ring
		for _, c := range r {
			switch {
			case east && c.x >= 0:
				out = append(out, warning.Point{float64(int64(c.x)-dateLine) / scale, float64(c.y) / scale})
			case !east && c.x <= 0:
				out = append(out, warning.Point{float64(int64(c.x)+dateLine) / scale, float64(c.y) / scale})
			}
		}
		parts = append(parts, []warning.Ring{append(out, out[0])})
	}
	return parts
}

// TestAShapeHasTheSamePeopleAcrossTheDateLine: it is moved by half of all longitudes, away from Greenwich, and nobody in it
// or beside it is told otherwise.
func TestAShapeHasTheSamePeopleAcrossTheDateLine(t *testing.T) {
	r := seed(t)
	kinds, onSeam := map[bool]int{}, 0
	for range 60 {
		radius := math.Pow(10, -5+6.5*r.Float64())
		whole := withCornersOnGreenwich(r, radius)
		plain := []warning.Ring{nil}
		for _, c := range append(slices.Clone(whole), whole[0]) {
			plain[0] = append(plain[0], c.point())
		}
		s, _ := verdict([][]warning.Ring{plain})
		if s == nil {
			continue // rounding flattened it
		}
		var points, moved []coord
		add := func(x, y int64) {
			if x < -dateLine || x > dateLine || y < -pole || y > pole || x == 0 && y == 0 { // 0,0 is no position in a directory
				return
			}
			to := x + dateLine
			if x > 0 || x == 0 && r.IntN(2) == 0 { // who stands on it may be written either way
				to = x - dateLine
			}
			points, moved = append(points, coord{int32(x), int32(y)}), append(moved, coord{int32(to), int32(y)})
		}
		for _, e := range s.edges {
			x, y := int64(e.a.x), int64(e.a.y)
			for d := int64(-1); d <= 1; d++ {
				add(x+d, y)
				add(d, y)
			}
			add((x+int64(e.b.x))/2, (y+int64(e.b.y))/2)
			add(0, (y+int64(e.b.y))/2)
		}
		for range 60 {
			add(int64(s.box.min.x)-1+r.Int64N(s.box.width()+3), int64(s.box.min.y)-1+r.Int64N(s.box.height()+3))
		}
		cut := cutForTest(whole)
		before, after := everywhere(t, [][]warning.Ring{plain}, points), everywhere(t, cut, moved)
		for i, in := range after {
			if in != before[i] {
				t.Fatalf("%v is inside %v: %v; %v is inside %v: %v", points[i], plain, before[i], moved[i], cut, in)
			}
			if want := onEarth(cut, moved[i]); in != want {
				t.Fatalf("%v in %v: %v, fractions say %v", moved[i], cut, in, want)
			}
			kinds[in]++
			if points[i].x == 0 {
				onSeam++
			}
		}
	}
	if t.Log(kinds, onSeam); kinds[true] < 1000 || kinds[false] < 1000 || onSeam < 1000 {
		t.Errorf("too few of a kind: %v, %d on the line", kinds, onSeam)
	}
}

// withCornersOnGreenwich is a ring around 0,0 that crosses the meridian of 0 twice, in corners.
func withCornersOnGreenwich(r *rand.Rand, radius float64) (out ring) {
	height := min(radius, 89)
	for _, east := range []float64{1, -1} {
		out = append(out, coord{0, int32(-east * height * scale * (0.2 + 0.8*r.Float64()))})
		n := 1 + r.IntN(10)
		for i := range n {
			angle := math.Pi * (float64(i) + 0.1 + 0.8*r.Float64()) / float64(n)
			d := 0.2 + 0.8*r.Float64()
			out = append(out, coord{int32(east * min(radius, 170) * scale * d * math.Sin(angle)), int32(-east * height * scale * d * math.Cos(angle))})
		}
	}
	return dropRepeats(out)
}

// TestACircleHoldsEverybodyAroundThePoles is TestACircleHoldsEverybodyWithinItsRadius where the plane ends.
func TestACircleHoldsEverybodyAroundThePoles(t *testing.T) {
	r := seed(t)
	kinds := map[string]int{}
	for i := range 500 {
		c := warning.Circle{Centre: warning.Point{360*r.Float64() - 180, 180*r.Float64() - 90}, Radius: math.Exp(r.Float64() * math.Log(warning.MaxRadius))}
		switch i % 4 {
		case 0: // over the date line
			c.Centre[0] = math.Copysign(180-r.Float64()*c.Radius/111_000, r.Float64()-0.5)
			c.Centre[1] = 160*r.Float64() - 80
		case 1: // near a pole, which is inside or just outside
			c.Centre[1] = math.Copysign(90-2*r.Float64()*c.Radius/111_700, r.Float64()-0.5)
		case 2: // with the pole on its line, or nearly
			c.Centre[1] = math.Copysign(90-(c.Radius+0.1*(2*r.Float64()-1))/111_694, r.Float64()-0.5)
		case 3:
			if i%8 == 3 {
				c.Centre[1] = math.Copysign(90, r.Float64()-0.5)
			}
		}
		polygons := around(c)
		s, faults := verdict(polygons)
		if s == nil {
			t.Fatalf("%v: %v", c, faults)
		}
		kinds[fmt.Sprintf("%d parts", len(polygons))]++
		if n := len(s.edges); n > 2000 {
			t.Fatalf("%v has %d corners", c, n)
		}
		for range 120 {
			p := aim(r, c)
			p[0] = math.Remainder(p[0], 360)
			at := coordOf(p)
			if r.IntN(20) == 0 && at.x > dateLine-100 {
				at.x = -dateLine
			}
			d := ground(c.Centre, at.point())
			in := s.locate(at) != outside
			if d <= c.Radius && !in {
				t.Fatalf("%v: somebody at %v, %.4f m away, is left out of %v", c, at, d, polygons)
			}
			if d > c.Radius*1.0001+0.05 && in {
				t.Fatalf("%v: somebody at %v, %.4f m away, is taken in by %v", c, at, d, polygons)
			}
		}
	}
	if t.Log(kinds); kinds["2 parts"] < 50 {
		t.Error("too few circles over the date line")
	}
}

// TestThePlainFormOfShapesOverTheDateLine takes shapes and how another library cuts them: the first are refused where they
// are not plain, the others are sound and hold whom the first meant.
func TestThePlainFormOfShapesOverTheDateLine(t *testing.T) {
	r := seed(t)
	files, err := filepath.Glob("testdata/antimeridian/input/*.json")
	if err != nil || len(files) < 15 {
		t.Fatal(len(files), err)
	}
	refused, compared := 0, 0
	for _, file := range files {
		name := filepath.Base(file)
		sound := false // by the judgement of simplefeatures
		read := func(path string) [][]warning.Ring {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			g, err := geom.UnmarshalGeoJSON(b, geom.NoValidate{})
			if err != nil {
				t.Fatal(err)
			}
			sound = g.Validate() == nil
			polygons, err := ParseGeoJSON(b)
			if err != nil {
				t.Fatal(path, err)
			}
			return polygons
		}
		given, cut := read(file), read("testdata/antimeridian/output/"+name)
		s, faults := verdict(given)
		if s == nil && faults[0].Rule != "area.ring.dateline" {
			t.Errorf("%s is refused for %v", name, faults[0])
		}
		if s == nil {
			refused++
		}
		flat, faults := verdict(cut)
		if (flat != nil) != sound { // two are not: their parts overlap
			t.Errorf("the cut form of %s is sound: %v; refused: %v", name, sound, faults)
		}
		whole := unwrapped(given)
		if flat == nil || whole == nil || name == "both-poles.json" || name == "latitude-band.json" {
			continue // it leads around the earth
		}
		var points []coord
		var want []bool
		for range 150 {
			lon, lat := int64(-dateLine)+r.Int64N(2*dateLine+1), int64(-pole)+r.Int64N(2*pole+1)
			if r.IntN(2) == 0 {
				part := cut[r.IntN(len(cut))][0]
				at := coordOf(part[r.IntN(len(part))])
				lon, lat = int64(at.x)+r.Int64N(2*scale)-scale, int64(at.y)+r.Int64N(2*scale)-scale
			}
			p := coord{int32(min(dateLine, max(-dateLine, lon))), int32(min(pole, max(-pole, lat)))}
			in, near := meant(whole, p)
			if near {
				continue // the other library rounds where it cuts
			}
			points, want = append(points, p), append(want, in)
		}
		for i, in := range everywhere(t, cut, points) {
			if compared++; in != want[i] {
				t.Errorf("%s: %v is inside the cut form: %v, and was meant to be: %v", name, points[i], in, want[i])
			}
		}
	}
	if t.Logf("%d of %d refused, %d people compared", refused, len(files), compared); refused < 10 || compared < 1500 {
		t.Error("too few")
	}
}

// unwrapped is rings whose longitudes go on beyond 180 instead of beginning anew, in fractions of a degree; nil when one of
// them leads around a pole.
func unwrapped(polygons [][]warning.Ring) (rings []warning.Ring) {
	for _, part := range polygons {
		for i, r := range part {
			out := warning.Ring{r[0]}
			if i > 0 { // a hole lies where its shell does
				shell := rings[len(rings)-i]
				out[0][0] = shell[0][0] + math.Remainder(r[0][0]-shell[0][0], 360)
			}
			for j, p := range r[1:] {
				out = append(out, warning.Point{out[j][0] + math.Remainder(p[0]-r[j][0], 360), p[1]})
			}
			if math.Abs(out[len(out)-1][0]-out[0][0]) > 1 {
				return nil
			}
			rings = append(rings, out)
		}
	}
	return rings
}

// meant tells whether p or one of its places a turn further is inside the rings, by angles summed up; near, that it is too
// near to a side to say.
func meant(rings []warning.Ring, p coord) (in, near bool) {
	for _, turn := range []float64{-360, 0, 360} {
		x, y := float64(p.x)/scale+turn, float64(p.y)/scale
		odd := false
		for _, r := range rings {
			sum := 0.0
			for i, a := range r[:len(r)-1] {
				b := r[i+1]
				cross, dot := (a[0]-x)*(b[1]-y)-(a[1]-y)*(b[0]-x), (a[0]-x)*(b[0]-x)+(a[1]-y)*(b[1]-y)
				length := math.Hypot(b[0]-a[0], b[1]-a[1])
				near = near || math.Abs(cross) < 1e-5*length && dot < length || y == 90 || y == -90
				sum += math.Atan2(cross, dot)
			}
			odd = odd != (math.Abs(sum) > math.Pi)
		}
		in = in || odd
	}
	return in, near
}

// TestTheNearestComeFirstAcrossTheDateLine: a front at Greenwich and the same one at the date line tell people in one order.
func TestTheNearestComeFirstAcrossTheDateLine(t *testing.T) {
	r := seed(t)
	moved := func(p warning.Point) warning.Point { return warning.Point{math.Remainder(p[0]+180, 360), p[1]} }
	for range 200 {
		at := func() warning.Point {
			return coord{int32(r.IntN(6*scale) - 3*scale), int32(r.IntN(6*scale) - 3*scale)}.point()
		}
		here := warning.Focus{CRS: "wgs84", Points: []warning.Point{at(), at(), at()}, Speed: 10, Bearing: 360 * r.Float64()}
		there := here
		there.Points = nil
		for _, p := range here.Points {
			there.Points = append(there.Points, moved(p))
		}
		for range 20 {
			p := at()
			q, c := coordOf(moved(p)), coordOf(p)
			want, got := newFocusLine(here).danger(box{c, c}), newFocusLine(there).danger(box{q, q})
			near := func(a, b float64) bool { return a == b || math.Abs(a-b) < 0.1+1e-6*a }
			if !near(want.arrival, got.arrival) || !near(want.distance, got.distance) {
				t.Fatalf("%v to %v: %v; moved by 180 degrees %v", here, p, want, got)
			}
		}
	}
}
