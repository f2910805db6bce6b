package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

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
