package geofence

import (
	"math/bits"
	"slices"

	"tocsin/warning"
)

// nearness cuts the keys into neighbourhoods of about the same number of people.
type nearness struct {
	borders []uint64 // the first key of every neighbourhood but the first, ascending
	// The borders that a key must be compared with lie between two entries of a table by the first bits of the key's
	// distance from the first border: where few live none or one, in a city some.
	shift int
	table []uint16
}

// nearBits is how many bits of a distance the table goes by: 2 MB, of which the cities stay in a core's cache.
const nearBits = 20

// neighbourhoods is taken from people who are asked at even distances, so that it does not matter how unevenly the people
// live.
func neighbourhoods(c *Columns) (n nearness) {
	const asked = 16 // people for each neighbourhood
	rows := len(c.Number)
	between := min(1<<14, rows/neighbourhood)
	var keys []uint64
	for i := range between * asked {
		if row := i * (rows / (between * asked)); c.Flags[row] != warning.Gone {
			keys = append(keys, morton(c.Lon[row], c.Lat[row]))
		}
	}
	slices.Sort(keys)
	for i := asked; i < len(keys); i += asked {
		n.borders = append(n.borders, keys[i])
	}
	if len(n.borders) == 0 {
		return n
	}
	first, last := n.borders[0], n.borders[len(n.borders)-1]
	n.shift = max(0, bits.Len64(last-first)-nearBits)
	n.table = make([]uint16, (last-first)>>n.shift+2)
	at := 0
	for cell := range n.table {
		for at < len(n.borders) && (n.borders[at]-first)>>n.shift < uint64(cell) {
			at++
		}
		n.table[cell] = uint16(at)
	}
	return n
}

func (n *nearness) count() int { return len(n.borders) + 1 }

// of is the neighbourhood of a key: how many borders are not above it.
func (n *nearness) of(key uint64) uint16 {
	if len(n.borders) == 0 || key < n.borders[0] {
		return 0
	}
	cell := (key - n.borders[0]) >> n.shift
	if cell+1 >= uint64(len(n.table)) {
		return uint16(len(n.borders))
	}
	low, high := n.table[cell], n.table[cell+1]
	for low < high {
		if mid := (low + high) / 2; n.borders[mid] <= key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
