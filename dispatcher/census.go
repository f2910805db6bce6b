package dispatcher

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"sync"

	"tocsin/warning"
)

// census counts people by their homes. Of whole blocks it keeps the counts: some forty bytes for a thousand people.
type census struct {
	blocks perBlock[[]atHome]

	mu     sync.Mutex       // guards what follows
	of     string           // the snapshot
	people map[uint32]int64 // of it, by district
}

// atHome is how many people of a block have this home.
type atHome struct {
	home   uint32
	people int32
}

// homes is the people of a block by home. What a whole block has is kept.
func (c *census) homes(block uint32, people warning.Block, mask *warning.Mask) []atHome {
	n := mask.Count()
	if c.blocks.has(block, people) || 2*n > people.Len() {
		whole := c.whole(block, people)
		for _, h := range whole {
			n -= int(h.people)
		}
		if n == 0 { // everybody
			return whole
		}
	}
	return homesIn(people, mask)
}

// whole is everybody of a block by home.
func (c *census) whole(block uint32, people warning.Block) []atHome {
	return c.blocks.of(block, people, func() []atHome {
		here := present(people)
		return slices.Clone(homesIn(people, &here))
	})
}

// present is who is there.
func present(people warning.Block) warning.Mask {
	m := warning.First(people.Len())
	for slot, flags := range people.Flags {
		if flags == warning.Gone {
			m[slot>>6] &^= 1 << (slot & 63)
		}
	}
	return m
}

// homesIn looks at each person. Few homes are in a block, and neighbours have one.
func homesIn(people warning.Block, mask *warning.Mask) (out []atHome) {
	at := 0
	for slot := range mask.Slots {
		home := people.Home[slot]
		if at >= len(out) || out[at].home != home {
			for at = 0; at < len(out) && out[at].home != home; at++ {
			}
			if at == len(out) {
				out = append(out, atHome{home: home})
			}
		}
		out[at].people++
	}
	return out
}

// byHome is the people of a selection by home.
func (c *census) byHome(snap Snapshot, sel *warning.Selection) map[uint32]int64 {
	return sumOf(len(sel.Blocks), func(i int) []atHome {
		return c.homes(sel.Blocks[i], snap.Block(int(sel.Blocks[i])), &sel.Masks[i])
	})
}

// byDistrict is everybody of a snapshot by district.
func (c *census) byDistrict(snap Snapshot) map[uint32]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != snap.ID() {
		c.of, c.people = snap.ID(), districts(sumOf(snap.Blocks(), func(i int) []atHome { return c.whole(uint32(i), snap.Block(i)) }))
	}
	return c.people
}

// sumOf adds what n blocks have, side by side.
func sumOf(n int, of func(i int) []atHome) map[uint32]int64 {
	parts := make([]map[uint32]int64, partsOf(n))
	sideBySide(n, func(k, from, to int) {
		sum := map[uint32]int64{}
		for i := from; i < to; i++ {
			for _, h := range of(i) {
				sum[h.home] += int64(h.people)
			}
		}
		parts[k] = sum
	})
	for _, more := range parts[1:] {
		for home, n := range more {
			parts[0][home] += n
		}
	}
	return parts[0]
}

func districts(byHome map[uint32]int64) map[uint32]int64 {
	out := map[uint32]int64{}
	for home, n := range byHome {
		out[warning.DistrictOf(home)] += n
	}
	return out
}

// places counts the people of a selection by the district and by the town of their home, most people first.
func (c *census) places(snap Snapshot, sel *warning.Selection) (units, towns []PreviewUnit) {
	homes, all := c.byHome(snap, sel), c.byDistrict(snap)
	for code, n := range districts(homes) {
		if code != 0 {
			u := PreviewUnit{Code: strconv.Itoa(int(code)), Name: snap.District(code), People: n}
			if all[code] > 0 {
				u.Residents = int64(math.Round(float64(snap.Residents(code)) * float64(n) / float64(all[code])))
			}
			units = append(units, u)
		}
	}
	for code, n := range homes {
		if code != warning.DistrictOf(code) {
			towns = append(towns, PreviewUnit{Code: strconv.Itoa(int(code)), Name: snap.District(code), People: n})
		}
	}
	for _, rows := range [][]PreviewUnit{units, towns} {
		slices.SortFunc(rows, func(a, b PreviewUnit) int {
			return cmp.Or(cmp.Compare(b.People, a.People), cmp.Compare(a.Code, b.Code))
		})
	}
	return units, towns
}

// residentsOf is who lives in units, about; 0 where it is not known of all that are shown.
func residentsOf(units []PreviewUnit) (sum int64) {
	for i := range units {
		if units[i].Residents == 0 && !units[i].Few && units[i].People > 0 {
			return 0
		}
		sum += units[i].Residents
	}
	return sum
}
