package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/dispatcher/redisstore"
	"tocsin/warning"
)

// A record that a newer release wrote, or that is damaged, is an error and never read as something else.
func TestRecordsOfAnotherVersion(t *testing.T) {
	loads := func(s *redisstore.Store) error { _, err := s.Load(t.Context(), "a", 0, true, nil); return err }
	plans := func(s *redisstore.Store) error { _, _, err := s.PlanOf(t.Context(), "w"); return err }
	for name, c := range map[string]struct {
		spoil func(db *redis.Client, prefix string, stored func(*redis.StringCmd) string) error
		read  func(*redisstore.Store) error
	}{
		"warning": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"warning:w", "record", `{"record":2,"id":"w"}`).Err()
		}, func(s *redisstore.Store) error { _, _, err := s.Warning(t.Context(), "w"); return err }},
		"warning in a list": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"warning:w", "record", `{"record":1`).Err()
		}, func(s *redisstore.Store) error { _, err := s.Warnings(t.Context(), nil, 5); return err }},
		"figures": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"plan:w", "figures", `{"v":2}`).Err()
		}, plans},
		"head": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"strand:1", "head", `{"v":2}`).Err()
		}, plans},
		"head gone": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.Del(t.Context(), p+"strand:1").Err()
		}, loads},
		"tail": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"strand:1", "tail", `{"v":2}`).Err()
		}, plans},
		"batches": {func(db *redis.Client, p string, stored func(*redis.StringCmd) string) error {
			k := p + "more:1"
			return db.Set(t.Context(), k, "\x02"+stored(db.Get(t.Context(), k))[1:], 0).Err()
		}, loads},
		"batches gone": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.Del(t.Context(), p+"more:1").Err()
		}, loads},
		"journal": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.LSet(t.Context(), p+"journal:a", 0, "\x02j").Err()
		}, loads},
		"ledger": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"ledger:1", "0", "\x02x").Err()
		}, loads},
		"figures of the account": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"account:a", "stats", "\x02x").Err()
		}, loads},
		"control": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"table:controls", "a", "\x02{}").Err()
		}, loads},
		"small record": {func(db *redis.Client, p string, _ func(*redis.StringCmd) string) error {
			return db.HSet(t.Context(), p+"table:users", "u", "").Err()
		}, func(s *redisstore.Store) error { _, err := s.Table(t.Context(), dispatcher.TableUsers); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			db := client(t)
			s, realm := openRealm(t, db)
			ids := released(t, s, "w", "a", 1, 1000)
			f := acquire(t, s, "a")
			tail := dispatcher.StrandTail{Strand: ids[0], Counts: warning.Counts{1000}}
			m := dispatcher.Commit{Now: now, Journal: []byte("j"), Tails: []dispatcher.StrandTail{tail}, Stats: []byte("s")}
			if _, err := s.Commit(t.Context(), f, 1, m); err != nil {
				t.Fatal(err)
			}
			if err := s.Fold(t.Context(), f, []dispatcher.Chunk{{Strand: ids[0], Data: []byte("x")}}, 0); err != nil {
				t.Fatal(err)
			}
			if err := c.read(s); err != nil {
				t.Fatalf("before: %v", err)
			}
			err := c.spoil(db, "{tocsin:"+realm+"}:", func(r *redis.StringCmd) string {
				if r.Err() != nil {
					t.Fatal(r.Err())
				}
				return r.Val()
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.read(s); err == nil {
				t.Fatal("read as if nothing were wrong")
			}
		})
	}
}
