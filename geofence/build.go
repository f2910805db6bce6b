package geofence

import (
	"cmp"
	"slices"
	"time"

	"tocsin/warning"
)

// Build makes a snapshot of the rows and reports the rows that it leaves out, in order: broken ones, and those whose
// number another row has (the responsible person stays, else the first). A home of 0 becomes the unit around the
// position. Responsible persons cannot opt out, so their flag is cleared.
//
// The columns become part of the snapshot: they are sorted in place and must not be used afterwards. Beyond them Build
// needs 16 bytes a row for a while, and 5.4 for good.
func Build(c Columns) (*Snapshot, []BadRow) {
	n := c.Len()
	short := shortest(&c, n)
	pad(&c, n)
	e := EditionAt(time.Time{})

	var bad []BadRow
	kept := 0
	rows := make([]uint32, 0, n) // where the kept rows were, for telling about duplicates
	for i := range n {
		if i >= short {
			bad = append(bad, BadRow{Row: i, Field: "row", Rule: "directory.row", Detail: "columns have different lengths"})
			continue
		}
		if b, is := c.badRow(i); is {
			bad = append(bad, b)
			continue
		}
		if i != kept {
			c.copyRow(kept, i)
		}
		if c.Home[kept] == 0 {
			c.Home[kept], _ = e.Locate(c.Lon[kept], c.Lat[kept])
		}
		if c.Duty[kept] == uint8(warning.Responsible) {
			c.Flags[kept] &^= warning.OptedOut
		}
		rows = append(rows, uint32(i))
		kept++
	}
	c = c.Slice(0, kept)
	if doubles := duplicates(&c); len(doubles) > 0 {
		kept = 0
		for i := range c.Len() {
			if len(doubles) > 0 && doubles[0] == i {
				doubles = doubles[1:]
				bad = append(bad, BadRow{Row: int(rows[i]), Field: "number", Rule: "directory.number.duplicate", Detail: "another row has the same number"})
				continue
			}
			if i != kept {
				c.copyRow(kept, i)
			}
			kept++
		}
		c = c.Slice(0, kept)
		slices.SortStableFunc(bad, func(a, b BadRow) int { return a.Row - b.Row })
	}
	arrange(&c)
	s := &Snapshot{columns: c, edition: e, limits: DefaultLimits()}
	s.place()
	s.numbers, _ = indexNumbers(c.Number)
	s.seal()
	return s, bad
}

// shortest is the length of the shortest column that is there.
func shortest(c *Columns, n int) int {
	short := min(len(c.Number), len(c.Lon), len(c.Lat))
	for _, l := range []int{len(c.Home), len(c.Seen), len(c.Language), len(c.Duty), len(c.Flags)} {
		if l > 0 {
			short = min(short, l)
		}
	}
	return min(short, n)
}

// pad fills every column to n rows.
func pad(c *Columns, n int) {
	c.Number, c.Lon, c.Lat = padded(c.Number, n), padded(c.Lon, n), padded(c.Lat, n)
	c.Home, c.Seen = padded(c.Home, n), padded(c.Seen, n)
	c.Language, c.Duty, c.Flags = padded(c.Language, n), padded(c.Duty, n), padded(c.Flags, n)
}

func padded[T any](col []T, n int) []T {
	if len(col) == n {
		return col
	}
	return append(make([]T, 0, n), col...)[:n]
}

// duplicates is the rows, ascending, that give way to another row with the same number.
func duplicates(c *Columns) []int {
	numbers, again := indexNumbers(c.Number)
	if len(again) == 0 {
		return nil
	}
	winner := map[uint64]int{}
	var lose []int
	for _, i := range again { // ascending, and each behind the row that is in the index
		number := c.Number[i]
		w, known := winner[number]
		if !known {
			w, _ = numbers.find(c.Number, number)
		}
		if c.Duty[i] == uint8(warning.Responsible) && c.Duty[w] != uint8(warning.Responsible) {
			w, i = i, w
		}
		winner[number] = w
		lose = append(lose, i)
	}
	slices.Sort(lose)
	return lose
}

// morton interleaves the bits of a position so that positions with nearby keys lie near each other, and each square
// whose side is a power of two is one range of keys (a linear quadtree).
func morton(x, y int32) uint64 {
	return spread(uint32(x)^1<<31) | spread(uint32(y)^1<<31)<<1
}

// spread puts the bits of v at the even places.
func spread(v uint32) uint64 {
	w := uint64(v)
	w = (w | w<<16) & 0x0000FFFF0000FFFF
	w = (w | w<<8) & 0x00FF00FF00FF00FF
	w = (w | w<<4) & 0x0F0F0F0F0F0F0F0F
	w = (w | w<<2) & 0x3333333333333333
	w = (w | w<<1) & 0x5555555555555555
	return w
}

// gather takes the bits at the even places.
func gather(w uint64) uint32 {
	w &= 0x5555555555555555
	w = (w | w>>1) & 0x3333333333333333
	w = (w | w>>2) & 0x0F0F0F0F0F0F0F0F
	w = (w | w>>4) & 0x00FF00FF00FF00FF
	w = (w | w>>8) & 0x0000FFFF0000FFFF
	w = (w | w>>16) & 0x00000000FFFFFFFF
	return uint32(w)
}

// unmorton is the position of a key.
func unmorton(key uint64) coord {
	return coord{int32(gather(key) ^ 1<<31), int32(gather(key>>1) ^ 1<<31)}
}

// arrange sorts the rows by morton key, and rows at one position by everything else, so that the same people are
// always in the same order.
func arrange(c *Columns) {
	type keyed struct {
		key uint64
		row uint32
	}
	order := make([]keyed, c.Len())
	for i := range order {
		order[i] = keyed{morton(c.Lon[i], c.Lat[i]), uint32(i)}
	}
	slices.SortFunc(order, func(a, b keyed) int {
		if a.key != b.key {
			if a.key < b.key {
				return -1
			}
			return 1
		}
		return c.compareRows(int(a.row), int(b.row))
	})
	rows := make([]uint32, len(order))
	for i, k := range order {
		rows[i] = k.row
	}
	c.Number, c.Lon, c.Lat = picked(c.Number, rows), picked(c.Lon, rows), picked(c.Lat, rows)
	c.Home, c.Seen = picked(c.Home, rows), picked(c.Seen, rows)
	c.Language, c.Duty, c.Flags = picked(c.Language, rows), picked(c.Duty, rows), picked(c.Flags, rows)
}

// compareRows orders rows at the same position.
func (c *Columns) compareRows(i, j int) int {
	return cmp.Or(
		cmp.Compare(c.Number[i], c.Number[j]), cmp.Compare(c.Home[i], c.Home[j]), cmp.Compare(c.Seen[i], c.Seen[j]),
		cmp.Compare(c.Language[i], c.Language[j]), cmp.Compare(c.Duty[i], c.Duty[j]), cmp.Compare(c.Flags[i], c.Flags[j]))
}

func picked[T any](col []T, rows []uint32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = col[r]
	}
	return out
}
