package redisstore_test

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
)

// behindLists runs something once, behind the first answer with a piece of a list.
type behindLists struct {
	once *sync.Once
	do   func()
}

func (b behindLists) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (b behindLists) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b behindLists) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		err := next(ctx, all)
		if all[0].Name() == "lrange" {
			b.once.Do(b.do)
		}
		return err
	}
}

// TestAJournalIsReadWholeWhileItIsFolded: another process reads a journal in pieces, and between two of them its owner folds
// what stands before: every entry that is not folded is read.
func TestAJournalIsReadWholeWhileItIsFolded(t *testing.T) {
	s, realm := openRealm(t, client(t))
	ids := released(t, s, "w", "a", 1, 1000)
	f := acquire(t, s, "a")
	const entries, folded = 200, 150
	for n := range uint64(entries) {
		if _, err := s.Commit(t.Context(), f, n+1, dispatcher.Commit{Now: now, Journal: []byte{byte(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	db := client(t)
	db.AddHook(behindLists{&sync.Once{}, func() {
		chunk := dispatcher.Chunk{Strand: ids[0], Data: []byte("folded")}
		if err := s.Fold(t.Context(), f, []dispatcher.Chunk{chunk}, folded); err != nil {
			t.Error(err)
		}
	}})
	got, err := reopen(t, db, realm).Read(t.Context(), "a", ids, true)
	if err != nil {
		t.Fatal(err)
	}
	read := map[byte]bool{}
	for _, e := range got.Journal {
		read[e[0]] = true
	}
	for n := range entries {
		if !read[byte(n)] && n >= folded {
			t.Fatalf("entry %d is neither folded nor read; %d are", n, len(got.Journal))
		}
	}
	if len(got.Chunks) != 1 {
		t.Errorf("%d chunks", len(got.Chunks))
	}
}
