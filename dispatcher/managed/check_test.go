package managed

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestCheck(t *testing.T) {
	good := []string{"--appendonly", "yes", "--appendfsync", "always"}
	for name, c := range map[string]struct {
		settings []string
		want     []string // in the error; none: accepted
	}{
		"all right":      {good, nil},
		"as it comes":    {nil, []string{"CONFIG SET appendonly yes", "in redis.conf: appendfsync always"}},
		"everysec":       {append(good, "--appendfsync", "everysec"), []string{"CONFIG SET appendfsync always, and in redis.conf: appendfsync always"}},
		"no append-only": {append(good, "--appendonly", "no"), []string{"CONFIG SET appendonly yes, and in redis.conf: appendonly yes"}},
		"no fsync in a rewrite": {append(good, "--no-appendfsync-on-rewrite", "yes"),
			[]string{"CONFIG SET no-appendfsync-on-rewrite no"}},
		"evicting": {append(good, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
			[]string{"CONFIG SET maxmemory-policy noeviction"}},
		"replica": {append(good, "--replicaof", "127.0.0.1", "1"), []string{"role is slave", "127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, socket := foreign(t, t.TempDir(), c.settings...)
			store, err := Check(within(t), connect(t, socket), "")
			if len(c.want) == 0 {
				if err != nil || store.Durability != FsyncAlways || store.RunID == "" || major(store.Version) < oldest {
					t.Fatalf("%+v, %v", store, err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in: %v", w, err)
				}
			}
		})
	}
}

// A setting that changes in a running server is seen at the next check.
func TestCheckSeesAChange(t *testing.T) {
	s := start(t, small(t.TempDir()))
	client := connect(t, s.Socket())
	store, err := Check(within(t), client, "")
	if err != nil || store.RunID != s.RunID() {
		t.Fatalf("%+v, %v", store, err)
	}
	if err := client.ConfigSet(within(t), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(within(t), client, ""); err == nil {
		t.Fatal("accepted everysec")
	}
}

// Where CONFIG is forbidden the operator's word stands for what INFO does not show, and only for that.
func TestCheckWithoutConfig(t *testing.T) {
	for _, appendonly := range []string{"yes", "no"} {
		_, socket := foreign(t, t.TempDir(), "--appendonly", appendonly, "--appendfsync", "always",
			"--user", "engine", "on", "nopass", "~*", "&*", "+@all", "-config")
		client := Client(socket, func(o *redis.Options) { o.Username, o.Password = "engine", "any" })
		t.Cleanup(func() { client.Close() })
		if _, err := Check(within(t), client, ""); err == nil || !strings.Contains(err.Error(), "+config|get") {
			t.Errorf("nothing stated: %v", err)
		}
		store, err := Check(within(t), client, "fsync on every write")
		if (err == nil) != (appendonly == "yes") {
			t.Errorf("appendonly %s: %v", appendonly, err)
		}
		if err == nil && store.Durability != "as stated by the operator: fsync on every write" {
			t.Errorf("%+v", store)
		}
	}
}

func TestCheckRefusesOldAndFailing(t *testing.T) {
	f := facts{"redis_version": "7.0.15", "role": "master", "aof_last_write_status": "ok"}
	seen := map[string]string{}
	for _, w := range wanted {
		seen[w.name] = w.value
	}
	if _, err := judge(f, seen, ""); err != nil {
		t.Fatal(err)
	}
	for fact, value := range map[string]string{"redis_version": "6.2.14", "aof_last_write_status": "err"} {
		g := maps.Clone(f)
		g[fact] = value
		if _, err := judge(g, seen, ""); err == nil {
			t.Errorf("accepted %s %s", fact, value)
		}
	}
}

// A Redis that cuts its file inside a script would bring the half of it to life after what is accepted next. Once
// settled it does not.
func TestSettleCuresATornFile(t *testing.T) {
	dir, _ := written(t)
	to := t.TempDir()
	if err := copied(dir, to, 40); err != nil { // of the script, MULTI and its first write are left
		t.Fatal(err)
	}
	settings := []string{"--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes"}
	process, socket := foreign(t, to, settings...)
	client := connect(t, socket)
	if err := Settle(within(t), client); err != nil {
		t.Fatal(err)
	}
	if err := both.Run(within(t), client, []string{"c", "d"}, "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the killed server to end", func() bool { return client.Ping(within(t)).Err() != nil })
	_, socket = foreign(t, to, settings...)
	client = connect(t, socket)
	until(t, "the server to load", func() bool { return client.Ping(within(t)).Err() == nil })
	for key, want := range map[string]string{"a": "0", "b": "0", "c": "1", "d": "1"} {
		if got := client.Get(within(t), key).Val(); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func TestSettleTellsOfAFailedRewrite(t *testing.T) {
	dir := t.TempDir()
	_, socket := foreign(t, dir, "--appendonly", "yes", "--appendfsync", "always")
	client := connect(t, socket)
	if err := Settle(within(t), client); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, aofDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, aofDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Settle(within(t), client); err == nil {
		t.Error("settled without a place to write to")
	}
	if err := Settle(within(t), connect(t, socket+".none")); err == nil {
		t.Error("settled a Redis that is not there")
	}
}
