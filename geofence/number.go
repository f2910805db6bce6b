package geofence

import (
	"math/bits"
	"slices"
)

// numberIndex finds a row by its number: open addressing, three slots of four used, row + 1 in each used slot.
type numberIndex []uint32

// slotsTogether is how many slots are filled together: so few that they and their numbers stay in a core's cache.
const slotsTogether = 1 << 15

// indexNumbers indexes every number but 0. again is the rows, ascending, whose number an earlier row has.
func indexNumbers(numbers []uint64) (x numberIndex, again []int) {
	x = make(numberIndex, len(numbers)+len(numbers)/3+1)
	stretches := (len(x) + slotsTogether - 1) / slotsTogether
	type pair struct {
		number uint64
		row    uint32
	}
	pairs, ends := grouped(len(numbers), stretches, func(row int) uint16 {
		if numbers[row] == 0 {
			return noGroup
		}
		return uint16(x.slot(numbers[row]) / slotsTogether)
	}, func(row int) pair { return pair{numbers[row], uint32(row)} })

	over := make([][]uint32, stretches) // rows that found no slot in their stretch
	same := make([][]int, stretches)
	togetherWith(stretches, func(s int, own *[]uint64) {
		first := s * slotsTogether
		slots := x[first:min(first+slotsTogether, len(x))]
		used := room(own, len(slots)) // the numbers in them
		clear(used)
		from, to := groupAt(ends, s)
		for _, p := range pairs[from:to] {
			at := x.slot(p.number) - first
			for at < len(slots) && used[at] != 0 && used[at] != p.number {
				at++
			}
			switch {
			case at == len(slots):
				over[s] = append(over[s], p.row)
			case used[at] == p.number:
				same[s] = append(same[s], int(p.row))
			default:
				slots[at], used[at] = p.row+1, p.number
			}
		}
	})
	for _, row := range slices.Concat(over...) {
		at := x.slot(numbers[row])
		for x[at] != 0 && numbers[x[at]-1] != numbers[row] {
			at = x.next(at)
		}
		if x[at] != 0 {
			again = append(again, int(row))
			continue
		}
		x[at] = row + 1
	}
	again = append(again, slices.Concat(same...)...)
	slices.Sort(again)
	return x, again
}

// find is the row that has number.
func (x numberIndex) find(numbers []uint64, number uint64) (row int, ok bool) {
	if number == 0 || len(x) == 0 {
		return 0, false
	}
	for at := x.slot(number); x[at] != 0; at = x.next(at) {
		if row := int(x[at] - 1); numbers[row] == number {
			return row, true
		}
	}
	return 0, false
}

// slot is where the search for number begins: the high bits of a product with 2^64 divided by the golden ratio, twice
// mixed, scaled to the table.
func (x numberIndex) slot(number uint64) int {
	h := number * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0x9E3779B97F4A7C15
	at, _ := bits.Mul64(h, uint64(len(x)))
	return int(at)
}

func (x numberIndex) next(at int) int {
	if at++; at < len(x) {
		return at
	}
	return 0
}
