package geofence

import "tocsin/warning"

// gathering is where people are. Their rows are a tree without pointers: a group of level l is 4^l neighbours in their order,
// the first of them at a multiple of that. Groups from a word of 64 bits to a stretch have a box of their own.
type gathering struct {
	lon, lat []int32
	groups   [stretch - word + 1][]box // level by level
}

// Levels of groups.
const (
	word    = 3
	block   = 5
	stretch = 8 // is what one core looks at at a time: 65,536 rows
)

// group is some rows, and what is known about them.
type group struct {
	level, number int
	box           box
}

// newGathering is the gathering at positions; each block of it must be seen, and then it must rise.
func newGathering(lon, lat []int32) gathering {
	c := gathering{lon: lon, lat: lat}
	for l := range c.groups {
		size := 1 << (2 * (l + word))
		c.groups[l] = make([]box, (len(lon)+size-1)/size)
	}
	return c
}

// see makes the boxes of the words of a block.
func (c *gathering) see(block int) {
	from := block * (warning.BlockSize / 64)
	words := c.groups[0][from:min(from+warning.BlockSize/64, len(c.groups[0]))]
	for i := range words {
		words[i] = c.around(64*(from+i), 64*(from+i+1))
	}
}

// rise makes all boxes from those of the words.
func (c *gathering) rise() {
	for l := 1; l < len(c.groups); l++ {
		for i := range c.groups[l] {
			b := nothing()
			for _, part := range c.groups[l-1][4*i : min(4*i+4, len(c.groups[l-1]))] {
				b.join(part)
			}
			c.groups[l][i] = b
		}
	}
}

// boxOf is the box around a group. That of less than a word is made from the positions.
func (c *gathering) boxOf(level, number int) box {
	if level >= word {
		return c.groups[level-word][number]
	}
	return c.around(number<<(2*level), (number+1)<<(2*level))
}

// around is the box around the rows from to to, of those that there are.
func (c *gathering) around(from, to int) box {
	to = min(to, len(c.lon))
	lat := c.lat[from:to]
	b := nothing()
	for i, x := range c.lon[from:to] {
		b.add(coord{x, lat[i]})
	}
	return b
}
