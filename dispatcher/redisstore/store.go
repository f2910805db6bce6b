package redisstore

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
)

// Options is what a Store is told besides its client.
type Options struct {
	// Realm is the installation; all its keys carry it. No braces.
	Realm string
	// Durability says what the server keeps, as the caller has checked it or the operator has stated it.
	Durability string
	// DataKey encrypts the blobs of the directory; 32 bytes that are kept anywhere but in Redis.
	DataKey []byte
}

// Store is everything durable of one realm. It is safe for use by many goroutines and holds no connection of its own.
type Store struct {
	db         *redis.Client
	keys       keys
	durability string
	seal       sealer
	fresh      fresh
}

var (
	_ dispatcher.Records = (*Store)(nil)
	_ dispatcher.Queue   = (*Store)(nil)
)

// New makes a Store of a client, which stays the caller's. It refuses a client that repeats commands by itself: a
// script whose answer was lost would run twice.
func New(db *redis.Client, o Options) (*Store, error) {
	if db.Options().MaxRetries > 0 {
		return nil, errors.New("redisstore: the client repeats commands by itself; set MaxRetries to -1")
	}
	if o.Realm == "" || strings.ContainsAny(o.Realm, "{}") {
		return nil, fmt.Errorf("redisstore: realm %q: name the installation, without braces", o.Realm)
	}
	seal, err := newSealer(o.DataKey, o.Realm)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, keys: newKeys(o.Realm), durability: o.Durability, seal: seal}, nil
}

// Durability is what the caller said of the server.
func (s *Store) Durability() string { return s.durability }

//go:embed scripts/*.lua
var sources embed.FS

// script is a source of the folder scripts under a first line that says whether it runs at the memory limit.
func script(name string, intake bool) *redis.Script {
	src, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic("redisstore: an embedded script is missing: " + err.Error())
	}
	head := "#!lua flags=allow-oom"
	if intake {
		head = "#!lua"
	}
	return redis.NewScript(head + prelude + string(src))
}

// The scripts. Those that take work in obey the memory limit; those that stop, settle or free do not.
var (
	submitScript  = script("act", true)
	actScript     = script("act", false)
	planScript    = script("plan", true)
	archiveScript = script("archive", false)
	rollScript    = script("roll", false)
	deleteScript  = script("delete", false)
	newestScript  = script("snapshot", true)
	writerScript  = script("writer", false)
	dropScript    = script("drop", false)
	commitScript  = script("commit", false)
	foldScript    = script("fold", false)
	acquireScript = script("acquire", false)
	beatScript    = script("beat", false)
	releaseScript = script("release", false)
)

// run runs a script by its hash, and sends it where Redis does not know it: then it has not run.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	return script.Run(ctx, s.db, keys, args...)
}

// failures is which error a script means by the first word of its answer.
var failures = map[string]error{
	"FENCED":   dispatcher.ErrFenced,
	"CHANGED":  dispatcher.ErrChanged,
	"OTHERUSE": dispatcher.ErrOtherUse,
	"SAME":     dispatcher.ErrSame,
	"NOTFOUND": dispatcher.ErrNotFound,
	"CHUNKS":   dispatcher.ErrGone,
}

// failed gives an error of Redis the meaning that callers decide on.
func failed(doing string, err error) error {
	var answer redis.Error
	if errors.As(err, &answer) {
		word, detail, _ := strings.Cut(answer.Error(), " ")
		if meaning, ok := failures[word]; ok {
			return fmt.Errorf("%w: %s", meaning, detail)
		}
	}
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}

// recordVersion begins every record whose form is this package's.
const recordVersion = 1

func versioned(value []byte) []byte {
	return append(append(make([]byte, 0, 1+len(value)), recordVersion), value...)
}

// unversioned is the value behind the version byte.
func unversioned(what, stored string) ([]byte, error) {
	if stored == "" || stored[0] != recordVersion {
		return nil, notOfVersion(what)
	}
	return []byte(stored[1:]), nil
}

func notOfVersion(what string) error {
	return fmt.Errorf("redisstore: %s: not a record of version %d; a newer release wrote it, or it is damaged", what, recordVersion)
}

// decodeVersioned reads a record of JSON whose version lands in v.
func decodeVersioned(what, stored string, into any, v *int) error {
	if err := json.Unmarshal([]byte(stored), into); err != nil {
		return fmt.Errorf("redisstore: %s: the record is missing or damaged: %w", what, err)
	}
	if *v != recordVersion {
		return fmt.Errorf("redisstore: %s: the record is of version %d and this release reads %d", what, *v, recordVersion)
	}
	return nil
}

// pipeline sends many commands in pieces of up to n, so that no answer grows without bound, and calls each with the
// pipe to fill and then done for every command of the piece in order.
func (s *Store) pipeline(ctx context.Context, total, n int, each func(p redis.Pipeliner, i int), done func(i int, c redis.Cmder) error) error {
	for first := 0; first < total; first += n {
		p := s.db.Pipeline()
		last := min(first+n, total)
		for i := first; i < last; i++ {
			each(p, i)
		}
		answers, err := exec(ctx, p)
		if err != nil {
			return err
		}
		for i, c := range answers {
			if err := done(first+i, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// exec sends a pipe. That something is not there is no error here: the command says it.
func exec(ctx context.Context, p redis.Pipeliner) ([]redis.Cmder, error) {
	answers, err := p.Exec(ctx)
	if err != nil && len(answers) == 0 {
		return nil, failed("pipeline", err)
	}
	for _, c := range answers {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, failed(c.Name(), err)
		}
	}
	return answers, nil
}
