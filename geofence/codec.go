package geofence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"tocsin/warning"
)

// The stored forms begin with a version; a reader takes this one and the one before (there is none yet).
const (
	blockVersion    = 1
	manifestVersion = 1
	rowSize         = 8 + 4 + 4 + 4 + 4 + 1 + 1 + 1
	blockHead       = 1 + 2
)

// Block: version u8, rows u16, then the columns of a warning.Block in their order. Manifest: version u8, rows u64,
// length of the edition's ID u8, the ID, then the SHA-256 of each block. All numbers little-endian.

// Encode gives every block with its SHA-256 to yield, in order, and answers the manifest that Load needs. data is only
// valid during the call. An error of yield ends it.
func (s *Snapshot) Encode(yield func(hash [32]byte, data []byte) error) (manifest []byte, err error) {
	var buf []byte
	for i, h := range s.hashes {
		buf = appendBlock(buf[:0], s.Block(i))
		if err := yield(h, buf); err != nil {
			return nil, err
		}
	}
	return s.manifest(), nil
}

func (s *Snapshot) manifest() []byte { return manifestOf(s.People(), s.edition, s.hashes) }

func manifestOf(rows int, e *Edition, hashes [][sha256.Size]byte) []byte {
	b := make([]byte, 0, 10+len(e.ID)+sha256.Size*len(hashes))
	b = append(b, manifestVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(rows))
	b = append(b, uint8(len(e.ID)))
	b = append(b, e.ID...)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// Fetch reads blocks by hash and calls take with each, once: in any order, and side by side where it can. data is only
// valid during the call. An error of take ends it.
type Fetch func(hashes [][32]byte, take func(i int, data []byte) error) error

// Load makes the snapshot of a manifest from its blocks. Everything is checked: hashes, values, order; what does not fit
// is an error and no snapshot.
func Load(manifest []byte, fetch Fetch) (*Snapshot, error) {
	people, edition, hashes, err := parseManifest(manifest)
	if err != nil {
		return nil, err
	}
	s := newSnapshot(makeColumns(people), edition)
	s.hashes = hashes
	var taken atomic.Int64
	err = fetch(hashes, func(i int, data []byte) error {
		taken.Add(1)
		if err := s.take(i, data); err != nil {
			return fmt.Errorf("block %d of the directory: %w", i, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n := int(taken.Load()); n != len(hashes) {
		return nil, fmt.Errorf("the store gave %d blocks where %d were asked", n, len(hashes))
	}
	s.place()
	c := &s.columns
	for i := warning.BlockSize; i < people; i += warning.BlockSize {
		if morton(c.Lon[i-1], c.Lat[i-1]) > morton(c.Lon[i], c.Lat[i]) {
			return nil, fmt.Errorf("rows %d and %d of the directory are out of order", i-1, i)
		}
	}
	numbers, again := indexNumbers(c.Number)
	if len(again) > 0 {
		return nil, fmt.Errorf("row %d of the directory has the number of an earlier row", again[0])
	}
	s.numbers = numbers
	sum := sha256.Sum256(manifest)
	s.id = hex.EncodeToString(sum[:])
	return s, nil
}

// take reads block i and checks it for itself.
func (s *Snapshot) take(i int, data []byte) error {
	if sha256.Sum256(data) != s.hashes[i] {
		return errors.New("it is not what its hash says")
	}
	c := Columns(s.Block(i))
	if err := decodeBlock(data, &c); err != nil {
		return err
	}
	before := uint64(0)
	for k, lon := range c.Lon {
		key := morton(lon, c.Lat[k])
		if key < before {
			return fmt.Errorf("row %d is out of order", k)
		}
		before = key
	}
	return nil
}

// BlobsOf is the hashes that Load will fetch, in order, so that a store can read many at once.
func BlobsOf(manifest []byte) ([][32]byte, error) {
	_, _, hashes, err := parseManifest(manifest)
	return hashes, err
}

func parseManifest(b []byte) (people int, e *Edition, hashes [][sha256.Size]byte, err error) {
	const head = 1 + 8 + 1
	if len(b) < head || b[0] != manifestVersion {
		return 0, nil, nil, fmt.Errorf("not a manifest of version %d", manifestVersion)
	}
	n, id := binary.LittleEndian.Uint64(b[1:]), b[head:]
	if len(id) < int(b[9]) {
		return 0, nil, nil, fmt.Errorf("manifest is cut off")
	}
	id, rest := id[:b[9]], id[b[9]:]
	for _, known := range editions() {
		if known.ID == string(id) {
			e = known
		}
	}
	if e == nil {
		return 0, nil, nil, fmt.Errorf("manifest names edition %.40q of units, which is not known", id)
	}
	blocks := len(rest) / sha256.Size
	if len(rest)%sha256.Size != 0 || n > uint64(blocks)*warning.BlockSize || (n+warning.BlockSize-1)/warning.BlockSize != uint64(blocks) {
		return 0, nil, nil, fmt.Errorf("manifest of %d people has %d bytes of hashes", n, len(rest))
	}
	hashes = make([][sha256.Size]byte, blocks)
	for i := range hashes {
		copy(hashes[i][:], rest[i*sha256.Size:])
	}
	return int(n), e, hashes, nil
}

// appendBlock appends the stored form of a block.
func appendBlock(b []byte, c warning.Block) []byte {
	b = append(b, blockVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(c.Len()))
	for _, v := range c.Number {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, v := range c.Lon {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, v := range c.Lat {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, v := range c.Home {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, v := range c.Seen {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, c.Language...)
	b = append(b, c.Duty...)
	return append(b, c.Flags...)
}

// DecodeBlock reads the stored form of one block.
func DecodeBlock(b []byte) (warning.Block, error) {
	if len(b) < blockHead {
		return warning.Block{}, fmt.Errorf("a block of %d bytes is cut off", len(b))
	}
	n := int(binary.LittleEndian.Uint16(b[1:]))
	if n > warning.BlockSize {
		return warning.Block{}, fmt.Errorf("a block of %d rows", n)
	}
	c := makeColumns(n)
	if err := decodeBlock(b, &c); err != nil {
		return warning.Block{}, err
	}
	return warning.Block(c), nil
}

// decodeBlock reads a block into columns of the length that it must have.
func decodeBlock(b []byte, c *Columns) error {
	n := len(c.Number)
	switch {
	case len(b) < blockHead || b[0] != blockVersion:
		return fmt.Errorf("not a block of version %d", blockVersion)
	case int(binary.LittleEndian.Uint16(b[1:])) != n || len(b) != blockHead+n*rowSize:
		return fmt.Errorf("%d bytes for %d rows where %d rows belong", len(b), binary.LittleEndian.Uint16(b[1:]), n)
	}
	b = b[blockHead:]
	for i := range c.Number {
		c.Number[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	b = b[8*n:]
	for i := range c.Lon {
		c.Lon[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		c.Lat[i] = int32(binary.LittleEndian.Uint32(b[4*(n+i):]))
		c.Home[i] = binary.LittleEndian.Uint32(b[4*(2*n+i):])
		c.Seen[i] = binary.LittleEndian.Uint32(b[4*(3*n+i):])
	}
	b = b[16*n:]
	copy(c.Language, b[:n])
	copy(c.Duty, b[n:])
	copy(c.Flags, b[2*n:])
	for i := range n {
		if c.Flags[i] == warning.Gone && c.Number[i] == 0 {
			continue
		}
		if bad, is := c.badRow(i); is {
			return fmt.Errorf("%s", bad)
		}
	}
	return nil
}
