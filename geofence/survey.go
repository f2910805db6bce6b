package geofence

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/warning"
)

// What two surveys of one line differ by is a sliver: it is told and admitted. More of it is a fault, since whoever lives
// there would be warned twice, or by nobody.
const (
	sliver      = 10_000    // square metres: always admitted
	sliverShare = 0.01      // of the smaller unit; of a gap, of the district
	sliverMost  = 1_000_000 // square metres: more never is
	gapMost     = 100_000   // square metres of one gap
	// A district of another edition may be simplified by hundreds of metres.
	foreignShare = 0.5  // of a town, that lies outside of it
	foreignGap   = 0.05 // of it, in one gap
	// slightest is square metres that come from rounding positions, and are not told.
	slightest = 100
)

// What measuring may cost.
const (
	rowsApart  = 20 // metres between two lines that measure
	rowsLeast  = 64
	rowsMost   = 8192
	pairsMost  = 200_000 // pairs of units of a level that lie near each other
	outlinesIn = 20_000  // units of an edition
)

// Survey reads the outlines of an edition, a period as 2025, 2025-11 or 2025-11-06, from a FeatureCollection as ReadLayer
// takes it, and holds them against each other, against the list of units as it stood at the end of the period, and against
// their districts: those of the same file, else the newest of the atlas, else the shipped ones. Codes have six digits
// (districts), nine, or twelve that end in 000 (towns). It refuses with every fault named: outlines that are not sound, codes
// that are unknown, retired or given twice, units of a level that lie over each other, towns outside of their district, and
// gaps in a district all of whose towns are given. What is small enough to come from the survey is a remark.
func Survey(edition string, geojson []byte, crs string, atlas *Atlas) (o *Outlines, remarks []warning.Violation, err error) {
	from, until, ok := period(edition)
	if !ok {
		return nil, nil, warning.Invalid(warning.Violation{Field: "edition", Rule: "outline.edition", Detail: fmt.Sprintf("%.40q is no edition", edition),
			Remedy: "say the year, month or day from which it holds: 2025, 2025-11 or 2025-11-06"})
	}
	places, err := readPlaces(geojson, crs)
	if err != nil {
		return nil, nil, err
	}
	s := survey{places: places, from: from, last: until.Add(-time.Second), atlas: atlas, index: map[string]*place{}, surfaces: map[*shape]float64{}}
	s.codes()
	if len(s.faults) == 0 {
		s.overlaps()
		s.districts()
	}
	if len(s.faults) > 0 {
		return nil, nil, refusal(s.faults)
	}
	return newOutlines(edition, places), s.told(), nil
}

// survey is the outlines of one edition while they are checked.
type survey struct {
	places     []place
	from, last time.Time // the first and the last moment of the period
	atlas      *Atlas
	index      map[string]*place  // by code
	surfaces   map[*shape]float64 // square metres, of those that were asked for

	faults  []warning.Violation
	slivers []found
}

// found is a piece of ground that two outlines do not agree on.
type found struct {
	warning.Violation
	surface float64
}

func (s *survey) fault(p *place, rule, remedy, format string, args ...any) {
	s.faults = append(s.faults, warning.Violation{Field: p.field, Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// codes holds the codes against the list of units, brings them into one form, and gives each place its full name.
func (s *survey) codes() {
	list := EditionAt(latest)
	for i := range s.places {
		p := &s.places[i]
		p.code = shortCode(p.code)
		if len(p.code) != 6 && len(p.code) != 9 || strings.Trim(p.code, "0123456789") != "" {
			s.fault(p, "outline.code", "give six digits for a district, nine for a town, or twelve of which the last three are 000", "%.20q is no code of a district or town", p.code)
			continue
		}
		if other := s.index[p.code]; other != nil {
			s.fault(p, "outline.twice", "give each unit once; several pieces are a MultiPolygon", "%s stands in %s already", p.code, other.field)
			continue
		}
		s.index[p.code] = p
		_, v := list.listed(p.field, p.code[:6], s.last)
		switch {
		case v == nil:
		case v.Rule == "area.unit.unknown":
			s.fault(p, "outline.unknown", "use a code of the list of units", "no district has the code %s", p.code[:6])
		case v.Rule == "area.unit.retired":
			s.fault(p, "outline.retired", "leave it out, or import it as an edition of its time", "%s", v.Detail)
		default:
			s.fault(p, "outline.future", "import it as a later edition", "%s", v.Detail)
		}
		if p.name != "" || v != nil {
			continue
		}
		if t, ok := TownAt(p.code); ok {
			p.name = t.Name
		} else if u, ok := list.Unit(numberOf(p.code)); ok {
			p.name = u.Name
		} else {
			s.fault(p, "outline.name", "give it a property name", "the town %s is in no list, and has no name here", p.code)
		}
	}
}

// numberOf is a code of digits as a number.
func numberOf(code string) (n uint32) {
	for _, d := range code {
		n = n*10 + uint32(d-'0')
	}
	return n
}

func (p *place) title() string { return p.code + " " + fullName(p.code, p.name) }

// overlaps finds units of a level that lie over each other.
func (s *survey) overlaps() {
	order := make([]*place, len(s.places))
	for i := range s.places {
		order[i] = &s.places[i]
	}
	slices.SortFunc(order, func(a, b *place) int { return cmp.Compare(a.shape.box.min.x, b.shape.box.min.x) })
	pairs := 0
	for i, a := range order {
		for _, b := range order[i+1:] {
			if b.shape.box.min.x > a.shape.box.max.x {
				break
			}
			if len(a.code) != len(b.code) || !a.shape.box.meets(b.shape.box) {
				continue
			}
			if pairs++; pairs > pairsMost || len(s.faults) > 5*maxFaults {
				s.fault(a, "outline.work", "mend the faults that are named, or import fewer units at a time", "so many outlines lie over each other that not all were compared")
				return
			}
			l := linesIn(a.shape.box.common(b.shape.box))
			if all := patches(l, common(l.cut([]*shape{a.shape}), l.cut([]*shape{b.shape}))); len(all) > 0 {
				least := min(s.surface(a.shape), s.surface(b.shape))
				s.note(a, all, least, sliverShare, sliverMost, "outline.overlap", "let them share one line",
					"%s and %s lie over each other", a.title(), b.title())
			}
		}
	}
}

// districts holds towns against their district, and finds ground in a district that no town has.
func (s *survey) districts() {
	listed := map[string]int{} // towns by district
	for _, t := range towns() {
		listed[fmt.Sprint(t.District)]++
	}
	byDistrict := map[string][]*place{}
	for i := range s.places {
		if p := &s.places[i]; len(p.code) == 9 {
			byDistrict[p.code[:6]] = append(byDistrict[p.code[:6]], p)
		}
	}
	for _, code := range sortedKeys(byDistrict) {
		list := byDistrict[code]
		given := 0
		for _, p := range list {
			if _, ok := TownAt(p.code); ok {
				given++
			}
		}
		whole := given == listed[code]
		if !whole {
			s.remark(list[0], "outline.partial", "", "%d of %d towns of %s have no outline here: their people are found by registered home", listed[code]-given, listed[code], s.name(code))
		}
		around, own := s.district(code)
		if around == nil {
			s.remark(list[0], "outline.parent", "import the outline of the district too", "no outline of %s is at hand to hold its towns against", s.name(code))
			continue
		}
		s.hold(list, code, around, own, whole)
	}
}

// hold holds the towns of one district against its outline; own says that it is of the same file, whole that all its
// towns are here.
func (s *survey) hold(list []*place, code string, around *shape, own, whole bool) {
	share, most, gapShare, gap := sliverShare, float64(sliverMost), sliverShare, float64(gapMost)
	if !own {
		share, most, gapShare, gap = foreignShare, math.Inf(1), foreignGap, math.Inf(1)
	}
	if !whole {
		gapShare, gap = math.Inf(1), math.Inf(1)
	}
	var all []*shape
	for _, p := range list {
		all = append(all, p.shape)
		l := linesIn(p.shape.box)
		if beyond := patches(l, without(l.cut([]*shape{p.shape}), l.cut([]*shape{around}))); len(beyond) > 0 {
			s.note(p, beyond, s.surface(p.shape), share, most, "outline.outside", "check the code, the outline and --crs",
				"%s reaches out of %s", p.title(), s.name(code))
		}
	}
	l := linesIn(around.box)
	for _, g := range patches(l, without(l.cut([]*shape{around}), l.cut(all))) {
		s.note(list[0], []patch{g}, s.surface(around), gapShare, gap, "outline.gap", "give the outline of the town that has it",
			"no town of %s has this piece of it", s.name(code))
	}
}

// district is the outline that towns are held against; own says that it is of the same file.
func (s *survey) district(code string) (around *shape, own bool) {
	if p := s.index[code]; p != nil {
		return p.shape, true
	}
	return s.atlas.outline(code, s.last), false
}

func (s *survey) name(code string) string { return EditionAt(latest).district(numberOf(code)) }

func (s *survey) remark(p *place, rule, remedy, format string, args ...any) {
	s.slivers = append(s.slivers, found{warning.Violation{Field: p.field, Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy}, math.Inf(1)})
}

// note tells of pieces of ground together: as a fault where they are more than a sliver of all, else as a remark.
func (s *survey) note(p *place, all []patch, of, share, most float64, rule, remedy, format string, args ...any) {
	sum, largest := 0.0, all[0]
	for _, g := range all {
		sum += g.surface
		if g.surface > largest.surface {
			largest = g
		}
	}
	if sum < slightest {
		return
	}
	v := warning.Violation{Field: p.field, Rule: rule, Remedy: remedy,
		Detail: fmt.Sprintf(format, args...) + fmt.Sprintf(": %.3f km², %.2f %%, most of it at %v", sum/1e6, 100*sum/of, largest.at)}
	if sum > sliver && (sum > most || sum > share*of) {
		s.faults = append(s.faults, v)
		return
	}
	s.slivers = append(s.slivers, found{v, sum})
}

// toldSlivers is how many remarks are told one by one, the largest.
const toldSlivers = 20

// told is the remarks: those about whole units, then the largest slivers and how many more there are.
func (s *survey) told() (out []warning.Violation) {
	slices.SortStableFunc(s.slivers, func(a, b found) int { return cmp.Compare(b.surface, a.surface) })
	told, more, rest := 0, 0, 0.0
	for _, f := range s.slivers {
		switch {
		case math.IsInf(f.surface, 1):
			out = append(out, f.Violation)
		case told < toldSlivers:
			told++
			out = append(out, f.Violation)
		default:
			more++
			rest += f.surface
		}
	}
	if more > 0 {
		out = append(out, warning.Violation{Field: "features", Rule: "outline.slivers", Detail: fmt.Sprintf("%d more such pieces, together %.3f km²", more, rest/1e6)})
	}
	return out
}

// patch is ground that hangs together.
type patch struct {
	surface float64 // square metres
	at      coord   // a place in it
}

// patches joins stretches of neighbouring lines that lie over each other.
func patches(l rulings, spans []span) (out []patch) {
	if len(spans) == 0 {
		return nil
	}
	root := make([]int, len(spans))
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	below := 0 // the first stretch that may touch the present one from the line before
	for i, s := range spans {
		root[i] = i
		for below < i && (spans[below].row < s.row-1 || spans[below].row == s.row-1 && spans[below].to < s.from) {
			below++
		}
		for k := below; k < i && spans[k].row == s.row-1 && spans[k].from <= s.to; k++ {
			root[find(k)] = find(i)
		}
	}
	groups := map[int]int{} // root → index in out
	longest := map[int]float64{}
	for i, s := range spans {
		r := find(i)
		n, ok := groups[r]
		if !ok {
			n = len(out)
			groups[r], out = n, append(out, patch{})
		}
		out[n].surface += l.surface([]span{s}) / (metre * metre)
		if s.to-s.from > longest[r] {
			longest[r], out[n].at = s.to-s.from, coord{int32((s.from + s.to) / 2), l.rows[s.row]}
		}
	}
	return out
}

// linesIn is lines of latitude over a box that are rowsApart apart, about: closer in a low box.
func linesIn(b box) rulings {
	height := int64(b.max.y) - int64(b.min.y)
	if height <= 0 {
		return rulings{}
	}
	n := min(max(int64(float64(height)/(rowsApart*metre)), rowsLeast), rowsMost, height)
	l := rulings{b, make([]int32, n)}
	for i := range l.rows {
		l.rows[i] = b.min.y + int32((int64(2*i+1)*height)/(2*n))
	}
	return l
}

// surface is square metres of a shape.
func (s *survey) surface(of *shape) float64 {
	m, ok := s.surfaces[of]
	if !ok {
		m = squareMetres(of)
		s.surfaces[of] = m
	}
	return m
}

// squareMetres is the surface of a shape.
func squareMetres(s *shape) float64 {
	l := linesIn(s.box)
	return l.surface(l.cut([]*shape{s})) / (metre * metre)
}

// common is what two boxes that meet have in common.
func (b box) common(o box) box {
	return box{coord{max(b.min.x, o.min.x), max(b.min.y, o.min.y)}, coord{min(b.max.x, o.max.x), min(b.max.y, o.max.y)}}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
