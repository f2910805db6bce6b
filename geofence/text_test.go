package geofence_test

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/warning"
)

// wktOf writes polygons as well-known text.
func wktOf(polygons [][]warning.Ring) string {
	list := func(n int, item func(i int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return "(" + strings.Join(items, ", ") + ")"
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return "MULTIPOLYGON " + list(len(polygons), func(i int) string {
		return list(len(polygons[i]), func(j int) string {
			r := polygons[i][j]
			return list(len(r), func(k int) string { return number(r[k][0]) + " " + number(r[k][1]) })
		})
	})
}

func TestWKT(t *testing.T) {
	const ring = "(107 30, 107.2 30, 107.2 30.2, 107 30)"
	one := []warning.Ring{{{107, 30}, {107.2, 30}, {107.2, 30.2}, {107, 30}}}
	for text, want := range map[string][][]warning.Ring{
		"POLYGON(" + ring + ")":                                  {one},
		" polygon\n( " + ring + " )\t":                           {one},
		"Polygon((107 30,107.2 3e1,107.2 +30.2,107 30))":         {one},
		"MULTIPOLYGON((" + ring + "),(" + ring + "))":            {one, one},
		"POLYGON(" + ring + "," + ring + ")":                     {{one[0], one[0]}},
		"POLYGON((107.0 30, 107.20 30,107.2  30.2,107 3" + "0))": {one},
	} {
		if got, err := geofence.ParseWKT(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, c := range []struct{ text, rule, detail string }{
		{"", "wkt.syntax", "column 1"},
		{"FOO((1 2))", "wkt.syntax", "FOO"},
		{"POINT(107 30)", "wkt.type", "POINT"},
		{"GEOMETRYCOLLECTION(POLYGON(" + ring + "))", "wkt.type", "GEOMETRYCOLLECTION"},
		{"SRID=4326;POLYGON(" + ring + ")", "wkt.crs", "column 5"},
		{"POLYGON EMPTY", "area.empty", ""},
		{"MULTIPOLYGON(EMPTY)", "wkt.syntax", "column 14"},
		{"POLYGON Z((107 30 5))", "wkt.dimension", ""},
		{"POLYGON((107 30 5))", "wkt.syntax", "column 17"},
		{"POLYGON(107 30)", "wkt.syntax", "column 9"},
		{"POLYGON((107))", "wkt.coordinates", ""},
		{"POLYGON((107 3O))", "wkt.coordinates", `"3O"`},
		{"POLYGON((107 30,))", "wkt.coordinates", ""},
		{"POLYGON(" + ring, "wkt.syntax", "column 47"},
		{"POLYGON(" + ring + ")x", "wkt.syntax", "more"},
		{"POLYGON 五(" + ring + ")", "wkt.syntax", "column 9"},
	} {
		got, err := geofence.ParseWKT(c.text)
		if v := violations(t, err); v[0].Rule != c.rule || !strings.Contains(v[0].Detail, c.detail) || v[0].Remedy == "" || got != nil {
			t.Errorf("%q: %v", c.text, v)
		}
	}
}

func FuzzParseWKT(f *testing.F) {
	for _, s := range []string{"POLYGON((107 30, 107.2 30, 107.2 30.2, 107 30))", "MULTIPOLYGON(((1 2,3 4)),((5 6),(7 8)))", "POLYGON EMPTY", "POLYGON((NaN -Inf,0x1p4 1_0))", "polygon z(("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		polygons, err := geofence.ParseWKT(s)
		if err != nil {
			if warning.ReasonOf(err) != warning.ReasonInvalid || polygons != nil {
				t.Fatalf("%v %v", polygons, err)
			}
			return
		}
		l := geofence.DefaultLimits()
		l.Work = 1_000_000
		_ = geofence.Check([]warning.Area{{CRS: "gcj02", Polygons: polygons}}, l)
		back, err := geofence.ParseWKT(wktOf(polygons))
		if err != nil || fmt.Sprint(back) != fmt.Sprint(polygons) { // as text, so that NaN equals itself
			t.Fatalf("%v came back as %v: %v", polygons, back, err)
		}
	})
}

func TestCAPPolygonAndCircle(t *testing.T) {
	got, err := geofence.ParseCAPPolygon(" 38.47,-120.14 38.34,-119.95\n38.52,-119.74\t38.47,-120.14 ")
	if want := (warning.Ring{{-120.14, 38.47}, {-119.95, 38.34}, {-119.74, 38.52}, {-120.14, 38.47}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	circle, err := geofence.ParseCAPCircle("32.9525,-115.5527 2.5")
	if want := (warning.Circle{Centre: warning.Point{-115.5527, 32.9525}, Radius: 2500}); err != nil || circle != want {
		t.Errorf("%v, %v", circle, err)
	}
	for text, rule := range map[string]string{
		"": "cap.polygon.short", "1,2 3,4 1,2": "cap.polygon.short", "1,2 3,4 5,6 7,8": "cap.polygon.open", "1,2 3,4 5,6 1, 2": "cap.coordinate",
		"1,2 3;4 5,6 1,2": "cap.coordinate", "1,2,3 3,4 5,6 1,2,3": "cap.coordinate", "91,2 3,4 5,6 91,2": "cap.coordinate", "NaN,2 3,4 5,6 NaN,2": "cap.coordinate",
	} {
		if got, err := geofence.ParseCAPPolygon(text); got != nil || violations(t, err)[0].Rule != rule {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, rule := range map[string]string{
		"": "cap.circle", "1,2": "cap.circle", "1,2 3 4": "cap.circle", "1 2": "cap.coordinate", "1,2 -1": "cap.circle", "1,2 Inf": "cap.circle", "1,2 3km": "cap.circle", "1,200 3": "cap.coordinate",
	} {
		if got, err := geofence.ParseCAPCircle(text); got != (warning.Circle{}) || violations(t, err)[0].Rule != rule {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzParseCAP(f *testing.F) {
	for _, s := range []string{"38.47,-120.14 38.34,-119.95 38.52,-119.74 38.47,-120.14", "32.9525,-115.5527 2.5", "1e400,0 1", ",", "٣,٤ 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		finite := func(p warning.Point) bool { return math.Abs(p[0]) <= 180 && math.Abs(p[1]) <= 90 }
		if r, err := geofence.ParseCAPPolygon(s); err == nil {
			var back strings.Builder
			for _, p := range r {
				if !finite(p) {
					t.Fatalf("%v is not a position", p)
				}
				fmt.Fprintf(&back, "%s,%s ", strconv.FormatFloat(p[1], 'f', -1, 64), strconv.FormatFloat(p[0], 'f', -1, 64))
			}
			if again, err := geofence.ParseCAPPolygon(back.String()); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("%v came back as %v: %v", r, again, err)
			}
		} else if violations(t, err)[0].Remedy == "" {
			t.Fatal(err)
		}
		if c, err := geofence.ParseCAPCircle(s); err == nil {
			if !finite(c.Centre) || !(c.Radius >= 0) || math.IsInf(c.Radius, 0) {
				t.Fatalf("%v", c)
			}
			_ = geofence.Check([]warning.Area{{CRS: "wgs84", Circle: &c}}, geofence.DefaultLimits())
		} else if violations(t, err)[0].Remedy == "" {
			t.Fatal(err)
		}
	})
}

func FuzzUnitCode(f *testing.F) {
	for _, s := range []string{"500101", "500105", "500157", "+50010", "５００１０１", "", "999999"} {
		f.Add(s, int64(0))
		f.Add(s, time.Date(2025, 11, 6, 0, 0, 0, 0, time.UTC).Unix())
	}
	f.Fuzz(func(t *testing.T, code string, at int64) {
		asOf := time.Unix(at%1e11, 0)
		e := geofence.EditionAt(asOf)
		u, v := e.UnitAt("unit", code, asOf)
		switch {
		case (u == nil) == (v == nil):
			t.Fatalf("%v and %v", u, v)
		case u != nil && (fmt.Sprint(u.Code) != code || !u.Surveyed()):
			t.Fatalf("%q is %v", code, u)
		case v != nil && (v.Field != "unit" || v.Rule == "" || v.Remedy == "" || len(v.Detail) > 400):
			t.Fatalf("%q: %+v", code, v)
		}
	})
}

// TestAnOutlineInAnotherSystemIsSuspicious passes the borders off as WGS-84, shifted and drawn by another hand.
func TestAnOutlineInAnotherSystemIsSuspicious(t *testing.T) {
	var areas []warning.Area
	var shifted []bool
	features, err := geofence.ParseGeoJSON(geofence.RawOutlines("chongqing-2020"))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range features[:20] {
		for _, crs := range []string{"wgs84", "gcj02", "bd09"} {
			var r warning.Ring
			for k, p := range part[0] {
				q := convert(t, p, "wgs84", crs)
				q[0] += 0.0008 * math.Sin(float64(7*k+i)) // 80 m
				r = append(r, q)
			}
			r[len(r)-1] = r[0]
			areas = append(areas, polygon(r))
			shifted = append(shifted, crs != "wgs84")
		}
	}
	found := geofence.Suspicious(areas, geofence.DefaultLimits())
	told := map[int]geofence.Suspicion{}
	for _, s := range found {
		told[s.Area] = s
	}
	for i := range areas {
		if geofence.Check(areas[i:i+1], geofence.DefaultLimits()) != nil {
			continue // the other hand's line crosses itself
		}
		if s, is := told[i]; is != shifted[i] || is && (s.CRS != []string{"", "gcj02", "bd09"}[i%3] || s.AsCRS > 150 || s.AsGiven < 200) {
			t.Errorf("area %d, shifted %v: %+v", i, shifted[i], s)
		}
	}
	if len(told) < 20 {
		t.Errorf("only %d were told", len(told))
	}
	said := areas[1]
	said.CRS = "gcj02"
	for name, a := range map[string]warning.Area{
		"said rightly": said, "small": polygon(square(107, 30, 0.01)), "no border near": polygon(square(107.9, 29.9, 0.04)),
		"unit": {Unit: "500101"}, "circle": circle(107, 30, 20_000), "faulty": polygon(square(107, 30, 1)[:3]),
	} {
		if s := geofence.Suspicious([]warning.Area{a}, geofence.DefaultLimits()); len(s) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
