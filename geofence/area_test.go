package geofence_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/warning"
)

// square is a closed ring around a middle.
func square(lon, lat, half float64) warning.Ring {
	return warning.Ring{{lon - half, lat - half}, {lon + half, lat - half}, {lon + half, lat + half}, {lon - half, lat + half}, {lon - half, lat - half}}
}

// polygon is an area of one part.
func polygon(rings ...warning.Ring) warning.Area { return parts(rings) }

func parts(p ...[]warning.Ring) warning.Area {
	return warning.Area{CRS: "wgs84", Polygons: p}
}

func circle(lon, lat, metres float64) warning.Area {
	return warning.Area{CRS: "wgs84", Circle: &warning.Circle{Centre: warning.Point{lon, lat}, Radius: metres}}
}

func violations(t *testing.T, err error) []warning.Violation {
	t.Helper()
	var e *warning.Error
	if !errors.As(err, &e) || e.Reason != warning.ReasonInvalid {
		t.Fatalf("not a refusal of invalid input: %v", err)
	}
	return e.Violations
}

func TestFaultyAreasAreRefusedWithPlaceAndRule(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	nan := square(107, 30, 0.1)
	nan[2][1] = math.NaN()
	inf := square(107, 30, 0.1)
	inf[2][0] = math.Inf(1)
	far := square(107, 30, 0.1)
	far[1][0] = 181
	farther := square(107, 30, 0.1)
	farther[1][0] = 361
	high := square(107, 30, 0.1)
	high[3][1] = 90.5
	open := square(107, 30, 0.1)[:4]
	swapped := warning.Ring{{30, 107}, {30.1, 107}, {30.1, 107.1}, {30, 107}}
	bow := warning.Ring{{107, 30}, {107.2, 30.2}, {107.2, 30}, {107, 30.2}, {107, 30}}
	spike := warning.Ring{{107, 30}, {107.2, 30}, {107.4, 30}, {107.2, 30}, {107.2, 30.2}, {107, 30}}
	pinched := warning.Ring{{107, 30}, {107.2, 30}, {107.1, 30.1}, {107.2, 30.2}, {107, 30.2}, {107.1, 30.1}, {107, 30}}
	line := warning.Ring{{107, 30}, {107.1, 30.1}, {107.2, 30.2}, {107, 30}}
	dot := warning.Ring{{107, 30}, {107, 30}, {107, 30}, {107, 30}}
	many := make([]warning.Ring, 2001)
	for i := range many {
		many[i] = square(107, 30, 0.1)
	}
	big := make(warning.Ring, 200_001)

	for _, c := range []struct {
		name   string
		areas  []warning.Area
		rule   string
		field  string
		detail string // a part of it
	}{
		{"no area", nil, "area.missing", "areas", ""},
		{"too many areas", make([]warning.Area, 101), "area.limit.areas", "areas", "101"},
		{"empty area", []warning.Area{{Unit: "500101"}, {}}, "area.empty", "areas[1]", ""},
		{"unit and polygons", []warning.Area{{Unit: "500101", Polygons: [][]warning.Ring{{square(107, 30, 0.1)}}}}, "area.kind", "areas[0]", ""},
		{"no code", []warning.Area{{Unit: "5001"}}, "area.unit.code", "areas[0].unit", "5001"},
		{"unknown code", []warning.Area{{Unit: "500199"}}, "area.unit.unknown", "areas[0].unit", "500199"},
		{"retired code", []warning.Area{{Unit: "500105"}}, "area.unit.retired", "areas[0].unit", "500157 两江新区"},
		{"retired that day", []warning.Area{{Unit: "500112", AsOf: day("2025-11-06")}}, "area.unit.retired", "areas[0].unit", "2025-11-06"},
		{"retired that second", []warning.Area{{Unit: "500105", AsOf: day("2025-11-05").Add(16 * time.Hour)}}, "area.unit.retired", "areas[0].unit", "2025-11-06"},
		{"not begun that day", []warning.Area{{Unit: "500157", AsOf: day("2025-11-05")}}, "area.unit.future", "areas[0].unit", "2025-11-06"},
		{"not surveyed", []warning.Area{{Unit: "500157"}}, "area.unit.outline", "areas[0].unit", "两江新区"},
		{"no coordinate system", []warning.Area{{Polygons: [][]warning.Ring{{square(107, 30, 0.1)}}}}, "area.crs", "areas[0].crs", ""},
		{"a circle and polygons", []warning.Area{{CRS: "wgs84", Circle: &warning.Circle{}, Polygons: [][]warning.Ring{}}}, "area.kind", "areas[0]", ""},
		{"a circle without coordinate system", []warning.Area{{Circle: &warning.Circle{Centre: warning.Point{107, 30}, Radius: 100}}}, "area.crs", "areas[0].crs", ""},
		{"a circle without radius", []warning.Area{circle(107, 30, 0)}, "area.radius", "areas[0].circle.radius_m", "0 metres"},
		{"a radius that is no number", []warning.Area{circle(107, 30, math.NaN())}, "area.radius", "areas[0].circle.radius_m", "NaN"},
		{"a circle around nothing", []warning.Area{circle(107, math.Inf(1), 100)}, "area.coordinate", "areas[0].circle.centre", "Inf"},
		{"a circle elsewhere", []warning.Area{circle(116.4, 39.9, 100)}, "area.outside", "areas[0].circle", ""},
		{"a circle with latitude first", []warning.Area{circle(30, 107, 100)}, "area.coordinate", "areas[0].circle.centre", ""},
		{"another coordinate system", []warning.Area{{CRS: "mars", Polygons: [][]warning.Ring{{square(107, 30, 0.1)}}}}, "area.crs", "areas[0].crs", "mars"},
		{"no part", []warning.Area{{CRS: "wgs84", Polygons: [][]warning.Ring{}}}, "area.empty", "areas[0].polygon", ""},
		{"part without ring", []warning.Area{parts([]warning.Ring{square(107, 30, 0.1)}, nil)}, "area.empty", "areas[0].polygon.parts[1]", ""},
		{"empty ring", []warning.Area{polygon(warning.Ring{})}, "area.ring.short", "areas[0].polygon.parts[0].rings[0]", "0 points"},
		{"three points", []warning.Area{polygon(square(107, 30, 0.1)[:3])}, "area.ring.short", "areas[0].polygon.parts[0].rings[0]", "3 points"},
		{"open ring", []warning.Area{polygon(square(106, 29.5, 0.4), open)}, "area.ring.open", "areas[0].polygon.parts[0].rings[1]", "106.9000000,29.9000000"},
		{"not a number", []warning.Area{polygon(nan)}, "area.coordinate", "areas[0].polygon.parts[0].rings[0][2]", "NaN"},
		{"infinite", []warning.Area{polygon(inf)}, "area.coordinate", "areas[0].polygon.parts[0].rings[0][2]", "Inf"},
		{"beyond the date line", []warning.Area{polygon(far)}, "area.ring.dateline", "areas[0].polygon.parts[0].rings[0][1]", "181"},
		{"longitude out of range", []warning.Area{polygon(farther)}, "area.coordinate", "areas[0].polygon.parts[0].rings[0][1]", "361"},
		{"latitude out of range", []warning.Area{polygon(high)}, "area.coordinate", "areas[0].polygon.parts[0].rings[0][3]", "90.5"},
		{"latitude first", []warning.Area{polygon(swapped)}, "area.swapped", "areas[0].polygon", "30 107"},
		{"bow-tie", []warning.Area{polygon(bow)}, "area.ring.crossing", "areas[0].polygon.parts[0].rings[0]", "107.1000000,30.1000000"},
		{"touches itself", []warning.Area{polygon(pinched)}, "area.ring.crossing", "areas[0].polygon.parts[0].rings[0]", "107.1000000,30.1000000"},
		{"spike", []warning.Area{polygon(spike)}, "area.ring.spike", "areas[0].polygon.parts[0].rings[0]", "107.4000000,30.0000000"},
		{"a line", []warning.Area{polygon(line)}, "area.ring.zero", "areas[0].polygon.parts[0].rings[0]", "107.0000000,30.0000000"},
		{"a point", []warning.Area{polygon(dot)}, "area.ring.zero", "areas[0].polygon.parts[0].rings[0]", "107.0000000,30.0000000"},
		{"hole outside", []warning.Area{polygon(square(107, 30, 0.1), square(107.5, 30, 0.1))}, "area.hole.outside", "areas[0].polygon.parts[0].rings[1]", "107.4000000,29.9000000"},
		{"hole over the shell", []warning.Area{polygon(square(107, 30, 0.1), square(107.1, 30.03, 0.05))}, "area.hole.crossing", "areas[0].polygon.parts[0].rings[1]", "107.1000000,"},
		{"hole in hole", []warning.Area{polygon(square(107, 30, 0.3), square(107, 30, 0.2), square(107, 30, 0.1))}, "area.hole.nested", "areas[0].polygon.parts[0].rings[2]", "rings[1]"},
		{"holes overlap", []warning.Area{polygon(square(107, 30, 0.3), square(107, 30, 0.1), square(107.1, 30.1, 0.1))}, "area.hole.crossing", "areas[0].polygon.parts[0].rings[2]", "rings[1]"},
		{"holes cut the part", []warning.Area{polygon(square(107, 30, 0.2), warning.Ring{{106.8, 30}, {107, 30.1}, {107.2, 30}, {107, 29.9}, {106.8, 30}})}, "area.part.split", "areas[0].polygon.parts[0]", ""},
		{"parts overlap", []warning.Area{parts([]warning.Ring{square(107, 30, 0.1)}, []warning.Ring{square(107.1, 30.1, 0.1)})}, "area.part.overlap", "areas[0].polygon.parts[1].rings[0]", "parts[0]"},
		{"part in part", []warning.Area{parts([]warning.Ring{square(107, 30, 0.2)}, []warning.Ring{square(107, 30, 0.1)})}, "area.part.overlap", "areas[0].polygon.parts[1].rings[0]", "parts[0]"},
		{"elsewhere", []warning.Area{polygon(square(116.4, 39.9, 0.1))}, "area.outside", "areas[0].polygon", ""},
		{"too many rings", []warning.Area{polygon(many...)}, "area.limit.rings", "areas[0].polygon", "2001"},
		{"too many points", []warning.Area{polygon(big)}, "area.limit.vertices", "areas[0].polygon", "200001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := violations(t, geofence.Check(c.areas, geofence.DefaultLimits()))[0]
			if v.Rule != c.rule || v.Field != c.field || !strings.Contains(v.Detail, c.detail) {
				t.Errorf("got %v", v)
			}
			if v.Remedy == "" {
				t.Errorf("no remedy: %v", v)
			}
		})
	}
}

// TestRingsThatOnlyMeetWhereOneEndsAndTheNextBegins: there the last sides of one and the first of the other are looked at
// as one piece, which leads to the east all the way and is no line all the same.
func TestRingsThatOnlyMeetWhereOneEndsAndTheNextBegins(t *testing.T) {
	at := func(points ...warning.Point) (r warning.Ring) {
		for _, p := range append(points, points[0]) {
			r = append(r, warning.Point{107 + p[0]/10, 30 + p[1]/10})
		}
		return r
	}
	upper := at([]warning.Point{{4, 2}, {3.5, 2.1}, {3, 2.2}, {2.5, 2.1}, {2, 2.2}, {1.5, 2.1}, {1, 2.2}, {0.5, 2.1}, {0, 2}, {1, 0.9}, {2, 1.1}, {3, 0.9}}...)
	lower := at([]warning.Point{{0, 0}, {1, 1.2}, {2, 0.95}, {3, 1.2}, {4, 0}, {2, -1}}...)
	v := violations(t, geofence.Check([]warning.Area{parts([]warning.Ring{upper}, []warning.Ring{lower})}, geofence.DefaultLimits()))
	if v[0].Rule != "area.part.overlap" {
		t.Error(v)
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	vs := violations(t, geofence.Check([]warning.Area{{Unit: "500105"}, {}, polygon(square(107, 30, 0.1)[:3], square(107, 30, 0.1)[:4])}, geofence.DefaultLimits()))
	var got []string
	for _, v := range vs {
		got = append(got, v.Rule)
	}
	if want := "[area.unit.retired area.empty area.ring.short area.ring.open]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSoundAreasAreTaken(t *testing.T) {
	repeated := warning.Ring{{107, 30}, {107, 30}, {107.2, 30}, {107.2, 30.2}, {107.2, 30.2}, {107, 30.2}, {107, 30}, {107, 30}}
	backward := warning.Ring{{107, 30}, {107, 30.2}, {107.2, 30.2}, {107.2, 30}, {107, 30}}
	before := time.Date(2025, 11, 5, 0, 0, 0, 0, time.UTC)
	end := time.Date(2025, 11, 5, 16, 0, 0, 0, time.UTC) // midnight in Chongqing
	for name, a := range map[string]warning.Area{
		"unit":                        {Unit: "500101"},
		"unit whose outline changed":  {Unit: "500109"},
		"retired unit, on its day":    {Unit: "500105", AsOf: before},
		"retired unit, last second":   {Unit: "500105", AsOf: end.Add(-time.Second)},
		"unit of a later day":         {Unit: "500101", AsOf: before.AddDate(10, 0, 0)},
		"counter-clockwise":           polygon(square(107, 30, 0.1)),
		"clockwise":                   polygon(backward),
		"repeated points":             polygon(repeated),
		"hole that touches the shell": polygon(square(107, 30, 0.2), warning.Ring{{106.8, 30}, {107, 30.1}, {107, 29.9}, {106.8, 30}}),
		"two parts that touch":        parts([]warning.Ring{square(107, 30, 0.1)}, []warning.Ring{square(107.2, 30.2, 0.1)}),
		"part in a hole":              parts([]warning.Ring{square(107, 30, 0.3), square(107, 30, 0.2)}, []warning.Ring{square(107, 30, 0.1)}),
		"partly outside":              polygon(square(105.3, 29, 0.5)),
		"around the jurisdiction":     polygon(square(107.5, 30, 5)),
		"the whole world":             polygon(warning.Ring{{-180, -90}, {180, -90}, {180, 90}, {-180, 90}, {-180, -90}}),
	} {
		if err := geofence.Check([]warning.Area{a}, geofence.DefaultLimits()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShareOfJurisdiction(t *testing.T) {
	city, err := geofence.NewJurisdiction("500000", geofence.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	share := func(areas ...warning.Area) float64 {
		_, s, err := city.Border(areas)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := time.Date(2025, 11, 5, 0, 0, 0, 0, time.UTC)
	var all []warning.Area
	sum := 0.0
	for _, u := range geofence.EditionAt(before).Units {
		if u.Surveyed() {
			a := warning.Area{Unit: fmt.Sprint(u.Code), AsOf: before}
			all = append(all, a)
			sum += share(a)
		}
	}
	if len(all) != 38 {
		t.Fatalf("%d units", len(all))
	}
	for name, s := range map[string]float64{"all units": share(all...), "the world": share(polygon(square(107.5, 30, 6))), "the sum": sum} {
		if math.Abs(s-1) > 0.001 {
			t.Errorf("%s: share %v", name, s)
		}
	}
	// 石柱 has 3,014 km² of 82,402; an area named twice counts once.
	one := share(warning.Area{Unit: "500240"})
	if math.Abs(one-3014.0/82402) > 0.0005 {
		t.Errorf("share of 500240 is %v", one)
	}
	if twice := share(warning.Area{Unit: "500240"}, warning.Area{Unit: "500240"}); twice != one {
		t.Errorf("named twice %v, once %v", twice, one)
	}
}

// hostile is outlines on which a careless search takes steps by the square of their corners.
func hostile(teeth int) map[string]warning.Area {
	comb := func(slant float64) warning.Area {
		var r warning.Ring
		for i := range teeth {
			x := 106 + float64(i)/float64(teeth)
			r = append(r, warning.Point{x, 29}, warning.Point{x + slant + 0.5/float64(teeth), 30})
		}
		return polygon(append(r, warning.Point{107.9, 30}, warning.Point{108.1, 28.9}, warning.Point{106, 28.9}, r[0]))
	}
	var star warning.Ring
	for i := range 2 * teeth {
		angle, d := math.Pi*float64(i)/float64(teeth), 1+float64(i%2)
		star = append(star, warning.Point{107.5 + d*math.Cos(angle), 30 + d*math.Sin(angle)})
	}
	return map[string]warning.Area{"comb": comb(0), "slanted comb": comb(0.8), "star": polygon(append(star, star[0]))}
}

func TestLargeHostileOutlinesAreChecked(t *testing.T) {
	for name, a := range hostile(20_000) {
		if err := geofence.Check([]warning.Area{a}, geofence.DefaultLimits()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r := a.Polygons[0][0]
		r[20_001], r[20_003] = r[20_003], r[20_001] // two tips change places
		if v := violations(t, geofence.Check([]warning.Area{a}, geofence.DefaultLimits())); v[0].Rule != "area.ring.crossing" {
			t.Errorf("%s with two tips exchanged: %v", name, v)
		}
	}
}

func TestWorkIsBounded(t *testing.T) {
	// Flags around one pole: every two of them touch at it.
	var flags [][]warning.Ring
	for i := range 1500 {
		a, b := 2*math.Pi*float64(i)/1500, 2*math.Pi*(float64(i)+0.5)/1500
		p := warning.Point{107.5, 30}
		flags = append(flags, []warning.Ring{{p, {107.5 + math.Cos(a), 30 + math.Sin(a)}, {107.5 + math.Cos(b), 30 + math.Sin(b)}, p}})
	}
	l := geofence.DefaultLimits()
	if err := geofence.Check([]warning.Area{parts(flags...)}, l); err != nil {
		t.Error(err)
	}
	l.Work = 100_000
	if v := violations(t, geofence.Check([]warning.Area{parts(flags...)}, l)); v[0].Rule != "area.limit.work" {
		t.Errorf("got %v", v)
	}
}

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		lon, lat float64
		want     uint32
	}{
		{106.5591746, 29.5596058, 500103}, // seat of 渝中
		{108.3756706, 30.8100816, 500101}, // seat of 万州
		{109.4607699, 31.0221645, 500236}, // seat of 奉节
		{104.06, 30.67, 0},                // 成都
		{0, 0, 0}, {math.NaN(), 30, 0}, {1e300, 30, 0},
	} {
		if got, ok := geofence.Locate(c.lon, c.lat); got != c.want || ok != (c.want != 0) {
			t.Errorf("%v, %v: %d, %v", c.lon, c.lat, got, ok)
		}
	}
}

func TestEdition(t *testing.T) {
	e := geofence.EditionAt(time.Time{})
	if got := len(geofence.Editions()); got != 1 {
		t.Fatalf("%d editions", got)
	}
	if geofence.RawOutlines("another") != nil || !strings.Contains(string(geofence.RawOutlines(e.ID)), "石柱") {
		t.Error("the outlines are not those of the edition that was asked for")
	}
	people := int64(0)
	for _, u := range e.Units {
		people += u.Population
	}
	if people != 32_054_159 {
		t.Errorf("%d residents", people)
	}
	for _, u := range e.Units {
		if u.Pinyin == "" || strings.ContainsAny(u.Pinyin, "[]←") {
			t.Errorf("pinyin %q", u.Pinyin)
		}
	}
	u, ok := e.Unit(500109)
	if !ok || u.Name != "北碚区" || u.Short != "北碚" || u.Pinyin != "Bĕibèi Qū" || !strings.Contains(u.Note, "boundary changed 2025-11-06") {
		t.Errorf("%+v", u)
	}
}
