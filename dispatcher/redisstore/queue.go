package redisstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// maxEpoch is the largest number that a script counts exactly.
const maxEpoch = 1<<53 - 1

// Acquire makes owner the owner of the account. Beats count from 1 and never start anew, so that an idle of 0 takes
// over only where there is no owner.
func (s *Store) Acquire(ctx context.Context, account, owner string, floor, idle uint64, own bool) (dispatcher.Fence, error) {
	if owner == "" || floor >= maxEpoch {
		return dispatcher.Fence{}, fmt.Errorf("redisstore: acquire: owner %q with floor %d: name the owner, keep the floor below 2^53", owner, floor)
	}
	epoch, err := s.run(ctx, acquireScript, []string{s.keys.account(account)}, account, owner, floor, idle, flag(own)).Uint64()
	if err != nil {
		return dispatcher.Fence{}, failed("acquire", err)
	}
	return dispatcher.Fence{Account: account, Owner: owner, Epoch: epoch}, nil
}

// Heartbeat is the beat of the present owner, its name, and whether there is one.
func (s *Store) Heartbeat(ctx context.Context, account string) (uint64, string, bool, error) {
	owned, err := s.Obeyed(ctx, []string{account})
	o, ok := owned[account]
	return o.Beat, o.Owner, ok, err
}

// Beat moves the heartbeat.
func (s *Store) Beat(ctx context.Context, f dispatcher.Fence) (dispatcher.Signal, error) {
	r, err := s.run(ctx, beatScript,
		[]string{s.keys.account(f.Account), s.keys.table(dispatcher.TableControls), s.keys.generation()},
		f.Account, f.Owner, f.Epoch).Slice()
	if err != nil {
		return dispatcher.Signal{}, failed("beat", err)
	}
	control, err := decodeControl(r[1].(string))
	return dispatcher.Signal{Generation: uint64(r[0].(int64)), Control: control}, err
}

func decodeControl(stored string) (c dispatcher.Control, err error) {
	if stored == "" {
		return c, nil
	}
	b, err := unversioned("control", stored)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("redisstore: the control of an account is damaged: %w", err)
	}
	return c, nil
}

// Release ends the ownership. Asked again by the same owner it changes nothing.
func (s *Store) Release(ctx context.Context, f dispatcher.Fence) error {
	if err := s.run(ctx, releaseScript, []string{s.keys.account(f.Account)}, f.Account, f.Owner, f.Epoch).Err(); err != nil {
		return failed("release", err)
	}
	return nil
}

// Commit appends to the journal, asks for grants and closes strands. What the tails say of Granted and Closed is not
// read: only a grant and a close change them.
func (s *Store) Commit(ctx context.Context, f dispatcher.Fence, seq uint64, c dispatcher.Commit) (dispatcher.Committed, error) {
	le := binary.LittleEndian
	var grants, closes, tails, one []byte
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
	for i := range c.Tails {
		one = appendTail(one[:0], &c.Tails[i])
		tails = le.AppendUint32(le.AppendUint32(tails, uint32(c.Tails[i].Strand)), uint32(len(one)))
		tails = append(tails, one...)
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

// foldBytes is how much one script of a fold stores.
const foldBytes = 1 << 20

// Fold stores ledger chunks and drops the journal entries that they hold. Of a fold that is larger than one script the
// last part drops them: chunks are states, not changes, so that the journal replayed over some of them gives the same.
func (s *Store) Fold(ctx context.Context, f dispatcher.Fence, chunks []dispatcher.Chunk, entry uint64) error {
	for {
		n, size := 0, 0
		keys := []string{s.keys.account(f.Account), s.keys.journal(f.Account)}
		args := []any{f.Account, f.Owner, f.Epoch, entry, "0"}
		for n < len(chunks) && (n == 0 || size+len(chunks[n].Data) <= foldBytes) {
			c := &chunks[n]
			keys = append(keys, s.keys.ledger(c.Strand))
			args = append(args, c.Index, versioned(c.Data))
			size += len(c.Data)
			n++
		}
		chunks = chunks[n:]
		args[4] = flag(len(chunks) == 0)
		if err := s.run(ctx, foldScript, keys, args...).Err(); err != nil {
			return failed("fold", err)
		}
		if len(chunks) == 0 {
			return nil
		}
	}
}

// The sizes of the pieces in which an owner reads: about a megabyte an answer.
const (
	loadEntries = 64
	loadChunks  = 64
	loadBatches = 16
)

// Load reads the account's strands after the id. The generation is read first and the journal before the ledger: what
// changes meanwhile raises the generation, and a journal replayed over newer chunks gives the same.
func (s *Store) Load(ctx context.Context, account string, after dispatcher.StrandID, ledger bool) (dispatcher.Image, error) {
	var im dispatcher.Image
	p := s.db.Pipeline()
	generation := p.Get(ctx, s.keys.generation())
	control := p.HGet(ctx, s.keys.table(dispatcher.TableControls), account)
	entry := p.HGet(ctx, s.keys.account(account), "entry")
	stats := p.HGet(ctx, s.keys.account(account), "stats")
	carries := p.ZRangeByScore(ctx, s.keys.carries(account), &redis.ZRangeBy{Min: "(" + utoa(uint64(after)), Max: "+inf"})
	length := p.LLen(ctx, s.keys.journal(account))
	if _, err := exec(ctx, p); err != nil {
		return im, err
	}
	im.Generation, _ = strconv.ParseUint(generation.Val(), 10, 64) // absent is 0
	im.Entry, _ = strconv.ParseUint(entry.Val(), 10, 64)
	var err error
	if im.Control, err = decodeControl(control.Val()); err != nil {
		return im, err
	}
	if stats.Val() != "" {
		if im.Stats, err = unversioned("figures of account "+account, stats.Val()); err != nil {
			return im, err
		}
	}
	ids := make([]dispatcher.StrandID, len(carries.Val()))
	for i, member := range carries.Val() {
		n, err := strconv.ParseUint(member, 10, 32)
		if err != nil {
			return im, fmt.Errorf("redisstore: the strands of account %s are damaged: %w", account, err)
		}
		ids[i] = dispatcher.StrandID(n)
	}
	if ledger {
		if im.Journal, err = s.journal(ctx, account, length.Val()); err != nil {
			return im, err
		}
	}
	var at []stored
	if im.Strands, im.Tails, at, err = s.strandsOf(ctx, ids); err != nil {
		return im, err
	}
	if err := s.loadBatches(ctx, im.Strands, at); err != nil || !ledger {
		return im, err
	}
	im.Chunks, err = s.chunks(ctx, im.Strands)
	return im, err
}

func (s *Store) journal(ctx context.Context, account string, length int64) (out [][]byte, err error) {
	err = s.pipeline(ctx, int(length+loadEntries-1)/loadEntries, 1, func(p redis.Pipeliner, i int) {
		p.LRange(ctx, s.keys.journal(account), int64(i)*loadEntries, int64(i+1)*loadEntries-1)
	}, func(_ int, c redis.Cmder) error {
		for _, e := range c.(*redis.StringSliceCmd).Val() {
			b, err := unversioned("journal of account "+account, e)
			if err != nil {
				return err
			}
			out = append(out, b)
		}
		return nil
	})
	return out, err
}

func (s *Store) loadBatches(ctx context.Context, strands []dispatcher.Strand, at []stored) error {
	type place struct{ strand, chunk int }
	var places []place
	for i := range at {
		for j := range at[i].Chunks {
			places = append(places, place{i, j})
		}
	}
	return s.pipeline(ctx, len(places), loadBatches, func(p redis.Pipeliner, i int) {
		p.Get(ctx, s.keys.batches(at[places[i].strand].Batches, places[i].chunk))
	}, func(i int, c redis.Cmder) error {
		st := &strands[places[i].strand]
		all, err := decodeBatches(st.Batches, []byte(c.(*redis.StringCmd).Val()))
		if err != nil {
			return fmt.Errorf("%w: strand %d", err, st.ID)
		}
		st.Batches = all
		return nil
	})
}

func (s *Store) chunks(ctx context.Context, strands []dispatcher.Strand) (out []dispatcher.Chunk, err error) {
	type place struct {
		strand dispatcher.StrandID
		first  int
		fields []string
	}
	var places []place
	for i := range strands {
		n := (int(strands[i].People) + dispatcher.ChunkSize - 1) / dispatcher.ChunkSize
		for first := 0; first < n; first += loadChunks {
			p := place{strands[i].ID, first, nil}
			for j := first; j < min(first+loadChunks, n); j++ {
				p.fields = append(p.fields, strconv.Itoa(j))
			}
			places = append(places, p)
		}
	}
	err = s.pipeline(ctx, len(places), 4, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.ledger(places[i].strand), places[i].fields...)
	}, func(i int, c redis.Cmder) error {
		for j, v := range c.(*redis.SliceCmd).Val() {
			if v == nil {
				continue
			}
			data, err := unversioned("ledger", v.(string))
			if err != nil {
				return err
			}
			out = append(out, dispatcher.Chunk{Strand: places[i].strand, Index: uint32(places[i].first + j), Data: data})
		}
		return nil
	})
	return out, err
}

// States is, for each strand asked, the state of its warning and its end of validity (whole milliseconds).
func (s *Store) States(ctx context.Context, strands []dispatcher.StrandID) ([]dispatcher.StrandState, error) {
	of := make([]string, len(strands)) // warning by strand
	var ids []string
	seen := map[string]dispatcher.StrandState{}
	err := s.pipeline(ctx, len(strands), 1024, func(p redis.Pipeliner, i int) {
		p.HGet(ctx, s.keys.strand(strands[i]), "warning")
	}, func(i int, c redis.Cmder) error {
		of[i] = c.(*redis.StringCmd).Val()
		if of[i] == "" {
			return fmt.Errorf("%w: strand %d", dispatcher.ErrNotFound, strands[i])
		}
		if _, ok := seen[of[i]]; !ok {
			seen[of[i]] = dispatcher.StrandState{}
			ids = append(ids, of[i])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.pipeline(ctx, len(ids), 1024, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.warning(ids[i]), "state", "expires")
	}, func(i int, c redis.Cmder) error {
		var h struct {
			State   uint8 `redis:"state"`
			Expires int64 `redis:"expires"`
		}
		if err := c.(*redis.SliceCmd).Scan(&h); err != nil {
			return failed("states", err)
		}
		seen[ids[i]] = dispatcher.StrandState{State: warning.State(h.State), Expires: time.UnixMilli(h.Expires).UTC()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]dispatcher.StrandState, len(strands))
	for i, id := range strands {
		out[i] = seen[of[i]]
		out[i].Strand = id
	}
	return out, nil
}
