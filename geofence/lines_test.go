package geofence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/warning"
)

// townships is a layer of two squares in 万州 that have a side in common, and one outside.
func townships(t *testing.T, crs string) []byte {
	t.Helper()
	type m = map[string]any
	feature := func(id any, properties m, lon, lat float64) m {
		var r warning.Ring
		for _, p := range square(lon, lat, 0.01) {
			r = append(r, convert(t, p, "wgs84", crs))
		}
		return m{"type": "Feature", "id": id, "properties": properties, "geometry": m{"type": "Polygon", "coordinates": []warning.Ring{r}}}
	}
	b, err := json.Marshal(m{"type": "FeatureCollection", "features": []m{
		feature(500101002, nil, 108.42, 30.81), feature(nil, m{"code9": "500101001", "code": "x"}, 108.40, 30.81), feature("t3", m{"name": "n"}, 104, 30.7),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLocateLines(t *testing.T) {
	for _, crs := range []string{"wgs84", "gcj02"} {
		layer, err := geofence.ReadLayer(townships(t, crs), crs)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		var told []int
		in := "\uFEFF108.3756706,30.8100816\n108.405,30.81\n 108.415 , 30.81\r\nx,y\n\n91,200\n104,30.7\n0,0\n106.5329,29.5754"
		err = geofence.LocateLines(strings.NewReader(in), &out, time.Time{}, layer, func(line int, why string) {
			if why == "" {
				t.Error("no reason")
			}
			told = append(told, line)
		})
		want := "500101,\n500101,500101001\n500101,500101002\n,\n,\n,\n,t3\n,\n500105,\n"
		if err != nil || out.String() != want || fmt.Sprint(told) != "[4 5 6]" {
			t.Errorf("%s: %q, %v, %v", crs, out.String(), told, err)
		}
	}
}

func TestDistrictsOfADay(t *testing.T) {
	locate := func(day string) string {
		var out strings.Builder
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if err := geofence.LocateLines(strings.NewReader("106.5329,29.5754\n108.3756706,30.8100816\n"), &out, at, nil, func(int, string) { t.Error("bad") }); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := locate("2025-11-05"); got != "500105,\n500101,\n" {
		t.Errorf("%q", got)
	}
	if got := locate("2025-11-07"); got != ",\n500101,\n" { // 江北 has ended; its successor has no surveyed outline
		t.Errorf("%q", got)
	}
}

// TestALayerAgreesWithLookingAtEachPlace also for positions on the borders between them.
func TestLocateInALayerOfDistricts(t *testing.T) {
	layer, err := geofence.ReadLayer(geofence.RawOutlines("chongqing-2020"), "wgs84")
	if err != nil {
		t.Fatal(err)
	}
	e := geofence.EditionAt(time.Time{})
	s := build(t, synth(t, 3000, 8))
	for c := range s.Columns() {
		for i := range c.Lon {
			if code := layer.Locate(c.Lon[i], c.Lat[i]); code != fmt.Sprint(c.Home[i]) {
				t.Fatalf("%s, home is %d", code, c.Home[i])
			}
		}
	}
	polygons, err := geofence.ParseGeoJSON(geofence.RawOutlines("chongqing-2020"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range polygons[3][0] {
		x, _ := geofence.E7(p[0])
		y, _ := geofence.E7(p[1])
		code, ok := e.Locate(x, y)
		if got := layer.Locate(x, y); !ok || got != fmt.Sprint(code) {
			t.Fatalf("%v: %s, the edition says %d", p, got, code)
		}
	}
}

func TestLayersAreRefusedWithTheirFault(t *testing.T) {
	good := townships(t, "wgs84")
	for text, rule := range map[string]string{
		"nonsense":                              "layer.syntax",
		`{"features":[]}`:                       "layer.syntax",
		`{"features":[{"geometry":null}]}`:      "layer.code",
		`{"features":[{"id":1.5}]}`:             "layer.code",
		`{"features":[{"id":1,"geometry":{}}]}`: "geojson.type",
		`{"features":[{"id":1,"geometry":{"type":"Polygon","coordinates":[[[1,1],[2,2],[3,3],[1,1]]]}}]}`: "area.ring.zero",
	} {
		if l, err := geofence.ReadLayer([]byte(text), "wgs84"); l != nil || violations(t, err)[0].Rule != rule {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := geofence.ReadLayer(good, "mars"); violations(t, err)[0].Rule != "area.crs" {
		t.Error(err)
	}
}

func TestConvertLines(t *testing.T) {
	var out bytes.Buffer
	bad := 0
	if err := geofence.ConvertLines(strings.NewReader("106.5516,29.563\nx\n"), &out, "wgs84", "gcj02", func(int, string) { bad++ }); err != nil || bad != 1 {
		t.Fatal(bad, err)
	}
	var back bytes.Buffer
	if err := geofence.ConvertLines(&out, &back, "gcj02", "wgs84", func(int, string) {}); err != nil || back.String() != "106.551600000,29.563000000\n\n" {
		t.Errorf("%q, %v", back.String(), err)
	}
	if err := geofence.ConvertLines(&out, &back, "gcj02", "", nil); violations(t, err)[0].Rule != "area.crs" {
		t.Error(err)
	}
}

func TestInspect(t *testing.T) {
	for text, want := range map[string]string{
		"POLYGON((107 30,107.2 30,107.2 30.2,107 30))":                 "true false 1 0",
		`{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}`: "true false 1 1", // sound, but elsewhere
		"\xEF\xBB\xBF POLYGON((0 0,1 1,1 0,0 1,0 0))":                  "false false 1 0",
		"POINT(1 2)": "false false 0 0", `{"type":"Point"}`: "false false 0 0", "foo": "false true 0 0", "": "false true 0 0", "{": "false true 0 0",
	} {
		v, err := geofence.Inspect([]byte(text), "wgs84", geofence.DefaultLimits())
		if got := fmt.Sprint(v.Valid, v.Unreadable, v.Parts, len(v.Notes)); err != nil || got != want || len(v.Lines()) == 0 || v.Valid != (len(v.Faults) == 0) {
			t.Errorf("%q: %s, %v, %v", text, got, v.Lines(), err)
		}
	}
	if _, err := geofence.Inspect(nil, "", geofence.DefaultLimits()); violations(t, err)[0].Rule != "area.crs" {
		t.Error(err)
	}
	shifted, err := json.Marshal(map[string]any{"type": "MultiPolygon", "coordinates": outlineIn(t, "gcj02")})
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := geofence.Inspect(shifted, "wgs84", geofence.DefaultLimits()); len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "gcj02") {
		t.Errorf("%v", v.Lines())
	}
}

// outlineIn is the first outline of the edition in another coordinate system.
func outlineIn(t *testing.T, crs string) [][]warning.Ring {
	polygons, err := geofence.ParseGeoJSON(geofence.RawOutlines("chongqing-2020"))
	if err != nil {
		t.Fatal(err)
	}
	var r warning.Ring
	for _, p := range polygons[0][0] {
		r = append(r, convert(t, p, "wgs84", crs))
	}
	return [][]warning.Ring{{r}}
}

func TestDrawing(t *testing.T) {
	s := build(t, synth(t, 20_000, 1))
	area := polygon(square(108.4, 30.81, 0.05), square(108.4, 30.81, 0.01))
	d, err := geofence.Draw(geofence.DefaultLimits(), area)
	if err != nil || len(d.Area) != 2 || len(d.Area[0]) != 5 || len(d.Units) != 38 {
		t.Fatalf("%v, %d units, %v", d.Area, len(d.Units), err)
	}
	touched := func(d geofence.Drawing) (codes []uint32) {
		for _, u := range d.Units {
			if u.Touched {
				codes = append(codes, u.Code)
			}
		}
		return codes
	}
	if got := fmt.Sprint(touched(d)); got != "[500101]" {
		t.Errorf("touches %s", got)
	}
	people, err := s.ByHome(area)
	if err != nil || len(people) != 1 || people[500101] == 0 {
		t.Errorf("%v, %v", people, err)
	}
	for name, c := range map[string]struct {
		area warning.Area
		want int
	}{
		"around everything": {polygon(square(107.5, 30, 6)), 38}, "with its neighbours": {warning.Area{Unit: "500101"}, 6}, "in one": {circle(108.4, 30.81, 10), 1},
	} {
		d, err := geofence.Draw(geofence.DefaultLimits(), c.area)
		if err != nil || len(touched(d)) != c.want {
			t.Errorf("%s: %v, %v", name, touched(d), err)
		}
	}
	if _, err := geofence.Draw(geofence.DefaultLimits(), geofence.UnitArea("500105", time.Time{})); violations(t, err)[0].Rule != "area.unit.retired" {
		t.Error(err)
	}
}
