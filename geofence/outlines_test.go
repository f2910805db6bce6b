package geofence_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/warning"
)

// feature is a unit of a file.
type feature struct {
	code, name string
	rings      []warning.Ring
}

func collection(t interface{ Fatal(...any) }, list ...feature) []byte {
	type m = map[string]any
	var out []m
	for _, f := range list {
		out = append(out, m{"type": "Feature", "properties": m{"code": f.code, "name": f.name}, "geometry": m{"type": "Polygon", "coordinates": f.rings}})
	}
	b, err := json.Marshal(m{"type": "FeatureCollection", "features": out})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The towns of 500105 in the list, which had twelve until it ended.
const cut, across, along = "500105", 3, 4

func townsOfCut(t interface{ Fatal(...any) }) (codes []string) {
	for n := 1; n < 1000; n++ {
		if town, ok := geofence.TownAt(fmt.Sprintf("%s%03d", cut, n)); ok {
			codes = append(codes, strconv.Itoa(int(town.Code)))
		}
	}
	if len(codes) != across*along {
		t.Fatal("the list has other towns: ", codes)
	}
	return codes
}

// subdivided is a district cut into its towns along random lines. Their corners are on a grid of 10^-6 degree.
func subdivided(t *rapid.T) (district feature, list []feature) {
	const west, south, step = 106.2, 29.4, 0.05
	var corners [along + 1][across + 1]warning.Point
	for y := range corners {
		for x := range corners[y] {
			p := warning.Point{west + step*float64(x), south + step*float64(y)}
			if x > 0 && x < across {
				p[0] += float64(rapid.IntRange(-15_000, 15_000).Draw(t, "east")) / 1e6
			}
			if y > 0 && y < along {
				p[1] += float64(rapid.IntRange(-15_000, 15_000).Draw(t, "north")) / 1e6
			}
			corners[y][x] = p
		}
	}
	for i, code := range townsOfCut(t) {
		x, y := i%across, i/across
		a, b, c, d := corners[y][x], corners[y][x+1], corners[y+1][x+1], corners[y+1][x]
		list = append(list, feature{code: code, rings: []warning.Ring{{a, b, c, d, a}}})
	}
	var r warning.Ring
	for x := range across {
		r = append(r, corners[0][x])
	}
	for y := range along {
		r = append(r, corners[y][across])
	}
	for x := range across {
		r = append(r, corners[along][across-x])
	}
	for y := range along {
		r = append(r, corners[along-y][0])
	}
	return feature{code: cut, rings: []warning.Ring{append(r, r[0])}}, list
}

func atlas(list ...*geofence.Outlines) *geofence.Atlas {
	a := geofence.NewAtlas(func(string) (*geofence.Outlines, error) { return nil, nil })
	a.Take(list)
	return a
}

// TestEverybodyIsInExactlyOneTown of a random subdivision of a district, by resolving each of them.
func TestEverybodyIsInExactlyOneTown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		district, list := subdivided(t)
		o, remarks, err := geofence.Survey("2023", collection(t, append(list, district)...), "wgs84", nil)
		if err != nil || len(remarks) > 0 {
			t.Fatal(err, remarks)
		}
		limits := geofence.DefaultLimits()
		limits.Atlas = atlas(o)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "people"), 1))
		var rows []row
		for range 300 {
			rows = append(rows, row{lon: 106.2 + 0.15*random.Float64(), lat: 29.4 + 0.2*random.Float64(), home: 500105})
		}
		s, bad := geofence.Build(columns(rows...))
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		r := geofence.NewRevision(s.WithLimits(limits))
		resolve := func(areas ...warning.Area) int64 {
			sel, err := r.Resolve(limits.Atlas.Pin(areas, time.Now()), warning.Presence{})
			if err != nil {
				t.Fatal(err)
			}
			return sel.People()
		}
		var all []warning.Area
		sum := int64(0)
		for _, f := range list {
			all = append(all, warning.Area{Unit: f.code})
			sum += resolve(all[len(all)-1])
		}
		// Nobody stands on a line: their positions are finer than its corners.
		if together := resolve(all...); together != 300 || sum != 300 {
			t.Fatalf("%d in all towns together, %d when they are added", together, sum)
		}
	})
}

var place = regexp.MustCompile(`at (-?[0-9.]+),(-?[0-9.]+)$`)

// within tells whether the place that a violation names is in a ring.
func within(t *rapid.T, v warning.Violation, ring warning.Ring) bool {
	m := place.FindStringSubmatch(v.Detail)
	if m == nil {
		t.Fatalf("no place in %q", v.Detail)
	}
	x, _ := strconv.ParseFloat(m[1], 64)
	y, _ := strconv.ParseFloat(m[2], 64)
	in := false
	for i := range len(ring) - 1 {
		a, b := ring[i], ring[i+1]
		if (a[1] > y) != (b[1] > y) && x < a[0]+(b[0]-a[0])*(y-a[1])/(b[1]-a[1]) {
			in = !in
		}
	}
	return in
}

// TestPlantedGapsAndOverlapsAreFound: a corner of one town is drawn back from its neighbours, or into one of them.
func TestPlantedGapsAndOverlapsAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		district, list := subdivided(t)
		i := rapid.SampledFrom([]int{0, 1, 3, 4, 6, 7}).Draw(t, "town")
		was := list[i].rings[0]
		opposite := list[i+across+1].rings[0] // the town beyond the corner
		to, rule := was[0], "outline.gap"
		if rapid.Bool().Draw(t, "overlap") {
			to, rule = opposite[2], "outline.overlap"
		}
		part := rapid.Float64Range(0.2, 0.4).Draw(t, "part")
		moved := slices.Clone(was)
		moved[2] = warning.Point{was[2][0] + part*(to[0]-was[2][0]), was[2][1] + part*(to[1]-was[2][1])}
		list[i].rings = []warning.Ring{moved}
		o, _, err := geofence.Survey("2023", collection(t, append(list, district)...), "wgs84", nil)
		var found []warning.Violation
		if refused := new(warning.Error); errors.As(err, &refused) {
			found = refused.Violations
		}
		found = slices.DeleteFunc(slices.Clone(found), func(v warning.Violation) bool { return v.Rule != rule })
		if o != nil || len(found) == 0 {
			t.Fatalf("%s is not found: %v", rule, err)
		}
		for _, v := range found {
			if rule == "outline.gap" && (!within(t, v, was) || within(t, v, moved)) || rule == "outline.overlap" && !within(t, v, moved) {
				t.Fatalf("not there: %v", v)
			}
			if !strings.Contains(v.Detail, "km², ") || rule == "outline.overlap" && !strings.Contains(v.Detail, list[i].code) {
				t.Fatalf("%v", v)
			}
		}
	})
}

func box(west, south, width float64) []warning.Ring {
	return []warning.Ring{{{west, south}, {west + width, south}, {west + width, south + width}, {west, south + width}, {west, south}}}
}

func TestEditionsAreRefusedWithTheirFaults(t *testing.T) {
	town := feature{code: "500154119", rings: box(108.1, 31.0, 0.03)} // in its district, as shipped
	for name, c := range map[string]struct {
		edition string
		list    []feature
		rules   string
	}{
		"no period":         {"newest", []feature{town}, "outline.edition"},
		"half a period":     {"2025-1", []feature{town}, "outline.edition"},
		"no code":           {"2025", []feature{{code: "5001541", rings: town.rings}}, "outline.code"},
		"a village":         {"2025", []feature{{code: "500154119201", rings: town.rings}}, "outline.code"},
		"twice":             {"2025", []feature{town, {code: "500154119000", rings: town.rings}}, "outline.twice"},
		"unknown district":  {"2025", []feature{{code: "510101", rings: town.rings}, {code: "510101001", name: "x", rings: town.rings}}, "outline.unknown outline.unknown"},
		"retired":           {"2025-11", []feature{{code: "500105", rings: box(106.5, 29.6, 0.01)}, {code: "500112001", rings: box(106.6, 29.7, 0.01)}}, "outline.retired outline.retired"},
		"not begun":         {"2025-10", []feature{{code: "500157", rings: box(106.5, 29.6, 0.01)}}, "outline.future"},
		"no name":           {"2025", []feature{{code: "500154999", rings: town.rings}}, "outline.name"},
		"elsewhere":         {"2025", []feature{{code: "500154119", rings: box(106.5, 29.6, 0.01)}}, "outline.outside"},
		"spike and no ring": {"2025", []feature{{code: "500154119", rings: []warning.Ring{{{1, 1}, {2, 2}, {3, 3}, {1, 1}}}}, {code: "500154120"}}, "area.ring.zero area.empty"},
		"statistics":        {"2025", []feature{{code: "500154000000", rings: box(106.5, 29.6, 0.01)}, {code: "500154000", rings: box(106.5, 29.6, 0.01)}}, "outline.twice"},
		"same place":        {"2025", []feature{town, {code: "500154120", rings: town.rings}}, "outline.overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := geofence.Survey(c.edition, collection(t, c.list...), "wgs84", nil)
			var got []string
			for _, v := range violations(t, err) {
				got = append(got, v.Rule)
				if v.Detail == "" || v.Remedy == "" || v.Field == "" {
					t.Errorf("%v does not say what to do", v)
				}
			}
			if rules := strings.Join(got, " "); o != nil || !strings.HasPrefix(rules, c.rules) {
				t.Errorf("%s, want %s: %v", rules, c.rules, err)
			}
		})
	}
	if _, _, err := geofence.Survey("2025", collection(t, town), "mars", nil); violations(t, err)[0].Rule != "area.crs" {
		t.Error(err)
	}
	// A single town is no fault: the others are told to be found by home.
	o, remarks, err := geofence.Survey("2025", collection(t, town), "wgs84", nil)
	if err != nil || o.ID[:5] != "2025@" || len(remarks) == 0 || remarks[0].Rule != "outline.partial" {
		t.Errorf("%v, %v", remarks, err)
	}
	// The same outline in another system is the same place.
	var moved warning.Ring
	for _, p := range town.rings[0] {
		moved = append(moved, convert(t, p, "wgs84", "gcj02"))
	}
	g, _, err := geofence.Survey("2025", collection(t, feature{code: "500154119", rings: []warning.Ring{moved}}), "gcj02", nil)
	if err != nil || g.ID != o.ID {
		t.Errorf("%v: %s and %s", err, g.ID, o.ID)
	}
}

// TestWhoIsInATownWithAnOutline: the same people as where a town has none, and another answer.
func TestWhoIsInATownWithAnOutline(t *testing.T) {
	const town, day = 500154119, 30_000_000
	o, _, err := geofence.Survey("2025", collection(t, feature{code: "500154119", rings: box(108.1, 31.02, 0.04)}, feature{code: "500154120", rings: box(108.15, 31.02, 0.04)}), "wgs84", nil)
	if err != nil {
		t.Fatal(err)
	}
	here, near, away := [2]float64{108.12, 31.04}, [2]float64{108.2, 31.04}, [2]float64{106.55, 29.56}
	at := func(p [2]float64, home, seen uint32) row { return row{lon: p[0], lat: p[1], home: home, seen: seen} }
	s, bad := geofence.Build(columns(
		at(here, town, 0), at(here, 500154, 0), at(here, 500154120, 0), // three whose place is their home
		at(here, 500101, day-10), at(here, town, day-1000), at(here, 500154, day-1000), // seen here lately; seen at home, or in its district
		at(near, town, day-1000), at(away, town, day-1000), // home here, and not seen elsewhere since
		at(near, town, day-10),                                    // seen elsewhere lately: counts for a red
		at(near, town, 0), at(near, 500154, 0), at(away, town, 0), // their home is at another place than the list says
		at(here, 500154120, day-1000), at(here, 500101, day-1000), // home elsewhere, and seen here long ago
	))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	limits := geofence.DefaultLimits()
	limits.Atlas = atlas(o)
	r := geofence.NewRevision(s.WithLimits(limits))
	for _, code := range []string{"500154119", "500154119000"} {
		areas := limits.Atlas.Pin([]warning.Area{{Unit: code}}, time.Now())
		if areas[0].Edition != o.ID {
			t.Fatal(areas)
		}
		for both, want := range map[bool]int64{false: 8, true: 11} {
			sel, err := r.Resolve(areas, warning.Presence{Now: day, Within: 360, Both: both})
			if err != nil || sel.People() != want {
				t.Errorf("%s, both %t: %d people, want %d: %v", code, both, sel.People(), want, err)
			}
		}
		if m := r.Remarks(areas); len(m) != 1 || m[0].Rule != "area.unit.edition" || !strings.Contains(m[0].Detail, o.ID) || !strings.Contains(m[0].Detail, "开州区") {
			t.Errorf("%v", m)
		}
		fences := geofence.NewFences(limits)
		if err := fences.Add("w", areas); err != nil {
			t.Fatal(err)
		}
		var in []int
		fences.Inside([]int32{1081200000, 1082000000}, []int32{310400000, 310400000}, func(i int, _ string) { in = append(in, i) })
		if !slices.Equal(in, []int{0}) {
			t.Errorf("%v walked in", in)
		}
		for unit, want := range map[string]bool{"500000": true, "500101": false} {
			j, err := geofence.NewJurisdiction(unit, limits)
			if err != nil {
				t.Fatal(err)
			}
			if beyond, _, err := j.Border(areas); err != nil || beyond.Share == 0 != want {
				t.Errorf("%s: %v, %v", unit, beyond, err)
			}
			if j.Within(areas, []string{"500154"}) != true || j.Within(areas, []string{"500101"}) {
				t.Error("a paper for a district does not hold for its towns alone")
			}
		}
	}
	for _, a := range []warning.Area{{Unit: "500154119", Edition: "2025@000000000000"}, {Unit: "500154121", Edition: o.ID}, {Unit: "500105", Edition: o.ID}} {
		if _, err := r.Resolve([]warning.Area{a}, warning.Presence{}); err == nil {
			t.Errorf("%v is taken", a)
		}
	}
}

// TestHomesInADistrictWithAnOutline of an edition: the shipped outlines do not tell who of them is away.
func TestHomesInADistrictWithAnOutline(t *testing.T) {
	const day = 30_000_000
	o, _, err := geofence.Survey("2025-11", collection(t, feature{code: "500157", rings: box(106.5, 29.6, 0.05)}), "wgs84", nil)
	if err != nil {
		t.Fatal(err)
	}
	limits := geofence.DefaultLimits()
	limits.Atlas = atlas(o)
	s, bad := geofence.Build(columns(
		row{lon: 106.52, lat: 29.62, home: 500157},                  // never seen: where their home is
		row{lon: 108.2, lat: 31, home: 500157, seen: day - 10},      // seen elsewhere lately
		row{lon: 106.52, lat: 29.62, home: 500101, seen: day - 10},  // seen here lately
		row{lon: 108.2, lat: 31, home: 500154119, seen: day - 10},   // has nothing to do with it
		row{lon: 106.52, lat: 29.62, home: 500157, seen: day - 999}, // at home, and nowhere else since
	))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	r := geofence.NewRevision(s.WithLimits(limits))
	areas := limits.Atlas.Pin([]warning.Area{{Unit: "500157"}}, time.Now())
	for both, want := range map[bool]int64{false: 3, true: 4} {
		if sel, err := r.Resolve(areas, warning.Presence{Now: day, Within: 360, Both: both}); err != nil || sel.People() != want {
			t.Errorf("both %t: %d people, want %d: %v", both, sel.People(), want, err)
		}
	}
	// A town by its home keeps who was never seen, also beside an area that an edition has with an outline of the town.
	towns, _, err := geofence.Survey("2025", collection(t, feature{code: "500154119", rings: box(108.1, 31.02, 0.04)}, feature{code: "500154120", rings: box(108.15, 31.02, 0.04)}), "wgs84", nil)
	if err != nil {
		t.Fatal(err)
	}
	limits.Atlas = atlas(towns)
	if s, bad = geofence.Build(columns(row{lon: 108.3, lat: 31.2, home: 500154120})); len(bad) > 0 {
		t.Fatal(bad)
	}
	sel, err := geofence.NewRevision(s.WithLimits(limits)).Resolve([]warning.Area{{Unit: "500154119", Edition: towns.ID}, {Unit: "500154120"}}, warning.Presence{Now: day, Within: 360})
	if err != nil || sel.People() != 1 {
		t.Errorf("%d people have their home in the town: %v", sel.People(), err)
	}
	// What an edition leaves out of a district is not within it.
	j, err := geofence.NewJurisdiction("500000", limits)
	if err != nil {
		t.Fatal(err)
	}
	small, _, err := geofence.Survey("2025", collection(t, feature{code: "500154", rings: box(108.1, 31.0, 0.01)}), "wgs84", nil)
	if err != nil {
		t.Fatal(err)
	}
	limits.Atlas.Take([]*geofence.Outlines{small})
	field := []warning.Area{{CRS: "wgs84", Polygons: [][]warning.Ring{box(108.2, 31.1, 0.005)}}}
	if j.Within(field, []string{"500154"}) {
		t.Error("a field outside of the outline of a district is within it")
	}
}

// TestTheNewestEditionWithAnOutlineIsMeant on the day that is asked for, and what was named stays.
func TestTheNewestEditionWithAnOutlineIsMeant(t *testing.T) {
	edition := func(name string, list ...feature) *geofence.Outlines {
		o, _, err := geofence.Survey(name, collection(t, list...), "wgs84", nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	a, b := feature{code: "500154119", rings: box(108.1, 31.0, 0.03)}, feature{code: "500154120", rings: box(108.2, 31.0, 0.03)}
	district := feature{code: "500103", rings: box(106.55, 29.55, 0.01)}
	old := edition("2019", district, a)
	first, second := edition("2024", a, b, district), edition("2025-11", a, feature{code: "500157", rings: box(106.5, 29.6, 0.05)})
	later := edition("2030", a)
	all := atlas(first, later, second, old)
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	now := day("2026-06-13")
	for _, c := range []struct {
		unit string
		asOf time.Time
		want string
	}{
		{"500154119", time.Time{}, second.ID}, {"500154120", time.Time{}, first.ID}, {"500157", time.Time{}, second.ID}, {"500103", time.Time{}, first.ID},
		{"500154119", day("2025-06-01"), first.ID}, {"500154119", day("2021-06-01"), old.ID}, {"500154119", day("2010-01-01"), ""},
		{"500103", day("2021-06-01"), ""}, {"500101", time.Time{}, ""}, {"500154121", time.Time{}, ""},
	} {
		if got := all.Pin([]warning.Area{{Unit: c.unit, AsOf: c.asOf}}, now); got[0].Edition != c.want {
			t.Errorf("%s on %v: %q, want %q", c.unit, c.asOf, got[0].Edition, c.want)
		}
	}
	if got := all.Pin([]warning.Area{{Unit: "500154119", Edition: first.ID}, {Circle: &warning.Circle{}}}, now); got[0].Edition != first.ID || got[1].Edition != "" {
		t.Error(got)
	}
	if got := atlas(edition("2025", feature{code: "500154777", name: "新镇", rings: box(108.1, 31.0, 0.03)})).Pin([]warning.Area{{Unit: "500154777"}}, now); got[0].Name != "开州区新镇" {
		t.Errorf("a town that is in no list is called %q", got[0].Name)
	}
	// The successor can be named since its outline is here; its people keep the homes that they had.
	s, _ := geofence.Build(columns(row{lon: 106.52, lat: 29.62, home: 500112}, row{lon: 108.2, lat: 31, home: 500105, seen: 100}))
	limits := geofence.DefaultLimits()
	limits.Atlas = all
	sel, err := geofence.NewRevision(s.WithLimits(limits)).Resolve(all.Pin([]warning.Area{{Unit: "500157"}}, now), warning.Presence{Now: 10_000, Within: 360})
	if err != nil || sel.People() != 2 {
		t.Errorf("%d people: %v", sel.People(), err)
	}
}

// TestOutlinesComeBackAsTheyWere, or are an error.
func TestOutlinesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		district, list := subdivided(t)
		list[3].rings = append(list[3].rings, warning.Ring{}) // a hole in the middle of it
		r := list[3].rings[0]
		x, y := (r[0][0]+r[2][0])/2, (r[0][1]+r[2][1])/2
		list[3].rings[1] = box(x, y, 0.0005)[0]
		o, _, err := geofence.Survey("2023-05", collection(t, append(list, district)...), "wgs84", nil)
		if err != nil {
			t.Fatal(err)
		}
		form := slices.Clone(o.Form())
		back, err := geofence.LoadOutlines(o.ID, form)
		if err != nil || back.ID != o.ID || !slices.Equal(back.Units(), o.Units()) || back.From != o.From {
			t.Fatal(err)
		}
		for range 100 {
			lon, lat := rapid.Int32Range(1061000000, 1064000000).Draw(t, "lon"), rapid.Int32Range(293000000, 297000000).Draw(t, "lat")
			if a, b := o.Locate(lon, lat), back.Locate(lon, lat); a != b {
				t.Fatalf("%s and %s", a, b)
			}
		}
		if _, err := geofence.LoadOutlines(o.ID, form[:rapid.IntRange(0, len(form)-1).Draw(t, "length")]); err == nil {
			t.Fatal("outlines that are cut off are taken")
		}
		at := rapid.IntRange(0, len(form)-1).Draw(t, "at")
		form[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "damage"))
		if _, err := geofence.LoadOutlines(o.ID, form); err == nil {
			t.Fatal("damaged outlines are taken")
		}
	})
}
