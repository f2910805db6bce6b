package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher"
	"tocsin/dispatcher/managed"
	"tocsin/loadtest/rig"
)

// asCommand makes this test binary the command itself, so that a test can run real processes of it.
const asCommand = "TOCSIN_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// raised is a house of real processes: an engine with its Redis, three carriers, loudspeakers and an app.
func raised(t *testing.T) (h *rig.Rig, store *redis.Client) {
	t.Helper()
	t.Setenv(asCommand, "1")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "house")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err = rig.Raise(ctx, rig.Options{
		Binary: self, Dir: dir, People: 2000, Seed: 1, Accounts: rig.Thirds(300, 1, 10, 10*time.Millisecond), Areas: rig.Loudspeakers(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Down)
	store = managed.Client(filepath.Join(dir, "data", "redis", "redis.sock"))
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, store
}

const recordKey = "{tocsin:demo}:record"

// acts is what people did by the record of acts: one line each. What the engine does for itself is left out.
func acts(t *testing.T, store *redis.Client) (lines []string) {
	t.Helper()
	all, err := store.LRange(t.Context(), recordKey, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range all {
		var e dispatcher.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		if e.Role != "" && e.User != "engine" {
			lines = append(lines, e.User+" "+e.Act+" "+e.Subject)
		}
	}
	return lines
}

// command runs the command as a process to its end; the error carries what it complained of.
func command(ctx context.Context, args ...string) (out string, complaint string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	c := exec.CommandContext(ctx, self, args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	if err = c.Run(); err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(e.String())))
	}
	return o.String(), e.String(), err
}

// inAnswer is a value of an answer in JSON, by the names on the way to it.
func inAnswer(t *testing.T, answer string, names ...string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%v in %q", err, answer)
	}
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return fmt.Sprint(v)
}
