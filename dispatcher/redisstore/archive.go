package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
)

// This file takes apart what is over. A script decides; what then nobody finds any more is removed key by key, so that no
// other call waits for it. Every step can be repeated after a crash.

// PutRoll stores what became of the people of a strand.
func (s *Store) PutRoll(ctx context.Context, id string, strand dispatcher.StrandID, pages [][]byte) error {
	for next := 0; next < len(pages); {
		var args []any
		for size := 0; next < len(pages) && size < foldBytes; next++ {
			args = append(args, next, versioned(pages[next]))
			size += len(pages[next])
		}
		if err := s.run(ctx, rollScript, []string{s.keys.roll(id, strand), s.keys.plan(id)}, args...).Err(); err != nil {
			return failed("roll", err)
		}
	}
	return nil
}

// RollPages is one page of each roll of a warning; nil where it is not kept.
func (s *Store) RollPages(ctx context.Context, id string, at []dispatcher.RollPage) ([][]byte, error) {
	out := make([][]byte, len(at))
	err := s.pipeline(ctx, len(at), 64, func(p redis.Pipeliner, i int) {
		p.HGet(ctx, s.keys.roll(id, at[i].Strand), utoa(uint64(at[i].Page)))
	}, func(i int, c redis.Cmder) (err error) {
		if !errors.Is(c.Err(), redis.Nil) {
			out[i], err = unversioned("the roll of warning "+id, c.(*redis.StringCmd).Val())
		}
		return err
	})
	return out, err
}

// remains is what the store has of a strand beside its counts.
type remains struct {
	id      dispatcher.StrandID
	Account string `redis:"account"`
	Batches string `redis:"batches"`
	Chunks  int    `redis:"chunks"`
}

// remainsOf reads what there is of the strands of a plan, also where some are gone.
func (s *Store) remainsOf(ctx context.Context, id string) ([]remains, error) {
	packed, err := s.db.HGet(ctx, s.keys.plan(id), "strands").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, failed("plan", err)
	}
	out := make([]remains, len(packed)/4)
	ids := strandIDs(packed)
	err = s.pipeline(ctx, len(ids), 256, func(p redis.Pipeliner, i int) {
		p.HMGet(ctx, s.keys.strand(ids[i]), "account", "batches", "chunks")
	}, func(i int, c redis.Cmder) error {
		out[i].id = ids[i]
		return c.(*redis.SliceCmd).Scan(&out[i])
	})
	return out, err
}

// strip removes the batches and the ledger of a strand.
func (s *Store) strip(ctx context.Context, p redis.Pipeliner, r *remains) {
	p.Unlink(ctx, s.keys.ledger(r.id), s.keys.more(r.id))
	for k := range r.Chunks {
		p.Unlink(ctx, s.keys.batches(r.Batches, k))
	}
	p.HDel(ctx, s.keys.strand(r.id), "chunks") // behind them: by their number they are found
}

// stripping is how many strands are stripped in one pipe.
const stripping = 64

// Archive takes the strands of a warning from their accounts and keeps report.
func (s *Store) Archive(ctx context.Context, id string, report []byte) error {
	all, err := s.remainsOf(ctx, id)
	if err != nil {
		return err
	}
	// Whoever owns the account from here on does not read them, so that their snapshot may go.
	err = s.pipeline(ctx, len(all), 256, func(p redis.Pipeliner, i int) {
		p.ZRem(ctx, s.keys.carries(all[i].Account), uint32(all[i].id))
	}, func(int, redis.Cmder) error { return nil })
	if err != nil {
		return err
	}
	if err := s.run(ctx, archiveScript, []string{s.keys.plan(id)}, id, versioned(report)).Err(); err != nil {
		return failed("archive", err)
	}
	return s.each(ctx, len(all), func(p redis.Pipeliner, i int) { s.strip(ctx, p, &all[i]) })
}

// each sends the commands of all n, some of them in one pipe.
func (s *Store) each(ctx context.Context, n int, fill func(p redis.Pipeliner, i int)) error {
	for first := 0; first < n; first += stripping {
		p := s.db.Pipeline()
		for i := first; i < min(first+stripping, n); i++ {
			fill(p, i)
		}
		if _, err := exec(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// over is dispatcher.Over as the script takes it.
var over = func() string {
	var b strings.Builder
	for _, state := range dispatcher.Over {
		fmt.Fprintf(&b, " %d", state)
	}
	return b.String() + " "
}()

// Delete removes a warning that is over and archived, and records e.
func (s *Store) Delete(ctx context.Context, id string, e dispatcher.Entry, fields []dispatcher.Put) error {
	w, _, err := s.Warning(ctx, id)
	if errors.Is(err, dispatcher.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	entry, err := entryOf(e)
	if err != nil {
		return err
	}
	keys := []string{
		s.keys.warning(id), s.keys.warnings(), s.keys.live(w.Content), s.keys.toPlan(), s.keys.plan(id), s.keys.record(),
		s.keys.recorded(), s.keys.deleted(),
	}
	args := []any{id, over, entry}
	for _, f := range fields {
		keys, args = append(keys, s.keys.table(f.Table)), append(args, f.Field)
	}
	if err := s.run(ctx, deleteScript, keys, args...).Err(); err != nil {
		return failed("delete", err)
	}
	return nil
}

// Purge removes all that deleted warnings have left.
func (s *Store) Purge(ctx context.Context) error {
	ids, err := s.db.SMembers(ctx, s.keys.deleted()).Result()
	if err != nil {
		return failed("purge", err)
	}
	for _, id := range ids {
		if err := s.purge(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) purge(ctx context.Context, id string) error {
	all, err := s.remainsOf(ctx, id)
	if err != nil {
		return err
	}
	err = s.each(ctx, len(all), func(p redis.Pipeliner, i int) {
		s.strip(ctx, p, &all[i])
		p.Unlink(ctx, s.keys.strand(all[i].id), s.keys.roll(id, all[i].id))
	})
	if err != nil {
		return err
	}
	answers, err := s.db.SMembers(ctx, s.keys.answers(id)).Result()
	if err != nil {
		return failed("purge", err)
	}
	if err := s.each(ctx, len(answers), func(p redis.Pipeliner, i int) { p.Unlink(ctx, answers[i]) }); err != nil {
		return err
	}
	// By these the rest is found: they go last.
	p := s.db.TxPipeline()
	p.Unlink(ctx, s.keys.plan(id), s.keys.roll(id, 0), s.keys.answers(id))
	p.SRem(ctx, s.keys.deleted(), id)
	_, err = exec(ctx, p)
	return err
}
