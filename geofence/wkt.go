package geofence

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/warning"
)

// ParseWKT reads the polygons of a POLYGON or MULTIPOLYGON in well-known text (OGC 06-103r4, section 7), longitude
// first. It is as strict as ParseGeoJSON: other geometries, heights, a named system (SRID), EMPTY and anything behind
// the end are refused, with the column of the fault.
func ParseWKT(s string) ([][]warning.Ring, error) {
	p := wkt{text: s, rest: s}
	polygons := p.geometry()
	if p.fault != nil {
		return nil, warning.Invalid(*p.fault)
	}
	return polygons, nil
}

// wkt reads from the front of rest; after the first fault everything it does is nothing.
type wkt struct {
	text, rest string
	fault      *warning.Violation
}

func (p *wkt) refuse(rule, remedy, format string, args ...any) {
	if p.fault == nil {
		column := 1 + utf8.RuneCountInString(p.text[:len(p.text)-len(p.rest)])
		p.fault = &warning.Violation{Field: "wkt", Rule: rule, Remedy: remedy, Detail: fmt.Sprintf("column %d: ", column) + fmt.Sprintf(format, args...)}
	}
}

func (p *wkt) geometry() (polygons [][]warning.Ring) {
	switch word := strings.ToUpper(p.word()); word {
	case "POLYGON":
		p.beginning()
		polygons = [][]warning.Ring{p.polygon()}
	case "MULTIPOLYGON":
		p.beginning()
		p.list(func() { polygons = append(polygons, p.polygon()) })
	case "SRID":
		p.refuse("wkt.crs", "convert to WGS-84 and leave SRID out", "a coordinate system is named")
	case "POINT", "LINESTRING", "MULTIPOINT", "MULTILINESTRING", "GEOMETRYCOLLECTION":
		p.refuse("wkt.type", "use POLYGON or MULTIPOLYGON", "%s is not a surface", word)
	default:
		p.refuse("wkt.syntax", "begin with POLYGON or MULTIPOLYGON", "%.20q is no geometry", word)
	}
	if p.space(); p.rest != "" {
		p.refuse("wkt.syntax", "leave out what follows", "there is more behind the end")
	}
	return polygons
}

// beginning refuses the words that may stand between the name of a geometry and its first parenthesis.
func (p *wkt) beginning() {
	switch word := strings.ToUpper(p.word()); word {
	case "":
	case "EMPTY":
		p.refuse("area.empty", "give at least one polygon", "the geometry is empty")
	case "Z", "M", "ZM":
		p.refuse("wkt.dimension", "give two numbers a point, longitude first", "heights and measures are not used")
	default:
		p.refuse("wkt.syntax", "write ( after the name of the geometry", "%.20q does not belong here", word)
	}
}

func (p *wkt) polygon() (rings []warning.Ring) {
	p.list(func() {
		var r warning.Ring
		p.list(func() { r = append(r, p.point()) })
		rings = append(rings, r)
	})
	return rings
}

// list reads ( item , item … ).
func (p *wkt) list(item func()) {
	if !p.take('(') {
		p.refuse("wkt.syntax", "nest the parentheses as in POLYGON((x y, x y, …))", "( is missing")
	}
	for p.fault == nil {
		item()
		if p.take(')') {
			return
		}
		if !p.take(',') {
			p.refuse("wkt.syntax", "part with , and end with )", "neither , nor ) follows")
		}
	}
}

func (p *wkt) point() (at warning.Point) {
	for i := range at {
		p.space()
		end := strings.IndexAny(p.rest, " \t\r\n,()")
		if end < 0 {
			end = len(p.rest)
		}
		v, err := strconv.ParseFloat(p.rest[:end], 64)
		if err != nil {
			p.refuse("wkt.coordinates", "give two numbers a point, longitude first", "%.20q is not a number", p.rest[:end])
			return at
		}
		at[i], p.rest = v, p.rest[end:]
	}
	return at
}

// word is the letters that come next, perhaps none.
func (p *wkt) word() string {
	p.space()
	end := strings.IndexFunc(p.rest, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w
}

func (p *wkt) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *wkt) take(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}
