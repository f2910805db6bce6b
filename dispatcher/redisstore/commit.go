package redisstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Commit appends to the journal, asks for grants and closes strands. What the tails say of Granted and Closed is not
// read: only a grant and a close change them.
func (s *Store) Commit(ctx context.Context, f dispatcher.Fence, seq uint64, c dispatcher.Commit) (dispatcher.Committed, error) {
	le := binary.LittleEndian
	var grants, closes, tails []byte
	for _, g := range c.Grants {
		for _, n := range []uint32{uint32(g.Strand), g.From, g.To, uint32(len(g.Again))} {
			grants = le.AppendUint32(grants, n)
		}
		grants = append(grants, g.Again...)
	}
	for _, x := range c.Close {
		if x.As == warning.Waiting {
			return dispatcher.Committed{}, fmt.Errorf("redisstore: commit: strand %d is closed as waiting, which is open", x.Strand)
		}
		closes = append(le.AppendUint32(closes, uint32(x.Strand)), byte(x.As))
	}
	for _, t := range c.Tails {
		b, err := json.Marshal(tail{recordVersion, t})
		if err != nil {
			return dispatcher.Committed{}, fmt.Errorf("redisstore: commit: counts of strand %d: %w", t.Strand, err)
		}
		tails = le.AppendUint32(le.AppendUint32(tails, uint32(t.Strand)), uint32(len(b)))
		tails = append(tails, b...)
	}
	var stats []byte
	if len(c.Stats) > 0 {
		stats = versioned(c.Stats)
	}
	answer, err := s.run(ctx, commitScript,
		[]string{s.keys.account(f.Account), s.keys.journal(f.Account), s.keys.table(dispatcher.TableControls), s.keys.generation()},
		s.keys.prefix, f.Account, f.Owner, f.Epoch, seq, c.Now.UnixMilli(), c.Obeyed, grants, closes, tails,
		versioned(c.Journal), stats).Text()
	if err != nil {
		return dispatcher.Committed{}, failed("commit", err)
	}
	return decodeCommitted(answer)
}

func decodeCommitted(answer string) (c dispatcher.Committed, err error) {
	r := reader{b: []byte(answer)}
	head := r.take(20)
	if !r.ok() {
		return c, errors.New("redisstore: the answer to a commit is cut")
	}
	c.Generation, c.Entry = binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint64(head[8:])
	for _, no := range r.take(int(binary.LittleEndian.Uint32(head[16:]))) {
		c.Refused = append(c.Refused, warning.State(no))
	}
	if !r.ok() {
		return c, errors.New("redisstore: the answer to a commit is cut")
	}
	c.Control, err = decodeControl(string(r.b))
	return c, err
}

// foldBytes is how much one script of a fold stores: nobody else is served while it runs and is put on disk.
const foldBytes = 256 << 10

// Fold stores ledger chunks and drops the journal entries that they hold. Of a fold that is larger than one script the
// last part drops them: chunks are states, not changes, so that the journal replayed over some of them gives the same.
func (s *Store) Fold(ctx context.Context, f dispatcher.Fence, chunks []dispatcher.Chunk, entry uint64) error {
	for {
		n, size := 0, 0
		args := []any{s.keys.prefix, f.Account, f.Owner, f.Epoch, entry, "0"}
		for n < len(chunks) && (n == 0 || size+len(chunks[n].Data) <= foldBytes) {
			c := &chunks[n]
			args = append(args, uint32(c.Strand), c.Index, versioned(c.Data))
			size += len(c.Data)
			n++
		}
		chunks = chunks[n:]
		args[5] = flag(len(chunks) == 0)
		if err := s.run(ctx, foldScript, []string{s.keys.account(f.Account), s.keys.journal(f.Account)}, args...).Err(); err != nil {
			return failed("fold", err)
		}
		if len(chunks) == 0 {
			return nil
		}
	}
}
