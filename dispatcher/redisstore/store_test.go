package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/memstore"
	"tocsin/dispatcher/redisstore"
	"tocsin/dispatcher/storetest"
)

var (
	socket string       // of the server that all tests share
	realms atomic.Int64 // each store has one of its own
	key    = bytes.Repeat([]byte{7}, 32)
)

func TestMain(m *testing.M) {
	os.Exit(withServer(m))
}

func withServer(m *testing.M) int {
	dir, err := os.MkdirTemp("", "redisstore")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server, err := managed.Start(context.Background(), managed.Options{Dir: dir, Ballast: -1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	socket = server.Socket()
	code := m.Run()
	if err := server.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func client(t testing.TB, change ...func(*redis.Options)) *redis.Client {
	db := managed.Client(socket, change...)
	t.Cleanup(func() { db.Close() })
	return db
}

// open is an empty store over db.
func open(t testing.TB, db *redis.Client) *redisstore.Store {
	s, _ := openRealm(t, db)
	return s
}

// openRealm is an empty store over db, and its realm.
func openRealm(t testing.TB, db *redis.Client) (*redisstore.Store, string) {
	t.Helper()
	realm := fmt.Sprintf("test%d", realms.Add(1))
	return reopen(t, db, realm), realm
}

// reopen is another store of the realm.
func reopen(t testing.TB, db *redis.Client, realm string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(db, redisstore.Options{Realm: realm, Durability: "fsync on every write", DataKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	db := client(t)
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, db) })
}

// The store in memory says something about this one only as far as the two answer the same.
func TestSameAsInMemory(t *testing.T) {
	db := client(t)
	storetest.Same(t, func(t testing.TB) (a, b storetest.Store) { return memstore.New(), open(t, db) })
}
