package geofence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"tocsin/warning"
)

// Revision is the directory at one moment as a store keeps it: a snapshot, and what has changed since in snapshots of
// their own. It never changes; a change makes another that shares all blocks but those it touches. It is safe for
// concurrent use.
//
// Who moves, gets another number or is new stands in a younger run; the place in the older one is left empty. A run that
// is not much longer than what comes is joined with it, so that there are few runs and each person is rewritten few times.
type Revision struct {
	runs    []*run // oldest first
	edition *Edition
	limits  Limits
	id      string
	form    []byte // the manifest
	people  int
}

// run is people who were brought in together, in the order of a snapshot. Changes never change a position, so the order
// and the numbers of the snapshot hold for all who are still there.
type run struct {
	name   [sha256.Size]byte // of the run as it was made; it keeps it
	born   *Snapshot
	hashes [][sha256.Size]byte  // of the blocks as they are now
	now    map[int]*changed     // the blocks that are not as they were in born
	gone   map[int]warning.Mask // the places that are empty, by block
	people int
}

// changed is a block as it is now, with what its snapshot would know of it.
type changed struct {
	Columns
	summary
	absent absent
}

// NewRevision is a snapshot without changes.
func NewRevision(s *Snapshot) *Revision {
	return revisionOf([]*run{newRun(s)}, s.edition, s.limits)
}

func newRun(s *Snapshot) *run {
	r := &run{born: s, hashes: s.hashes, name: sha256.Sum256(s.manifest()), gone: map[int]warning.Mask{}, people: s.People()}
	for i := range s.Blocks() {
		r.empty(i, s.Block(i).Flags)
	}
	return r
}

// empty notes which places of block i are empty now.
func (r *run) empty(i int, flags []uint8) {
	before := r.gone[i]
	var m warning.Mask
	for slot, f := range flags {
		if f == warning.Gone {
			m.Set(slot)
		}
	}
	r.people += before.Count() - m.Count()
	if delete(r.gone, i); m != (warning.Mask{}) {
		r.gone[i] = m
	}
}

func revisionOf(runs []*run, e *Edition, l Limits) *Revision {
	r := &Revision{runs: runs, edition: e, limits: l}
	for _, run := range runs {
		r.people += run.people
	}
	r.form = r.manifest()
	sum := sha256.Sum256(r.form)
	r.id = hex.EncodeToString(sum[:])
	return r
}

func (r *run) blocks() int { return len(r.hashes) }

func (r *run) block(i int) Columns {
	if now, ok := r.now[i]; ok {
		return now.Columns
	}
	return Columns(r.born.Block(i))
}

// about is a block, and what is known of it.
type about struct {
	Columns
	summary   *summary
	absent    *absent
	gathering *gathering // who is still there is there where they were
	number    int        // of the block in it
}

func (r *run) about(i int) about {
	if now, ok := r.now[i]; ok {
		return about{now.Columns, &now.summary, &now.absent, &r.born.gathering, i}
	}
	return r.born.about(i)
}

// columns is everybody in views; the empty places are among them.
func (r *run) columns() iter.Seq[Columns] {
	return func(yield func(Columns) bool) {
		for i := range r.blocks() {
			if !yield(r.block(i)) {
				return
			}
		}
	}
}

// find is the row of the person who has number.
func (r *run) find(number uint64) (block, slot int, ok bool) {
	block, slot, ok = r.born.Find(number)
	return block, slot, ok && r.block(block).Number[slot] == number
}

// ID is the SHA-256 of the manifest, in hexadecimal.
func (r *Revision) ID() string { return r.id }

// Manifest is what LoadRevision needs.
func (r *Revision) Manifest() []byte { return r.form }

// People is how many recipients there are.
func (r *Revision) People() int { return r.people }

// Blocks is how many blocks there are; every block but the last of a run is full.
func (r *Revision) Blocks() (n int) {
	for _, run := range r.runs {
		n += run.blocks()
	}
	return n
}

// Block is one block, from 0; its columns are views and must not be written to. Places with the flag warning.Gone are
// empty.
func (r *Revision) Block(i int) warning.Block {
	for _, run := range r.runs {
		if i < run.blocks() {
			return warning.Block(run.block(i))
		}
		i -= run.blocks()
	}
	panic("geofence: no such block")
}

// Resolve finds who counts as being in the areas, each person once. Faulty areas are refused as by Snapshot.Resolve.
func (r *Revision) Resolve(areas []warning.Area, p warning.Presence) (warning.Selection, error) {
	shapes, err := shapesOf(areas, r.limits, r.edition)
	if err != nil {
		return warning.Selection{}, err
	}
	all := warning.Selection{Snapshot: r.id}
	present := newAttendance(p, r.edition, areas, r.limits.Atlas)
	first := 0
	for _, run := range r.runs {
		part, err := run.born.WithLimits(r.limits).choose(shapes)
		if err != nil {
			return warning.Selection{}, err
		}
		part = present.attend(run, part)
		for i, b := range part.Blocks {
			m := part.Masks[i]
			if gone, some := run.gone[int(b)]; some {
				for w := range m {
					m[w] &^= gone[w]
				}
				if m == (warning.Mask{}) {
					continue
				}
			}
			all.Blocks, all.Masks = append(all.Blocks, uint32(first)+b), append(all.Masks, m)
		}
		first += run.blocks()
	}
	return all, nil
}

// Find is the place of the recipient that has number.
func (r *Revision) Find(number uint64) (block, slot int, ok bool) {
	first := r.Blocks()
	for _, run := range slices.Backward(r.runs) {
		first -= run.blocks()
		if block, slot, ok = run.find(number); ok {
			return first + block, slot, true
		}
	}
	return 0, 0, false
}

// Residents is how many lived in the unit with this code by the census of 2020; 0 where it is not known.
func (r *Revision) Residents(code uint32) int64 {
	if u, ok := r.edition.Unit(code); ok {
		return u.Population
	}
	return 0
}

// District names the unit or town with this code, whether it still exists or not; "" where the code is unknown.
func (r *Revision) District(code uint32) string { return r.edition.district(code) }

// Edition is the edition of units that the revision resolves against.
func (r *Revision) Edition() *Edition { return r.edition }

// Stats counts the recipients. It looks at each of them.
func (r *Revision) Stats() Stats { return statsOf(r.edition, r.columns()) }

func (r *Revision) columns() iter.Seq[Columns] {
	return func(yield func(Columns) bool) {
		for _, run := range r.runs {
			for c := range run.columns() {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Withdrawn is who may not be told any more: the people of old who have an address there and want messages, and who in r
// are gone, have another number, or want none. Each stands at the place that old has for them.
func (r *Revision) Withdrawn(old *Revision) warning.Selection {
	out := warning.Selection{Snapshot: old.id}
	first := 0
	for _, was := range old.runs {
		same := r.run(was.name)
		for i := range was.blocks() {
			if same != nil && same.hashes[i] == was.hashes[i] {
				continue
			}
			var m warning.Mask
			c := was.block(i)
			for slot, number := range c.Number {
				if number == 0 || c.Flags[slot]&warning.OptedOut != 0 {
					continue
				}
				if b, at, ok := r.Find(number); !ok || r.Block(b).Flags[at]&warning.OptedOut != 0 {
					m.Set(slot)
				}
			}
			if m != (warning.Mask{}) {
				out.Blocks, out.Masks = append(out.Blocks, uint32(first+i)), append(out.Masks, m)
			}
		}
		first += was.blocks()
	}
	return out
}

// run is the run that has this name, or nil.
func (r *Revision) run(name [sha256.Size]byte) *run {
	if r == nil {
		return nil
	}
	for _, run := range r.runs {
		if run.name == name {
			return run
		}
	}
	return nil
}

// The manifest of a revision: version u8, runs u16, and for each its name, the length of its manifest u32, and its
// manifest as that of a snapshot. Version 1 is the manifest of a snapshot alone.
const revisionVersion = 2

func (r *Revision) manifest() []byte {
	b := binary.LittleEndian.AppendUint16([]byte{revisionVersion}, uint16(len(r.runs)))
	for _, run := range r.runs {
		m := manifestOf(run.born.People(), r.edition, run.hashes)
		b = append(b, run.name[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
	}
	return b
}

// part is one run of a manifest.
type part struct {
	name     [sha256.Size]byte
	manifest []byte
}

func partsOf(b []byte) (parts []part, err error) {
	if len(b) > 0 && b[0] == manifestVersion {
		return []part{{sha256.Sum256(b), b}}, nil
	}
	if len(b) < 3 || b[0] != revisionVersion {
		return nil, fmt.Errorf("not a manifest of version %d or %d", revisionVersion, manifestVersion)
	}
	n := int(binary.LittleEndian.Uint16(b[1:]))
	b = b[3:]
	for range n {
		const head = sha256.Size + 4
		if len(b) < head || uint64(len(b)-head) < uint64(binary.LittleEndian.Uint32(b[sha256.Size:])) {
			return nil, errors.New("manifest is cut off")
		}
		p := part{name: [sha256.Size]byte(b)}
		end := head + int(binary.LittleEndian.Uint32(b[sha256.Size:]))
		p.manifest, b = b[head:end], b[end:]
		parts = append(parts, p)
	}
	if len(b) > 0 {
		return nil, errors.New("manifest is longer than its runs")
	}
	return parts, nil
}

// BlobsOfRevision is the hashes of all blocks that a manifest names.
func BlobsOfRevision(manifest []byte) (all [][32]byte, err error) {
	parts, err := partsOf(manifest)
	for _, p := range parts {
		hashes, err := BlobsOf(p.manifest)
		if err != nil {
			return nil, err
		}
		all = append(all, hashes...)
	}
	return all, err
}

// Fresh is the blocks that old does not have; old may be nil.
func (r *Revision) Fresh(old *Revision) (blocks []int) {
	first := 0
	for _, run := range r.runs {
		before := old.run(run.name)
		for i, h := range run.hashes {
			if before == nil || before.hashes[i] != h {
				blocks = append(blocks, first+i)
			}
		}
		first += run.blocks()
	}
	return blocks
}

// Hashes is the SHA-256 of every block; none of nil.
func (r *Revision) Hashes() iter.Seq[[sha256.Size]byte] {
	return func(yield func([sha256.Size]byte) bool) {
		if r == nil {
			return
		}
		for _, run := range r.runs {
			for _, h := range run.hashes {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// Encode appends the stored form of block i to b, and says its SHA-256.
func (r *Revision) Encode(b []byte, i int) (hash [32]byte, data []byte) {
	for _, run := range r.runs {
		if i < run.blocks() {
			return run.hashes[i], appendBlock(b, warning.Block(run.block(i)))
		}
		i -= run.blocks()
	}
	panic("geofence: no such block")
}

// LoadRevision makes the revision of a manifest. It takes every block that have holds from there (have may be nil), and
// fetches the others. Everything is checked as by Load.
func LoadRevision(manifest []byte, have *Revision, l Limits, fetch Fetch) (*Revision, error) {
	parts, err := partsOf(manifest)
	if err != nil {
		return nil, err
	}
	r := &Revision{limits: l, form: slices.Clone(manifest), edition: EditionAt(latest)}
	for _, p := range parts {
		_, e, hashes, err := parseManifest(p.manifest)
		if err != nil {
			return nil, err
		}
		run, err := have.run(p.name).turned(hashes, fetch)
		if run == nil && err == nil {
			run, err = loadRun(p, fetch)
		}
		if err != nil {
			return nil, err
		}
		if len(r.runs) == 0 {
			r.edition = e
		}
		r.runs, r.people = append(r.runs, run), r.people+run.people
	}
	sum := sha256.Sum256(manifest)
	r.id = hex.EncodeToString(sum[:])
	return r, nil
}

func loadRun(p part, fetch Fetch) (*run, error) {
	s, err := Load(p.manifest, fetch)
	if err != nil {
		return nil, err
	}
	run := newRun(s)
	run.name = p.name
	return run, nil
}

// turned is the run with its blocks as hashes name them; nil where it is not worth the name any more, because most of it
// has changed.
func (r *run) turned(hashes [][32]byte, fetch Fetch) (*run, error) {
	if r == nil || len(hashes) != r.blocks() {
		return nil, nil
	}
	var at []int
	var missing [][32]byte
	for i, h := range hashes {
		if h != r.hashes[i] {
			at, missing = append(at, i), append(missing, h)
		}
	}
	if 2*len(at) > r.blocks() {
		return nil, nil
	}
	next := r.copied()
	var mu sync.Mutex // guards next
	err := fetch(missing, func(i int, data []byte) error {
		block := at[i]
		old := r.block(block)
		c := makeColumns(len(old.Number))
		if sha256.Sum256(data) != missing[i] {
			return fmt.Errorf("block %d of the directory is not what its hash says", block)
		}
		if err := decodeBlock(data, &c); err != nil {
			return fmt.Errorf("block %d of the directory: %w", block, err)
		}
		born := r.born.Block(block)
		for slot, f := range c.Flags {
			if f != warning.Gone && (c.Lon[slot] != born.Lon[slot] || c.Lat[slot] != born.Lat[slot]) {
				return fmt.Errorf("block %d of the directory has somebody at another place than before", block)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		next.put(block, c, missing[i])
		return nil
	})
	return next, err
}

// copied is a run that can be changed without the old one seeing it.
func (r *run) copied() *run {
	next := *r
	next.hashes, next.now, next.gone = slices.Clone(r.hashes), maps.Clone(r.now), maps.Clone(r.gone)
	if next.now == nil {
		next.now = map[int]*changed{}
	}
	return &next
}

func (r *run) put(i int, c Columns, hash [32]byte) {
	c.Identity = &warning.Identity{}
	r.now[i], r.hashes[i] = &changed{Columns: c, summary: summaryOf(c)}, hash
	r.empty(i, c.Flags)
}
