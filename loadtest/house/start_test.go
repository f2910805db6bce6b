package house

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher/managed"
	"tocsin/dispatcher/wiring"
	"tocsin/loadtest/place"
	pb "tocsin/proto/tocsin/v1"
)

// TestExerciseWithoutALinkForItIsRefused asks a house that has nothing but a live link, which nobody answers.
func TestExerciseWithoutALinkForItIsRefused(t *testing.T) {
	h, err := newHome(t.Context(), t.TempDir(), account("mobile", "127.0.0.1:1", `"86"`, "live"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.nothingStays(t, func() {
		_, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: good()})
		invalid("warning.channels[0]", "channel.status", "have an engineer configure a link of that kind").check(t, err)
	})
}

func TestAConfigurationWithAFaultNamesItsLine(t *testing.T) {
	t.Setenv("TOCSIN_HOUSE", "secret")
	fine := configText(account("mobile", "127.0.0.1:2775", `"9991"`, "simulated"))
	for name, c := range map[string]struct{ from, to, says string }{
		"unknown key":             {"node: n1", "nod: n1", "tocsin.yaml:2: nod is not a key that is known here (did you mean node?)"},
		"unknown key of account":  {"window: 10", "windows: 10", "tocsin.yaml:8: accounts[0].windows is not a key that is known here (did you mean window?)"},
		"zero rate":               {"rate: 1500", "rate: 0", "tocsin.yaml:8: accounts[0].rate is 0 (it must be from 1 to 10000000)"},
		"negative rate":           {"rate: 1500", "rate: -1", "tocsin.yaml:8: accounts[0].rate is -1 (it must be from 1 to 10000000)"},
		"numbers of real people":  {`"9991"`, `"86"`, "tocsin.yaml:8: accounts[0].prefixes[0] \"86\" is of numbers that could be somebody's"},
		"synthetic on a live one": {"kind: simulated", "kind: live", "live links take none"},
		"no realm":                {"realm: house\n", "", "tocsin.yaml:1: realm \"\" is not a name (1 to 32 of a-z, 0-9 and -)"},
		"twice":                   {"node: n1", "realm: other", "tocsin.yaml:2: realm stands in line 1 already (keep one of them)"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, wiring.ConfigFile)
			text := strings.Replace(fine, c.from, c.to, 1)
			if text == fine {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := wiring.LoadConfig(path); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q is not in: %v", c.says, err)
			}
			// Nothing is begun in the directory of a configuration that cannot be read.
			if _, err := wiring.Init(t.Context(), wiring.NewHouse{Dir: dir, Hosts: []string{"127.0.0.1"}, User: engineer, Role: "engineer"}, zap.NewNop()); err == nil {
				t.Error("a house was made of it")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("%v was left behind (%v)", left, err)
			}
		})
	}
}

// TestServeRefusesARedisThatForgets starts the engine over a Redis that others run, with one setting that breaks
// promise 1 each time. It is refused with the line to mend, and nothing is written into that Redis.
func TestServeRefusesARedisThatForgets(t *testing.T) {
	good := []string{"--appendonly", "yes", "--appendfsync", "always"}
	for name, c := range map[string]struct {
		settings []string
		says     string
	}{
		"as it comes":         {nil, "CONFIG SET appendonly yes, and in redis.conf: appendonly yes"},
		"fsync now and then":  {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, "CONFIG SET appendfsync always, and in redis.conf: appendfsync always"},
		"none in a rewrite":   {append(slices.Clone(good), "--no-appendfsync-on-rewrite", "yes"), "in redis.conf: no-appendfsync-on-rewrite no"},
		"throws records away": {append(slices.Clone(good), "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "in redis.conf: maxmemory-policy noeviction"},
		"a replica":           {append(slices.Clone(good), "--replicaof", "127.0.0.1", "1"), "make this one a primary"},
	} {
		t.Run(name, func(t *testing.T) {
			address := foreignRedis(t, c.settings...)
			dir := t.TempDir()
			t.Setenv("TOCSIN_HOUSE", "secret")
			text := configText(account("mobile", "127.0.0.1:1", `"9991"`, "simulated")) + "redis: {address: \"" + address + "\"}\n"
			path := filepath.Join(dir, wiring.ConfigFile)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := wiring.Init(t.Context(), wiring.NewHouse{Dir: dir, Hosts: []string{"127.0.0.1"}, User: engineer, Role: "engineer"}, zap.NewNop())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("init: %q is not in: %v", c.says, err)
			}
			cfg, err := wiring.LoadConfig(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := wiring.Serve(t.Context(), cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("serve: %q is not in: %v", c.says, err)
			}
			client := managed.Client(address)
			defer client.Close()
			if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("%d keys were written (%v)", n, err)
			}
		})
	}
}

// foreignRedis runs a redis-server that is not ours, on the loopback, until the test ends.
func foreignRedis(t *testing.T, settings ...string) string {
	t.Helper()
	server, _, err := managed.Find()
	if err != nil {
		t.Fatal(err)
	}
	at := place.Of(t)
	cmd := exec.Command(server, append([]string{"--bind", "127.0.0.1", "--port", at.Port(), "--dir", t.TempDir(), "--save", ""}, settings...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := managed.Client(at.Address)
	t.Cleanup(func() { _ = client.Close() })
	until(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("the foreign Redis does not answer: %w", err)
		}
		return nil
	})
	return at.Address
}
