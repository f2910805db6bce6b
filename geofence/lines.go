package geofence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"tocsin/warning"
)

// Day is a day as it is written, 2025-11-05, by the clock by which units begin and end.
func Day(text string) (time.Time, error) { return time.ParseInLocation(time.DateOnly, text, civilTime) }

// UnitOn is the code of the unit around a position in units of 10^-7 degree that existed on the day of asOf, of which a
// zero time is no day. It is "" outside all of them, and where the unit of that day has no surveyed outline.
func UnitOn(x, y int32, asOf time.Time) string {
	e := EditionAt(asOf)
	code, ok := e.Locate(x, y)
	if !ok {
		return ""
	}
	if u := e.byCode[code]; !asOf.IsZero() && (!u.To.IsZero() && !asOf.Before(u.To) || asOf.Before(u.From)) {
		return ""
	}
	return strconv.Itoa(int(code))
}

// LocateLines reads a position a line, as lon,lat in WGS-84, and writes for each in order district,township: codes, empty
// where there is none. townships may be nil. Lines that are no position are answered as nowhere and given to bad with
// their number, from 1.
func LocateLines(r io.Reader, w io.Writer, asOf time.Time, townships *Layer, bad func(line int, why string)) error {
	return eachPosition(r, w, bad, func(out []byte, p warning.Point, ok bool) []byte {
		x, okX := E7(p[0])
		y, okY := E7(p[1])
		if !ok || !okX || !okY {
			return append(out, ',')
		}
		out = append(append(out, UnitOn(x, y, asOf)...), ',')
		if townships != nil {
			out = append(out, townships.Locate(x, y)...)
		}
		return out
	})
}

// ConvertLines reads a position a line, as lon,lat in the coordinate system from, and writes for each in order lon,lat in
// the system to with nine decimals, a tenth of a millimetre. A line that is no position is answered by an empty one and
// given to bad with its number, from 1.
func ConvertLines(r io.Reader, w io.Writer, from, to string, bad func(line int, why string)) error {
	if _, err := Convert(warning.Point{}, from, to); err != nil {
		return err
	}
	return eachPosition(r, w, bad, func(out []byte, p warning.Point, ok bool) []byte {
		if !ok {
			return out
		}
		q, _ := Convert(p, from, to) // the names were looked at above
		return strconv.AppendFloat(append(strconv.AppendFloat(out, q[0], 'f', 9, 64), ','), q[1], 'f', 9, 64)
	})
}

// eachPosition writes a line for each line that it reads. What a terminal or a pipe has sent is answered before more is
// waited for.
func eachPosition(r io.Reader, w io.Writer, bad func(line int, why string), answer func(out []byte, p warning.Point, ok bool) []byte) error {
	in, out := bufio.NewReaderSize(r, 1<<16), bufio.NewWriterSize(w, 1<<16)
	var buf []byte
	for n := 1; ; n++ {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, whole, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return out.Flush()
		}
		if n == 1 {
			line = unmarked(line)
		}
		p, why := positionIn(string(line))
		if !whole {
			why = "the line is too long"
		}
		if why != "" {
			bad(n, why)
		}
		buf = append(answer(buf[:0], p, why == ""), '\n')
		if _, err := out.Write(buf); err != nil {
			return err
		}
		if err != nil {
			return out.Flush()
		}
	}
}

// positionIn reads lon,lat, or says why it is none.
func positionIn(line string) (p warning.Point, why string) {
	first, second, ok := strings.Cut(line, ",")
	lon, errLon := strconv.ParseFloat(strings.TrimSpace(first), 64)
	lat, errLat := strconv.ParseFloat(strings.TrimSpace(second), 64)
	switch {
	case !ok || errLon != nil || errLat != nil:
		return p, fmt.Sprintf("%.40q is not lon,lat in degrees", line)
	case !(math.Abs(lon) <= 180 && math.Abs(lat) <= 90):
		return p, fmt.Sprintf("%.40q is not on earth: write longitude first, then latitude", line)
	}
	return warning.Point{lon, lat}, ""
}
