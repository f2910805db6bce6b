package geofence

import (
	"bytes"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/warning"
)

//go:embed data
var data embed.FS

// civilTime is the clock by which units begin and end. China keeps one time all year.
var civilTime = time.FixedZone("UTC+8", 8*3600)

// Unit is an administrative unit of county level.
type Unit struct {
	Code   uint32 // GB/T 2260, six digits
	Name   string // official, e.g. 石柱土家族自治县
	Short  string // as warnings say it, e.g. 石柱
	Pinyin string // may be empty
	Kind   string // 区, 县, 自治县
	// From and To bound the validity: the first moment, and the first moment after. Zero: not known, and not ended.
	From, To time.Time
	// Successor is the unit that took its place when it ended, or 0.
	Successor uint32
	Note      string // what changed, for people

	// Population is the number of residents in the census of 2020.
	Population int64

	outline *shape // nil where no surveyed outline is at hand
	seat    coord
}

// Surveyed tells whether the unit has an outline that can be used.
func (u *Unit) Surveyed() bool { return u.outline != nil }

// Edition is the set of surveyed outlines of one time, with the list of units that is known with it.
type Edition struct {
	ID    string    // e.g. "chongqing-2020"
	Until time.Time // the first moment when one of its outlines no longer held
	// Units of the list in ascending order of their codes; also those that came later and have no outline here.
	Units []*Unit

	byCode  map[uint32]*Unit
	box     box
	surface float64 // of all outlines together, in the measure of surfaceIn
	grid    grid
	raw     []byte
}

// editions reads the embedded data once. The data are part of the program, so a fault in them is a fault of the build.
var editions = sync.OnceValue(func() []*Edition {
	e, err := readEdition("chongqing-2020", time.Date(2025, 11, 6, 0, 0, 0, 0, civilTime))
	if err != nil {
		panic("geofence: embedded data: " + err.Error())
	}
	return []*Edition{e}
})

// shippedFrom is when the shipped outlines were surveyed: an older edition does not come before them.
var shippedFrom = time.Date(2020, 1, 1, 0, 0, 0, 0, civilTime)

// Editions is every edition that is shipped, oldest first.
func Editions() []*Edition { return slices.Clone(editions()) }

// EditionAt is the edition that holds at t; the newest when none reaches that far, or when t is zero.
func EditionAt(t time.Time) *Edition {
	all := editions()
	for _, e := range all {
		if !t.IsZero() && t.Before(e.Until) {
			return e
		}
	}
	return all[len(all)-1]
}

// RawOutlines is the GeoJSON of an edition as it is embedded, for whoever wants to verify independently; nil when there
// is no such edition.
func RawOutlines(edition string) []byte {
	for _, e := range editions() {
		if e.ID == edition {
			return bytes.Clone(e.raw)
		}
	}
	return nil
}

// Locate is the code of the unit around a position in degrees, or false outside all of them. On a common border it is
// the lower code.
func Locate(lon, lat float64) (uint32, bool) {
	x, okX := E7(lon)
	y, okY := E7(lat)
	if !okX || !okY {
		return 0, false
	}
	return EditionAt(time.Time{}).Locate(x, y)
}

// Unit is the unit with this code, whether it still exists or not.
func (e *Edition) Unit(code uint32) (*Unit, bool) {
	u, ok := e.byCode[code]
	return u, ok
}

// UnitAt is the unit that a six-digit code means on the day of asOf; zero asks for the newest state of the list. It
// refuses with one of the rules area.unit.code (not six digits), area.unit.unknown, area.unit.retired,
// area.unit.future and area.unit.outline (exists, but without a surveyed outline). field is the path of the code in the
// request.
func (e *Edition) UnitAt(field, code string, asOf time.Time) (*Unit, *warning.Violation) {
	u, v := e.listed(field, code, asOf)
	if v != nil {
		return nil, v
	}
	if u.outline == nil {
		return nil, &warning.Violation{Field: field, Rule: "area.unit.outline",
			Detail: fmt.Sprintf("no surveyed outline of %s %s is at hand", code, u.Name),
			Remedy: "give a polygon, or the codes that were before it with --as-of"}
	}
	return u, nil
}

// listed is UnitAt also for units without an outline.
func (e *Edition) listed(field, code string, asOf time.Time) (*Unit, *warning.Violation) {
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil || len(code) != 6 || n < 100000 {
		return nil, &warning.Violation{Field: field, Rule: "area.unit.code", Detail: fmt.Sprintf("%.20q is not a code of six digits", code),
			Remedy: "use the code of GB/T 2260, e.g. 500101"}
	}
	u, ok := e.byCode[uint32(n)]
	if !ok {
		return nil, &warning.Violation{Field: field, Rule: "area.unit.unknown", Detail: "no unit has the code " + code,
			Remedy: "use a code of edition " + e.ID + ", or give a polygon"}
	}
	switch {
	case !u.To.IsZero() && (asOf.IsZero() || !asOf.Before(u.To)):
		v := &warning.Violation{Field: field, Rule: "area.unit.retired",
			Detail: fmt.Sprintf("%s %s ended on %s", code, u.Name, u.To.In(civilTime).Format(time.DateOnly)),
			Remedy: fmt.Sprintf("say --as-of %s or give a polygon", u.To.In(civilTime).AddDate(0, 0, -1).Format(time.DateOnly))}
		if s, ok := e.byCode[u.Successor]; ok {
			v.Detail += fmt.Sprintf("; its successor is %d %s", s.Code, s.Name)
		}
		return nil, v
	case !u.From.IsZero() && !asOf.IsZero() && asOf.Before(u.From):
		return nil, &warning.Violation{Field: field, Rule: "area.unit.future",
			Detail: fmt.Sprintf("%s %s began on %s", code, u.Name, u.From.In(civilTime).Format(time.DateOnly)),
			Remedy: "say a later --as-of, or the code of that day"}
	}
	return u, nil
}

// Locate is the code of the unit around a position in units of 10^-7 degree.
func (e *Edition) Locate(x, y int32) (uint32, bool) {
	p := coord{x, y}
	if !e.box.has(p) {
		return 0, false
	}
	switch c := e.grid.at(p); c {
	case cellOutside:
		return 0, false
	case cellBorder:
		return e.search(p)
	default:
		return e.Units[c].Code, true
	}
}

// search looks at every outline.
func (e *Edition) search(p coord) (uint32, bool) {
	for _, u := range e.Units {
		if u.outline != nil && u.outline.locate(p) != outside {
			return u.Code, true
		}
	}
	return 0, false
}

func readEdition(id string, until time.Time) (*Edition, error) {
	raw, err := data.ReadFile("data/chongqing_districts_osm_wgs84.geojson")
	if err != nil {
		return nil, err
	}
	e := &Edition{ID: id, Until: until, raw: raw, byCode: map[uint32]*Unit{}, box: nothing()}
	if err := e.readList(); err != nil {
		return nil, err
	}
	var collection struct {
		Features []struct {
			ID       uint32          `json:"id"`
			Geometry json.RawMessage `json:"geometry"`
		} `json:"features"`
	}
	if err := json.Unmarshal(raw, &collection); err != nil {
		return nil, err
	}
	for _, f := range collection.Features {
		u, ok := e.byCode[f.ID]
		if !ok {
			return nil, fmt.Errorf("outline of unit %d, which is not in the list", f.ID)
		}
		if u.outline, err = outlineOf(f.Geometry); err != nil {
			return nil, fmt.Errorf("outline of unit %d: %w", f.ID, err)
		}
		e.box.join(u.outline.box)
	}
	e.grid = newGrid(e)
	e.surface = surfaceIn(e.outlines(), e.outlines(), e.box)
	return e, nil
}

// readList reads the list of units and their population.
func (e *Edition) readList() error {
	population := map[string]int64{}
	err := eachRow("data/census2020_districts.csv", func(get func(string) string) (err error) {
		population[get("adcode")], err = strconv.ParseInt(get("pop2020"), 10, 64)
		return err
	})
	if err != nil {
		return err
	}
	err = eachRow("data/districts.csv", func(get func(string) string) error {
		code, err := strconv.ParseUint(get("adcode"), 10, 32)
		if err != nil {
			return err
		}
		pinyin, _, _ := strings.Cut(get("pinyin"), " [") // behind it stand remarks on the source
		u := &Unit{Code: uint32(code), Name: get("name"), Short: get("short_name"), Pinyin: pinyin, Kind: get("kind"), Note: get("note"),
			Population: population[get("adcode")]}
		if u.From, err = day(get("valid_from")); err != nil {
			return err
		}
		if u.To, err = day(get("valid_to")); err != nil {
			return err
		}
		if s := get("seat_lon_wgs84"); s != "" {
			if u.seat, err = parseCoord(s, get("seat_lat_wgs84")); err != nil {
				return err
			}
		}
		e.Units = append(e.Units, u)
		e.byCode[u.Code] = u
		return nil
	})
	slices.SortFunc(e.Units, func(a, b *Unit) int { return int(a.Code) - int(b.Code) })
	// The list says in words what took the place of a unit; the only unit that begins on the day another ends is it.
	for _, u := range e.Units {
		for _, s := range e.Units {
			if !u.To.IsZero() && s.From.Equal(u.To) {
				u.Successor = s.Code
			}
		}
	}
	return err
}

// outlines is every outline of the edition: the jurisdiction.
func (e *Edition) outlines() (all []*shape) {
	for _, u := range e.Units {
		if u.outline != nil {
			all = append(all, u.outline)
		}
	}
	return all
}

func outlineOf(geometry []byte) (*shape, error) {
	polygons, err := ParseGeoJSON(geometry)
	if err != nil {
		return nil, err
	}
	c := newChecker(DefaultLimits(), nil)
	s := c.polygons("outline", polygons)
	if len(c.faults) > 0 {
		return nil, warning.Invalid(c.faults...)
	}
	return s, nil
}

// day reads a date of civil time; empty is the zero time.
func day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.ParseInLocation(time.DateOnly, s, civilTime)
}

func parseCoord(lon, lat string) (coord, error) {
	x, err := parseE7(lon)
	if err != nil {
		return coord{}, err
	}
	y, err := parseE7(lat)
	return coord{x, y}, err
}

// eachRow calls row with each record of an embedded CSV file, its fields by name.
func eachRow(name string, row func(get func(string) string) error) error {
	f, err := data.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		return err
	}
	head = slices.Clone(head)
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		get := func(field string) string { return rec[slices.Index(head, field)] }
		if err := row(get); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
