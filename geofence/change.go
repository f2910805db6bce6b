package geofence

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"tocsin/warning"
)

// latest asks for the newest edition.
var latest time.Time

// Change carries out the changes in their order. It reports those that it left out, by their index; bad ones never stop
// the others. Erasing a number that nobody has is no fault.
func (r *Revision) Change(changes []warning.Change) (*Revision, []BadRow, error) {
	e := editor{old: r, edited: map[[2]int]*Columns{}, places: map[uint64]int{}}
	var bad []BadRow
	for i, c := range changes {
		if b, is := e.change(&c); is {
			b.Row = i
			bad = append(bad, b)
		}
	}
	next, err := e.finish()
	return next, bad, err
}

// editor is a revision that is being changed.
type editor struct {
	old    *Revision
	edited map[[2]int]*Columns // by run and block, with changes
	fresh  Columns             // who is new in their place
	places map[uint64]int      // number → row in fresh
}

// spot is where a person stands: a row of fresh, or a slot of a block of a run.
type spot struct{ run, block, slot int }

const inFresh = -1

func (e *editor) find(number uint64) (spot, bool) {
	if row, ok := e.places[number]; ok {
		return spot{run: inFresh, slot: row}, true
	}
	for i, run := range slices.Backward(e.old.runs) {
		block, slot, ok := run.find(number)
		if !ok {
			continue
		}
		if c := e.edited[[2]int{i, block}]; c == nil || c.Number[slot] == number {
			return spot{i, block, slot}, true
		}
	}
	return spot{}, false
}

// at is the columns in which a person can be changed.
func (e *editor) at(p spot) *Columns {
	if p.run == inFresh {
		return &e.fresh
	}
	key := [2]int{p.run, p.block}
	c := e.edited[key]
	if c == nil {
		var own Columns
		own.Append(e.old.runs[p.run].block(p.block))
		c = &own
		e.edited[key] = c
	}
	return c
}

// leave empties a place. The position that is kept for the order is a neighbour's, not that of who has left.
func (e *editor) leave(p spot) {
	c := e.at(p)
	i := p.slot
	delete(e.places, c.Number[i])
	if p.run != inFresh {
		born := e.old.runs[p.run].born
		switch {
		case i > 0:
			c.Lon[i], c.Lat[i] = c.Lon[i-1], c.Lat[i-1]
		case p.block > 0:
			before := born.Block(p.block - 1)
			c.Lon[i], c.Lat[i] = before.Lon[before.Len()-1], before.Lat[before.Len()-1]
		case c.Len() > 1:
			c.Lon[i], c.Lat[i] = c.Lon[i+1], c.Lat[i+1]
		}
	}
	c.Number[i], c.Home[i], c.Seen[i], c.Language[i], c.Duty[i], c.Flags[i] = 0, 0, 0, 0, 0, warning.Gone
}

func (e *editor) change(ch *warning.Change) (BadRow, bool) {
	if ch.Number == 0 {
		return BadRow{Field: "number", Rule: "directory.number", Detail: "a change names the number of a person"}, true
	}
	p, known := e.find(ch.Number)
	switch ch.Deed {
	case warning.DeedPut:
		return e.putIn(ch, p, known)
	case warning.DeedErase:
		if known {
			e.leave(p)
		}
		return BadRow{}, false
	case warning.DeedUnsubscribe, warning.DeedResubscribe:
	default:
		return BadRow{Field: "what", Rule: "directory.change", Detail: "the change says nothing to do"}, true
	}
	if !known {
		return BadRow{Field: "number", Rule: "directory.number.unknown", Detail: "nobody has this number"}, true
	}
	c := e.at(p)
	if ch.Deed == warning.DeedResubscribe {
		c.Flags[p.slot] &^= warning.OptedOut
		return BadRow{}, false
	}
	if c.Duty[p.slot] == uint8(warning.Responsible) {
		return BadRow{Field: "number", Rule: "directory.duty.subscribed", Detail: "a responsible person cannot unsubscribe; change the duty first"}, true
	}
	c.Flags[p.slot] |= warning.OptedOut
	return BadRow{}, false
}

// putIn takes somebody in, or changes who is in.
func (e *editor) putIn(ch *warning.Change, p spot, known bool) (BadRow, bool) {
	row := makeColumns(1)
	row.Number[0] = ch.Number
	if known {
		c := e.at(p).Slice(p.slot, p.slot+1)
		row = Columns{}
		row.Append(c)
	} else if ch.Lon == nil || ch.Lat == nil {
		return BadRow{Field: "lon", Rule: "directory.position", Detail: "nobody has this number yet: the position is needed"}, true
	}
	if ch.NewNumber != 0 && ch.NewNumber != ch.Number {
		if _, taken := e.find(ch.NewNumber); taken {
			return BadRow{Field: "new_number", Rule: "directory.number.duplicate", Detail: "somebody else has the new number"}, true
		}
		row.Number[0] = ch.NewNumber
	}
	stays := known && row.Number[0] == ch.Number
	if (ch.Lon == nil) != (ch.Lat == nil) {
		return BadRow{Field: "lon", Rule: "directory.position", Detail: "longitude and latitude come together"}, true
	}
	if ch.Lon != nil && (*ch.Lon != row.Lon[0] || *ch.Lat != row.Lat[0]) {
		row.Lon[0], row.Lat[0], row.Home[0], stays = *ch.Lon, *ch.Lat, 0, false
	}
	set(row.Home, ch.Home)
	set(row.Language, ch.Language)
	set(row.Duty, ch.Duty)
	if row.Duty[0] == uint8(warning.Responsible) {
		row.Flags[0] &^= warning.OptedOut
	}
	if b, is := row.badRow(0); is {
		return b, true
	}
	if row.Home[0] == 0 {
		row.Home[0], _ = e.old.edition.Locate(row.Lon[0], row.Lat[0])
	}
	if stays {
		c := e.at(p)
		c.Home[p.slot], c.Language[p.slot], c.Duty[p.slot], c.Flags[p.slot] = row.Home[0], row.Language[0], row.Duty[0], row.Flags[0]
		return BadRow{}, false
	}
	if known {
		e.leave(p)
	}
	e.places[row.Number[0]] = e.fresh.Len()
	e.fresh.Append(row)
	return BadRow{}, false
}

func set[T any](column []T, v *T) {
	if v != nil {
		column[0] = *v
	}
}

// finish is the revision with the changes.
func (e *editor) finish() (*Revision, error) {
	runs := slices.Clone(e.old.runs)
	for key, c := range e.edited {
		i, block := key[0], key[1]
		hash := sha256.Sum256(appendBlock(nil, warning.Block(*c)))
		if hash == runs[i].hashes[block] {
			continue // changed and changed back
		}
		if runs[i] == e.old.runs[i] {
			runs[i] = runs[i].copied()
		}
		runs[i].put(block, *c, hash)
	}
	runs = slices.DeleteFunc(runs, func(r *run) bool { return r.people == 0 })
	fresh := Columns{}
	fresh.appendPresent(e.fresh)
	for fresh.Len() > 0 && len(runs) > 0 && runs[len(runs)-1].people <= 2*fresh.Len() {
		for c := range runs[len(runs)-1].columns() {
			fresh.appendPresent(c)
		}
		runs = runs[:len(runs)-1]
	}
	if fresh.Len() > 0 {
		s, bad := Build(fresh)
		if len(bad) > 0 {
			return nil, fmt.Errorf("geofence: a change made a faulty row: %s", bad[0])
		}
		runs = append(runs, newRun(s))
	}
	if len(runs) == 0 {
		return nil, warning.Invalid(warning.Violation{Field: "changes", Rule: "directory.empty", Detail: "nobody would be left in the directory", Remedy: "import another directory"})
	}
	return revisionOf(runs, e.old.edition, e.old.limits), nil
}

// appendPresent appends the rows that are not empty.
func (c *Columns) appendPresent(d Columns) {
	from := 0
	for i, f := range d.Flags {
		if f == warning.Gone {
			c.Append(d.Slice(from, i))
			from = i + 1
		}
	}
	c.Append(d.Slice(from, d.Len()))
}
