package geofence

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"tocsin/warning"
)

// crowd is so many people that they are sorted in pieces, side by side: half of them at a few places, some in far
// countries, some rows broken, some numbers of several people.
func crowd(n int, r *rand.Rand) Columns {
	c := makeColumns(n)
	for i := range n {
		c.Number[i] = 999_000_000_000 + uint64(r.IntN(20*n))
		switch r.IntN(40) {
		case 0:
			c.Number[i] = 0
		case 1:
			c.Number[i] = 12 // too short
		case 2:
			c.Number[i] = 999_000_000_000
		}
		switch r.IntN(4) {
		case 0:
			c.Lon[i], c.Lat[i] = 1_065_500_000+int32(r.IntN(3)), 295_600_000
		case 1:
			c.Lon[i], c.Lat[i] = int32(r.IntN(3_600_000_000)-1_800_000_000), int32(r.IntN(1_800_000_000)-900_000_000)
		default:
			c.Lon[i], c.Lat[i] = 1_065_000_000+int32(r.IntN(2_000_000)), 295_000_000+int32(r.IntN(2_000_000))
		}
		c.Home[i], c.Seen[i], c.Language[i], c.Duty[i] = 500103, uint32(r.IntN(3)), uint8(r.IntN(2)), uint8(r.IntN(2))
	}
	return c
}

// builtPlainly is what Build promises, one row after the other.
func builtPlainly(c *Columns) (people []person, bad []int) {
	best := map[uint64]int{}
	wins := func(a, b int) bool { return c.Duty[a] > c.Duty[b] || c.Duty[a] == c.Duty[b] && a < b }
	for i, number := range c.Number {
		if _, is := c.badRow(i); is || number == 0 {
			continue
		}
		if b, ok := best[number]; !ok || wins(i, b) {
			best[number] = i
		}
	}
	for i, number := range c.Number {
		if _, is := c.badRow(i); is || number != 0 && best[number] != i {
			bad = append(bad, i)
			continue
		}
		people = append(people, c.person(i))
	}
	slices.SortFunc(people, comparePeople)
	return people, bad
}

func TestBuildInPiecesIsBuildInOne(t *testing.T) {
	for seed := range uint64(4) {
		c := crowd(3*rowsTogether+int(seed), rand.New(rand.NewPCG(seed, 1)))
		want, wantBad := builtPlainly(&c)
		s, bad := Build(c)
		var rows []int
		for _, b := range bad {
			rows = append(rows, b.Row)
		}
		if !slices.Equal(rows, wantBad) {
			t.Fatalf("seed %d: %d rows are left out, wanted %d, or not these", seed, len(rows), len(wantBad))
		}
		if s.People() != len(want) {
			t.Fatalf("seed %d: %d people, wanted %d", seed, s.People(), len(want))
		}
		for i, p := range want {
			got := s.columns.person(i)
			if got.row, p.row = 0, 0; got != p {
				t.Fatalf("seed %d: row %d is not who belongs there", seed, i)
			}
			if p.number == 0 {
				continue
			}
			if block, slot, ok := s.Find(p.number); !ok || block*warning.BlockSize+slot != i {
				t.Fatalf("seed %d: the person of row %d is not found by number", seed, i)
			}
		}
		l := loaded(t, s)
		if l.ID() != s.ID() || !reflect.DeepEqual(l.columns, s.columns) || !reflect.DeepEqual(l.gathering, s.gathering) {
			t.Fatalf("seed %d: what is loaded is another", seed)
		}
	}
}

// loaded is s, written and read again with all blocks side by side.
func loaded(t *testing.T, s *Snapshot) *Snapshot {
	t.Helper()
	blocks := map[[32]byte][]byte{}
	manifest, err := s.Encode(func(h [32]byte, data []byte) error { blocks[h] = slices.Clone(data); return nil })
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(manifest, sideBySide(t, blocks))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sideBySide gives all blocks on all cores.
func sideBySide(tb testing.TB, blocks map[[32]byte][]byte) Fetch {
	return func(hashes [][32]byte, take func(int, []byte) error) error {
		together(len(hashes), func(i int) {
			if err := take(i, blocks[hashes[i]]); err != nil {
				tb.Error(err)
			}
		})
		return nil
	}
}

// TestNumbersThatCollide: numbers whose search begins in the last slots of a stretch spill into the next, and the last
// stretch into the first.
func TestNumbersThatCollide(t *testing.T) {
	const n = 2 * slotsTogether
	size := make(numberIndex, n+n/3+1)
	ends := map[int]bool{slotsTogether - 1: true, 2*slotsTogether - 2: true, len(size) - 1: true}
	var numbers []uint64
	for number := uint64(1); len(numbers) < 600; number++ {
		if ends[size.slot(number)] {
			numbers = append(numbers, number)
		}
	}
	numbers = append(numbers, numbers[:50]...) // again
	for len(numbers) < n {
		numbers = append(numbers, 0)
	}
	x, again := indexNumbers(numbers)
	var want []int
	for i := range 50 {
		want = append(want, 600+i)
	}
	if !slices.Equal(again, want) {
		t.Fatalf("again are %v", again)
	}
	for i, number := range numbers[:600] {
		if row, ok := x.find(numbers, number); !ok || row != i {
			t.Fatalf("number %d of row %d is found in %d (%t)", number, i, row, ok)
		}
	}
	if _, ok := x.find(numbers, 1<<60); ok {
		t.Fatal("found a number that nobody has")
	}
}

func TestSortPeople(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000, 20_000} {
		for _, spread := range []uint64{1, 2, 1 << 11, 1 << 40, 1 << 63} {
			t.Run(fmt.Sprintf("%d/%d", n, spread), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), spread))
				people := make([]person, n)
				for i := range people {
					people[i] = person{key: r.Uint64N(spread), number: r.Uint64N(50)}
				}
				want := slices.Clone(people)
				slices.SortFunc(want, comparePeople)
				var got []person
				own := [2][]uint64{{1, 2, 3}} // of before
				for i, p := range sorted(people, &own) {
					if i != len(got) {
						t.Fatalf("row %d comes as row %d", len(got), i)
					}
					got = append(got, *p)
				}
				if !slices.Equal(got, want) {
					t.Fatal("not in order")
				}
			})
		}
	}
}

// TestEveryKeyHasTheNeighbourhoodThatItsBordersSay compares the table with a search of all borders, for crowds of one place
// and of many, and for keys on, beside and far from each border.
func TestEveryKeyHasTheNeighbourhoodThatItsBordersSay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, reach := range []int32{1, 3, 1000, 50_000_000} {
		c := makeColumns(20 * neighbourhood)
		for i := range c.Number {
			c.Lon[i], c.Lat[i] = 1066*scale/10+r.Int32N(reach), 296*scale/10+r.Int32N(reach)
			if i%3 == 0 { // a city
				c.Lon[i] = 1066*scale/10 + r.Int32N(min(reach, 2000))
			}
		}
		near := neighbourhoods(&c)
		keys := []uint64{0, 1, 1 << 62, 1<<64 - 1}
		for _, b := range near.borders {
			keys = append(keys, b-1, b, b+1)
		}
		for i := range 1000 {
			keys = append(keys, morton(c.Lon[i], c.Lat[i]))
		}
		for _, key := range keys {
			want, is := slices.BinarySearch(near.borders, key)
			for is && want < len(near.borders) && near.borders[want] <= key {
				want++
			}
			if got := near.of(key); int(got) != want {
				t.Fatalf("reach %d: key %x is in neighbourhood %d, not %d of %d", reach, key, got, want, near.count())
			}
		}
	}
}

// TestBuildIntoAStore: what the store was given makes the same snapshot; who is to be left out is in none of it; an error of
// the store is told.
func TestBuildIntoAStore(t *testing.T) {
	c := crowd(20_000, rand.New(rand.NewPCG(3, 1)))
	plain := Columns{}
	plain.Append(c)
	s, _ := Build(plain)
	out := s.Block(0).Number[0]
	for _, b := range s.Block(0).Number {
		out = max(out, b)
	}
	var mu sync.Mutex
	blocks := map[[32]byte][]byte{}
	keep := func(n int, encode func(b []byte, i int) (hash [32]byte, data []byte)) error {
		together(n, func(i int) {
			hash, data := encode([]byte("before"), i)
			mu.Lock()
			defer mu.Unlock()
			blocks[hash] = data[len("before"):]
		})
		return nil
	}
	less := Columns{}
	less.Append(c)
	got, bad, err := BuildInto(less, func(number uint64) bool { return number == out }, keep)
	if err != nil || got.People() >= s.People() {
		t.Fatalf("%d people of %d, %d bad: %v", got.People(), s.People(), len(bad), err)
	}
	if _, _, in := got.Find(out); in {
		t.Error("who is left out is there")
	}
	l, err := Load(got.manifest(), sideBySide(t, blocks))
	if err != nil || l.ID() != got.ID() || len(blocks) != got.Blocks() {
		t.Fatalf("%d blocks were stored of %d: %v", len(blocks), got.Blocks(), err)
	}
	full := errors.New("full")
	if _, _, err := BuildInto(c, nil, func(int, func([]byte, int) ([32]byte, []byte)) error { return full }); !errors.Is(err, full) {
		t.Error("a store that is full:", err)
	}
}
