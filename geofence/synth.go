package geofence

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"tocsin/warning"
)

// MaxSynth is how many synthetic people there can be: their numbers have nine digits to be unique in.
const MaxSynth = 1_000_000_000

// synthDay is the day on which synthetic people were last seen. It is fixed, so that the same seed gives the same people.
var synthDay = uint32(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix() / 60)

// Parts of a synthetic population, in thousandths.
const (
	synthNoAddress   = 30
	synthOptedOut    = 5
	synthResponsible = 5
	synthEnglish     = 50
)

// classes is how many classes of settlement there are.
const classes = 8

// settlements is how people of one class of settlement live: around the seat or around places, within some spread in
// metres, or (spread 0) anywhere in the unit. The columns are those of GHS-SMOD.
var settlements = [classes]struct {
	column string
	seat   bool
	spread int64
}{
	{"GHSL_POP_30", true, 2500},  // urban centre
	{"GHSL_POP_23", false, 1200}, // dense urban cluster
	{"GHSL_POP_22", false, 1200}, // semi-dense urban cluster
	{"GHSL_POP_21", true, 7000},  // suburban
	{"GHSL_POP_13", false, 800},  // rural cluster
	{"GHSL_POP_12", false, 0},    // low density
	{"GHSL_POP_11", false, 0},    // very low density
	{"GHSL_POP_10", false, 0},    // water
}

// Synth makes count synthetic people of the newest edition, always the same for the same count, seed and carriers: by
// district as the census of 2020, by class of settlement as GHSL says, around the seats and places of GeoNames, each
// strictly inside the outline of the home district. Their numbers cannot be assigned: 999, a carrier's digit from 1,
// and nine digits. carriers weighs the carriers; nil is three equal ones.
func Synth(count int, seed uint64, carriers []int) (Columns, error) {
	if carriers == nil {
		carriers = []int{1, 1, 1}
	}
	total := 0
	for _, w := range carriers {
		if w < 0 || w > 1_000_000 {
			return Columns{}, warning.Invalid(warning.Violation{Field: "carriers", Rule: "synth.carriers", Detail: "a weight is 0 to 1,000,000"})
		}
		total += w
	}
	if len(carriers) > 9 || total == 0 {
		return Columns{}, warning.Invalid(warning.Violation{Field: "carriers", Rule: "synth.carriers", Detail: "one to nine weights, not all zero, are needed"})
	}
	if count < 0 || count > MaxSynth {
		return Columns{}, warning.Invalid(warning.Violation{Field: "count", Rule: "synth.count", Detail: fmt.Sprintf("count is 0 to %d", MaxSynth)})
	}
	e := EditionAt(time.Time{})
	towns, err := readTowns(e, count)
	if err != nil {
		return Columns{}, err
	}
	s := synth{edition: e, seed: mix(seed), carriers: carriers, weights: total, columns: makeColumns(count)}
	// People are drawn from their own row number, so the split of the work does not show in the result.
	var wg sync.WaitGroup
	for part, parts := 0, min(runtime.GOMAXPROCS(0), 8); part < parts; part++ {
		wg.Go(func() {
			for _, t := range towns {
				size := t.to - t.from
				for row := t.from + size*part/parts; row < t.from+size*(part+1)/parts; row++ {
					s.person(row, t)
				}
			}
		})
	}
	wg.Wait()
	return s.columns, nil
}

// town is a unit with what is needed to people it.
type town struct {
	*Unit
	index    uint8           // in the edition
	from, to int             // rows
	classes  [classes]uint32 // of 10,000, added up
	places   []coord
	middle   coord // some point inside
}

type synth struct {
	edition  *Edition
	seed     uint64
	carriers []int
	weights  int
	columns  Columns
}

// dice is a stream of random numbers (SplitMix64).
type dice uint64

func (d *dice) roll() uint64 {
	*d += 0x9E3779B97F4A7C15
	return mix(uint64(*d))
}

// below is a number from 0 to n-1.
func (d *dice) below(n uint64) uint64 {
	hi, _ := bits.Mul64(d.roll(), n)
	return hi
}

// bell is a number around 0 of standard deviation spread, never beyond 3.5 times that: the sum of four even ones. In
// whole numbers, so that every machine draws the same.
func (d *dice) bell(spread int64) int64 {
	r := d.roll()
	sum := int64(r&0xFFFF+r>>16&0xFFFF+r>>32&0xFFFF+r>>48) - 2*0xFFFF
	return sum * spread / 37837 // 2^16 · √(4/12)
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (s *synth) person(row int, t *town) {
	d := dice(mix(s.seed + uint64(row)*0xD1342543DE82EF95))
	c := &s.columns
	p := s.place(&d, t)
	c.Lon[row], c.Lat[row], c.Home[row] = p.x, p.y, t.Code
	c.Seen[row] = synthDay - uint32(d.below(1440))
	if d.below(1000) < synthEnglish {
		c.Language[row] = 1
	}
	carrier, pick := 0, int(d.below(uint64(s.weights)))
	for pick >= s.carriers[carrier] {
		pick -= s.carriers[carrier]
		carrier++
	}
	c.Number[row] = 999_0_000_000_000 + uint64(carrier+1)*1_000_000_000 + uint64(permuted(uint32(row), s.seed))
	switch lot := d.below(1000); {
	case lot < synthResponsible:
		c.Duty[row] = uint8(warning.Responsible)
	case lot < synthResponsible+synthOptedOut:
		c.Flags[row] = warning.OptedOut
	case lot < synthResponsible+synthOptedOut+synthNoAddress:
		c.Number[row] = 0
	}
}

// place is where somebody lives, strictly inside the outline.
func (s *synth) place(d *dice, t *town) coord {
	class, lot := 0, uint32(d.below(uint64(t.classes[len(t.classes)-1])))
	for lot >= t.classes[class] {
		class++
	}
	if k := settlements[class]; k.spread > 0 {
		centre := t.seat
		if !k.seat && len(t.places) > 0 {
			centre = t.places[d.below(uint64(len(t.places)))]
		}
		for range 8 {
			p := coord{centre.x + int32(d.bell(k.spread)*unitsPerMetre*1000/866), centre.y + int32(d.bell(k.spread)*unitsPerMetre)}
			if s.within(p, t) {
				return p
			}
		}
	}
	b := t.outline.box
	for range 200 {
		p := coord{
			b.min.x + int32(d.below(uint64(int64(b.max.x)-int64(b.min.x)))),
			b.min.y + int32(d.below(uint64(int64(b.max.y)-int64(b.min.y)))),
		}
		if s.within(p, t) {
			return p
		}
	}
	return t.middle
}

func (s *synth) within(p coord, t *town) bool {
	if !t.outline.box.has(p) {
		return false
	}
	if c := s.edition.grid.at(p); c != cellBorder {
		return c == t.index
	}
	return t.outline.locate(p) == inside
}

// permuted sends 0 to MaxSynth-1 onto itself in an order that looks random: a Feistel network over 30 bits, walked
// until the result is in range.
func permuted(v uint32, seed uint64) uint32 {
	for {
		left, right := v>>15, v&0x7FFF
		for round := range uint64(4) {
			left, right = right, left^uint32(mix(seed+round<<32+uint64(right)))&0x7FFF
		}
		if v = left<<15 | right; v < MaxSynth {
			return v
		}
	}
}

// readTowns reads what the embedded data say of each unit and gives each its rows, by largest remainder.
func readTowns(e *Edition, count int) ([]*town, error) {
	byCode := map[string]*town{}
	var towns []*town
	var people int64
	for i, u := range e.Units {
		if u.outline == nil || u.Population == 0 {
			continue
		}
		t := &town{Unit: u, index: uint8(i)}
		towns = append(towns, t)
		byCode[strconv.Itoa(int(u.Code))] = t
		people += u.Population
	}
	err := eachRow("data/ghsl_districts.csv", func(get func(string) string) error {
		t := byCode[get("CODE")]
		if t == nil {
			return nil
		}
		sum := uint32(0)
		for i, k := range settlements {
			share, err := strconv.ParseFloat(get(k.column), 64)
			if err != nil {
				return err
			}
			sum += uint32(share*10000 + 0.5)
			t.classes[i] = sum
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachRow("data/geonames_places_wgs84.csv", func(get func(string) string) error {
		t := byCode[get("district_adcode")]
		if t == nil {
			return nil
		}
		p, err := parseCoord(get("lon_wgs84"), get("lat_wgs84"))
		t.places = append(t.places, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = eachRow("data/districts.csv", func(get func(string) string) (err error) {
		if t := byCode[get("adcode")]; t != nil {
			t.middle, err = parseCoord(get("inside_lon"), get("inside_lat"))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	allot(towns, people, count)
	return towns, nil
}

// allot gives the towns their rows: the whole part of each share first, then one more to the largest rests.
func allot(towns []*town, people int64, count int) {
	rest := make(map[*town]int64, len(towns))
	left := count
	for _, t := range towns {
		product := int64(count) * t.Population
		t.to = int(product / people)
		rest[t] = product % people
		left -= t.to
	}
	byRest := slices.Clone(towns)
	slices.SortStableFunc(byRest, func(a, b *town) int { return int(rest[b] - rest[a]) })
	for _, t := range byRest[:left] {
		t.to++
	}
	row := 0
	for _, t := range towns {
		t.from, t.to = row, row+t.to
		row = t.to
	}
}
