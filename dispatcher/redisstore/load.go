package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	loadMore    = 256
)

// Load reads the account's strands that were stored or have grown after the generation and have more people than have says. The generation is read first and
// the journal before the ledger: what changes meanwhile raises the generation, and a journal replayed over newer chunks
// gives the same.
func (s *Store) Load(ctx context.Context, account string, after uint64, ledger bool, have func(dispatcher.StrandID) uint32) (dispatcher.Image, error) {
	return s.image(ctx, account, ledger, func(p redis.Pipeliner) func() ([]dispatcher.StrandID, error) {
		carries := p.ZRangeByScore(ctx, s.keys.carries(account), &redis.ZRangeBy{Min: "(" + utoa(after), Max: "+inf"})
		return func() ([]dispatcher.StrandID, error) {
			ids := make([]dispatcher.StrandID, len(carries.Val()))
			for i, member := range carries.Val() {
				n, err := strconv.ParseUint(member, 10, 32)
				if err != nil {
					return nil, fmt.Errorf("redisstore: the strands of account %s are damaged: %w", account, err)
				}
				ids[i] = dispatcher.StrandID(n)
			}
			slices.Sort(ids)
			return s.without(ctx, ids, have)
		}
	})
}

// without is ids without the strands that have no more people than have says; of those of which it says 0 nothing is asked.
func (s *Store) without(ctx context.Context, ids []dispatcher.StrandID, have func(dispatcher.StrandID) uint32) ([]dispatcher.StrandID, error) {
	if have == nil {
		return ids, nil
	}
	var more, known []dispatcher.StrandID
	var people []uint32
	for _, id := range ids {
		if n := have(id); n > 0 {
			known, people = append(known, id), append(people, n)
		} else {
			more = append(more, id)
		}
	}
	err := s.pipeline(ctx, len(known), 1024, func(p redis.Pipeliner, i int) {
		p.HGet(ctx, s.keys.strand(known[i]), "people")
	}, func(i int, c redis.Cmder) error {
		n, err := c.(*redis.StringCmd).Uint64()
		if err != nil {
			return failed("strand", err)
		}
		if n > uint64(people[i]) {
			more = append(more, known[i])
		}
		return nil
	})
	slices.Sort(more)
	return more, err
}

// Read is Load for the named strands of the account.
func (s *Store) Read(ctx context.Context, account string, ids []dispatcher.StrandID, ledger bool) (dispatcher.Image, error) {
	im, err := s.image(ctx, account, ledger, func(redis.Pipeliner) func() ([]dispatcher.StrandID, error) {
		return func() ([]dispatcher.StrandID, error) { return ids, nil }
	})
	for i := range im.Strands {
		if err == nil && im.Strands[i].Account != account {
			return dispatcher.Image{}, fmt.Errorf("%w: strand %d of account %s", dispatcher.ErrNotFound, ids[i], account)
		}
	}
	return im, err
}

// image reads the strands that which asks for in the first pipe.
func (s *Store) image(ctx context.Context, account string, ledger bool, which func(redis.Pipeliner) func() ([]dispatcher.StrandID, error)) (dispatcher.Image, error) {
	var im dispatcher.Image
	p := s.db.Pipeline()
	generation := p.Get(ctx, s.keys.generation())
	control := p.HGet(ctx, s.keys.table(dispatcher.TableControls), account)
	entry := p.HGet(ctx, s.keys.account(account), "entry")
	stats := p.HGet(ctx, s.keys.account(account), "stats")
	idsOf := which(p)
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
	ids, err := idsOf()
	if err != nil {
		return im, err
	}
	if ledger {
		if im.Journal, err = s.journal(ctx, account); err != nil {
			return im, err
		}
	}
	var at []stored
	if im.Strands, im.Tails, at, err = s.strandsOf(ctx, ids, ledger); err != nil {
		return im, err
	}
	for i := range at {
		if at[i].Chunks == nil {
			return im, fmt.Errorf("%w: strand %d is archived", dispatcher.ErrNotFound, im.Strands[i].ID)
		}
	}
	if err := s.loadBatches(ctx, im.Strands, at); err != nil || !ledger {
		return im, err
	}
	im.Chunks, err = s.chunks(ctx, im.Strands)
	return im, err
}

// journal is what is not folded. Its pieces fit together only where nothing was folded while they were read: else it is read
// again, which a fold a second leaves time for.
func (s *Store) journal(ctx context.Context, account string) ([][]byte, error) {
	folded, length, err := s.journaled(ctx, account)
	for err == nil {
		var out [][]byte
		if out, err = s.pieces(ctx, account, length); err != nil {
			break
		}
		was := folded
		if folded, length, err = s.journaled(ctx, account); err == nil && folded == was {
			return out, nil
		}
	}
	return nil, err
}

// journaled is how many entries of a journal were folded, and how many were not.
func (s *Store) journaled(ctx context.Context, account string) (folded, length int64, err error) {
	p := s.db.TxPipeline() // at one moment
	entry, n := p.HGet(ctx, s.keys.account(account), "entry"), p.LLen(ctx, s.keys.journal(account))
	if _, err := exec(ctx, p); err != nil {
		return 0, 0, err
	}
	last, _ := strconv.ParseInt(entry.Val(), 10, 64) // absent is 0
	return last - n.Val(), n.Val(), nil
}

func (s *Store) pieces(ctx context.Context, account string, length int64) (out [][]byte, err error) {
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

// loadBatches reads the chunks of each strand and what stands behind them.
func (s *Store) loadBatches(ctx context.Context, strands []dispatcher.Strand, at []stored) error {
	type place struct{ strand, chunk int }
	var places []place
	for i := range at {
		if strands[i].Batches = s.fresh.get(at[i].Batches); strands[i].Batches != nil {
			continue
		}
		for j := range *at[i].Chunks {
			places = append(places, place{i, j})
		}
	}
	add := func(st *dispatcher.Strand, c redis.Cmder) error {
		all, err := decodeBatches(st.Batches, []byte(c.(*redis.StringCmd).Val()))
		if err != nil {
			return fmt.Errorf("%w: strand %d", err, st.ID)
		}
		st.Batches = all
		return nil
	}
	err := s.pipeline(ctx, len(places), loadBatches, func(p redis.Pipeliner, i int) {
		p.Get(ctx, s.keys.batches(at[places[i].strand].Batches, places[i].chunk))
	}, func(i int, c redis.Cmder) error { return add(&strands[places[i].strand], c) })
	if err != nil {
		return err
	}
	return s.pipeline(ctx, len(strands), loadMore, func(p redis.Pipeliner, i int) {
		p.Get(ctx, s.keys.more(strands[i].ID))
	}, func(i int, c redis.Cmder) error {
		st := &strands[i]
		if !errors.Is(c.Err(), redis.Nil) {
			if err := add(st, c); err != nil {
				return err
			}
		}
		people, n := uint32(0), 0
		for ; n < len(st.Batches) && people < st.People; n++ {
			people += uint32(st.Batches[n].Mask.Count())
		}
		if people != st.People {
			return fmt.Errorf("%w: strand %d has %d people, its batches %d", errBatches, st.ID, st.People, people)
		}
		st.Batches = st.Batches[:n] // who was added since the head was read is read with the next ones
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

// States is how each of the warnings stands (whole milliseconds).
func (s *Store) States(ctx context.Context, warnings []string) (out []dispatcher.Standing, err error) {
	err = s.pipeline(ctx, len(warnings), 1024, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.warning(warnings[i]), "state", "expires")
	}, func(i int, c redis.Cmder) error {
		st, err := standingOf(warnings[i], c)
		if err == nil && st.State == 0 {
			err = fmt.Errorf("%w: warning %s", dispatcher.ErrNotFound, warnings[i])
		}
		out = append(out, st)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// standingOf reads state and end of validity of a warning.
func standingOf(id string, c redis.Cmder) (dispatcher.Standing, error) {
	var h struct {
		State   uint8 `redis:"state"`
		Expires int64 `redis:"expires"`
	}
	if err := c.(*redis.SliceCmd).Scan(&h); err != nil {
		return dispatcher.Standing{}, failed("states", err)
	}
	return dispatcher.Standing{ID: id, State: warning.State(h.State), Expires: time.UnixMilli(h.Expires).UTC()}, nil
}
