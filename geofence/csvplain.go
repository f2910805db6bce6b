package geofence

import "tocsin/warning"

// plainRow reads a line into row i of c from its start to its end, without looking at a character twice. It knows the form
// that nearly all rows have; of any other it answers false, and parseRow reads the line again and says what is the matter,
// if anything is.
//
// Each field is read from a place in the line and answers the place behind its comma, or behind the line where it is not as it
// should be, so that what follows finds nothing.
func plainRow(line []byte, c *Columns, i int) bool {
	number, at := plainDigits(line, 0, 15)
	lon, at := plainDegrees(line, at)
	lat, at := plainDegrees(line, at)
	home, at := plainDigits(line, at, 9)
	seen, at := plainDigits(line, at, 9)
	language, at := plainName(line, at, warning.Languages)
	duty, at := plainName(line, at, dutyNames)
	if at != len(line) {
		return false
	}
	c.Number[i], c.Lon[i], c.Lat[i], c.Home[i], c.Seen[i] = number, lon, lat, uint32(home), uint32(seen)
	c.Language[i], c.Duty[i], c.Flags[i] = language, duty, 0
	_, bad := c.badRow(i)
	return !bad
}

// plainDigits is a number of at most so many digits; none is 0.
func plainDigits(line []byte, at, most int) (v uint64, next int) {
	for from := at; at < len(line); at++ {
		d := line[at] - '0'
		if d > 9 {
			if line[at] != ',' || at-from > most {
				break
			}
			return v, at + 1
		}
		v = v*10 + uint64(d)
	}
	return 0, len(line) + 1
}

// plainDegrees is an angle with a point and up to seven decimals.
func plainDegrees(line []byte, at int) (e7 int32, next int) {
	negative := at < len(line) && line[at] == '-'
	if negative {
		at++
	}
	v, from := int64(0), at
	for ; at < len(line) && line[at]-'0' <= 9; at++ {
		v = v*10 + int64(line[at]-'0')
	}
	if at == from || at-from > 3 || at >= len(line) || line[at] != '.' {
		return 0, len(line) + 1
	}
	point := at
	for at++; at < len(line) && line[at]-'0' <= 9; at++ {
		v = v*10 + int64(line[at]-'0')
	}
	decimals := at - point - 1
	if decimals > 7 || at >= len(line) || line[at] != ',' {
		return 0, len(line) + 1
	}
	for ; decimals < 7; decimals++ {
		v *= 10
	}
	if v > 180*scale {
		return 0, len(line) + 1
	}
	if negative {
		v = -v
	}
	return int32(v), at + 1
}

// plainName is where what is before the next comma stands among names.
func plainName(line []byte, at int, names []string) (index uint8, next int) {
	for i, n := range names {
		if end := at + len(n); end < len(line) && line[end] == ',' && string(line[at:end]) == n {
			return uint8(i), end + 1
		}
	}
	return 0, len(line) + 1
}
