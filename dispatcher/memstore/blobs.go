package memstore

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tocsin/dispatcher"
)

// PutBlobs stores pieces of the directory by the hash of their content.
func (s *Store) PutBlobs(_ context.Context, blobs iter.Seq2[[32]byte, []byte]) error {
	for hash, data := range blobs {
		s.mu.Lock()
		s.blobs[hash] = append([]byte{}, data...)
		s.mu.Unlock()
	}
	return nil
}

// Blob is one piece; ErrNotFound.
func (s *Store) Blob(_ context.Context, hash [32]byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.blobs[hash]
	if !ok {
		return nil, fmt.Errorf("%w: piece %x of the directory", dispatcher.ErrNotFound, hash[:4])
	}
	return append([]byte{}, data...), nil
}

// Blobs calls fn with each piece in the order of hashes, until it answers an error. ErrNotFound when one is missing.
func (s *Store) Blobs(ctx context.Context, hashes [][32]byte, fn func(i int, data []byte) error) error {
	for i, hash := range hashes {
		data, err := s.Blob(ctx, hash)
		if err != nil {
			return err
		}
		if err := fn(i, data); err != nil {
			return err
		}
	}
	return nil
}

// SetSnapshot makes the snapshot id the newest, together with the act that did it.
func (s *Store) SetSnapshot(_ context.Context, a dispatcher.Act, id string, manifest []byte) (dispatcher.Done, error) {
	if id == "" || id == "newest" {
		return dispatcher.Done{}, fmt.Errorf("memstore: snapshot id %q: use the hash of its content", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	done, err := s.do(a)
	if err == nil && !done.Repeated {
		s.manifests[id], s.newest = append([]byte{}, manifest...), id
	}
	return done, err
}

// Manifest is what SetSnapshot stored of a snapshot; ErrNotFound.
func (s *Store) Manifest(_ context.Context, id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.manifests[id]
	if !ok {
		return nil, fmt.Errorf("%w: snapshot %s", dispatcher.ErrNotFound, id)
	}
	return append([]byte{}, m...), nil
}

// Snapshots is the ids of all snapshots, in no order, and the newest; "" before the first.
func (s *Store) Snapshots(context.Context) (ids []string, newest string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.manifests)), s.newest, nil
}
