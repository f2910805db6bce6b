package redisstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/dispatcher/redisstore"
	"tocsin/warning"
)

// mortal lets so many commands through, and none after them.
type mortal struct{ left int }

func (d *mortal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *mortal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if d.left <= 0 {
			return errDied
		}
		d.left--
		return next(ctx, c)
	}
}

func (d *mortal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		if all[0].Name() == "multi" && d.left > 0 {
			d.left = max(0, d.left-1)
			return next(ctx, all)
		}
		n := min(d.left, len(all))
		d.left -= n
		for _, c := range all[n:] {
			c.SetErr(errDied)
		}
		if n == 0 {
			return errDied
		}
		return errors.Join(next(ctx, all[:n]), all[len(all)-1].Err())
	}
}

// TestCrashWhileAWarningIsTakenApart: wherever the process dies, another one comes to the same end, and no key of a deleted
// warning is left.
func TestCrashWhileAWarningIsTakenApart(t *testing.T) {
	db := client(t)
	for n := 0; ; n++ {
		s, realm := openRealm(t, db)
		other := released(t, s, "v", "b", 1, 10)
		f := acquire(t, s, "a")
		if _, err := s.Do(t.Context(), dispatcher.Act{Entry: dispatcher.Entry{At: now}}); err != nil {
			t.Fatal(err)
		}
		without := keysOf(t, db, realm)
		ids := released(t, s, "w", "a", 3, 300_000)
		w := &warning.Warning{Record: warning.RecordVersion, ID: "w", Version: 1, State: warning.Completed, Digest: "w"}
		if _, err := s.Do(t.Context(), dispatcher.Act{User: "u", Key: "k", Digest: "d", Warning: w, Rev: 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.Fold(t.Context(), f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("x")}}, 0); err != nil {
			t.Fatal(err)
		}
		dies := client(t)
		dies.AddHook(&mortal{left: n})
		end := func(s *redisstore.Store) error {
			for i, id := range append(ids, 0) {
				if err := s.PutRoll(t.Context(), "w", id, [][]byte{{byte(i)}}); err != nil {
					return err
				}
			}
			if err := s.Archive(t.Context(), "w", []byte("report")); err != nil && !errors.Is(err, dispatcher.ErrNotFound) {
				return err
			}
			if err := s.Delete(t.Context(), "w", dispatcher.Entry{At: now, Act: "warning.delete"}, nil); err != nil {
				return err
			}
			return s.Purge(t.Context())
		}
		died := end(reopen(t, dies, realm))
		if died != nil && !errors.Is(died, errDied) {
			t.Fatal(died)
		}
		if p, _, err := s.PlanOf(t.Context(), "w"); err == nil && p.Archived == nil { // then its strands can be read
			if _, err := s.Read(t.Context(), "a", ids, true); err != nil {
				t.Fatalf("after %d commands: %v", n, err)
			}
		}
		if _, err := s.Load(t.Context(), "a", 0, true, nil); err != nil {
			t.Fatalf("after %d commands the account cannot be owned: %v", n, err)
		}
		if died != nil {
			if _, _, err := s.Warning(t.Context(), "w"); err == nil {
				if err := end(s); err != nil {
					t.Fatalf("after %d commands: %v", n, err)
				}
			} else if err := s.Purge(t.Context()); err != nil {
				t.Fatalf("after %d commands: %v", n, err)
			}
		}
		for _, k := range keysOf(t, db, realm) {
			if !slices.Contains(without, k) {
				t.Fatalf("after %d commands: %s is left", n, k)
			}
		}
		if _, err := s.Read(t.Context(), "b", other, true); err != nil {
			t.Fatal(err)
		}
		if died == nil {
			if n < 20 {
				t.Fatalf("it took %d commands", n)
			}
			return
		}
	}
}

// TestNobodyWaitsForAWarningThatIsTakenApart: 16 million people in strands of every size, and no command of it takes long.
func TestNobodyWaitsForAWarningThatIsTakenApart(t *testing.T) {
	db := client(t)
	s := open(t, db)
	ids := released(t, s, "w", "a", 3, 16_000_000/3)
	f := acquire(t, s, "a")
	var chunks []dispatcher.Chunk
	for i := range uint32(16_000_000/3/dispatcher.ChunkSize + 1) {
		chunks = append(chunks, dispatcher.Chunk{Strand: ids[0], Index: i, Data: make([]byte, 80<<10)})
	}
	if err := s.Fold(t.Context(), f, chunks, 0); err != nil {
		t.Fatal(err)
	}
	w := &warning.Warning{Record: warning.RecordVersion, ID: "w", Version: 1, State: warning.Completed, Digest: "w"}
	if _, err := s.Do(t.Context(), dispatcher.Act{Warning: w, Rev: 1}); err != nil {
		t.Fatal(err)
	}
	began := busy(t, db)
	if err := s.Archive(t.Context(), "w", []byte("report")); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "w", dispatcher.Entry{At: now, Act: "warning.delete"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Redis frees the ledger beside its main thread: what is not freed there shows here.
	if d := busy(t, db) - began; d > 50*time.Millisecond {
		t.Errorf("Redis was busy for %v of its main thread's time", d)
	}
	t.Logf("main thread %v", busy(t, db)-began)
}
