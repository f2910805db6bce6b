package geofence

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"maps"
	"slices"

	"tocsin/warning"
)

// Snapshot is the directory at one moment: recipients sorted so that neighbours in the order are neighbours on the
// ground, in blocks of warning.BlockSize. It is safe for concurrent use and costs 32.9 bytes a person.
type Snapshot struct {
	columns   Columns
	numbers   numberIndex
	edition   *Edition
	limits    Limits
	gathering gathering

	summaries  []summary          // by block
	absent     []absent           // by block
	identities []warning.Identity // by block
	id         string
	hashes     [][sha256.Size]byte // by block
}

// WithLimits is the same snapshot with other limits for areas. The columns are shared.
func (s *Snapshot) WithLimits(l Limits) *Snapshot {
	t := *s
	t.limits = l
	return &t
}

// ID is the SHA-256 of the content, in hexadecimal.
func (s *Snapshot) ID() string { return s.id }

// People is how many recipients there are.
func (s *Snapshot) People() int { return len(s.columns.Number) }

// Edition is the edition of units that the snapshot resolves against.
func (s *Snapshot) Edition() *Edition { return s.edition }

// Blocks is how many blocks there are. All but the last are full.
func (s *Snapshot) Blocks() int {
	return (s.People() + warning.BlockSize - 1) / warning.BlockSize
}

// Block is one block, from 0; its columns are views and must not be written to.
func (s *Snapshot) Block(i int) warning.Block {
	from := i * warning.BlockSize
	c := s.columns.Slice(from, min(from+warning.BlockSize, s.People()))
	c.Identity = &s.identities[i]
	return warning.Block(c)
}

// Columns is every recipient in the order of the snapshot, block by block, for WriteCSV or a stream.
func (s *Snapshot) Columns() iter.Seq[Columns] {
	return func(yield func(Columns) bool) {
		for i := range s.Blocks() {
			if !yield(Columns(s.Block(i))) {
				return
			}
		}
	}
}

// Find is the place of the recipient that has number.
func (s *Snapshot) Find(number uint64) (block, slot int, ok bool) {
	row, ok := s.numbers.find(s.columns.Number, number)
	return row / warning.BlockSize, row % warning.BlockSize, ok
}

// District names the unit or town with this code, whether it still exists or not; "" where the code is unknown.
func (s *Snapshot) District(code uint32) string { return s.edition.district(code) }

func (e *Edition) district(code uint32) string {
	if u, ok := e.Unit(code); ok {
		return u.Name
	}
	return townName(code)
}

// Count is people by what they are.
type Count struct {
	People      int64
	Addressable int64 // have an address and have not opted out
	OptedOut    int64 // have an address but want no messages
	NoAddress   int64
	Responsible int64 // also counted above
}

// UnitCount is the people whose home is in a unit; code 0 is those outside every unit.
type UnitCount struct {
	Code uint32
	Name string
	Count
}

// Stats is what the snapshot holds.
type Stats struct {
	Count
	Edition string
	Units   []UnitCount // ascending by code, only those that have people
}

// Stats counts the recipients. It looks at each of them.
func (s *Snapshot) Stats() Stats { return statsOf(s.edition, s.Columns()) }

func statsOf(e *Edition, people iter.Seq[Columns]) Stats {
	units := map[uint32]*Count{}
	st := Stats{Edition: e.ID}
	for c := range people {
		for i, number := range c.Number {
			if c.Flags[i] == warning.Gone {
				continue
			}
			code := warning.DistrictOf(c.Home[i])
			u := units[code]
			if u == nil {
				u = &Count{}
				units[code] = u
			}
			u.People++
			switch {
			case number == 0:
				u.NoAddress++
			case c.Flags[i]&warning.OptedOut != 0:
				u.OptedOut++
			default:
				u.Addressable++
			}
			if c.Duty[i] == uint8(warning.Responsible) {
				u.Responsible++
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(units)) {
		u := units[code]
		st.Units = append(st.Units, UnitCount{Code: code, Name: e.district(code), Count: *u})
		st.People += u.People
		st.Addressable += u.Addressable
		st.OptedOut += u.OptedOut
		st.NoAddress += u.NoAddress
		st.Responsible += u.Responsible
	}
	return st
}

// newSnapshot is one that is not placed yet.
func newSnapshot(c Columns, e *Edition) *Snapshot {
	s := &Snapshot{columns: c, edition: e, limits: DefaultLimits()}
	s.identities = make([]warning.Identity, s.Blocks())
	return s
}

// place notes where the rows are, and whose home is elsewhere.
func (s *Snapshot) place() {
	s.summaries, s.absent = make([]summary, s.Blocks()), make([]absent, s.Blocks())
	s.gathering = newGathering(s.columns.Lon, s.columns.Lat)
	together(s.Blocks(), func(i int) {
		s.summaries[i] = summaryOf(Columns(s.Block(i)))
		s.gathering.see(i)
	})
	s.gathering.rise()
	togetherWith(s.Blocks(), func(i int, f *finder) { s.about(i).learn(s.edition, f) })
}

func (s *Snapshot) about(i int) about {
	return about{Columns(s.Block(i)), &s.summaries[i], &s.absent[i], &s.gathering, i}
}

// seal stores the blocks, and computes their hashes and the ID.
func (s *Snapshot) seal(store Store) error {
	s.hashes = make([][sha256.Size]byte, s.Blocks())
	err := store(s.Blocks(), func(b []byte, i int) (hash [32]byte, data []byte) {
		data = appendBlock(b, s.Block(i))
		s.hashes[i] = sha256.Sum256(data[len(b):])
		return s.hashes[i], data
	})
	sum := sha256.Sum256(s.manifest())
	s.id = hex.EncodeToString(sum[:])
	return err
}
