package redisstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
)

// The table of snapshots: id → sealed manifest, and which is the newest. Ids are hashes, so none is tableNewest.
const (
	tableSnapshots = "snapshots"
	fieldNewest    = "newest"
)

// blobBatch is how many blobs (of about 20 KB) go into one pipeline.
const blobBatch = 64

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

func (s *sealer) name(hash [32]byte) []byte {
	m := hmac.New(sha256.New, s.names)
	m.Write(hash[:])
	return m.Sum(nil)
}

func (s *sealer) seal(name, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, name)
}

func (s *sealer) open(name, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, name)
	if err != nil {
		return nil, errors.New("redisstore: a piece of the directory does not decrypt: another data key, or it is damaged")
	}
	return plain, nil
}

// PutBlobs stores pieces of the directory by the hash of their content, some at a time. Refused when Redis is at its
// memory limit; what went in before an error stays, and is written again by a repeat.
func (s *Store) PutBlobs(ctx context.Context, blobs iter.Seq2[[32]byte, []byte]) error {
	p := s.db.Pipeline()
	for hash, data := range blobs {
		name := s.seal.name(hash)
		p.Set(ctx, s.keys.blob(name), versioned(s.seal.seal(name, data)), 0)
		if p.Len() < blobBatch {
			continue
		}
		if _, err := exec(ctx, p); err != nil {
			return err
		}
		p = s.db.Pipeline()
	}
	if p.Len() == 0 {
		return nil
	}
	_, err := exec(ctx, p)
	return err
}

// Blob is one piece; ErrNotFound.
func (s *Store) Blob(ctx context.Context, hash [32]byte) (data []byte, err error) {
	err = s.Blobs(ctx, [][32]byte{hash}, func(_ int, b []byte) error { data = b; return nil })
	return data, err
}

// Blobs calls fn with each piece in the order of hashes, until it answers an error. ErrNotFound when one is missing.
func (s *Store) Blobs(ctx context.Context, hashes [][32]byte, fn func(i int, data []byte) error) error {
	return s.pipeline(ctx, len(hashes), blobBatch, func(p redis.Pipeliner, i int) {
		p.Get(ctx, s.keys.blob(s.seal.name(hashes[i])))
	}, func(i int, c redis.Cmder) error {
		stored, err := c.(*redis.StringCmd).Result()
		if errors.Is(err, redis.Nil) {
			return fmt.Errorf("%w: piece %x of the directory", dispatcher.ErrNotFound, hashes[i][:4])
		}
		sealed, err := unversioned("a piece of the directory", stored)
		if err != nil {
			return err
		}
		data, err := s.seal.open(s.seal.name(hashes[i]), sealed)
		if err != nil {
			return err
		}
		return fn(i, data)
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
	return s.seal.open([]byte(id), sealed)
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
