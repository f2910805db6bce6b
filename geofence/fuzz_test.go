package geofence_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"tocsin/geofence"
	"tocsin/warning"
)

func FuzzParseGeoJSON(f *testing.F) {
	for _, s := range []string{
		`{"type":"Polygon","coordinates":[[[107,30],[107.2,30],[107.2,30.2],[107,30]]]}`,
		`{"type":"MultiPolygon","coordinates":[[[[107,30,5],[107.2,30],[107.2,30.2],[107,30]]]]}`,
		`{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[107,30],[107.2,30],[107.2,30.2],[107,30]]]}}`,
		`{"type":"FeatureCollection","features":[]}`, `{"type":"GeometryCollection","geometries":[null]}`,
		`{"type":"Polygon","coordinates":[[[null,30]]]}`, `{"type":"Point","coordinates":[1,2]}`, `[]`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		polygons, err := geofence.ParseGeoJSON(b)
		if err != nil {
			if warning.ReasonOf(err) != warning.ReasonInvalid || polygons != nil {
				t.Fatalf("%v %v", polygons, err)
			}
			return
		}
		if len(polygons) == 0 {
			t.Fatal("nothing was read and nothing refused")
		}
		areas := []warning.Area{{CRS: "wgs84", Polygons: polygons}}
		l := geofence.DefaultLimits()
		l.Work = 1_000_000
		first := geofence.Check(areas, l)
		if again := geofence.Check(areas, l); (first == nil) != (again == nil) {
			t.Fatalf("%v, then %v", first, again)
		}
		// What was read can be written and reads the same.
		out, err := json.Marshal(map[string]any{"type": "MultiPolygon", "coordinates": polygons})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := geofence.ParseGeoJSON(out); err == nil && !reflect.DeepEqual(back, polygons) {
			t.Fatalf("%v came back as %v", polygons, back)
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	s, _ := geofence.Build(columns(row{number: n0, lon: 107, lat: 30, duty: 1}, row{lon: 107, lat: 30}))
	if _, err := s.Encode(func(_ [32]byte, data []byte) error { f.Add(bytes.Clone(data)); return nil }); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := geofence.DecodeBlock(b)
		if err != nil {
			return
		}
		for i := range block.Number {
			if int(block.Language[i]) >= len(warning.Languages) || block.Duty[i] > uint8(warning.Responsible) {
				t.Fatal("a value that nobody can use was taken")
			}
		}
		again, bad := geofence.Build(geofence.Columns(block)) // sorts; two people may have one number
		if again.People()+len(bad) != block.Len() {
			t.Fatalf("%d of %d people, %d bad", again.People(), block.Len(), len(bad))
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("9991000000001,106.55,29.56,500103,29000000,zh-CN,public,\n,-0.5,-29.0000001,,,en,responsible,opted_out\n"))
	f.Add([]byte("\n\n,,,,,,,"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c geofence.Columns
		bad, err := geofence.ReadCSV(bytes.NewReader(append([]byte(geofence.CSVHeader+"\n"), b...)), func(chunk geofence.Columns) error {
			c.Append(chunk)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(b, []byte("\n")) + 1; c.Len()+len(bad) > lines || c.Len()+len(bad) < lines-1 {
			t.Fatalf("%d rows and %d bad ones of %d lines", c.Len(), len(bad), lines)
		}
		var out bytes.Buffer
		if err := geofence.WriteCSV(&out, c.Chunks(100)); err != nil {
			t.Fatal(err)
		}
		back, bad, err := readAll(out.String())
		if err != nil || len(bad) > 0 || c.Len() > 0 && !reflect.DeepEqual(back, c) {
			t.Fatalf("%d rows came back as %d, %v: %v", c.Len(), back.Len(), bad, err)
		}
	})
}

func TestGeoJSON(t *testing.T) {
	const ring = `[[107,30],[107.2,30],[107.2,30.2],[107,30]]`
	const square = `{"type":"Polygon","coordinates":[` + ring + `]}`
	for _, c := range []struct{ text, rule, field string }{
		{square, "", ""},
		{`{"type":"MultiPolygon","coordinates":[[` + ring + `],[` + ring + `]]}`, "", ""},
		{`{"type":"Feature","properties":null,"geometry":` + square + `}`, "", ""},
		{`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":` + square + `}],"crs":null}`, "", ""},
		{`{"type":"GeometryCollection","geometries":[` + square + `,` + square + `]}`, "", ""},
		{`nonsense`, "geojson.syntax", "geojson"},
		{`{"type":"Point","coordinates":[107,30]}`, "geojson.type", "geojson.type"},
		{`{"type":"Polygon"}`, "area.empty", "geojson.coordinates"},
		{`{"type":"MultiPolygon","coordinates":[]}`, "area.empty", "geojson.coordinates"},
		{`{"type":"Polygon","coordinates":[[107,30],[108,30]]}`, "geojson.coordinates", "geojson.coordinates"},
		{`{"type":"Polygon","coordinates":[[[107,null],[108,30]]]}`, "geojson.coordinates", "geojson.coordinates"},
		{`{"type":"Polygon","coordinates":[[["107",30],[108,30]]]}`, "geojson.coordinates", "geojson.coordinates"},
		{`{"type":"Polygon","coordinates":[[null]]}`, "geojson.coordinates", "geojson.coordinates"},
		{`{"type":"Polygon","coordinates":[[[107]]]}`, "geojson.coordinates", "geojson.coordinates"},
		{`{"type":"FeatureCollection","features":[]}`, "area.empty", "geojson.features"},
		{`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":` + square + `},{"type":"Feature","geometry":null}]}`, "area.empty", "geojson.features[1].geometry"},
		{`{"type":"GeometryCollection","geometries":[` + square + `,{"type":"LineString","coordinates":[]}]}`, "geojson.type", "geojson.geometries[1].type"},
		{`{"type":"Polygon","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"coordinates":[` + ring + `]}`, "geojson.crs", "geojson.crs"},
	} {
		polygons, err := geofence.ParseGeoJSON([]byte(c.text))
		if c.rule == "" {
			if err != nil || len(polygons) == 0 || polygons[0][0][1] != (warning.Point{107.2, 30}) {
				t.Errorf("%s: %v %v", c.text, polygons, err)
			}
			continue
		}
		if v := violations(t, err); v[0].Rule != c.rule || v[0].Field != c.field || polygons != nil {
			t.Errorf("%s: %v", c.text, v)
		}
	}
}

func TestDataHaveTheirNotice(t *testing.T) {
	for _, dir := range []string{"data", "testdata"} {
		notice, err := os.ReadFile(dir + "/NOTICE")
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !f.IsDir() && f.Name() != "NOTICE" && !bytes.Contains(notice, []byte(f.Name())) {
				t.Errorf("%s/%s is not in the notice", dir, f.Name())
			}
		}
	}
}
