package geofence

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tocsin/warning"
)

// ParseCAPPolygon reads the text of a polygon element of CAP 1.2 (section 3.2.4): pairs of latitude,longitude in WGS-84,
// parted by white space, at least four, the last equal to the first. The result has longitude first; whether the ring is
// sound is decided when it is used.
func ParseCAPPolygon(text string) (warning.Ring, error) {
	pairs := strings.Fields(text)
	r := make(warning.Ring, 0, len(pairs))
	for i, pair := range pairs {
		p, err := capPoint(fmt.Sprintf("polygon[%d]", i), pair)
		if err != nil {
			return nil, err
		}
		r = append(r, p)
	}
	switch n := len(r); {
	case n < 4:
		return nil, capFault("polygon", "cap.polygon.short", "give at least three corners and the first again", "%d pairs are not a surface", n)
	case r[0] != r[n-1]:
		return nil, capFault("polygon", "cap.polygon.open", "end the polygon with its first pair", "it begins with %.40q and ends with %.40q", pairs[0], pairs[n-1])
	}
	return r, nil
}

// ParseCAPCircle reads the text of a circle element of CAP 1.2 (section 3.2.4): latitude,longitude of the centre in
// WGS-84, white space, and the radius in kilometres. The result has longitude first and metres.
func ParseCAPCircle(text string) (warning.Circle, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return warning.Circle{}, capFault("circle", "cap.circle", `write it as "29.56,106.55 2.5"`, "%d words are not a centre and a radius", len(fields))
	}
	centre, err := capPoint("circle", fields[0])
	if err != nil {
		return warning.Circle{}, err
	}
	km, ok := capNumber(fields[1])
	if !ok || km < 0 {
		return warning.Circle{}, capFault("circle", "cap.circle", "give the radius in kilometres", "%.20q is not a radius", fields[1])
	}
	return warning.Circle{Centre: centre, Radius: km * 1000}, nil
}

func capPoint(field, pair string) (warning.Point, error) {
	first, second, ok := strings.Cut(pair, ",")
	lat, okLat := capNumber(first)
	lon, okLon := capNumber(second)
	if !ok || !okLat || !okLon || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
		return warning.Point{}, capFault(field, "cap.coordinate", `write latitude,longitude without a space, as "29.56,106.55"`, "%.40q is not a pair of latitude and longitude", pair)
	}
	return warning.Point{lon, lat}, nil
}

// capNumber reads a finite decimal number.
func capNumber(s string) (float64, bool) {
	if strings.Trim(s, "+-.0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

func capFault(field, rule, remedy, format string, args ...any) error {
	return warning.Invalid(warning.Violation{Field: field, Rule: rule, Remedy: remedy, Detail: fmt.Sprintf(format, args...)})
}
