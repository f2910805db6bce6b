package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// The batches of a large strand lie in chunks under the name of their content, so that they can be stored before the
// heads that name them, and by anybody: who repeats it writes nothing new. Until a plan names them they have a time to live,
// and the script of the heads ends it or finds that one is gone.

const (
	// aheadLife is how long batches are kept that no plan names. Who waits with them stores them again before it is over.
	aheadLife = 2 * dispatcher.AheadEvery
	// inlineBatches is up to how many bytes of batches lie beside their strand, written with its head, and not in chunks.
	inlineBatches = 4 << 10
	// mostBatch is the most bytes that a batch may take.
	mostBatch = binary.MaxVarintLen32 + 3 + warning.BlockSize/8
	// aheadPieces is how many chunks are sent together: a megabyte, so that nobody waits long behind it.
	aheadPieces = 16
	// freshLife is for how long batches that were stored are remembered for those who read them next.
	freshLife = 10 * time.Second
)

// PutBatches stores the batches of those new strands of a warning that have many, and says in Ref where. Batches that are
// stored already live on for a while.
func (s *Store) PutBatches(ctx context.Context, id string, strands []dispatcher.Strand) error {
	refs := make([]string, len(strands))
	var group sync.WaitGroup
	for i := range strands {
		if st := &strands[i]; st.ID == 0 && st.Ref == "" && !inline(st.Batches) {
			group.Go(func() { refs[i] = refOf(id, st.Batches) })
		}
	}
	group.Wait()
	type place struct{ strand, chunk int }
	var places []place
	for i := range strands {
		if refs[i] != "" {
			for j := range chunksOf(&strands[i]) {
				places = append(places, place{i, j})
			}
		}
	}
	// They are encoded another time, a piece at a time: all of a large plan would be tens of megabytes.
	var data [aheadPieces][]byte
	// A chunk that is there has the same content; one that a plan names must not get a time to live again.
	err := s.pipeline(ctx, 2*len(places), 2*aheadPieces, func(p redis.Pipeliner, i int) {
		at := places[i/2]
		name := s.keys.batches(refs[at.strand], at.chunk)
		if i%2 == 1 {
			p.ExpireGT(ctx, name, aheadLife)
			return
		}
		buf := &data[i/2%aheadPieces]
		if *buf == nil {
			*buf = make([]byte, 0, mostBatch*chunkBatches)
		}
		*buf = appendBatches((*buf)[:0], chunkAt(strands[at.strand].Batches, at.chunk))
		p.SetNX(ctx, name, *buf, aheadLife)
	}, func(int, redis.Cmder) error { return nil })
	if err != nil {
		return err
	}
	for i := range strands {
		if refs[i] != "" {
			strands[i].Ref = refs[i]
		}
	}
	return nil
}

// inline tells whether batches are so few that they lie beside their strand.
func inline(batches []dispatcher.Batch) bool {
	return len(batches) <= inlineBatches/mostBatch || len(batches) <= chunkBatches && len(appendBatches(nil, batches)) <= 1+inlineBatches
}

// refOf is the common name of the chunks of a strand of a warning.
func refOf(id string, batches []dispatcher.Batch) string {
	content := sha256.New()
	buf := make([]byte, 0, mostBatch*chunkBatches)
	for j := 0; j*chunkBatches < len(batches); j++ {
		buf = appendBatches(buf[:0], chunkAt(batches, j))
		content.Write(buf)
	}
	return fmt.Sprintf("%s:%x", id, content.Sum(nil)[:16])
}

// chunksOf is in how many chunks the batches of a strand lie.
func chunksOf(st *dispatcher.Strand) int { return (len(st.Batches) + chunkBatches - 1) / chunkBatches }

// chunkAt is the batches of chunk j.
func chunkAt(batches []dispatcher.Batch, j int) []dispatcher.Batch {
	return batches[j*chunkBatches : min((j+1)*chunkBatches, len(batches))]
}

// fresh is the batches of strands that were stored a moment ago, by Ref: the owner of their account is mostly in this
// process, and need not read megabytes back before its first message.
type fresh struct{ of sync.Map }

func (f *fresh) keep(st *dispatcher.Strand) {
	f.of.Store(st.Ref, st.Batches)
	time.AfterFunc(freshLife, func() { f.of.Delete(st.Ref) })
}

func (f *fresh) get(ref string) []dispatcher.Batch {
	b, _ := f.of.Load(ref)
	batches, _ := b.([]dispatcher.Batch)
	return slices.Clip(batches) // who adds to it gets another one
}
