package geofence

import "math/bits"

// numberIndex finds a row by its number: open addressing, three slots of four used, row + 1 in each used slot.
type numberIndex []uint32

// indexNumbers indexes every number but 0. again is the rows, ascending, whose number an earlier row has.
func indexNumbers(numbers []uint64) (x numberIndex, again []int) {
	x = make(numberIndex, len(numbers)+len(numbers)/3+1)
	for row, number := range numbers {
		if number == 0 {
			continue
		}
		at := x.slot(number)
		for x[at] != 0 && numbers[x[at]-1] != number {
			at = x.next(at)
		}
		if x[at] != 0 {
			again = append(again, row)
			continue
		}
		x[at] = uint32(row) + 1
	}
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
