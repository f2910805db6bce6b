package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/dispatcher/audit"
	"tocsin/loadtest/rig"
)

// TestAuditVerifyFindsEachForgery: somebody with the whole of the Redis changes the record of a house, in the six ways there
// are, and the verb finds what and where. The chain is rewritten from the start with seals that fit and are signed, with
// another key.
func TestAuditVerifyFindsEachForgery(t *testing.T) {
	h, store := raised(t)
	for range 4 {
		for _, verb := range []string{"pause", "resume"} {
			if _, _, err := command(t.Context(), h.Command(rig.Engineer, "channel", verb, "mobile")...); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.StopEngine() // it seals what it has; its Redis goes on
	honest, err := store.LRange(t.Context(), recordKey, 0, -1).Result()
	if err != nil || len(honest) < 8 {
		t.Fatalf("the record has %d acts: %v", len(honest), err)
	}
	verify := func() (r audit.Result, out string, ok bool) {
		t.Helper()
		out, _, err := command(t.Context(), "audit", "verify", "--config", h.Config(), "-o", "json")
		if uerr := json.Unmarshal([]byte(out), &r); uerr != nil {
			t.Fatalf("%v, %v: %s", uerr, err, out)
		}
		return r, out, err == nil
	}
	if r, out, ok := verify(); !ok || !r.OK() || int(r.Sealed) != len(honest) {
		t.Fatalf("nobody has changed it: %s", out)
	}
	last := len(honest)
	for _, c := range []struct {
		kind   audit.Kind
		number int
		forge  func(e []string) []string
	}{
		{audit.Changed, 8, func(e []string) []string {
			e[7] = strings.Replace(e[7], rig.Engineer, rig.Forecaster, 1)
			return e
		}},
		{audit.Removed, 8, func(e []string) []string { return slices.Delete(e, 7, 8) }},
		{audit.Inserted, 8, func(e []string) []string { return slices.Insert(e, 7, e[6]+" ") }},
		{audit.Reordered, 8, func(e []string) []string { e[7], e[9] = e[9], e[7]; return e }},
		{audit.CutTail, last - 1, func(e []string) []string { return e[:last-2] }},
		{audit.Rewritten, 8, func(e []string) []string {
			e[7] = strings.Replace(e[7], rig.Engineer, rig.Forecaster, 1)
			resealed(t, store, e)
			return e
		}},
	} {
		write(t, store, c.forge(slices.Clone(honest)))
		r, out, ok := verify()
		if ok || !slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Kind == c.kind && f.Number == uint64(c.number) }) {
			t.Errorf("%s at %d is not found: %s", c.kind, c.number, out)
		}
		lines, _, err := command(t.Context(), "audit", "verify", "--config", h.Config())
		if err == nil || !strings.Contains(lines, string(c.kind)) {
			t.Errorf("%s is not told in words: %s", c.kind, lines)
		}
	}
}

// write puts other entries into the record.
func write(t *testing.T, store *redis.Client, entries []string) {
	t.Helper()
	if err := store.Del(t.Context(), recordKey).Err(); err != nil {
		t.Fatal(err)
	}
	if err := store.RPush(t.Context(), recordKey, entries).Err(); err != nil {
		t.Fatal(err)
	}
}

// resealed signs the chain of other entries with a key of one's own, in place of every seal in the store.
func resealed(t *testing.T, store *redis.Client, entries []string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const table = "{tocsin:demo}:table:seals"
	seals, err := store.HGetAll(t.Context(), table).Result()
	if err != nil || len(seals) == 0 {
		t.Fatalf("the store has %d seals: %v", len(seals), err)
	}
	for field, value := range seals {
		s, err := audit.ParseSeal(value[1:])
		if err != nil {
			t.Fatal(err)
		}
		s.Hash, s.At, s.Signature = audit.Hash{}, time.Now(), nil
		for n, e := range entries[:s.Number] {
			s.Hash = sha256.Sum256(append(binary.BigEndian.AppendUint64(s.Hash[:], uint64(n+1)), e...))
		}
		text := strings.TrimSuffix(s.String(), " ") // without a signature
		text += " " + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
		if err := store.HSet(t.Context(), table, field, value[:1]+text).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
