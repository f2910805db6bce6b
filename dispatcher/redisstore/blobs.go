package redisstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
)

// The table of snapshots: id → sealed manifest, and which is the newest. Ids are hashes, so none is tableNewest.
const (
	tableSnapshots = "snapshots"
	fieldNewest    = "newest"
)

// blobBatch is how many blobs (of about 28 KB) go into one command or pipeline, so that nobody waits long behind it, and
// blobPipes how many there are side by side: while one waits for Redis and its fsync, another encrypts.
const (
	blobBatch = 32
	blobPipes = 4
)

// sealer encrypts what holds data of people. Redis sees names that are a keyed hash, and ciphertext that is bound to
// its name, so that one blob cannot stand in for another.
type sealer struct {
	names   []byte
	numbers cipher.Block
	aead    cipher.AEAD // random nonces of 96 bits: 2^32 blobs a key
}

func newSealer(key []byte, realm string) (sealer, error) {
	if len(key) != 32 {
		return sealer{}, fmt.Errorf("redisstore: the data key has %d bytes; it needs 32", len(key))
	}
	names, err := hkdf.Key(sha256.New, key, nil, "tocsin blob names "+realm, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: data key: %w", err)
	}
	content, err := hkdf.Key(sha256.New, key, nil, "tocsin blob content "+realm, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: data key: %w", err)
	}
	block, err := aes.NewCipher(content)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: data key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: data key: %w", err)
	}
	hidden, err := hkdf.Key(sha256.New, key, nil, "tocsin numbers "+realm, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("redisstore: data key: %w", err)
	}
	numbers, err := aes.NewCipher(hidden)
	return sealer{names, numbers, aead}, err
}

// Pseudonym stands for a number where the number must not be: nobody without the data key can tell whose it is. It is
// one block of AES, so that an import may ask for every row.
func (s *Store) Pseudonym(number uint64) (p [16]byte) {
	binary.LittleEndian.PutUint64(p[:], number)
	s.seal.numbers.Encrypt(p[:], p[:])
	return p
}

// Hide is plain in a form that may stand anywhere: nobody without the data key can read it. Reveal is the reverse.
func (s *Store) Hide(plain []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.seal.seal([]byte("hidden"), plain))
}

// Reveal is what Hide hid.
func (s *Store) Reveal(hidden string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(hidden)
	if err != nil {
		return nil, fmt.Errorf("redisstore: what was hidden is damaged: %w", err)
	}
	return s.seal.open(nil, []byte("hidden"), sealed)
}

func (s *sealer) name(hash [32]byte) []byte {
	m := hmac.New(sha256.New, s.names)
	m.Write(hash[:])
	return m.Sum(nil)
}

func (s *sealer) seal(name, plain []byte) []byte { return s.sealTo(nil, name, plain) }

// sealTo appends plain, sealed, to b.
func (s *sealer) sealTo(b, name, plain []byte) []byte { return s.aead.Seal(b, nil, plain, name) }

// open appends what was sealed to b.
func (s *sealer) open(b, name, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(b, nil, sealed, name)
	if err != nil {
		return nil, errors.New("redisstore: a piece of the directory does not decrypt: another data key, or it is damaged")
	}
	return plain, nil
}

// PutBlobs stores n pieces of the directory by the hash of their content, some at a time. piece appends piece i to b, which
// is never nil, and says its hash; it answers nil where the piece is stored already. It is called side by side. Refused when
// Redis is at its memory limit; what went in before an error stays, and is written again by a repeat.
func (s *Store) PutBlobs(ctx context.Context, n int, piece func(b []byte, i int) (hash [32]byte, data []byte)) error {
	return inBatches(ctx, n, func(ctx context.Context, buf *batchBuffers, from, to int) error {
		pairs := buf.pairs[:0]
		for i := from; i < to; i++ {
			hash, data := piece(buf.plain[:0], i)
			if data == nil {
				continue
			}
			name, sealed := s.seal.name(hash), buf.sealed[i-from][:0]
			sealed = s.seal.sealTo(append(sealed, recordVersion), name, data)
			buf.plain, buf.sealed[i-from] = data, sealed
			pairs = append(pairs, s.keys.blob(name), sealed)
		}
		buf.pairs = pairs
		if len(pairs) == 0 {
			return nil
		}
		// One command: of many Redis reads one or two at a time, and waits for an fsync after these.
		if err := s.db.MSet(ctx, pairs...).Err(); err != nil {
			return failed("blobs", err)
		}
		return nil
	})
}

// batchBuffers is memory that one pipe uses again and again.
type batchBuffers struct {
	plain  []byte
	sealed [blobBatch][]byte
	pairs  []any
}

// inBatches calls do for all of n pieces, a batch at a time, on several pipes, until one has an error.
func inBatches(ctx context.Context, n int, do func(ctx context.Context, buf *batchBuffers, from, to int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var next atomic.Int64
	var pipes sync.WaitGroup
	for range min(blobPipes, (n+blobBatch-1)/blobBatch) {
		pipes.Go(func() {
			buf := batchBuffers{plain: []byte{}}
			for ctx.Err() == nil {
				from := int(next.Add(blobBatch)) - blobBatch
				if from >= n {
					return
				}
				if err := do(ctx, &buf, from, min(from+blobBatch, n)); err != nil {
					fail(err)
				}
			}
		})
	}
	pipes.Wait()
	return context.Cause(ctx)
}

// Blob is one piece; ErrNotFound.
func (s *Store) Blob(ctx context.Context, hash [32]byte) (data []byte, err error) {
	err = s.Blobs(ctx, [][32]byte{hash}, func(_ int, b []byte) error { data = slices.Clone(b); return nil })
	return data, err
}

// Blobs calls fn with each piece, side by side and in any order, until one call answers an error; data is only valid
// during the call. ErrNotFound when one is missing.
func (s *Store) Blobs(ctx context.Context, hashes [][32]byte, fn func(i int, data []byte) error) error {
	return inBatches(ctx, len(hashes), func(ctx context.Context, buf *batchBuffers, from, to int) error {
		p := s.db.Pipeline()
		var names [blobBatch][]byte
		for i := from; i < to; i++ {
			names[i-from] = s.seal.name(hashes[i])
			p.Get(ctx, s.keys.blob(names[i-from]))
		}
		answers, err := exec(ctx, p)
		if err != nil {
			return err
		}
		for n, c := range answers {
			stored, err := c.(*redis.StringCmd).Bytes()
			if errors.Is(err, redis.Nil) {
				return fmt.Errorf("%w: piece %x of the directory", dispatcher.ErrNotFound, hashes[from+n][:4])
			}
			if len(stored) == 0 || stored[0] != recordVersion {
				return notOfVersion("a piece of the directory")
			}
			if buf.plain, err = s.seal.open(buf.plain[:0], names[n], stored[1:]); err != nil {
				return err
			}
			if err := fn(from+n, buf.plain); err != nil {
				return err
			}
		}
		return nil
	})
}

// Manifest is what SetSnapshot stored of a snapshot; ErrNotFound.
func (s *Store) Manifest(ctx context.Context, id string) ([]byte, error) {
	stored, err := s.db.HGet(ctx, s.keys.table(tableSnapshots), id).Result()
	if errors.Is(err, redis.Nil) || id == fieldNewest {
		return nil, fmt.Errorf("%w: snapshot %s", dispatcher.ErrNotFound, id)
	}
	if err != nil {
		return nil, failed("manifest", err)
	}
	sealed, err := unversioned("manifest", stored)
	if err != nil {
		return nil, err
	}
	return s.seal.open(nil, []byte(id), sealed)
}

// Newest is the id of the newest snapshot; "" before the first.
func (s *Store) Newest(ctx context.Context) (string, error) {
	stored, err := s.db.HGet(ctx, s.keys.table(tableSnapshots), fieldNewest).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	if err != nil {
		return "", failed("newest snapshot", err)
	}
	id, err := unversioned("newest snapshot", stored)
	return string(id), err
}

// Snapshots is the ids of all snapshots, ascending.
func (s *Store) Snapshots(ctx context.Context) ([]string, error) {
	ids, err := s.db.HKeys(ctx, s.keys.table(tableSnapshots)).Result()
	if err != nil {
		return nil, failed("snapshots", err)
	}
	ids = slices.DeleteFunc(ids, func(f string) bool { return f == fieldNewest })
	slices.Sort(ids)
	return ids, nil
}
