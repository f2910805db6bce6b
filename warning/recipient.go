package warning

import "math/bits"

// BlockSize is how many recipients a block of the directory holds at most. Recipients of a block live near each other.
const BlockSize = 1024

// Mask chooses recipients of a block: bit i of word i/64 is slot i.
type Mask [BlockSize / 64]uint64

// Has tells whether slot is chosen.
func (m *Mask) Has(slot int) bool { return m[slot>>6]>>(slot&63)&1 != 0 }

// First chooses the first n slots.
func First(n int) (m Mask) {
	for w := range m {
		m[w] = 1<<min(64, max(0, n-64*w)) - 1
	}
	return m
}

// Set chooses slot.
func (m *Mask) Set(slot int) { m[slot>>6] |= 1 << (slot & 63) }

// Add chooses what o chooses too.
func (m *Mask) Add(o *Mask) {
	for i, w := range o {
		m[i] |= w
	}
}

// Remove leaves out what o chooses.
func (m *Mask) Remove(o *Mask) {
	for i, w := range o {
		m[i] &^= w
	}
}

// Both is the slots that m and o choose, and how many they are.
func (m *Mask) Both(o *Mask) (both Mask, n int) {
	for i, w := range m {
		both[i] = w & o[i]
		n += bits.OnesCount64(both[i])
	}
	return both, n
}

// Count is how many slots are chosen.
func (m *Mask) Count() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// Rank is how many slots before slot are chosen.
func (m *Mask) Rank(slot int) (n int) {
	for _, w := range m[:slot>>6] {
		n += bits.OnesCount64(w)
	}
	return n + bits.OnesCount64(m[slot>>6]&(1<<(slot&63)-1))
}

// Slots calls yield with each chosen slot in order, until it answers false.
func (m *Mask) Slots(yield func(slot int) bool) {
	for i, w := range m {
		for ; w != 0; w &= w - 1 {
			if !yield(i<<6 | bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// Block is up to BlockSize recipients of a snapshot as columns of equal length. It is a view: never written to.
type Block struct {
	Number   []uint64 // E.164 digits, no plus; 0: no address
	Lon, Lat []int32  // degrees times 10^7, WGS-84: where somebody was seen last, or lives where they never were
	Home     []uint32 // code of the registered home: a district of six digits or a town of nine; 0: outside of all
	Seen     []uint32 // minutes since 1970 of the last position; 0: never
	Language []uint8  // index into Languages
	Duty     []uint8  // Duty
	Flags    []uint8  // Flag bits
	Identity *Identity
}

// Identity is one for blocks with the same people: what is known of one of them is known of all. It keeps none in memory.
// A block without one is known to nobody.
type Identity struct{ _ byte }

// DistrictOf is the district of a home.
func DistrictOf(home uint32) uint32 {
	if home >= 100_000_000 {
		return home / 1000
	}
	return home
}

// Len is how many recipients the block holds.
func (b *Block) Len() int { return len(b.Number) }

// Languages a recipient may prefer; the index is stored, so the order never changes.
var Languages = []string{"zh-CN", "en"}

// Duty is what a recipient is in a warning.
type Duty uint8

// The duties. A responsible person is told before the public.
const (
	Public Duty = iota
	Responsible
)

// Duties is all of them.
var Duties = []Duty{Public, Responsible}

var dutyNames = enumNames[Duty]{"public": Public, "responsible": Responsible}

func (d Duty) String() string { return dutyNames.name(d) }

// ParseDuty reads the stable lower-case name.
func ParseDuty(s string) (Duty, error) { return dutyNames.parse("duty", s) }

// Flag bits of a recipient.
const (
	OptedOut uint8 = 1 << iota // wants no messages; responsible persons cannot opt out
	Gone                       // nobody: who stood here has moved or was erased; never chosen, and never in what comes in
)

// Selection is people of one snapshot: the blocks that hold any of them, ascending, and a mask for each.
type Selection struct {
	Snapshot string
	Blocks   []uint32
	Masks    []Mask
}

// People is how many are chosen.
func (s *Selection) People() (n int64) {
	for i := range s.Masks {
		n += int64(s.Masks[i].Count())
	}
	return n
}

// Deed is what happens to a recipient.
type Deed uint8

// The deeds.
const (
	DeedPut         Deed = iota + 1 // take in, or change what is given
	DeedUnsubscribe                 // wants no messages
	DeedResubscribe
	DeedErase // take out for good
)

// Change is one deed to the recipient who has Number. The rest belongs to DeedPut: nil leaves what is there, or what is
// usual of somebody new. Lon and Lat come together; a new place without Home is at home where it lies.
type Change struct {
	Number         uint64
	Deed           Deed
	NewNumber      uint64 // 0: keeps the number
	Lon, Lat       *int32
	Home           *uint32
	Language, Duty *uint8
}
