package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tocsin/dispatcher"
)

// One writes the directory at a time: whoever holds the key of the writer, for as long as it renews it. Every script that
// makes or drops something checks it. So what nothing names can be dropped although somebody else makes a snapshot that
// will name it again: they cannot do it at once.

// Writer is a dispatcher.DirectoryWriter.
type Writer struct {
	s     *Store
	token string
}

// BeginWriting gets the right for some time; ErrFenced while somebody else has it. token is used once.
func (s *Store) BeginWriting(ctx context.Context, token string, life time.Duration) (dispatcher.DirectoryWriter, error) {
	ok, err := s.db.SetNX(ctx, s.keys.writer(), token, life).Result()
	if err != nil {
		return nil, failed("begin writing", err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: the directory is being written", dispatcher.ErrFenced)
	}
	return &Writer{s, token}, nil
}

// Renew keeps the right for some more time; ErrFenced when it was lost.
func (w *Writer) Renew(ctx context.Context, life time.Duration) error {
	return w.run(ctx, life)
}

// End gives the right back.
func (w *Writer) End(ctx context.Context) error { return w.run(ctx, 0) }

func (w *Writer) run(ctx context.Context, life time.Duration) error {
	if err := w.s.run(ctx, writerScript, []string{w.s.keys.writer()}, w.token, life.Milliseconds()).Err(); err != nil {
		return failed("writer", err)
	}
	return nil
}

// SetSnapshot makes a snapshot, whose blobs are stored, the newest, together with the acts that it carries out. ErrFenced
// when the right was lost; ErrChanged when base is not the newest any more, or an act was done before; ErrOtherUse.
func (w *Writer) SetSnapshot(ctx context.Context, n dispatcher.NewSnapshot) ([]dispatcher.Done, error) {
	s := w.s
	if n.ID == "" || n.ID == fieldNewest {
		return nil, fmt.Errorf("redisstore: snapshot id %q: use the hash of its content", n.ID)
	}
	base := []byte{}
	if n.Base != "" {
		base = versioned([]byte(n.Base))
	}
	keys := []string{s.keys.writer(), s.keys.table(tableSnapshots), s.keys.record(), s.keys.recorded(), s.keys.generation()}
	args := []any{w.token, base, n.ID, versioned([]byte(n.ID)), versioned(s.seal.seal([]byte(n.ID), n.Manifest)), len(n.Acts)}
	for _, a := range n.Acts {
		entry := ""
		if a.Entry != (dispatcher.Entry{}) {
			b, err := json.Marshal(a.Entry)
			if err != nil {
				return nil, fmt.Errorf("redisstore: act: entry: %w", err)
			}
			entry = string(b[1:])
		}
		keys = append(keys, s.keys.answer(a.User, a.Key))
		args = append(args, flag(a.Key != ""), a.Digest, a.Answer, entry)
	}
	// A snapshot that was retired and is made again is not retired any more.
	puts := append([]dispatcher.Put{{Table: dispatcher.TableRetired, Field: n.ID}}, n.Puts...)
	for _, p := range puts {
		value := []byte{}
		if p.Value != nil {
			value = versioned(p.Value)
		}
		keys, args = append(keys, s.keys.table(p.Table)), append(args, p.Field, value)
	}
	r, err := s.run(ctx, newestScript, keys, args...).Int64Slice()
	if err != nil {
		return nil, failed("snapshot", err)
	}
	out := make([]dispatcher.Done, len(n.Acts))
	for i, a := range n.Acts {
		out[i] = dispatcher.Done{Answer: a.Answer, Generation: uint64(r[0]), Number: uint64(r[i+1])}
	}
	return out, nil
}

// dropBatch is how many pieces one script removes.
const dropBatch = 256

// DropSnapshot removes a retired snapshot and the pieces named by hash, which no other snapshot may name: the pieces
// first, so that a repeat finds what a crash has left. ErrChanged when it is the newest or not retired.
func (w *Writer) DropSnapshot(ctx context.Context, id string, pieces [][32]byte) error {
	s := w.s
	for {
		keys := []string{s.keys.writer(), s.keys.table(tableSnapshots), s.keys.table(dispatcher.TableRetired)}
		n := min(dropBatch, len(pieces))
		for _, h := range pieces[:n] {
			keys = append(keys, s.keys.blob(s.seal.name(h)))
		}
		pieces = pieces[n:]
		if err := s.run(ctx, dropScript, keys, w.token, id, versioned([]byte(id)), flag(len(pieces) == 0)).Err(); err != nil {
			return failed("drop", err)
		}
		if len(pieces) == 0 {
			return nil
		}
	}
}
