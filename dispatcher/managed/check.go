package managed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// FsyncAlways is the durability of a Redis whose settings were seen.
const FsyncAlways = "fsync on every write"

// Store is a Redis that keeps promise 1.
type Store struct {
	RunID      string // changes when it is started again, or another one takes its place: check and settle again
	Version    string
	Durability string // FsyncAlways, or what the operator stated

	Memory, MaxMemory int64 // bytes used and allowed; MaxMemory 0: no limit
	AOF               int64 // bytes of the append-only file
	Rewriting         bool  // it is rewritten now
}

// wanted are the settings without which an OK does not mean durable, in the order of telling. Each is also the line to
// put into redis.conf. INFO shows some of them where CONFIG is forbidden.
var wanted = []struct{ name, value, fact, factValue, why string }{
	{"appendonly", "yes", "aof_enabled", "1", "what it accepts is lost with the process"},
	{"appendfsync", "always", "", "", "what it answers OK is not on disk yet"},
	{"no-appendfsync-on-rewrite", "no", "", "", "during a rewrite nothing is put on disk"},
	{"maxmemory-policy", "noeviction", "maxmemory_policy", "noeviction", "it throws records away when memory is short"},
}

// Check refuses a Redis that does not keep what it accepts (promise 1): not a primary, older than version 7, without
// an fsync on every write, or evicting. The error names every fault with the line that mends it. Where the user may not
// read settings, stated is what the operator states about durability in the configuration; empty refuses. Call it again
// whenever the run id may have changed, and from time to time, since settings change in a running server.
func Check(ctx context.Context, client *redis.Client, stated string) (Store, error) {
	f, err := readFacts(ctx, client)
	if err != nil {
		return Store{}, fmt.Errorf("asking Redis for INFO: %w", err)
	}
	seen := map[string]string{}
	for _, w := range wanted {
		values, err := client.ConfigGet(ctx, w.name).Result()
		var refusal redis.Error
		if errors.As(err, &refusal) {
			seen = nil
			break
		}
		if err != nil {
			return Store{}, fmt.Errorf("asking Redis for its settings: %w", err)
		}
		seen[w.name] = values[w.name]
	}
	return judge(f, seen, stated)
}

// judge is the rule of Check over what INFO and CONFIG GET answered; seen is nil where CONFIG is forbidden.
func judge(f facts, seen map[string]string, stated string) (Store, error) {
	store := Store{
		RunID: f["run_id"], Version: f["redis_version"], Durability: FsyncAlways, Memory: f.number("used_memory"),
		MaxMemory: f.number("maxmemory"), AOF: f.number("aof_current_size"), Rewriting: f["aof_rewrite_in_progress"] == "1",
	}
	var faults []string
	if v := store.Version; major(v) < oldest {
		faults = append(faults, fmt.Sprintf("its version is %s: install version %d or newer", v, oldest))
	}
	if role := f["role"]; role != "master" {
		faults = append(faults, fmt.Sprintf("its role is %s: name its primary (%s:%s) instead, or make this one a primary: "+
			"REPLICAOF NO ONE", role, f["master_host"], f["master_port"]))
	}
	if f["aof_last_write_status"] == "err" {
		faults = append(faults, "its last write to the append-only file failed: make room on its disk, see its log")
	}
	if seen == nil {
		store.Durability = "as stated by the operator: " + stated
		if stated == "" {
			faults = append(faults, "CONFIG GET is forbidden to this user: allow it (ACL SETUSER name +config|get), or state "+
				"durability: in the configuration")
		}
	}
	for _, w := range wanted {
		switch {
		case seen != nil && seen[w.name] != w.value:
			faults = append(faults, fault(w.name, seen[w.name], w.value, w.why))
		case seen == nil && w.fact != "" && f[w.fact] != w.factValue:
			faults = append(faults, fault(w.name, f[w.fact], w.value, w.why))
		}
	}
	if len(faults) > 0 {
		return Store{}, fmt.Errorf("this Redis does not keep what it accepts: %s", strings.Join(faults, "; "))
	}
	return store, nil
}

// fault tells one wrong setting with the line to mend it.
func fault(name, is, value, why string) string {
	return fmt.Sprintf("%s is %q and %s: CONFIG SET %s %s, and in redis.conf: %s %s", name, is, why, name, value, name, value)
}

// Settle rewrites the append-only file and waits until that has finished. A Redis that was started with
// aof-load-truncated yes may have cut its file inside a script, and would lose what it accepts next; a finished rewrite
// cures it. Call it at first contact and at each changed run id, before anything is accepted. The server of our own
// never needs it.
func Settle(ctx context.Context, client *redis.Client) error {
	if _, err := rewritten(ctx, client); err != nil { // one that runs may have begun before the settings were right
		return err
	}
	if err := client.BgRewriteAOF(ctx).Err(); err != nil {
		return fmt.Errorf("BGREWRITEAOF: %w", err)
	}
	status, err := rewritten(ctx, client)
	if err != nil {
		return err
	}
	if status != "ok" {
		return fmt.Errorf("the rewrite of Redis's append-only file failed (aof_last_bgrewrite_status:%s): see its log; it needs "+
			"room on disk, and memory (vm.overcommit_memory = 1)", status)
	}
	return nil
}

// rewritten waits until the server has loaded and no rewrite runs or is planned, and gives the status of the last.
func rewritten(ctx context.Context, client *redis.Client) (status string, err error) {
	for {
		f, err := readFacts(ctx, client)
		if err != nil {
			return "", fmt.Errorf("asking Redis for INFO: %w", err)
		}
		if f["loading"] == "0" && f["aof_rewrite_in_progress"] == "0" && f["aof_rewrite_scheduled"] == "0" {
			return f["aof_last_bgrewrite_status"], nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("waiting for the rewrite of Redis's append-only file: %w", err)
		}
	}
}
