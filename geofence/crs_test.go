package geofence_test

import (
	"encoding/csv"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"tocsin/geofence"
	"tocsin/warning"
)

// apart is the distance of two near places in metres, on a sphere.
func apart(p, q warning.Point) float64 {
	const degree = 6371008.8 * math.Pi / 180
	return math.Hypot((p[0]-q[0])*degree*math.Cos(p[1]*math.Pi/180), (p[1]-q[1])*degree)
}

func convert(t interface{ Fatal(...any) }, p warning.Point, from, to string) warning.Point {
	q, err := geofence.Convert(p, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestConversionAgreesWithTheVectors(t *testing.T) {
	f, err := os.Open("testdata/gcj02_to_wgs84_vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 10 {
		t.Fatal(len(rows), err)
	}
	for _, row := range rows[1:] {
		var v [4]float64
		for i := range v {
			if v[i], err = strconv.ParseFloat(row[2+i], 64); err != nil {
				t.Fatal(err)
			}
		}
		gcj, wgs := warning.Point{v[0], v[1]}, warning.Point{v[2], v[3]}
		if d := apart(convert(t, gcj, "gcj02", "wgs84"), wgs); d > 0.1 {
			t.Errorf("%s: %.3f m off", row[1], d)
		}
		if d := apart(convert(t, wgs, "wgs84", "gcj02"), gcj); d > 0.1 {
			t.Errorf("%s: %.3f m off in GCJ-02", row[1], d)
		}
	}
	// Places of which all three are known.
	for _, c := range [][3]warning.Point{
		{{106.5516, 29.5630}, {106.555318, 29.560151}, {106.561748, 29.566466}},
		{{108.7700, 28.8400}, {108.774326, 28.836826}, {108.780927, 28.842518}},
	} {
		for to, want := range map[string]warning.Point{"gcj02": c[1], "bd09": c[2], "cgcs2000": c[0]} {
			if d := apart(convert(t, c[0], "wgs84", to), want); d > 0.1 {
				t.Errorf("%v in %s: %.3f m off", c[0], to, d)
			}
		}
	}
}

func TestThereAndBackIsTheSamePlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := warning.Point{rapid.Float64Range(73, 136).Draw(t, "lon"), rapid.Float64Range(1, 55).Draw(t, "lat")}
		from := rapid.SampledFrom(warning.CoordinateSystems).Draw(t, "from")
		to := rapid.SampledFrom(warning.CoordinateSystems).Draw(t, "to")
		q := convert(t, p, from, to)
		if d := apart(convert(t, q, to, from), p); d > 0.001 {
			t.Fatalf("%v came back %.6f m off", p, d)
		}
		if d := apart(p, q); d > 3000 {
			t.Fatalf("%v moved %.0f m", p, d)
		}
	})
}

func TestWhatIsNoPlaceInChinaIsNotShifted(t *testing.T) {
	for _, p := range []warning.Point{{2.35, 48.85}, {-120, 37}, {500, 30}} {
		if q := convert(t, p, "gcj02", "wgs84"); q != p {
			t.Errorf("%v became %v", p, q)
		}
	}
	if q := convert(t, warning.Point{math.NaN(), 30}, "bd09", "wgs84"); !math.IsNaN(q[0]) {
		t.Errorf("no number became %v", q)
	}
	for _, wrong := range [][2]string{{"", "wgs84"}, {"wgs84", "mars"}} {
		if _, err := geofence.Convert(warning.Point{107, 30}, wrong[0], wrong[1]); violations(t, err)[0].Rule != "area.crs" {
			t.Error(err)
		}
	}
}

// TestTheSamePlaceInEverySystemHoldsTheSamePeople: an area that is converted and named rightly is the same area.
func TestTheSamePlaceInEverySystemHoldsTheSamePeople(t *testing.T) {
	s := build(t, synth(t, 50_000, 4))
	drawn := polygon(square(106.55, 29.56, 0.05), square(106.56, 29.57, 0.01))
	round := warning.Area{CRS: "wgs84", Circle: &warning.Circle{Centre: warning.Point{106.55, 29.56}, Radius: 4000}}
	for _, a := range []warning.Area{drawn, round} {
		want, err := s.Resolve([]warning.Area{a})
		if err != nil || want.People() < 100 {
			t.Fatal(want.People(), err)
		}
		for _, crs := range warning.CoordinateSystems {
			b := warning.Area{CRS: crs}
			for _, part := range a.Polygons {
				var rings []warning.Ring
				for _, r := range part {
					var out warning.Ring
					for _, p := range r {
						out = append(out, convert(t, p, "wgs84", crs))
					}
					rings = append(rings, out)
				}
				b.Polygons = append(b.Polygons, rings)
			}
			if a.Circle != nil {
				b.Circle = &warning.Circle{Centre: convert(t, a.Circle.Centre, "wgs84", crs), Radius: a.Circle.Radius}
			}
			back, err := geofence.WGS84(b)
			if err != nil || back.CRS != "wgs84" || back.Circle != nil && apart(back.Circle.Centre, a.Circle.Centre) > 0.001 {
				t.Errorf("%s: %v, %v", crs, back, err)
			}
			got, err := s.Resolve([]warning.Area{b})
			if err != nil || !slices.Equal(chosen(s, got), chosen(s, want)) {
				t.Errorf("%s: %d people, not %d: %v", crs, got.People(), want.People(), err)
			}
			if wrong, err := s.Resolve([]warning.Area{{CRS: "wgs84", Polygons: b.Polygons, Circle: b.Circle}}); crs == "gcj02" && (err != nil || wrong.People() == want.People()) {
				t.Errorf("read as WGS-84, %s holds as many people: %v", crs, err)
			}
		}
	}
}
