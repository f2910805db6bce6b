package crash

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"tocsin/dispatcher/managed"
	"tocsin/loadtest/place"
	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// redisOfOthers is a redis-server that keeps promise 1 and is not the engine's own.
func redisOfOthers(t *testing.T) string {
	t.Helper()
	server, _, err := managed.Find()
	if err != nil {
		t.Fatal(err)
	}
	at := place.Of(t)
	cmd := exec.Command(server, "--bind", "127.0.0.1", "--port", at.Port(), "--dir", t.TempDir(), "--save", "", "--appendonly", "yes",
		"--appendfsync", "always", "--maxmemory-policy", "noeviction")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, func() error {
		c, err := net.Dial("tcp", at.Address)
		if err != nil {
			return err
		}
		return c.Close()
	})
	return at.Address
}

// TestASecondEngineStandsByAndTakesOver kills the engine that owns all accounts; another one over the same Redis goes
// on with what is left, within the contract.
func TestASecondEngineStandsByAndTakesOver(t *testing.T) {
	h, err := up(t.Context(), t.TempDir(), redisOfOthers(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Down)
	if err := h.StandBy(t.Context()); err != nil {
		t.Fatal(err)
	}
	owners := func() map[string]int {
		conn, err := h.As(rig.Engineer)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		list, err := pb.NewChannelServiceClient(conn).List(ctx, &pb.ListChannelsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for _, a := range list.GetAccounts() {
			n[a.GetOwner()]++
		}
		return n
	}
	if got := owners(); got["n1"] != len(accounts()) {
		t.Errorf("the owners are %v while the first engine lives", got)
	}
	id := h.warn(t, "渝东南丁")
	h.reach(t, id, 0.3)
	h.crashed()
	h.KillEngine()
	h.TurnTo()
	rep, v := h.judge(t, id)
	everybody(t, rep, v)
	if v.ExtraMessages > h.allowed {
		t.Errorf("%d messages came again, allowed are %d", v.ExtraMessages, h.allowed)
	}
	if got := owners(); got["n2"] != len(accounts()) {
		t.Errorf("the owners are %v after the first engine was killed", got)
	}
}
