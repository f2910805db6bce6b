package geofence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"tocsin/warning"
)

// ChangeHeader is the first line of changes as CSV. One row is one change to the person who has number: put (take in, or
// change what is not empty), unsubscribe, resubscribe, or erase; the rest belongs to put and is as in CSVHeader.
const ChangeHeader = "number,change,new_number,lon,lat,home,language,duty"

var deeds = []string{"", "put", "unsubscribe", "resubscribe", "erase"}

// DeedName is the word of a deed in CSV.
func DeedName(d warning.Deed) string { return deeds[d] }

// ReadChanges reads changes of people. Rows that cannot be read are reported and left out; a wrong header or an error of
// r ends it.
func ReadChanges(r io.Reader) (changes []warning.Change, bad []BadRow, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, _, err := readLine(in)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if string(unmarked(head)) != ChangeHeader {
		return nil, nil, warning.Invalid(warning.Violation{Field: "line 1", Rule: "directory.header", Detail: "the header is not the one of changes", Remedy: "begin with " + ChangeHeader})
	}
	for row, last := 0, false; !last; row++ {
		line, whole, err := readLine(in)
		if last = errors.Is(err, io.EOF); err != nil && !last {
			return nil, nil, err
		}
		if len(line) == 0 && last {
			break
		}
		c, b, is := warning.Change{}, BadRow{Field: "row", Rule: "directory.row", Detail: "the line is too long"}, true
		if whole {
			c, b, is = parseChange(line)
		}
		if is {
			b.Row = row
			bad = append(bad, b)
			continue
		}
		changes = append(changes, c)
	}
	return changes, bad, nil
}

func parseChange(line []byte) (c warning.Change, _ BadRow, _ bool) {
	bad := func(field, detail string) (warning.Change, BadRow, bool) {
		return c, BadRow{Field: field, Rule: "directory." + field, Detail: detail}, true
	}
	f := bytes.Split(line, []byte{','})
	if len(f) != 8 {
		return bad("row", fmt.Sprintf("%d fields instead of 8", len(f)))
	}
	var ok bool
	if c.Number, ok = parseDigits(f[0], math.MaxUint64/10); !ok || c.Number == 0 {
		return bad("number", "the number is missing or has other characters than digits")
	}
	deed := slices.Index(deeds, string(f[1]))
	if deed < 1 {
		return bad("change", fmt.Sprintf("the change is not one of %v", deeds[1:]))
	}
	c.Deed = warning.Deed(deed)
	if c.Deed != warning.DeedPut {
		if len(bytes.Join(f[2:], nil)) > 0 {
			return bad("change", "only put has anything behind it")
		}
		return c, BadRow{}, false
	}
	if c.NewNumber, ok = parseDigits(f[2], math.MaxUint64/10); !ok {
		return bad("number", "the new number has other characters than digits")
	}
	for i, into := range []**int32{&c.Lon, &c.Lat} {
		if s := f[3+i]; len(s) > 0 {
			v, err := parseE7(s)
			if err != nil {
				return bad("position", "the position is not a number of degrees")
			}
			*into = &v
		}
	}
	if home, ok := parseDigits(f[5], math.MaxUint32); !ok {
		return bad("home", "the home code is not a number")
	} else if len(f[5]) > 0 {
		code := uint32(home)
		c.Home = &code
	}
	for _, word := range []struct {
		field string
		text  []byte
		names []string
		into  **uint8
	}{{"language", f[6], warning.Languages, &c.Language}, {"duty", f[7], dutyNames, &c.Duty}} {
		at := slices.Index(word.names, string(word.text))
		if at < 0 && len(word.text) > 0 {
			return bad(word.field, fmt.Sprintf("the %s is not one of %v", word.field, word.names))
		}
		if at >= 0 {
			v := uint8(at)
			*word.into = &v
		}
	}
	return c, BadRow{}, false
}
