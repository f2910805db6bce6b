package geofence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tocsin/warning"
)

// Layer is outlines that a deployment brings of its own, such as townships, each with a code.
type Layer struct {
	places []place // ascending by code
	box    box
	cells  [layerSide * layerSide][]int32 // the places whose box meets a cell, ascending
}

type place struct {
	code, name string
	field      string // where it was read, e.g. features[3]
	shape      *shape
}

const layerSide = 128

// ReadLayer reads a FeatureCollection (RFC 7946) given in a coordinate system. The code of a feature is its property
// code9, code or adcode, or its id; its name is its property name. Features without a code or with a faulty outline are
// refused by their index.
func ReadLayer(b []byte, crs string) (*Layer, error) {
	places, err := readPlaces(b, crs)
	if err != nil {
		return nil, err
	}
	return newLayer(places), nil
}

func newLayer(places []place) *Layer {
	l := &Layer{places: places, box: nothing()}
	for _, p := range places {
		l.box.join(p.shape.box)
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
	return l
}

// readPlaces reads the features of a collection, or names the faults of all of them.
func readPlaces(b []byte, crs string) (places []place, err error) {
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
	if n := len(collection.Features); n > outlinesIn {
		return nil, warning.Invalid(warning.Violation{Field: "features", Rule: "layer.many", Detail: fmt.Sprintf("%d outlines are more than %d", n, outlinesIn), Remedy: "give them as several files"})
	}
	var faults []warning.Violation
	for i, f := range collection.Features {
		p := place{field: fmt.Sprintf("features[%d]", i), code: codeOf(f.Properties["code9"], f.Properties["code"], f.Properties["adcode"], f.ID)}
		p.name, _ = f.Properties["name"].(string)
		if p.code == "" {
			faults = append(faults, warning.Violation{Field: p.field, Rule: "layer.code", Detail: "the feature has no code", Remedy: "give it a property code, or an id"})
			continue
		}
		polygons, err := ParseGeoJSON(f.Geometry)
		if err != nil {
			var bad *warning.Error
			if !errors.As(err, &bad) {
				return nil, err
			}
			for _, v := range bad.Violations {
				v.Field = p.field + strings.TrimPrefix(v.Field, "geojson")
				faults = append(faults, v)
			}
			continue
		}
		c := newChecker(DefaultLimits(), nil)
		c.count(&warning.Area{Polygons: polygons})
		if p.shape = c.polygons(p.field, in.readAll(polygons)); p.shape == nil {
			faults = append(faults, c.faults...)
			continue
		}
		places = append(places, p)
	}
	if len(faults) > 0 {
		return nil, refusal(faults)
	}
	return places, nil
}

// refusal is the first faults; the last place says how many more there are.
func refusal(faults []warning.Violation) error {
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults:maxFaults], warning.Violation{Field: "features", Rule: "outline.more", Detail: fmt.Sprintf("%d more faults", more),
			Remedy: "mend these first"})
	}
	return warning.Invalid(faults...)
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

// find is the place with this code, or nil.
func (l *Layer) find(code string) *place {
	i, ok := slices.BinarySearchFunc(l.places, code, func(p place, code string) int { return cmp.Compare(p.code, code) })
	if !ok {
		return nil
	}
	return &l.places[i]
}
