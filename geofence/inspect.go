package geofence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/warning"
)

// Inspection is what can be said of a geometry without an engine.
type Inspection struct {
	Valid      bool                `json:"valid"`
	Unreadable bool                `json:"unreadable,omitempty"` // it is neither GeoJSON nor well-known text
	Parts      int                 `json:"parts"`
	Corners    int                 `json:"corners"`
	Faults     []warning.Violation `json:"faults,omitempty"`
	// Notes is what is no fault of the geometry, but keeps an engine from taking it or should make one think.
	Notes []string `json:"notes,omitempty"`
}

// unreadable is the rules that only text breaks that is no geometry at all.
var unreadable = []string{"geojson.syntax", "geojson.coordinates", "wkt.syntax", "wkt.coordinates"}

// Inspect reads GeoJSON or well-known text and says whether it is a sound surface, wherever on earth it lies. The error
// is about crs only.
func Inspect(b []byte, crs string, l Limits) (Inspection, error) {
	in, ok := systems(crs)
	if !ok {
		_, err := Convert(warning.Point{}, crs, "wgs84")
		return Inspection{}, err
	}
	var v Inspection
	a, err := ReadArea(b, crs)
	var bad *warning.Error
	if errors.As(err, &bad) {
		v.Faults = bad.Violations
		v.Unreadable = slices.ContainsFunc(v.Faults, func(f warning.Violation) bool { return slices.Contains(unreadable, f.Rule) })
		return v, nil
	}
	v.Parts = len(a.Polygons)
	c := newChecker(l, nil)
	c.polygons("area", in.readAll(a.Polygons))
	v.Faults, v.Valid, v.Corners = c.faults, len(c.faults) == 0, c.vertices-c.rings // each ring ends where it begins
	if !v.Valid {
		return v, nil
	}
	areas := []warning.Area{a}
	if err := Check(areas, l); err != nil {
		v.Notes = append(v.Notes, "an engine refuses it all the same: "+err.Error())
	}
	for _, s := range Suspicious(areas, l) {
		v.Notes = append(v.Notes, s.String()+": is that what they are?")
	}
	return v, nil
}

// Lines is the inspection as a person reads it.
func (v *Inspection) Lines() []string {
	var lines []string
	if v.Valid {
		lines = append(lines, fmt.Sprintf("sound: %s with %d corners", plural(v.Parts, "part"), v.Corners))
	}
	for _, f := range v.Faults {
		lines = append(lines, fmt.Sprintf("%s: %s (%s) [%s]", f.Field, f.Detail, f.Remedy, f.Rule))
	}
	return append(lines, v.Notes...)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ReadArea reads GeoJSON, which begins with {, or well-known text, whose numbers are in the coordinate system crs.
func ReadArea(b []byte, crs string) (warning.Area, error) {
	b = bytes.TrimSpace(unmarked(b))
	a := warning.Area{CRS: crs}
	var err error
	if bytes.HasPrefix(b, []byte("{")) {
		a.Polygons, err = ParseGeoJSON(b)
	} else {
		a.Polygons, err = ParseWKT(string(b))
	}
	return a, err
}

// UnitArea is the unit with a code as it was on a day; the zero time means the newest edition.
func UnitArea(code string, asOf time.Time) warning.Area { return warning.Area{Unit: code, AsOf: asOf} }
