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
	"iter"
	"slices"
	"sync"

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

func (s *sealer) seal(name, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, name)
}

// open appends what was sealed to b.
func (s *sealer) open(b, name, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(b, nil, sealed, name)
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
	err = s.Blobs(ctx, [][32]byte{hash}, func(_ int, b []byte) error { data = slices.Clone(b); return nil })
	return data, err
}

// Blobs calls fn with each piece in the order of hashes, until it answers an error; data is only valid during the call.
// ErrNotFound when one is missing. While fn works, the next pieces are read.
func (s *Store) Blobs(ctx context.Context, hashes [][32]byte, fn func(i int, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	names := make([][]byte, len(hashes))
	batches := make(chan sealedBlobs, 2)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	reader.Go(func() {
		defer close(batches)
		for first := 0; first < len(hashes); first += blobBatch {
			p := s.db.Pipeline()
			for i := first; i < min(first+blobBatch, len(hashes)); i++ {
				names[i] = s.seal.name(hashes[i])
				p.Get(ctx, s.keys.blob(names[i]))
			}
			answers, err := exec(ctx, p)
			select {
			case batches <- sealedBlobs{first, answers, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	var buf []byte
	for batch := range batches {
		if batch.err != nil {
			return batch.err
		}
		for n, c := range batch.answers {
			i := batch.first + n
			stored, err := c.(*redis.StringCmd).Bytes()
			if errors.Is(err, redis.Nil) {
				return fmt.Errorf("%w: piece %x of the directory", dispatcher.ErrNotFound, hashes[i][:4])
			}
			if len(stored) == 0 || stored[0] != recordVersion {
				return notOfVersion("a piece of the directory")
			}
			if buf, err = s.seal.open(buf[:0], names[i], stored[1:]); err != nil {
				return err
			}
			if err := fn(i, buf); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// sealedBlobs is pieces as they are stored, from number first on.
type sealedBlobs struct {
	first   int
	answers []redis.Cmder
	err     error
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
