package redisstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
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
	names []byte
	aead  cipher.AEAD // random nonces of 96 bits: 2^32 blobs a key
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
	return sealer{names, aead}, err
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

// SetSnapshot makes the snapshot id, whose blobs are stored, the newest, together with the act that did it.
func (s *Store) SetSnapshot(ctx context.Context, a dispatcher.Act, id string, manifest []byte) (dispatcher.Done, error) {
	if id == "" || id == fieldNewest {
		return dispatcher.Done{}, fmt.Errorf("redisstore: snapshot id %q: use the hash of its content", id)
	}
	a.Puts = append(slices.Clip(a.Puts),
		dispatcher.Put{Table: tableSnapshots, Field: id, Value: s.seal.seal([]byte(id), manifest)},
		dispatcher.Put{Table: tableSnapshots, Field: fieldNewest, Value: []byte(id)})
	return s.do(ctx, submitScript, a)
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

// Snapshots is the ids of all snapshots, in no order, and the newest; "" before the first.
func (s *Store) Snapshots(ctx context.Context) (ids []string, newest string, err error) {
	p := s.db.Pipeline()
	all := p.HKeys(ctx, s.keys.table(tableSnapshots))
	last := p.HGet(ctx, s.keys.table(tableSnapshots), fieldNewest)
	if _, err := exec(ctx, p); err != nil {
		return nil, "", err
	}
	if last.Val() == "" {
		return nil, "", nil
	}
	id, err := unversioned("newest snapshot", last.Val())
	if err != nil {
		return nil, "", err
	}
	ids = slices.DeleteFunc(all.Val(), func(f string) bool { return f == fieldNewest })
	slices.Sort(ids)
	return ids, string(id), nil
}
