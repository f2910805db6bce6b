package geofence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"tocsin/warning"
)

// maxNesting bounds collections inside collections.
const maxNesting = 8

// object is any GeoJSON object (RFC 7946 section 3); which fields count depends on Type.
type object struct {
	Type        string            `json:"type"`
	Coordinates json.RawMessage   `json:"coordinates"`
	Geometries  []json.RawMessage `json:"geometries"`
	Geometry    json.RawMessage   `json:"geometry"`
	Features    []json.RawMessage `json:"features"`
	CRS         json.RawMessage   `json:"crs"`
}

// position is longitude, latitude and an optional height, which is not used (RFC 7946 section 3.1.1).
type position warning.Point

// UnmarshalJSON takes an array of two or three numbers and nothing else: null would otherwise read as zero.
func (p *position) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '[' {
		return fmt.Errorf("a position is an array of numbers, longitude first")
	}
	parts := bytes.Split(b[1:len(b)-1], []byte{','})
	if len(parts) != 2 && len(parts) != 3 {
		return fmt.Errorf("a position has two numbers (or three with height), this one has %d", len(parts))
	}
	for i, part := range parts {
		x, err := strconv.ParseFloat(string(bytes.TrimSpace(part)), 64)
		if err != nil {
			return fmt.Errorf("a position is an array of numbers, longitude first")
		}
		if i < 2 {
			p[i] = x
		}
	}
	return nil
}

// ParseGeoJSON reads the polygons of a GeoJSON geometry, feature or collection (RFC 7946: WGS-84, longitude first).
// Everything in it must be a Polygon or MultiPolygon: another geometry, a feature without one and an empty collection
// are refused, so that no part of an area is dropped in silence. The polygons come as they are written; whether they
// are sound is decided when they are used.
func ParseGeoJSON(b []byte) ([][]warning.Ring, error) {
	g := geojson{}
	g.object("geojson", b, 0)
	if len(g.faults) > 0 {
		return nil, warning.Invalid(g.faults...)
	}
	return g.polygons, nil
}

type geojson struct {
	polygons [][]warning.Ring
	faults   []warning.Violation
}

func (g *geojson) fault(field, rule, remedy, format string, args ...any) {
	if len(g.faults) < maxFaults {
		g.faults = append(g.faults, warning.Violation{Field: field, Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
	}
}

func (g *geojson) object(path string, b []byte, depth int) {
	var o object
	switch err := json.Unmarshal(b, &o); {
	case err != nil:
		g.fault(path, "geojson.syntax", "send a GeoJSON geometry, feature or collection", "not GeoJSON: %v", err)
		return
	case depth > maxNesting:
		g.fault(path, "geojson.nesting", "put the polygons into one collection", "collections lie deeper than %d", maxNesting)
		return
	case len(o.CRS) > 0 && string(o.CRS) != "null" && !bytes.Contains(o.CRS, []byte("CRS84")):
		g.fault(path+".crs", "geojson.crs", "convert to WGS-84, longitude first, and leave crs out", "another coordinate system is named")
		return
	}
	switch o.Type {
	case "Polygon":
		var rings [][]position
		if g.coordinates(path, o.Coordinates, &rings) {
			g.polygons = append(g.polygons, toRings(rings))
		}
	case "MultiPolygon":
		var parts [][][]position
		if !g.coordinates(path, o.Coordinates, &parts) {
			return
		}
		if len(parts) == 0 {
			g.fault(path+".coordinates", "area.empty", "give at least one polygon", "the MultiPolygon has no part")
		}
		for _, rings := range parts {
			g.polygons = append(g.polygons, toRings(rings))
		}
	case "Feature":
		if len(o.Geometry) == 0 || string(o.Geometry) == "null" {
			g.fault(path+".geometry", "area.empty", "give the feature a Polygon or MultiPolygon", "the feature has no geometry")
			return
		}
		g.object(path+".geometry", o.Geometry, depth+1)
	case "FeatureCollection":
		g.members(path+".features", o.Features, depth)
	case "GeometryCollection":
		g.members(path+".geometries", o.Geometries, depth)
	default:
		g.fault(path+".type", "geojson.type", "use Polygon, MultiPolygon, Feature, FeatureCollection or GeometryCollection", "%.40q is not a surface", o.Type)
	}
}

func (g *geojson) members(path string, members []json.RawMessage, depth int) {
	if len(members) == 0 {
		g.fault(path, "area.empty", "give at least one polygon", "the collection is empty")
	}
	for i, m := range members {
		g.object(fmt.Sprintf("%s[%d]", path, i), m, depth+1)
	}
}

func (g *geojson) coordinates(path string, b json.RawMessage, into any) bool {
	if len(b) == 0 || string(b) == "null" {
		g.fault(path+".coordinates", "area.empty", "give the coordinates", "coordinates are missing")
		return false
	}
	if err := json.Unmarshal(b, into); err != nil {
		g.fault(path+".coordinates", "geojson.coordinates", "nest the arrays as RFC 7946 section 3.1 says", "%v", err)
		return false
	}
	return true
}

func toRings(rings [][]position) []warning.Ring {
	out := make([]warning.Ring, len(rings))
	for i, r := range rings {
		out[i] = make(warning.Ring, len(r))
		for j, p := range r {
			out[i][j] = warning.Point(p)
		}
	}
	return out
}
