package dispatcher

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"tocsin/warning"
)

// Numbers says which carrier serves a number: by ranges, and one by one for those that were ported. It never changes.
type Numbers struct {
	carriers []string
	prefixes []numberPrefix
	moved    []uint64 // ported numbers, ascending
	to       []uint16 // parallel: into carriers
}

type numberPrefix struct {
	digits  string
	carrier uint16
}

// The most that a table of numbers may hold. A hundred million ported numbers take 1 GB.
const (
	mostRanges   = 100_000
	mostPorted   = 100_000_000
	mostCarriers = 1000
	mostFaults   = 10 // are reported
)

// ReadNumbers reads a table of numbers: lines of digits and the name of a carrier with a comma between. "99912*" is every
// number that begins so, "9991200000001" one number; of two that fit the longer counts. Empty lines and those that begin
// with # are passed over. A wrong line is told by its place, never by its number; nothing of a table with one is taken.
func ReadNumbers(r io.Reader) (*Numbers, error) {
	t := &Numbers{}
	names := map[string]uint16{}
	seen := map[string]int{}
	type ported struct {
		number uint64
		to     uint16
		line   int
	}
	var list []ported
	var faults []warning.Violation
	wrong := func(line int, rule, detail, remedy string) {
		if len(faults) < mostFaults {
			faults = append(faults, warning.Violation{
				Field: fmt.Sprintf("line %d", line), Rule: "numbers." + rule, Detail: detail, Remedy: remedy,
			})
		}
	}
	in := bufio.NewScanner(r)
	for line := 1; in.Scan(); line++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		digits, name, ok := strings.Cut(text, ",")
		digits, name = strings.TrimSpace(digits), strings.TrimSpace(name)
		digits, isRange := strings.CutSuffix(digits, "*")
		switch {
		case !ok || name == "" || strings.ContainsAny(name, ", "):
			wrong(line, "form", "is not digits, a comma and the name of a carrier", "e.g. 99912*,mobile")
			continue
		case strings.Trim(digits, "0123456789") != "" || digits == "" || digits[0] == '0' || len(digits) > mostDigits:
			wrong(line, "digits", "is not 1 to 15 digits that begin with a country code", "leave out the plus and leading zeros")
			continue
		case !isRange && len(digits) < leastDigits:
			wrong(line, "short", fmt.Sprintf("has %d digits; no number is so short", len(digits)), "write a * behind the digits for every number that begins so")
			continue
		}
		carrier, known := names[name]
		if !known {
			if len(t.carriers) == mostCarriers {
				wrong(line, "carriers", fmt.Sprintf("names one carrier more than %d", mostCarriers), "name carriers, not persons")
				continue
			}
			carrier = uint16(len(t.carriers))
			names[name] = carrier
			t.carriers = append(t.carriers, name)
		}
		if isRange {
			if at, twice := seen[digits]; twice {
				wrong(line, "twice", fmt.Sprintf("is the range of line %d", at), "keep one of them")
				continue
			}
			seen[digits] = line
			t.prefixes = append(t.prefixes, numberPrefix{digits, carrier})
			continue
		}
		n := uint64(0)
		for _, d := range digits {
			n = 10*n + uint64(d-'0')
		}
		list = append(list, ported{n, carrier, line})
		if len(t.prefixes) > mostRanges || len(list) > mostPorted {
			return nil, fmt.Errorf("line %d: a table of numbers has at most %d ranges and %d ported numbers", line, mostRanges, mostPorted)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read the table of numbers: %w", err)
	}
	slices.SortFunc(list, func(a, b ported) int {
		if a.number != b.number {
			return int(min(max(int64(a.number)-int64(b.number), -1), 1))
		}
		return a.line - b.line
	})
	for i, x := range list {
		if i > 0 && x.number == list[i-1].number {
			wrong(x.line, "twice", fmt.Sprintf("is the number of line %d", list[i-1].line), "keep one of them")
			continue
		}
		t.moved, t.to = append(t.moved, x.number), append(t.to, x.to)
	}
	if len(faults) > 0 {
		return nil, warning.Invalid(faults...)
	}
	return t, nil
}

// Carriers is the names that the table gives.
func (t *Numbers) Carriers() []string { return slices.Clone(t.carriers) }

// Size is how many ranges and ported numbers there are.
func (t *Numbers) Size() (ranges, ported int) { return len(t.prefixes), len(t.moved) }

// same tells whether the same numbers were ported to the same carriers, by their index.
func (t *Numbers) same(o *Numbers) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t == o || slices.Equal(t.moved, o.moved) && slices.Equal(t.to, o.to)
}

// ported is the carrier that a number was ported to, or -1. A nil table knows of none.
func (t *Numbers) ported(number uint64) int {
	if t == nil || len(t.moved) == 0 {
		return -1
	}
	if at, ok := slices.BinarySearch(t.moved, number); ok {
		return int(t.to[at])
	}
	return -1
}
