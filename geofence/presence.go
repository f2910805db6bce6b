package geofence

import (
	"slices"
	"strconv"
	"sync/atomic"

	"tocsin/warning"
)

// Who counts as being in an area (warning.Presence). The position of somebody who was never seen is their home; that of
// somebody who was seen is where. Their home is then known by its unit only: while the position lies in that unit it
// stands for the home too. Away is who was seen outside of the unit of their home; a unit without an outline is known to
// hold nobody away. The home of somebody away is inside where the areas name its unit, or the unit around it. A town is
// the unit of a home where the areas name a town by an outline, and the edition has one of it; a district has the outline of
// the edition by which they name a unit, where it has one. Where they name a town without one,
// who has it as home is in it, unless they were seen outside of its district.

// summary is what a block has in common: most blocks need no look at their people.
type summary struct {
	low, high uint32 // codes of the districts of homes
	seen      uint32 // the latest
	box       box    // of the positions
}

func summaryOf(c Columns) summary {
	s := summary{low: warning.DistrictOf(c.Home[0]), box: nothing()}
	for i, home := range c.Home {
		code := warning.DistrictOf(home)
		s.low, s.high, s.seen = min(s.low, code), max(s.high, code), max(s.seen, c.Seen[i])
		s.box.add(coord{c.Lon[i], c.Lat[i]})
	}
	return s
}

// absent is who of a block was seen outside of the unit of their home, which has an outline. That hangs on the block and on
// the edition alone: it is found once, and all others count where they are.
type absent struct{ found atomic.Pointer[absentees] }

type absentees struct {
	edition *Edition
	mask    warning.Mask
}

// away is who is absent by the outlines of an edition.
func (b about) away(e *Edition) *warning.Mask {
	found := b.absent.found.Load()
	if found == nil || found.edition != e {
		found = b.learn(e, &finder{})
	}
	return &found.mask
}

// learn finds who of a block is absent.
func (b about) learn(e *Edition, f *finder) *absentees {
	found := &absentees{edition: e}
	if b.summary.seen > 0 && !e.stays(b.summary) {
		var homes []dwelling
		at, last := 0, uint32(0)
		for i, seen := range b.Seen {
			if home := b.Home[i]; home != last || len(homes) == 0 { // neighbours live in the same unit
				last, home = home, warning.DistrictOf(home)
				if at = slices.IndexFunc(homes, func(d dwelling) bool { return d.district == home }); at < 0 {
					at, homes = len(homes), append(homes, b.dwelling(e, home, f))
				}
			}
			if seen > 0 && homes[at].outlined && !homes[at].there.Has(i) {
				found.mask.Set(i)
			}
		}
	}
	b.absent.found.Store(found)
	return found
}

// dwelling is a unit of homes, and who of a block is in it, wherever they live.
type dwelling struct {
	district uint32
	outlined bool
	there    warning.Mask
}

func (b about) dwelling(e *Edition, district uint32, f *finder) (d dwelling) {
	d.district = district
	if u := e.surveyed(district); u != nil {
		d.outlined, d.there = true, f.block(b.gathering, b.number, []*shape{u.outline})
	}
	return d
}

// stays tells whether everybody of a block surely is in the unit of their home, or in one without an outline.
func (e *Edition) stays(s *summary) bool {
	u := e.surveyed(s.low)
	return s.low == s.high && (u == nil || e.grid.covers(e, s.box, u))
}

// surveyed is the district with this code where it has an outline, or nil.
func (e *Edition) surveyed(district uint32) *Unit {
	if u, ok := e.byCode[district]; ok && u.outline != nil {
		return u
	}
	return nil
}

// attendance decides who counts.
type attendance struct {
	warning.Presence
	edition *Edition
	named   map[uint32]bool   // units that the areas name
	homes   map[uint32]bool   // towns without an outline among them
	drawn   map[uint32]*shape // districts of the editions by which they name units, and towns of those by which they name some
	apart   []uint32          // districts of homes and drawn: who lives there is looked at one by one
	home    uint32            // that was looked up last
	outline *shape            // of its unit in drawn, or nil
	inside  bool              // whether the areas name it
	town    bool              // whether they name it as a town without an outline
}

func newAttendance(p warning.Presence, e *Edition, areas []warning.Area, atlas *Atlas) *attendance {
	a := &attendance{Presence: p, edition: e, named: map[uint32]bool{}, homes: map[uint32]bool{}, drawn: map[uint32]*shape{}}
	for i := range areas {
		if t, ok := byHome(&areas[i]); ok {
			a.named[t.Code], a.homes[t.Code] = true, true
			continue
		}
		code, err := strconv.ParseUint(shortCode(areas[i].Unit), 10, 32)
		if err != nil {
			continue
		}
		a.named[uint32(code)] = true
		if o, err := atlas.Get(areas[i].Edition); err == nil && o != nil { // the areas were resolved with it
			for _, p := range o.places {
				if len(p.code) == 6 || code > 999_999 {
					a.drawn[numberOf(p.code)] = p.shape
				}
			}
		}
		for _, u := range e.Units { // homes keep the code that their unit had
			if u.Successor == uint32(code) {
				a.named[u.Code] = true
			}
		}
	}
	for home := range a.homes {
		a.apart = append(a.apart, warning.DistrictOf(home))
	}
	for home := range a.drawn {
		a.apart = append(a.apart, warning.DistrictOf(home))
	}
	slices.Sort(a.apart)
	return a
}

// look looks up a home. Neighbours live in the same unit.
func (a *attendance) look(home uint32) {
	if home == a.home {
		return
	}
	district := warning.DistrictOf(home)
	a.home, a.outline, a.town = home, a.drawn[home], a.homes[home]
	if a.outline == nil {
		a.outline = a.drawn[district]
	}
	a.inside = a.named[home] || a.named[district]
}

// oneByOne tells whether somebody of a block may live where homes say who counts, or where another outline does.
func (a *attendance) oneByOne(s *summary) bool {
	at, _ := slices.BinarySearch(a.apart, s.low)
	return at < len(a.apart) && a.apart[at] <= s.high
}

// block is who of a block counts, given who is inside by position.
func (a *attendance) block(b about, m warning.Mask) warning.Mask {
	c, s := b.Columns, b.summary
	apart := a.oneByOne(s)
	if s.seen == 0 && !apart {
		return m
	}
	absent := b.away(a.edition)
	ask := *absent
	if apart {
		ask = warning.First(len(c.Home))
	}
	away := func(i int) bool {
		if a.outline != nil {
			return a.outline.locate(coord{c.Lon[i], c.Lat[i]}) == outside
		}
		return absent.Has(i)
	}
	for i := range ask.Slots {
		seen, is := c.Seen[i], m.Has(i)
		a.look(c.Home[i])
		switch {
		case a.town && (a.Both || seen == 0 || !a.Fresh(seen) || !away(i)):
			m.Set(i)
		case seen == 0:
		case a.inside == is || is && (a.Both || a.Fresh(seen)):
		case a.inside && !a.Both && a.Fresh(seen):
		case !away(i):
		case is:
			m[i>>6] &^= 1 << (i & 63)
		default:
			m.Set(i)
		}
	}
	return m
}

// attend is a selection by position with who counts instead, over the blocks of a run, which are looked at side by side.
func (a *attendance) attend(r *run, by warning.Selection) (out warning.Selection) {
	const blocks = rowsTogether / warning.BlockSize
	parts := make([]warning.Selection, (r.blocks()+blocks-1)/blocks)
	together(len(parts), func(p int) {
		mine := *a
		parts[p] = mine.attendPart(r, by, p*blocks, min((p+1)*blocks, r.blocks()))
	})
	for _, p := range parts {
		out.Blocks, out.Masks = append(out.Blocks, p.Blocks...), append(out.Masks, p.Masks...)
	}
	return out
}

func (a *attendance) attendPart(r *run, by warning.Selection, from, to int) (out warning.Selection) {
	next, _ := slices.BinarySearch(by.Blocks, uint32(from))
	for i := from; i < to; i++ {
		var m warning.Mask
		if next < len(by.Blocks) && int(by.Blocks[next]) == i {
			m = by.Masks[next]
			next++
		} else if len(a.named) == 0 { // whose home is not named counts by position, if at all
			continue
		}
		if m = a.block(r.about(i), m); m != (warning.Mask{}) {
			out.Blocks, out.Masks = append(out.Blocks, uint32(i)), append(out.Masks, m)
		}
	}
	return out
}

// covers tells whether a box lies in cells that a unit covers.
func (g *grid) covers(e *Edition, b box, u *Unit) bool {
	if !g.box.has(b.min) || !g.box.has(b.max) {
		return false
	}
	x0, y0 := g.cell(b.min)
	x1, y1 := g.cell(b.max)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			if c := g.cells[y*gridSide+x]; c >= cellBorder || e.Units[c] != u {
				return false
			}
		}
	}
	return true
}
