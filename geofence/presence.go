package geofence

import (
	"slices"
	"strconv"

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

// attendance decides who counts.
type attendance struct {
	warning.Presence
	edition *Edition
	named   map[uint32]bool   // units that the areas name
	homes   map[uint32]bool   // towns without an outline among them
	drawn   map[uint32]*shape // districts of the editions by which they name units, and towns of those by which they name some
	home    uint32            // that was looked up last
	unit    *Unit             // its unit, where that is a district with an outline, or nil
	outline *shape            // of its unit, or nil
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
	return a
}

// look looks up the unit of a home. Neighbours live in the same unit.
func (a *attendance) look(home uint32) {
	if home == a.home {
		return
	}
	district := warning.DistrictOf(home)
	a.home, a.unit, a.outline, a.town = home, nil, a.drawn[home], a.homes[home]
	if a.outline == nil {
		a.outline = a.drawn[district]
	}
	a.inside = a.named[home] || a.named[district]
	if u, ok := a.edition.byCode[district]; ok && u.outline != nil && a.outline == nil {
		a.unit, a.outline = u, u.outline
	}
}

// away tells whether somebody was seen outside of the unit of their home, which was looked up.
func (a *attendance) away(p coord) bool {
	if a.outline == nil {
		return false
	}
	if e := a.edition; a.unit != nil && e.box.has(p) {
		if c := e.grid.at(p); c < cellBorder && e.Units[c] == a.unit {
			return false
		}
	}
	return a.outline.locate(p) == outside
}

// asPlaced tells whether everybody of a block surely counts by position.
func (a *attendance) asPlaced(s *summary) bool {
	if len(a.homes) > 0 {
		return false
	}
	if s.seen == 0 {
		return true
	}
	if s.low != s.high || len(a.drawn) > 0 {
		return false
	}
	a.look(s.low)
	return a.unit == nil || a.edition.grid.covers(a.edition, s.box, a.unit)
}

// block is who of a block counts, given who is inside by position.
func (a *attendance) block(c Columns, m warning.Mask) warning.Mask {
	for i, home := range c.Home {
		if c.Seen[i] == 0 && len(a.homes) == 0 {
			continue
		}
		a.look(home)
		is := m.Has(i)
		switch {
		case a.town && (a.Both || c.Seen[i] == 0 || !a.Fresh(c.Seen[i]) || !a.away(coord{c.Lon[i], c.Lat[i]})):
			m.Set(i)
		case c.Seen[i] == 0:
		case a.inside == is || is && (a.Both || a.Fresh(c.Seen[i])):
		case a.inside && !a.Both && a.Fresh(c.Seen[i]):
		case !a.away(coord{c.Lon[i], c.Lat[i]}):
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
		}
		s := &r.born.summaries[i]
		c, changed := r.now[i]
		if changed {
			fresh := summaryOf(c)
			s = &fresh
		} else {
			c = Columns(r.born.Block(i))
		}
		if !a.asPlaced(s) {
			m = a.block(c, m)
		}
		if m != (warning.Mask{}) {
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
