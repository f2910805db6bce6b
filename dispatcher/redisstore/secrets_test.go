package redisstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/dispatcher/redisstore"
)

// What lies in Redis shows neither the content of the directory nor the hashes of it, and cannot be put elsewhere.
func TestBlobsAreSealed(t *testing.T) {
	db := client(t)
	s, realm := openRealm(t, db)
	one, two := []byte("synthetic person one, 999000000001"), []byte("synthetic person two, 999000000002")
	h1, h2 := sha256.Sum256(one), sha256.Sum256(two)
	err := s.PutBlobs(t.Context(), 2, func(b []byte, i int) ([32]byte, []byte) {
		return [][32]byte{h1, h2}[i], append(b, [][]byte{one, two}[i]...)
	})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.BeginWriting(t.Context(), "token", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SetSnapshot(t.Context(), dispatcher.NewSnapshot{ID: "snap", Manifest: append(h1[:], h2[:]...)}); err != nil {
		t.Fatal(err)
	}
	var blobs []string
	for _, k := range keysOf(t, db, realm) {
		dump, err := db.Dump(t.Context(), k).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{one[10:], two[10:], h1[:], []byte(hex.EncodeToString(h1[:]))} {
			if strings.Contains(k+dump, string(secret)) {
				t.Fatalf("key %s shows %q", k, secret)
			}
		}
		if strings.Contains(k, ":blob:") {
			blobs = append(blobs, k)
		}
	}
	if len(blobs) != 2 {
		t.Fatalf("%d blobs, wanted 2", len(blobs))
	}
	other, err := redisstore.New(db, redisstore.Options{Realm: realm, DataKey: bytes.Repeat([]byte{8}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Blob(t.Context(), h1); !errors.Is(err, dispatcher.ErrNotFound) {
		t.Fatalf("another data key gave %v", err)
	}
	if _, err := other.Manifest(t.Context(), "snap"); err == nil {
		t.Fatal("another data key opens the manifest")
	}
	a, b := db.Get(t.Context(), blobs[0]).Val(), db.Get(t.Context(), blobs[1]).Val()
	db.MSet(t.Context(), blobs[0], b, blobs[1], a)
	for _, h := range [][32]byte{h1, h2} {
		if got, err := s.Blob(t.Context(), h); err == nil {
			t.Fatalf("a blob stands in for another: %q", got)
		}
	}
	db.Set(t.Context(), blobs[0], "\x02"+a[1:], 0)
	db.Set(t.Context(), blobs[1], "", 0)
	for _, h := range [][32]byte{h1, h2} {
		if _, err := s.Blob(t.Context(), h); err == nil || errors.Is(err, dispatcher.ErrNotFound) {
			t.Fatalf("a blob of an unknown version gave %v", err)
		}
	}
}

// All keys of a realm carry its hash tag, so that they lie in one slot of a Cluster and realms do not see each other.
func TestOneHashTag(t *testing.T) {
	db := client(t)
	s, realm := openRealm(t, db)
	ids := released(t, s, "w", "a", 2, 5000)
	f := acquire(t, s, "a")
	_, err := s.Commit(t.Context(), f, 1, dispatcher.Commit{Now: now, Journal: []byte("j"), Grants: []dispatcher.Grant{{Strand: ids[0], To: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Fold(t.Context(), f, []dispatcher.Chunk{{Strand: ids[0]}}, 0); err != nil {
		t.Fatal(err)
	}
	_, err = s.Do(t.Context(), dispatcher.Act{
		User: "lin", Key: "k", Entry: dispatcher.Entry{At: now}, Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: "u", Value: []byte("x")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := db.DBSize(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	mine := keysOf(t, db, realm)
	db.Del(t.Context(), mine...)
	after, err := db.DBSize(t.Context()).Result()
	if err != nil || before-after != int64(len(mine)) || len(mine) < 15 {
		t.Fatalf("%d keys of the realm, %d went: %v", len(mine), before-after, err)
	}
	im, err := s.Load(t.Context(), "a", 0, true, nil)
	if err != nil || len(im.Strands) != 0 || im.Generation != 0 {
		t.Fatalf("something of the realm is left: %+v, %v", im, err)
	}
}

func keysOf(t *testing.T, db *redis.Client, realm string) []string {
	t.Helper()
	all, err := db.Keys(t.Context(), "{tocsin:"+realm+"}:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A server that was started again does not know the scripts.
func TestScriptsAreSentAgain(t *testing.T) {
	db := client(t)
	s := open(t, db)
	if err := db.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	d, err := s.Do(t.Context(), dispatcher.Act{Entry: dispatcher.Entry{At: now}})
	if err != nil || d.Number != 1 {
		t.Fatal(d, err)
	}
}

func TestNewRefuses(t *testing.T) {
	good := redisstore.Options{Realm: "r", DataKey: key}
	for name, c := range map[string]struct {
		retries int
		o       redisstore.Options
	}{
		"a client that repeats": {3, good},
		"no realm":              {-1, redisstore.Options{DataKey: key}},
		"braces":                {-1, redisstore.Options{Realm: "a}b", DataKey: key}},
		"no data key":           {-1, redisstore.Options{Realm: "r"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: c.retries})
			defer db.Close()
			if _, err := redisstore.New(db, c.o); err == nil {
				t.Fatal("taken")
			}
		})
	}
	s := open(t, client(t))
	if got := s.Durability(); got != "fsync on every write" {
		t.Fatalf("durability %q", got)
	}
}
