package geofence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"tocsin/warning"
)

// Layer is outlines that a deployment brings of its own, such as townships, each with a code.
type Layer struct {
	places []place // ascending by code
	box    box
	cells  [layerSide * layerSide][]int32 // the places whose box meets a cell, ascending
}

type place struct {
	code  string
	shape *shape
}

const layerSide = 128

// ReadLayer reads a FeatureCollection (RFC 7946) given in a coordinate system. The code of a feature is its property
// code9, code or adcode, or its id. A feature without a code or with a faulty outline is refused by its index.
func ReadLayer(b []byte, crs string) (*Layer, error) {
	in, ok := systems(crs)
	if !ok {
		_, err := Convert(warning.Point{}, crs, "wgs84")
		return nil, err
	}
	var collection struct {
		Features []struct {
			ID         any            `json:"id"`
			Properties map[string]any `json:"properties"`
			Geometry   json.RawMessage
		} `json:"features"`
	}
	if err := json.Unmarshal(b, &collection); err != nil || len(collection.Features) == 0 {
		return nil, warning.Invalid(warning.Violation{Field: "features", Rule: "layer.syntax", Detail: "not a FeatureCollection with features", Remedy: "give a GeoJSON FeatureCollection of outlines"})
	}
	l := &Layer{box: nothing()}
	for i, f := range collection.Features {
		field := fmt.Sprintf("features[%d]", i)
		code := codeOf(f.Properties["code9"], f.Properties["code"], f.Properties["adcode"], f.ID)
		if code == "" {
			return nil, warning.Invalid(warning.Violation{Field: field, Rule: "layer.code", Detail: "the feature has no code", Remedy: "give it a property code, or an id"})
		}
		polygons, err := ParseGeoJSON(f.Geometry)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		c := newChecker(DefaultLimits(), nil)
		s := c.polygons(field, in.readAll(polygons))
		if s == nil {
			return nil, warning.Invalid(c.faults...)
		}
		l.places = append(l.places, place{code, s})
		l.box.join(s.box)
	}
	slices.SortStableFunc(l.places, func(a, b place) int { return cmp.Compare(a.code, b.code) })
	for i, p := range l.places {
		x0, y0 := l.cell(p.shape.box.min)
		x1, y1 := l.cell(p.shape.box.max)
		for y := y0; y <= y1; y++ {
			for x := x0; x <= x1; x++ {
				l.cells[y*layerSide+x] = append(l.cells[y*layerSide+x], int32(i))
			}
		}
	}
	return l, nil
}

// codeOf is the first that is a text or a whole number.
func codeOf(values ...any) string {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			if v == math.Trunc(v) {
				return fmt.Sprintf("%.0f", v)
			}
		}
	}
	return ""
}

func (l *Layer) cell(p coord) (x, y int) {
	return int((int64(p.x) - int64(l.box.min.x)) * layerSide / (l.box.width() + 1)), int((int64(p.y) - int64(l.box.min.y)) * layerSide / (l.box.height() + 1))
}

// Locate is the code of the place around a position in units of 10^-7 degree, or "". On a common border it is the lower
// code.
func (l *Layer) Locate(x, y int32) string {
	p := coord{x, y}
	if !l.box.has(p) {
		return ""
	}
	cx, cy := l.cell(p)
	for _, i := range l.cells[cy*layerSide+cx] {
		if l.places[i].shape.locate(p) != outside {
			return l.places[i].code
		}
	}
	return ""
}
