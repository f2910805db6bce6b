package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tocsin/dispatcher"
)

// PutBlobs stores n pieces of the directory by the hash of their content; nil is one that is stored already.
func (s *Store) PutBlobs(_ context.Context, n int, piece func(b []byte, i int) (hash [32]byte, data []byte)) error {
	for i := range n {
		hash, data := piece([]byte{}, i)
		if data == nil {
			continue
		}
		s.mu.Lock()
		s.blobs[hash] = data
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

// Blobs calls fn with each piece until it answers an error. ErrNotFound when one is missing.
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

// Newest is the id of the newest snapshot; "" before the first.
func (s *Store) Newest(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, nil
}

// Snapshots is the ids of all snapshots, ascending.
func (s *Store) Snapshots(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.manifests)), nil
}

// writer is a dispatcher.DirectoryWriter; the store in memory knows no time, so the right lasts until it is given back.
type writer struct {
	s     *Store
	token string
}

// BeginWriting gets the right to write the directory; ErrFenced while somebody else has it.
func (s *Store) BeginWriting(_ context.Context, token string, _ time.Duration) (dispatcher.DirectoryWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != "" {
		return nil, fmt.Errorf("%w: the directory is being written", dispatcher.ErrFenced)
	}
	s.writer = token
	return &writer{s, token}, nil
}

// fenced tells whether somebody else may write. mu is held.
func (w *writer) fenced() error {
	if w.s.writer != w.token {
		return fmt.Errorf("%w: somebody else may write the directory", dispatcher.ErrFenced)
	}
	return nil
}

func (w *writer) Renew(context.Context, time.Duration) error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.fenced()
}

func (w *writer) End(context.Context) error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if err := w.fenced(); err != nil {
		return err
	}
	w.s.writer = ""
	return nil
}

func (w *writer) SetSnapshot(_ context.Context, n dispatcher.NewSnapshot) ([]dispatcher.Done, error) {
	s := w.s
	if n.ID == "" || n.ID == "newest" {
		return nil, fmt.Errorf("memstore: snapshot id %q: use the hash of its content", n.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := w.fenced(); err != nil {
		return nil, err
	}
	if s.newest != n.Base {
		return nil, fmt.Errorf("%w: the directory has another newest snapshot", dispatcher.ErrChanged)
	}
	for _, a := range n.Acts {
		if old, ok := s.answers[[2]string{a.User, a.Key}]; ok && a.Key != "" {
			if old.digest != a.Digest {
				return nil, fmt.Errorf("%w: the key was used with other content", dispatcher.ErrOtherUse)
			}
			return nil, fmt.Errorf("%w: an act was done before", dispatcher.ErrChanged)
		}
	}
	out := make([]dispatcher.Done, 0, len(n.Acts))
	for _, a := range n.Acts {
		done, err := s.do(a)
		if err != nil {
			return nil, err
		}
		out = append(out, done)
	}
	puts := append([]dispatcher.Put{{Table: dispatcher.TableRetired, Field: n.ID}}, n.Puts...)
	if _, err := s.do(dispatcher.Act{Puts: puts}); err != nil {
		return nil, err
	}
	s.manifests[n.ID], s.newest = append([]byte{}, n.Manifest...), n.ID
	return out, nil
}

func (w *writer) DropSnapshot(_ context.Context, id string, pieces [][32]byte) error {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := w.fenced(); err != nil {
		return err
	}
	if _, retired := s.tables[dispatcher.TableRetired][id]; !retired || s.newest == id {
		return fmt.Errorf("%w: snapshot %s is in use", dispatcher.ErrChanged, id)
	}
	for _, h := range pieces {
		delete(s.blobs, h)
	}
	delete(s.manifests, id)
	return nil
}
