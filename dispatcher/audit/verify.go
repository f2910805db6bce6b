package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"slices"
	"strconv"

	"tocsin/dispatcher"
)

// Records is what the audit needs of the store; dispatcher.Records is one.
type Records interface {
	Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error)
	Table(ctx context.Context, table string) (map[string][]byte, error)
	Entries(ctx context.Context, from uint64, n int) ([][]byte, error)
}

// Kind is what was done to a record, or to a seal.
type Kind string

// The kinds.
const (
	Changed   Kind = "changed"   // the entry is not what was sealed
	Removed   Kind = "removed"   // the entry is missing, later ones moved up
	Inserted  Kind = "inserted"  // the entry was not there when it was sealed
	Reordered Kind = "reordered" // the entry is at another place
	CutTail   Kind = "cut tail"  // this entry and all after it are missing
	Rewritten Kind = "rewritten" // the store's seals agree with its entries and not with the second place, or with no key of ours
	BadSeal   Kind = "bad seal"  // a seal is broken, missing, or not signed with the key
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind   Kind
	Number uint64 // of the first entry that it concerns; 0: of none
	Detail string
}

func (f Finding) String() string { return fmt.Sprintf("entry %d %s: %s", f.Number, f.Kind, f.Detail) }

// Result is what a verification found.
type Result struct {
	Entries  uint64 // in the store
	Sealed   uint64 // the last entry under a valid seal
	Seals    int    // valid seals, in both places
	Findings []Finding
}

// OK tells whether nothing is wrong.
func (r Result) OK() bool { return len(r.Findings) == 0 }

// Verify reads the whole record and compares it with the seals in the store and in the second place. The error is for a
// store or a file that cannot be read; what was forged is in the Result. Of several forgeries of entries it names the
// first.
func Verify(ctx context.Context, r Records, realm, secondPlace string, key ed25519.PublicKey) (Result, error) {
	f, err := os.Open(secondPlace)
	if err != nil {
		return Result{}, fmt.Errorf("the second place cannot be read, and without it a cut tail cannot be found: %w", err)
	}
	defer f.Close()
	lines, _, err := readPlace(f)
	if err != nil {
		return Result{}, fmt.Errorf("second place: %w", err)
	}
	e, err := examine(ctx, r, realm, lines, key)
	return e.result, err
}

// chunk is how many entries are read, and sealed, at once.
const chunk = 1000

// examination compares entries with seals.
type examination struct {
	result Result

	place    map[uint64]Hash // what the second place says
	end      uint64          // last number in the second place
	claims   []Seal          // what the store says, also under a false signature
	forged   map[uint64]bool // numbers whose seal in the store has a false signature
	expected []mark          // of the entries when they were sealed, entry 1 at 0; zero: not known

	actual []mark          // of the entries now, entry 1 at 0
	hashes map[uint64]Hash // of the chain now, at the numbers that a seal names
}

func examine(ctx context.Context, r Records, realm string, lines []string, key ed25519.PublicKey) (*examination, error) {
	e := &examination{place: map[uint64]Hash{}, forged: map[uint64]bool{}, hashes: map[uint64]Hash{}}
	table, err := r.Table(ctx, dispatcher.TableSeals)
	if err != nil {
		return e, fmt.Errorf("read seals: %w", err)
	}
	e.readLines(lines, realm, key)
	e.readTable(table, realm, key)
	named := map[uint64]bool{}
	for n := range e.place {
		named[n] = true
	}
	for _, s := range e.claims {
		named[s.Number] = true
	}
	var h Hash
	for n := uint64(0); ; {
		entries, err := r.Entries(ctx, n+1, chunk)
		if err != nil {
			return e, fmt.Errorf("read entries from %d: %w", n+1, err)
		}
		for _, entry := range entries {
			n++
			h = h.next(n, entry)
			e.actual = append(e.actual, markOf(entry))
			if named[n] {
				e.hashes[n] = h
			}
		}
		if len(entries) == 0 {
			break
		}
	}
	e.result.Entries = uint64(len(e.actual))
	e.compare()
	return e, nil
}

func (e *examination) found(k Kind, n uint64, format string, args ...any) {
	e.result.Findings = append(e.result.Findings, Finding{k, n, fmt.Sprintf(format, args...)})
}

func (e *examination) readLines(lines []string, realm string, key ed25519.PublicKey) {
	for i, text := range lines {
		l, err := parseLine(text)
		switch {
		case err != nil:
			e.found(BadSeal, 0, "line %d of the second place: %v", i+1, err)
			continue
		case !l.seal.Valid(key):
			e.found(BadSeal, l.seal.Number, "line %d of the second place is not signed with this key", i+1)
			continue
		case l.seal.Realm != realm:
			e.found(BadSeal, l.seal.Number, "line %d of the second place is of realm %s", i+1, l.seal.Realm)
			continue
		}
		first := l.seal.Number - uint64(len(l.marks)) + 1
		if first > e.end+1 {
			e.found(BadSeal, e.end+1, "the second place lacks a line before line %d", i+1)
		}
		if h, ok := e.place[l.seal.Number]; ok && h != l.seal.Hash {
			e.found(Rewritten, l.seal.Number, "the second place has two seals of one entry that differ")
		}
		if grow := int(l.seal.Number) - len(e.expected); grow > 0 {
			e.expected = append(e.expected, make([]mark, grow)...)
		}
		copy(e.expected[first-1:], l.marks)
		e.place[l.seal.Number] = l.seal.Hash
		e.end = max(e.end, l.seal.Number)
		e.result.Seals++
	}
}

func (e *examination) readTable(table map[string][]byte, realm string, key ed25519.PublicKey) {
	last := uint64(0)
	for field, value := range table {
		s, err := ParseSeal(string(value))
		switch {
		case err != nil:
			e.found(BadSeal, 0, "seal %q in the store: %v", field, err)
			continue
		case field != strconv.FormatUint(s.Number, 10) || s.Realm != realm:
			e.found(BadSeal, s.Number, "seal %q in the store is of another entry or realm (%s)", field, s.Realm)
			continue
		}
		if s.Valid(key) {
			e.result.Seals++
			last = max(last, s.Number)
		} else {
			e.found(BadSeal, s.Number, "seal %q in the store is not signed with this key", field)
			e.forged[s.Number] = true
		}
		e.claims = append(e.claims, s)
	}
	if len(e.forged) == 0 && last < e.end {
		e.found(BadSeal, e.end, "the store's newest seal is of entry %d, the second place's of entry %d", last, e.end)
	}
}

// compare finds the first place where entries and seals part, and what was done there.
func (e *examination) compare() {
	entries := e.result.Entries
	good, bad, last := uint64(0), uint64(0), uint64(0)
	see := func(n uint64, h Hash) {
		last = max(last, n)
		switch have, ok := e.hashes[n]; {
		case !ok:
		case have == h:
			good = max(good, n)
		case bad == 0 || n < bad:
			bad = n
		}
	}
	for n, h := range e.place {
		see(n, h)
	}
	rewritten := false
	for _, s := range e.claims {
		other, both := e.place[s.Number]
		if e.forged[s.Number] || both && other != s.Hash {
			rewritten = rewritten || e.hashes[s.Number] == s.Hash
			continue
		}
		see(s.Number, s.Hash)
	}
	if bad == 0 && last <= entries {
		e.result.Sealed = good
		if rewritten {
			e.found(Rewritten, 1, "a seal in the store fits its entries and is not signed with this key")
		}
		return
	}
	if bad != 0 {
		good = e.goodBefore(bad)
	}
	e.result.Sealed = good
	n, kind := e.parting(good)
	switch {
	case n == 0 && bad == 0:
		n, kind = entries+1, CutTail
	case n == 0:
		n, kind = good+1, Changed
	}
	if rewritten {
		kind = Rewritten
	}
	e.found(kind, n, "the seal of entry %d fits, that of entry %d does not; the store has %d entries", good, cmp.Or(bad, last), entries)
}

// goodBefore is the last sealed number before bad whose seal fits.
func (e *examination) goodBefore(bad uint64) (good uint64) {
	for n, h := range e.place {
		if n < bad && e.hashes[n] == h {
			good = max(good, n)
		}
	}
	for _, s := range e.claims {
		if s.Number < bad && !e.forged[s.Number] && e.hashes[s.Number] == s.Hash {
			good = max(good, s.Number)
		}
	}
	return good
}

// parting is the first entry after good whose mark is not the one that was sealed, and what was done to
// it; 0 when the marks do not tell.
func (e *examination) parting(good uint64) (uint64, Kind) {
	entries := e.result.Entries
	n := good + 1
	for ; n <= e.end; n++ {
		if want := e.expected[n-1]; want != (mark{}) && (n > entries || e.actual[n-1] != want) {
			break
		}
	}
	switch {
	case n > e.end:
		return 0, ""
	case n > entries:
		return n, CutTail
	}
	// Of what was sealed from here on, and of what is there now: is each to be found on the other side?
	sealed, there := e.expected[n-1:], e.actual[n-1:]
	wanted, came := slices.Contains(there, sealed[0]), slices.Contains(sealed, there[0])
	switch {
	case wanted && came:
		return n, Reordered
	case wanted:
		return n, Inserted
	case came:
		return n, Removed
	case n == 1 && e.end > 1 && !meet(sealed, there):
		return n, Rewritten
	}
	return n, Changed
}

// meet tells whether any mark is in both.
func meet(a, b []mark) bool {
	in := make(map[mark]bool, len(a))
	for _, m := range a {
		in[m] = true
	}
	return slices.ContainsFunc(b, func(m mark) bool { return in[m] })
}
