package geofence

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// PositionsHeader may be the first line of positions as CSV: number in E.164 digits, degrees with up to 7 decimals.
const PositionsHeader = "number,lon,lat"

// positionChunk is how many positions are given at once, at most.
const positionChunk = 8192

// ReadPositions reads positions and gives them to yield in chunks, each as soon as nothing more has come in: a feed that
// goes on is passed on. The columns are only valid during the call. Rows that cannot be read are reported by their line
// (from 0) and left out; an error of r or of yield ends it.
func ReadPositions(r io.Reader, yield func(number []uint64, lon, lat []int32) error) ([]BadRow, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	c := makeColumns(positionChunk)
	var bad []BadRow
	n := 0
	for row := 0; ; row++ {
		line, whole, err := readLine(in)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return bad, err
		}
		if row == 0 {
			if line = unmarked(line); string(line) == PositionsHeader {
				line = nil
			}
		}
		switch b, is := parsePosition(line, whole, &c, n); {
		case is:
			b.Row = row
			bad = append(bad, b)
		case len(line) > 0:
			n++
		}
		if n > 0 && (n == positionChunk || last || in.Buffered() == 0) {
			if err := yield(c.Number[:n], c.Lon[:n], c.Lat[:n]); err != nil {
				return bad, err
			}
			n = 0
		}
		if last {
			return bad, nil
		}
	}
}

// parsePosition reads one line into row n; an empty one is none, and no fault.
func parsePosition(line []byte, whole bool, c *Columns, n int) (BadRow, bool) {
	if len(line) == 0 {
		return BadRow{}, false
	}
	fields := bytes.Split(line, []byte(","))
	if !whole || len(fields) != 3 {
		return BadRow{Field: "row", Rule: "position.row", Detail: "the line is not " + PositionsHeader}, true
	}
	number, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil || number == 0 {
		return BadRow{Field: "number", Rule: "position.number", Detail: "the number is not E.164 digits"}, true
	}
	p, err := parseCoord(string(fields[1]), string(fields[2]))
	if err != nil || !inRange(p.x, p.y) {
		return BadRow{Field: "lon,lat", Rule: "position.coordinate", Detail: "no longitude and latitude in degrees"}, true
	}
	c.Number[n], c.Lon[n], c.Lat[n] = number, p.x, p.y
	return BadRow{}, false
}
