package geofence

import (
	"errors"
	"fmt"
	"iter"

	"tocsin/warning"
)

// Columns is any number of recipients, column by column as in a warning.Block. Number, Lon and Lat are needed; any of
// the others may be nil, which reads as zeros (home by place, never seen, zh-CN, public, no flag).
type Columns warning.Block

// Len is how many rows there are: the length of the longest column.
func (c *Columns) Len() int {
	return max(len(c.Number), len(c.Lon), len(c.Lat), len(c.Home), len(c.Seen), len(c.Language), len(c.Duty), len(c.Flags))
}

// Slice is a view of the rows from to to. All columns must have the same length.
func (c *Columns) Slice(from, to int) Columns {
	return Columns{
		Number: c.Number[from:to], Lon: c.Lon[from:to], Lat: c.Lat[from:to], Home: c.Home[from:to], Seen: c.Seen[from:to],
		Language: c.Language[from:to], Duty: c.Duty[from:to], Flags: c.Flags[from:to],
	}
}

// Append adds the rows of d, of which each column that is not nil must have the same length; nil columns are filled
// with zeros so that rows stay together.
func (c *Columns) Append(d Columns) {
	n := d.Len()
	c.Number, c.Lon, c.Lat = extend(c.Number, d.Number, n), extend(c.Lon, d.Lon, n), extend(c.Lat, d.Lat, n)
	c.Home, c.Seen = extend(c.Home, d.Home, n), extend(c.Seen, d.Seen, n)
	c.Language, c.Duty, c.Flags = extend(c.Language, d.Language, n), extend(c.Duty, d.Duty, n), extend(c.Flags, d.Flags, n)
}

// Fill gives columns that are not there zeros. The others must have the same length, and Number, Lon and Lat must be there.
func (c *Columns) Fill() error {
	n := len(c.Number)
	for _, l := range []int{len(c.Home), len(c.Seen), len(c.Language), len(c.Duty), len(c.Flags)} {
		if l != n && l != 0 || len(c.Lon) != n || len(c.Lat) != n {
			return errors.New("the columns have different lengths")
		}
	}
	pad(c, n)
	return nil
}

// Chunks is the rows in views of at most n, for a stream.
func (c *Columns) Chunks(n int) iter.Seq[Columns] {
	return func(yield func(Columns) bool) {
		for from := 0; from < c.Len(); from += n {
			if !yield(c.Slice(from, min(from+n, c.Len()))) {
				return
			}
		}
	}
}

// extend appends add to col, filled with zeros to n more.
func extend[T any](col, add []T, n int) []T {
	col = append(col, add...)
	if missing := n - len(add); missing > 0 {
		col = append(col, make([]T, missing)...)
	}
	return col
}

// Room is no rows, with room for n.
func Room(n int) Columns {
	c := makeColumns(n)
	return c.Slice(0, 0)
}

// makeColumns is n rows of zeros.
func makeColumns(n int) Columns {
	return Columns{
		Number: make([]uint64, n), Lon: make([]int32, n), Lat: make([]int32, n), Home: make([]uint32, n), Seen: make([]uint32, n),
		Language: make([]uint8, n), Duty: make([]uint8, n), Flags: make([]uint8, n),
	}
}

// BadRow is a row that was left out, and why. It never quotes the row: numbers and positions are private.
type BadRow struct {
	Row    int // from 0
	Field  string
	Rule   string // e.g. "directory.number"
	Detail string
}

func (b BadRow) String() string {
	return fmt.Sprintf("row %d: %s: %s [%s]", b.Row, b.Field, b.Detail, b.Rule)
}

// badRow is what is wrong with row i, or false.
func (c *Columns) badRow(i int) (BadRow, bool) {
	bad := func(field, rule, format string, args ...any) (BadRow, bool) {
		return BadRow{Row: i, Field: field, Rule: rule, Detail: fmt.Sprintf(format, args...)}, true
	}
	switch n := c.Number[i]; {
	case n != 0 && (n < 1e7 || n >= 1e15): // ITU-T E.164: at most 15 digits; fewer than 8 is not international
		return bad("number", "directory.number", "a number has 8 to 15 digits, this one %d", len(fmt.Sprint(n)))
	case c.Lon[i] == 0 && c.Lat[i] == 0:
		return bad("lon", "directory.position", "the position is missing")
	case !inRange(c.Lon[i], c.Lat[i]):
		return bad("lon", "directory.position", "the position is out of range")
	case c.Home[i] != 0 && (c.Home[i] < 100000 || c.Home[i] > 999999 && c.Home[i] < 100000000 || c.Home[i] > 999999999):
		return bad("home", "directory.home", "the home code has neither six digits nor nine")
	case int(c.Language[i]) >= len(warning.Languages):
		return bad("language", "directory.language", "language %d is not one of %v", c.Language[i], warning.Languages)
	case warning.Duty(c.Duty[i]) > warning.Responsible:
		return bad("duty", "directory.duty", "duty %d is neither public nor responsible", c.Duty[i])
	case c.Flags[i]&^warning.OptedOut != 0:
		return bad("flags", "directory.flags", "flags %#x has unknown bits", c.Flags[i])
	}
	return BadRow{}, false
}
