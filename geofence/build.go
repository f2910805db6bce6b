package geofence

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
	"sync"
	"time"

	"tocsin/warning"
)

// Build makes a snapshot of the rows and reports the rows that it leaves out, in order: broken ones, and those whose
// number another row has (the responsible person stays, else the first). A home of 0 becomes the unit around the
// position. Responsible persons cannot opt out, so their flag is cleared.
//
// The columns become part of the snapshot: they are sorted in place and must not be used afterwards. Beyond them Build
// needs 38 bytes a row for a while, and 5.4 for good. It works on all cores.
func Build(c Columns) (*Snapshot, []BadRow) {
	s, bad, _ := BuildInto(c, nil, unstored) // which has no errors
	return s, bad
}

// Store takes n blocks. It asks encode for each once, side by side where it can: encode appends the stored form of block i
// to b, and says its SHA-256.
type Store func(n int, encode func(b []byte, i int) (hash [32]byte, data []byte)) error

// unstored has every block encoded, and keeps none.
func unstored(n int, encode func(b []byte, i int) (hash [32]byte, data []byte)) error {
	togetherWith(n, func(i int, own *[]byte) { _, *own = encode((*own)[:0], i) })
	return nil
}

// BuildInto is Build, and stores the blocks as soon as they are known: while a store waits for its disk, the rest is made.
// Whoever has a number for which without answers true is left out and not reported; it may be nil, and is called side by side.
// Errors are those of store.
func BuildInto(c Columns, without func(number uint64) bool, store Store) (*Snapshot, []BadRow, error) {
	n := c.Len()
	short := shortest(&c, n)
	pad(&c, n)
	e := EditionAt(time.Time{})
	bad := admit(&c, short, e, without)
	came := arrange(&c)
	numbers, again := indexNumbers(c.Number)
	if len(again) > 0 {
		kept := 0
		lose := doubles(&c, came, numbers, again)
		for i, row := range came {
			if len(lose) > 0 && lose[0] == i {
				lose = lose[1:]
				bad = append(bad, BadRow{Row: int(row), Field: "number", Rule: "directory.number.duplicate", Detail: "another row has the same number"})
				continue
			}
			c.move(kept, i)
			kept++
		}
		slices.SortFunc(bad, func(a, b BadRow) int { return a.Row - b.Row })
		c = c.Slice(0, kept)
		numbers, _ = indexNumbers(c.Number)
	}
	s := newSnapshot(c, e)
	s.numbers = numbers
	var placing sync.WaitGroup
	placing.Go(s.place)
	err := s.seal(store)
	placing.Wait()
	return s, bad, err
}

// admit mends what can be mended and gives each row that cannot be used the flag warning.Gone. It answers why, in the
// order of the rows; those from short on are not whole. Who is without has no reason.
func admit(c *Columns, short int, e *Edition, without func(number uint64) bool) []BadRow {
	bad := make([][]BadRow, pieces(len(c.Number)))
	together(len(bad), func(p int) {
		from, to := piece(p, len(c.Number))
		for i := from; i < to; i++ {
			b, is := c.badRow(i)
			if i >= short {
				b, is = BadRow{Row: i, Field: "row", Rule: "directory.row", Detail: "columns have different lengths"}, true
			}
			if is {
				bad[p] = append(bad[p], b)
				c.Flags[i] = warning.Gone
				continue
			}
			if without != nil && c.Number[i] != 0 && without(c.Number[i]) {
				c.Flags[i] = warning.Gone
				continue
			}
			if c.Home[i] == 0 {
				c.Home[i], _ = e.Locate(c.Lon[i], c.Lat[i])
			}
			if c.Duty[i] == uint8(warning.Responsible) {
				c.Flags[i] &^= warning.OptedOut
			}
		}
	})
	return slices.Concat(bad...)
}

// shortest is the length of the shortest column that is there.
func shortest(c *Columns, n int) int {
	short := min(len(c.Number), len(c.Lon), len(c.Lat))
	for _, l := range []int{len(c.Home), len(c.Seen), len(c.Language), len(c.Duty), len(c.Flags)} {
		if l > 0 {
			short = min(short, l)
		}
	}
	return min(short, n)
}

// pad fills every column to n rows.
func pad(c *Columns, n int) {
	c.Number, c.Lon, c.Lat = padded(c.Number, n), padded(c.Lon, n), padded(c.Lat, n)
	c.Home, c.Seen = padded(c.Home, n), padded(c.Seen, n)
	c.Language, c.Duty, c.Flags = padded(c.Language, n), padded(c.Duty, n), padded(c.Flags, n)
}

func padded[T any](col []T, n int) []T {
	if len(col) == n {
		return col
	}
	return append(make([]T, 0, n), col...)[:n]
}

// doubles is the rows of c, ascending, that give way to another row with the same number. came is where each row came,
// again those that the index does not have.
func doubles(c *Columns, came []uint32, numbers numberIndex, again []int) []int {
	wins := func(a, b int) bool {
		if c.Duty[a] != c.Duty[b] {
			return c.Duty[a] == uint8(warning.Responsible)
		}
		return came[a] < came[b]
	}
	winner := map[uint64]int{}
	lose := make([]int, 0, len(again))
	for _, i := range again {
		number := c.Number[i]
		w, known := winner[number]
		if !known {
			w, _ = numbers.find(c.Number, number)
		}
		if wins(i, w) {
			w, i = i, w
		}
		winner[number] = w
		lose = append(lose, i)
	}
	slices.Sort(lose)
	return lose
}

// morton interleaves the bits of a position so that positions with nearby keys lie near each other, and each square
// whose side is a power of two is one range of keys (a linear quadtree).
func morton(x, y int32) uint64 {
	return spread(uint32(x)^1<<31) | spread(uint32(y)^1<<31)<<1
}

// spread puts the bits of v at the even places.
func spread(v uint32) uint64 {
	w := uint64(v)
	w = (w | w<<16) & 0x0000FFFF0000FFFF
	w = (w | w<<8) & 0x00FF00FF00FF00FF
	w = (w | w<<4) & 0x0F0F0F0F0F0F0F0F
	w = (w | w<<2) & 0x3333333333333333
	w = (w | w<<1) & 0x5555555555555555
	return w
}

// gather takes the bits at the even places.
func gather(w uint64) uint32 {
	w &= 0x5555555555555555
	w = (w | w>>1) & 0x3333333333333333
	w = (w | w>>2) & 0x0F0F0F0F0F0F0F0F
	w = (w | w>>4) & 0x00FF00FF00FF00FF
	w = (w | w>>8) & 0x0000FFFF0000FFFF
	w = (w | w>>16) & 0x00000000FFFFFFFF
	return uint32(w)
}

// unmorton is the position of a key.
func unmorton(key uint64) coord {
	return coord{int32(gather(key) ^ 1<<31), int32(gather(key>>1) ^ 1<<31)}
}

// person is one row while it is sorted: 32 bytes, which move together.
type person struct {
	key                   uint64 // the position
	number                uint64
	home, seen            uint32
	row                   uint32 // where it came
	language, duty, flags uint8
}

func (c *Columns) person(i int) person {
	return person{
		key: morton(c.Lon[i], c.Lat[i]), number: c.Number[i], home: c.Home[i], seen: c.Seen[i], row: uint32(i),
		language: c.Language[i], duty: c.Duty[i], flags: c.Flags[i],
	}
}

// put makes p row i.
func (c *Columns) put(i int, p *person) {
	at := unmorton(p.key)
	c.Number[i], c.Lon[i], c.Lat[i], c.Home[i], c.Seen[i] = p.number, at.x, at.y, p.home, p.seen
	c.Language[i], c.Duty[i], c.Flags[i] = p.language, p.duty, p.flags
}

// move makes row from row to.
func (c *Columns) move(to, from int) {
	c.Number[to], c.Lon[to], c.Lat[to], c.Home[to], c.Seen[to] = c.Number[from], c.Lon[from], c.Lat[from], c.Home[from], c.Seen[from]
	c.Language[to], c.Duty[to], c.Flags[to] = c.Language[from], c.Duty[from], c.Flags[from]
}

// comparePeople orders by place, and people at one position by everything else, so that the same people are always in
// the same order.
func comparePeople(a, b person) int {
	if a.key != b.key {
		if a.key < b.key {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.number, b.number), cmp.Compare(a.home, b.home), cmp.Compare(a.seen, b.seen),
		cmp.Compare(a.language, b.language), cmp.Compare(a.duty, b.duty), cmp.Compare(a.flags, b.flags))
}

// neighbourhood is how many people are sorted together: so few that they stay in a core's cache.
const neighbourhood = 1 << 13

// arrange sorts the rows without those that are gone, and answers where each came.
func arrange(c *Columns) (came []uint32) {
	near := neighbourhoods(c)
	people, ends := grouped(len(c.Number), near.count(), func(i int) uint16 {
		if c.Flags[i] == warning.Gone {
			return noGroup
		}
		return near.of(morton(c.Lon[i], c.Lat[i]))
	}, c.person)
	*c = c.Slice(0, len(people))
	came = make([]uint32, len(people))
	togetherWith(len(ends), func(g int, own *[2][]uint64) {
		from, to := groupAt(ends, g)
		for i, p := range sorted(people[from:to], own) {
			c.put(from+i, p)
			came[from+i] = p.row
		}
	})
	return came
}

// digit is how many bits people are sorted by at a time.
const digit = 11

// sorted is people in their order. Only eight bytes of each move while they are sorted: the key, less what all keys have
// in common, before the place in people. Where these do not fit, people themselves are sorted. own is memory to
// work in.
func sorted(people []person, own *[2][]uint64) iter.Seq2[int, *person] {
	least, most := ^uint64(0), uint64(0)
	for i := range people {
		least, most = min(least, people[i].key), max(most, people[i].key)
	}
	low := bits.Len(uint(len(people)))
	high := low + bits.Len64(most-min(least, most))
	if high > 64 {
		slices.SortFunc(people, comparePeople)
		return func(yield func(int, *person) bool) {
			for i := range people {
				if !yield(i, &people[i]) {
					return
				}
			}
		}
	}
	order, spare := room(&own[0], len(people)), room(&own[1], len(people))
	for i := range people {
		order[i] = (people[i].key-least)<<low | uint64(i)
	}
	for shift := low; shift < high; shift += digit {
		var at [1 << digit]uint32
		for _, o := range order {
			at[o>>shift&(1<<digit-1)]++
		}
		sum := uint32(0)
		for d, n := range at {
			at[d], sum = sum, sum+n
		}
		for _, o := range order {
			d := o >> shift & (1<<digit - 1)
			spare[at[d]] = o
			at[d]++
		}
		order, spare = spare, order
	}
	place := func(o uint64) *person { return &people[o&(1<<low-1)] }
	for from := 0; from < len(order); { // people at one position
		to := from + 1
		for to < len(order) && order[to]>>low == order[from]>>low {
			to++
		}
		if to > from+1 {
			slices.SortFunc(order[from:to], func(a, b uint64) int { return comparePeople(*place(a), *place(b)) })
		}
		from = to
	}
	return func(yield func(int, *person) bool) {
		for i, o := range order {
			if !yield(i, place(o)) {
				return
			}
		}
	}
}
