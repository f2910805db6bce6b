package redisstore_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/dispatcher/redisstore"
	"tocsin/warning"
)

var now = time.Date(2026, 6, 13, 8, 0, 0, 0, time.UTC)

// released records a warning and plans n strands of people each for the account.
func released(t testing.TB, s *redisstore.Store, id, account string, n int, people uint32) []dispatcher.StrandID {
	t.Helper()
	w := &warning.Warning{
		Record: warning.RecordVersion, ID: id, Version: 1, State: warning.Released, Digest: id,
		Spec: warning.Spec{Expires: now.Add(time.Hour)},
	}
	if _, err := s.Do(t.Context(), dispatcher.Act{Warning: w, ToPlan: true}); err != nil {
		t.Fatal(err)
	}
	p := dispatcher.Plan{Warning: id, Version: 1, Snapshot: "snap"}
	for range n {
		st := dispatcher.Strand{Warning: id, Version: 1, Channel: warning.SMS, Account: account, Snapshot: "snap", People: people}
		for left := people; left > 0; { // half of each block, as where two carriers share a place
			b := dispatcher.Batch{Block: uint32(len(st.Batches))}
			for slot := 0; slot < warning.BlockSize && left > 0; slot += 2 {
				b.Mask.Set(slot)
				left--
			}
			st.Batches = append(st.Batches, b)
		}
		p.Strands = append(p.Strands, st)
	}
	ids, err := s.PutPlan(t.Context(), 1, p)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func acquire(t testing.TB, s *redisstore.Store, account string) dispatcher.Fence {
	t.Helper()
	f, err := s.Acquire(t.Context(), account, "one", 0, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// busy is the processor time that Redis has used: what a commit costs it, also on a machine that does other things.
func busy(t testing.TB, db *redis.Client) time.Duration {
	t.Helper()
	info, err := db.Info(t.Context(), "cpu").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(info, "used_cpu_user_main_thread:")
	var seconds float64
	if _, err := fmt.Sscan(strings.Fields(line)[0], &seconds); err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct{ grants, journal int }{{1, 1 << 10}, {3, 60 << 10}, {300, 60 << 10}} {
		b.Run(fmt.Sprintf("grants=%d/journal=%dKB", c.grants, c.journal>>10), func(b *testing.B) {
			db := client(b)
			s := open(b, db)
			ids := released(b, s, "w", "a", c.grants, 1<<30>>10)
			f := acquire(b, s, "a")
			journal := make([]byte, c.journal)
			var seq uint64
			before := busy(b, db)
			for b.Loop() {
				m := dispatcher.Commit{Now: now, Journal: journal}
				for _, id := range ids {
					m.Grants = append(m.Grants, dispatcher.Grant{Strand: id, From: uint32(seq), To: uint32(seq + 1)})
					m.Tails = append(m.Tails, dispatcher.StrandTail{
						Strand: id, Counts: warning.Counts{5000, 200, 3000, 100000, 7}, Reasons: map[string]int64{"bad_number": 17},
						Stats: dispatcher.StrandStats{Segments: 2, Messages: 20000, First: now, Last: now, MaxInAnySecond: 1500},
					})
				}
				seq++
				if _, err := s.Commit(b.Context(), f, seq, m); err != nil {
					b.Fatal(err)
				}
				if seq%64 == 0 {
					if err := s.Fold(b.Context(), f, nil, seq); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64((busy(b, db)-before).Microseconds())/float64(b.N), "redis-µs/op")
		})
	}
}

// BenchmarkLoad is a takeover: a million people in three strands, ledger of 12 KB a chunk, 2 s of journal.
func BenchmarkLoad(b *testing.B) {
	s := open(b, client(b))
	ids := released(b, s, "w", "a", 3, 333_334)
	f := acquire(b, s, "a")
	var chunks []dispatcher.Chunk
	for _, id := range ids {
		for i := range uint32(333_334/dispatcher.ChunkSize + 1) {
			chunks = append(chunks, dispatcher.Chunk{Strand: id, Index: i, Data: make([]byte, 12<<10)})
		}
	}
	if err := s.Fold(b.Context(), f, chunks, 0); err != nil {
		b.Fatal(err)
	}
	for seq := range uint64(400) {
		if _, err := s.Commit(b.Context(), f, seq+1, dispatcher.Commit{Now: now, Journal: make([]byte, 60<<10)}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		im, err := s.Load(b.Context(), "a", 0, true, nil)
		if err != nil || len(im.Chunks) != len(chunks) || len(im.Journal) != 400 {
			b.Fatal(len(im.Chunks), len(im.Journal), err)
		}
	}
}

// BenchmarkPlan is a plan of 16 million people in three strands.
func BenchmarkPlan(b *testing.B) {
	s := open(b, client(b))
	n := 0
	for b.Loop() {
		released(b, s, fmt.Sprint("w", n), "a", 3, 16_000_000/3)
		n++
	}
}

// BenchmarkBlobs is the directory of a million people.
func BenchmarkBlobs(b *testing.B) {
	const n, size = 1000, 28 << 10
	var hashes [][32]byte
	for i := range n {
		hashes = append(hashes, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	s := open(b, client(b))
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			err := s.PutBlobs(b.Context(), n, func(data []byte, i int) ([32]byte, []byte) {
				return hashes[i], append(data, make([]byte, size)...)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if err := s.Blobs(b.Context(), hashes, func(int, []byte) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSubmit(b *testing.B) {
	s := open(b, client(b))
	n := 0
	for b.Loop() {
		id := fmt.Sprintf("w%09d", n)
		w := &warning.Warning{Record: 1, ID: id, Digest: id, Content: id, State: warning.Submitted, Spec: warning.Spec{Expires: now.Add(time.Hour)}}
		_, err := s.Do(b.Context(), dispatcher.Act{
			User: "lin", Key: id, Digest: id, Answer: []byte(id), Warning: w, Unique: true, Entry: dispatcher.Entry{At: now, User: "lin"},
		})
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
}
