package verify

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
)

// header is the first line of a directory.
const header = "number,lon,lat,home,seen,language,duty,flags"

// byteOrderMark stands first in files of some editors; the import passes over it too.
var byteOrderMark = []byte("\xEF\xBB\xBF")

// row is one line of the directory.
type row struct {
	at     point
	home   string // code of a unit; the same bytes for all its people
	seen   uint32 // minutes since 1970; 0: never
	person int32  // -1: no address
	out    bool   // opted out, and not responsible
}

// people is the directory: its rows, and each number once.
type people struct {
	rows      []row // by latitude, so that many small warnings need not look at everybody
	numbers   []uint64
	language  []uint8 // index into languages
	duty      []bool  // responsible
	out       []bool  // opted out, and not responsible
	home      []point
	languages []string
	units     map[string]string // codes of homes
	table     []int32           // open addressing: person + 1
}

func readDirectory(path string) (*people, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &people{table: make([]int32, 1<<16)}
	in := bufio.NewReaderSize(f, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s line %d: %w", path, n, err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if n == 1 {
			if string(bytes.TrimPrefix(line, byteOrderMark)) != header {
				return nil, fmt.Errorf("%s line 1: the header has to be %q", path, header)
			}
			continue
		}
		if err := p.row(line); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, n, err)
		}
	}
	slices.SortFunc(p.rows, func(a, b row) int { return cmp.Compare(a.at.y, b.at.y) })
	return p, nil
}

// between is the rows from one latitude to another.
func (p *people) between(from, to int64) []row {
	a := sort.Search(len(p.rows), func(i int) bool { return p.rows[i].at.y >= from })
	b := sort.Search(len(p.rows), func(i int) bool { return p.rows[i].at.y > to })
	return p.rows[a:max(a, b)]
}

func (p *people) row(line []byte) error {
	var f [8][]byte
	rest, more := line, true
	for i := range f {
		if !more {
			return fmt.Errorf("has %d of 8 fields", i)
		}
		f[i], rest, more = bytes.Cut(rest, []byte(","))
	}
	if more {
		return fmt.Errorf("has more than 8 fields")
	}
	r := row{person: -1}
	var ok bool
	if r.at.x, ok = fixed(f[1]); !ok {
		return fmt.Errorf("lon: %q is no number of degrees", f[1])
	}
	if r.at.y, ok = fixed(f[2]); !ok {
		return fmt.Errorf("lat: %q is no number of degrees", f[2])
	}
	seen, ok := whole(f[4])
	if !ok && len(f[4]) > 0 {
		return fmt.Errorf("seen: %q is no number of minutes", f[4])
	}
	r.home, r.seen = p.unit(f[3]), uint32(seen)
	responsible := false
	switch string(f[6]) {
	case "", "public":
	case "responsible":
		responsible = true
	default:
		return fmt.Errorf("duty: %q is neither public nor responsible", f[6])
	}
	switch string(f[7]) {
	case "":
	case "opted_out":
		r.out = !responsible
	default:
		return fmt.Errorf("flags: %q is not opted_out", f[7])
	}
	if len(f[0]) > 0 {
		n, ok := whole(f[0])
		if !ok || n == 0 {
			return fmt.Errorf("number: is not E.164 digits")
		}
		r.person = p.add(n, p.tongue(f[5]), responsible)
		p.out[r.person] = r.out
		p.home[r.person] = r.at
	}
	p.rows = append(p.rows, r)
	return nil
}

// unit is the code of a home.
func (p *people) unit(b []byte) string {
	u, ok := p.units[string(b)]
	if !ok {
		if p.units == nil {
			p.units = map[string]string{}
		}
		u = string(b)
		p.units[u] = u
	}
	return u
}

func (p *people) tongue(b []byte) uint8 {
	for i, l := range p.languages {
		if l == string(b) {
			return uint8(i)
		}
	}
	p.languages = append(p.languages, string(b))
	return uint8(len(p.languages) - 1)
}

// add is the person of a number; a responsible one decides over the language.
func (p *people) add(number uint64, language uint8, responsible bool) int32 {
	if i := p.find(number); i >= 0 {
		if responsible && !p.duty[i] {
			p.language[i], p.duty[i] = language, true
		}
		return i
	}
	if 2*len(p.numbers) >= len(p.table) {
		p.table = make([]int32, 2*len(p.table))
		for i, n := range p.numbers {
			p.table[p.slot(n)] = int32(i) + 1
		}
	}
	p.numbers = append(p.numbers, number)
	p.language = append(p.language, language)
	p.duty = append(p.duty, responsible)
	p.out = append(p.out, false)
	p.home = append(p.home, point{})
	p.table[p.slot(number)] = int32(len(p.numbers))
	return int32(len(p.numbers)) - 1
}

// slot is where number is in the table, or would be.
func (p *people) slot(number uint64) uint64 {
	mask := uint64(len(p.table) - 1)
	s := number * 0x9e3779b97f4a7c15 >> 32 & mask
	for p.table[s] != 0 && p.numbers[p.table[s]-1] != number {
		s = (s + 1) & mask
	}
	return s
}

// find is the person of a number, or -1.
func (p *people) find(number uint64) int32 { return p.table[p.slot(number)] - 1 }

// whole reads decimal digits.
func whole(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// fixed reads degrees with up to seven decimals as e7.
func fixed(b []byte) (v int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	in, out, _ := bytes.Cut(b, []byte("."))
	w, ok := whole(in)
	if !ok || w > 180 || len(out) > 7 {
		return 0, false
	}
	v = int64(w)
	for i := range 7 {
		v *= 10
		if i < len(out) {
			if out[i]-'0' > 9 {
				return 0, false
			}
			v += int64(out[i] - '0')
		}
	}
	if neg {
		v = -v
	}
	return v, true
}
