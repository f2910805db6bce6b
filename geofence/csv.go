package geofence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"slices"
	"strconv"

	"tocsin/warning"
)

// CSVHeader is the first line of a directory as CSV. One row is one recipient: number in E.164 digits or empty; degrees
// with up to 7 decimals; code of the home district or town or empty; minutes since 1970 or empty; zh-CN or en; public or
// responsible; opted_out or empty. No field is quoted.
const CSVHeader = "number,lon,lat,home,seen,language,duty,flags"

// csvPiece is how many bytes of a file one core reads at a time: some 9,000 rows, and of the shortest ones that there can be
// not more than a message of an import may have.
const csvPiece = 1 << 19

// maxLine is longer than any sound line.
const maxLine = 512

var dutyNames = []string{"public", "responsible"}

// WriteCSV writes the header and every row.
func WriteCSV(w io.Writer, chunks iter.Seq[Columns]) error {
	out := bufio.NewWriterSize(w, 1<<16)
	line := append([]byte(CSVHeader), '\n')
	if _, err := out.Write(line); err != nil {
		return err
	}
	for c := range chunks {
		for i := range c.Number {
			line = appendRow(line[:0], &c, i)
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func appendRow(b []byte, c *Columns, i int) []byte {
	if c.Number[i] != 0 {
		b = strconv.AppendUint(b, c.Number[i], 10)
	}
	b = appendDegrees(append(b, ','), c.Lon[i])
	b = appendDegrees(append(b, ','), c.Lat[i])
	b = append(b, ',')
	if c.Home[i] != 0 {
		b = strconv.AppendUint(b, uint64(c.Home[i]), 10)
	}
	b = append(b, ',')
	if c.Seen[i] != 0 {
		b = strconv.AppendUint(b, uint64(c.Seen[i]), 10)
	}
	b = append(append(b, ','), warning.Languages[c.Language[i]]...)
	b = append(append(b, ','), dutyNames[c.Duty[i]]...)
	b = append(b, ',')
	if c.Flags[i]&warning.OptedOut != 0 {
		b = append(b, "opted_out"...)
	}
	return append(b, '\n')
}

// appendDegrees appends v units as degrees with 7 decimals.
func appendDegrees(b []byte, v int32) []byte {
	n := int64(v)
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/scale, 10)
	b = append(b, '.')
	for d, n := int64(scale/10), n%scale; d > 0; d /= 10 {
		b = append(b, byte('0'+n/d%10))
	}
	return b
}

// ReadCSV reads a directory on all cores and gives its rows to yield in chunks; the columns are only valid during the
// call. Rows that cannot be read are reported with their number (0 is the first below the header) and left out. A wrong
// header, an error of r or of yield ends it.
func ReadCSV(r io.Reader, yield func(Columns) error) ([]BadRow, error) {
	return readCSV(r, csvPiece, yield)
}

func readCSV(r io.Reader, size int, yield func(Columns) error) (bad []BadRow, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, _, err := readLine(in)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(unmarked(head)) != CSVHeader {
		return nil, warning.Invalid(warning.Violation{Field: "line 1", Rule: "directory.header", Detail: "the header is not the one of a directory", Remedy: "begin with " + CSVHeader})
	}
	cut := cutter{in: in, size: size}
	parts := make([]csvPart, runtime.GOMAXPROCS(0))
	for row := 0; ; {
		n := 0
		for n < len(parts) && cut.next(&parts[n].text) {
			n++
		}
		if n == 0 || cut.err != nil {
			return bad, cut.err
		}
		together(n, func(i int) { parts[i].read() })
		for _, p := range parts[:n] {
			for _, b := range p.bad {
				b.Row += row
				bad = append(bad, b)
			}
			row += p.lines
			if p.rows > 0 {
				if err := yield(p.columns.Slice(0, p.rows)); err != nil {
					return bad, err
				}
			}
		}
	}
}

// cutter cuts a file into pieces of whole lines.
type cutter struct {
	in   io.Reader
	size int    // of a piece, in bytes
	rest []byte // of the last piece: how a line begins
	err  error
	last bool
}

// next reads a piece into the memory of text. Of a line that is longer than a piece only so much is kept that it is seen to
// be too long. It answers false at the end, and where err is.
func (c *cutter) next(text *[]byte) bool {
	b := append(slices.Grow((*text)[:0], c.size), c.rest...)
	for !c.last {
		n, err := io.ReadFull(c.in, b[len(b):c.size])
		b = b[:len(b)+n]
		if c.last = err != nil; c.last {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				c.err = err
				return false
			}
			break
		}
		if end := bytes.LastIndexByte(b, '\n') + 1; end > 0 {
			*text, c.rest = b[:end], append(c.rest[:0], b[end:]...)
			return true
		}
		b = b[:maxLine+1]
	}
	*text, c.rest = b, nil
	return len(b) > 0
}

// csvPart is a piece of a file, and what was read of it.
type csvPart struct {
	text        []byte
	columns     Columns
	rows, lines int
	bad         []BadRow // by their lines in the piece
}

// read reads the text.
func (p *csvPart) read() {
	p.rows, p.lines, p.bad = 0, 0, p.bad[:0]
	if most := bytes.Count(p.text, []byte("\n")) + 1; p.columns.Len() < most {
		p.columns = makeColumns(most + most/4)
	}
	for rest := p.text; len(rest) > 0; p.lines++ {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		for len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		if len(line) == 0 && !ended {
			return
		}
		if !plainRow(line, &p.columns, p.rows) {
			if b, is := parseRow(line, &p.columns, p.rows); is {
				b.Row = p.lines
				p.bad = append(p.bad, b)
				continue
			}
		}
		p.rows++
	}
}

// unmarked is the beginning of a file without the mark that some programs put there (U+FEFF).
func unmarked(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")) }

// readLine reads one line without its end. whole is false when it is longer than any row can be.
func readLine(in *bufio.Reader) (line []byte, whole bool, err error) {
	line, err = in.ReadSlice('\n')
	whole = len(line) <= maxLine && !errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line, whole, err
}

// parseRow reads a line into row i of c.
func parseRow(line []byte, c *Columns, i int) (BadRow, bool) {
	bad := func(field, format string, args ...any) (BadRow, bool) {
		return BadRow{Field: field, Rule: "directory." + field, Detail: fmt.Sprintf(format, args...)}, true
	}
	if len(line) == 0 {
		return bad("row", "the line is empty")
	}
	if len(line) > maxLine {
		return bad("row", "the line is too long")
	}
	var fields [8][]byte
	k, from := 0, 0
	for at, char := range line {
		if char != ',' {
			continue
		}
		if k == len(fields)-1 {
			return bad("row", "more than 8 fields")
		}
		fields[k], from = line[from:at], at+1
		k++
	}
	if fields[k] = line[from:]; k < len(fields)-1 {
		return bad("row", "%d fields instead of 8", k+1)
	}
	var ok bool
	if c.Number[i], ok = parseDigits(fields[0], math.MaxUint64/10); !ok {
		return bad("number", "the number has other characters than digits")
	}
	var err error
	if c.Lon[i], err = parseE7(fields[1]); err != nil {
		return bad("position", "the longitude is not a number of degrees")
	}
	if c.Lat[i], err = parseE7(fields[2]); err != nil {
		return bad("position", "the latitude is not a number of degrees")
	}
	home, ok := parseDigits(fields[3], math.MaxUint32)
	if c.Home[i] = uint32(home); !ok {
		return bad("home", "the home code is not a number")
	}
	seen, ok := parseDigits(fields[4], math.MaxUint32)
	if c.Seen[i] = uint32(seen); !ok {
		return bad("seen", "the time is not a number of minutes")
	}
	language, duty := indexOf(warning.Languages, fields[5]), indexOf(dutyNames, fields[6])
	if language < 0 {
		return bad("language", "the language is not one of %v", warning.Languages)
	}
	if duty < 0 {
		return bad("duty", "the duty is not one of %v", dutyNames)
	}
	c.Language[i], c.Duty[i], c.Flags[i] = uint8(language), uint8(duty), 0
	switch string(fields[7]) {
	case "":
	case "opted_out":
		c.Flags[i] = warning.OptedOut
	default:
		return bad("flags", "the flags are neither empty nor opted_out")
	}
	return c.badRow(i)
}

// indexOf is where name stands among names; -1 where it does not.
func indexOf(names []string, name []byte) int {
	for i, n := range names {
		if n == string(name) { // without a copy, which slices.Index would need
			return i
		}
	}
	return -1
}

// parseDigits reads digits up to a limit; nothing is 0.
func parseDigits(b []byte, limit uint64) (v uint64, ok bool) {
	const most = 19 // digits that cannot be too many for v
	for len(b) > most && b[0] == '0' {
		b = b[1:]
	}
	for _, d := range b[:min(len(b), most)] {
		if d -= '0'; d > 9 {
			return 0, false
		}
		v = v*10 + uint64(d)
	}
	return v, len(b) <= most && v <= limit
}

// parseE7 reads degrees. What has up to seven decimals is read in whole numbers, which is the same and much faster.
func parseE7[T string | []byte](text T) (int32, error) {
	if v, ok := parseFixed(text); ok {
		return v, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, err
	}
	v, ok := E7(f)
	if !ok {
		return 0, fmt.Errorf("%q is not an angle in degrees", text)
	}
	return v, nil
}

// parseFixed reads -123.1234567 and shorter; false when the text is longer, of another form, or no angle.
func parseFixed[T string | []byte](text T) (int32, bool) {
	at, sign := 0, int64(1)
	if len(text) > 0 && text[0] == '-' {
		at, sign = 1, -1
	}
	v, digits, decimals := int64(0), 0, -1
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case c == '.' && decimals < 0:
			decimals = 0
			continue
		case c < '0' || c > '9':
			return 0, false
		default:
			v = 10*v + int64(c-'0')
		}
		if digits++; decimals >= 0 {
			decimals++
		}
	}
	if digits == 0 || digits > 10 || decimals > 7 {
		return 0, false
	}
	for range 7 - max(decimals, 0) {
		v *= 10
	}
	return int32(sign * v), v <= 180*scale
}
