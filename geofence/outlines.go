package geofence

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/warning"
)

// Outlines is the outlines of districts (codes of six digits) and towns (nine) of an edition that a deployment brought.
// It never changes, and its ID names its content.
type Outlines struct {
	*Layer
	ID      string    // edition@digest, e.g. 2025-11@5f2c8ad0e6b1
	Edition string    // a period: 2025, 2025-11 or 2025-11-06
	From    time.Time // the first moment of it

	form []byte
}

// OutlinedUnit is a unit of an edition that has an outline there.
type OutlinedUnit struct {
	Code, Name string
	Surface    float64 // square metres
}

// Units is those that have an outline, ascending by code.
func (o *Outlines) Units() []OutlinedUnit {
	out := make([]OutlinedUnit, len(o.places))
	for i, p := range o.places {
		out[i] = OutlinedUnit{p.code, p.name, squareMetres(p.shape)}
	}
	return out
}

// Source is where the shipped outlines come from.
const Source = "© OpenStreetMap contributors (ODbL 1.0)"

// Outlined is the units that have an outline in the edition, ascending by code.
func (e *Edition) Outlined() (out []OutlinedUnit) {
	for _, u := range e.Units {
		if u.outline != nil {
			out = append(out, OutlinedUnit{fmt.Sprint(u.Code), u.Name, squareMetres(u.outline)})
		}
	}
	return out
}

// period is the first moment of an edition and the first after it: a year, month or day of civil time.
func period(edition string) (from, until time.Time, ok bool) {
	for _, p := range []struct {
		form                string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1}} {
		if t, err := time.ParseInLocation(p.form, edition, civilTime); err == nil && len(edition) == len(p.form) {
			return t, t.AddDate(p.years, p.months, p.days), true
		}
	}
	return from, until, false
}

// The form of Outlines: version u8, the edition, the number of places, and for each its code, its name and its rings. A
// text is its length and its bytes. A ring is how many corners it has, and each as the difference from the one before,
// east then north, in units of 10^-7 degree. Numbers are varints, differences signed ones.
const outlinesVersion = 1

// newOutlines is the outlines of sound places, with codes of six or nine digits.
func newOutlines(edition string, places []place) *Outlines {
	o := &Outlines{Layer: newLayer(places), Edition: edition}
	o.From, _, _ = period(edition)
	b := appendText([]byte{outlinesVersion}, edition)
	b = binary.AppendUvarint(b, uint64(len(o.places)))
	for _, p := range o.places {
		b = appendText(appendText(b, p.code), p.name)
		var rings []byte
		n, first := 0, 0
		for i, e := range p.shape.edges {
			if e.b != p.shape.edges[first].a {
				continue
			}
			rings = binary.AppendUvarint(rings, uint64(i-first+1))
			var last coord
			for _, side := range p.shape.edges[first : i+1] {
				rings = binary.AppendVarint(binary.AppendVarint(rings, int64(side.a.x)-int64(last.x)), int64(side.a.y)-int64(last.y))
				last = side.a
			}
			n, first = n+1, i+1
		}
		b = append(binary.AppendUvarint(b, uint64(n)), rings...)
	}
	o.form = b
	sum := sha256.Sum256(b)
	o.ID = edition + "@" + hex.EncodeToString(sum[:6])
	return o
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Form is what LoadOutlines reads.
func (o *Outlines) Form() []byte { return o.form }

// LoadOutlines reads the form of outlines that were sound when they were made; what cannot be one, or is not what the ID
// names, is an error.
func LoadOutlines(id string, form []byte) (*Outlines, error) {
	r := reader{b: form}
	if r.byte() != outlinesVersion {
		return nil, fmt.Errorf("outlines %s are not of version %d", id, outlinesVersion)
	}
	edition := r.text()
	var places []place
	for range r.number() {
		p := place{code: r.text(), name: r.text()}
		var sides []edge
		begins := map[int]bool{}
		for range r.number() {
			ring := make(ring, 0, 16)
			var last coord
			for range r.number() {
				last = coord{last.x + int32(r.difference()), last.y + int32(r.difference())}
				if ring = append(ring, last); !inRange(last.x, last.y) {
					r.bad = true
				}
			}
			begins[len(sides)] = true
			sides = slices.AppendSeq(sides, ring.edges)
		}
		if r.bad || len(sides) == 0 {
			return nil, fmt.Errorf("outlines %s are damaged at %q", id, p.code)
		}
		p.shape = &shape{edges: sides, box: nothing(), tree: newBoxTree(sides, func(i int) bool { return begins[i] })}
		for _, e := range sides {
			p.shape.box.add(e.a)
		}
		places = append(places, p)
	}
	if r.bad || len(r.b) > 0 || len(places) == 0 {
		return nil, fmt.Errorf("outlines %s are damaged", id)
	}
	if o := newOutlines(edition, places); o.ID == id {
		return o, nil
	}
	return nil, fmt.Errorf("outlines %s are not what their name says", id)
}

// reader takes a form apart; bad says that it was none.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// number is at most the bytes that are left, since it counts what each takes one at least.
func (r *reader) number() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) difference() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v > math.MaxUint32 || v < -math.MaxUint32 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// Atlas is the outlines beyond the shipped ones that a process knows. A nil Atlas knows none. It is safe for concurrent
// use.
type Atlas struct {
	load func(id string) (*Outlines, error)

	mu    sync.Mutex // guards what follows
	all   map[string]*Outlines
	force []*Outlines
}

// NewAtlas asks load for outlines that it does not know: warnings name those that were in force when they were submitted.
// load answers nil where there are none with the ID.
func NewAtlas(load func(id string) (*Outlines, error)) *Atlas {
	return &Atlas{load: load, all: map[string]*Outlines{}}
}

// Get is the outlines with this ID, or nil where there are none.
func (a *Atlas) Get(id string) (*Outlines, error) {
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	o, ok := a.all[id]
	a.mu.Unlock()
	if ok {
		return o, nil
	}
	o, err := a.load(id)
	if err != nil || o == nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all[id] = o
	return o, nil
}

// Take puts these editions in force, in place of those that were.
func (a *Atlas) Take(force []*Outlines) {
	force = slices.Clone(force)
	slices.SortStableFunc(force, func(p, q *Outlines) int {
		return cmp.Or(q.From.Compare(p.From), cmp.Compare(len(q.Edition), len(p.Edition)))
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.force = force
	for _, o := range force {
		a.all[o.ID] = o
	}
}

// InForce is the editions in force, the newest first.
func (a *Atlas) InForce() []*Outlines {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.force
}

// newest is the newest edition that has an outline of a unit at a time, or nil: then the shipped outline counts, where
// there is one.
func (a *Atlas) newest(code string, at time.Time) (*Outlines, *place) {
	for _, o := range a.InForce() {
		if o.From.After(at) {
			continue
		}
		if p := o.find(code); p != nil && (!o.From.Before(shippedFrom) || shipped(code) == nil) {
			return o, p
		}
	}
	return nil, nil
}

// outline is the newest outline of a district at a time, or nil.
func (a *Atlas) outline(code string, at time.Time) *shape {
	if _, p := a.newest(code, at); p != nil {
		return p.shape
	}
	return shipped(code)
}

// shipped is the shipped outline of a district, or nil.
func shipped(code string) *shape {
	if u, ok := EditionAt(latest).Unit(numberOf(code)); ok {
		return u.outline
	}
	return nil
}

// Pin names for each unit the edition whose outline is meant at a time: the newest that has one and had begun on its day.
// What names an edition already keeps it; a unit whose shipped outline is meant, and a town without any, names none.
func (a *Atlas) Pin(areas []warning.Area, at time.Time) []warning.Area {
	if len(a.InForce()) == 0 {
		return areas
	}
	out := slices.Clone(areas)
	for i := range out {
		area := &out[i]
		if area.Unit == "" || area.Edition != "" {
			continue
		}
		day := at
		if !area.AsOf.IsZero() {
			day = area.AsOf
		}
		o, p := a.newest(shortCode(area.Unit), day)
		if o == nil {
			continue
		}
		area.Edition = o.ID
		if _, listed := TownAt(area.Unit); area.Name == "" && len(p.code) == 9 && !listed { // nothing else knows its name
			area.Name = fullName(p.code, p.name)
		}
	}
	return out
}

// shortCode is a code of nine digits for one of twelve that ends in 000.
func shortCode(code string) string {
	if len(code) == 12 {
		code = strings.TrimSuffix(code, "000")
	}
	if len(code) == 9 { // of a district, as statistics write it
		code = strings.TrimSuffix(code, "000")
	}
	return code
}

// fullName is the name of a unit, that of a town behind its district's.
func fullName(code, name string) string {
	if len(code) == 9 {
		return EditionAt(latest).district(numberOf(code[:6])) + name
	}
	return name
}

// imported is the outline that an area names by its edition, or nil after a fault.
func (c *checker) imported(field string, a *warning.Area) *shape {
	o, err := c.limits.Atlas.Get(a.Edition)
	switch {
	case err != nil:
		c.failed = errors.Join(c.failed, err)
		return nil
	case o == nil:
		c.fault(field+".edition", "area.edition", "leave the edition out: the newest is taken", "no edition %.60q was imported", a.Edition)
		return nil
	}
	if len(a.Unit) == 6 {
		if _, v := c.edition.listed(field+".unit", a.Unit, a.AsOf); v != nil {
			c.fault(v.Field, v.Rule, v.Remedy, "%s", v.Detail)
			return nil
		}
	}
	if p := o.find(shortCode(a.Unit)); p != nil {
		return p.shape
	}
	c.fault(field+".unit", "area.unit.outline", "leave the edition out, or give a polygon", "no surveyed outline of %s is at hand in edition %s", a.Unit, o.ID)
	return nil
}
