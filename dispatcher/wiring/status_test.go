package wiring

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "tocsin/proto/tocsin/v1"
)

// TestAReloadIsWholeOrNothing changes the file under a running engine.
func TestAReloadIsWholeOrNothing(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	conn := as(t, dir, address, token)
	api, accounts := pb.NewHouseServiceClient(conn), pb.NewChannelServiceClient(conn)
	file := filepath.Join(dir, ConfigFile)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rate := func() float64 {
		r, err := accounts.List(t.Context(), &pb.ListChannelsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetAccounts()[0].GetContractMessagesPerS()
	}
	reload := func(key string, edits ...string) (*pb.ReloadResponse, error) {
		write(t, file, strings.NewReplacer(edits...).Replace(string(first)))
		return api.Reload(t.Context(), &pb.ReloadRequest{Key: key, CheckOnly: key == "look"})
	}
	if r, err := reload("same"); err != nil || r.GetApplied() || len(r.GetChanges()) != 0 {
		t.Errorf("nothing was changed: %v, %v", r, err)
	}
	for _, c := range []struct{ key, from, to, says string }{
		{"listen", "listen: 127.0.0.1:0", "listen: 127.0.0.1:1", "listen (line 4)"},
		{"account", "name: mobile", "name: unicom, timers: {bind: 50ms}", "no link of account unicom can be bound"},
		{"links", "links: 2", "links: 3, timers: {bind: 50ms}", "no link of account mobile can be bound"},
		{"key", "key: ./server.key", "key: ./seal.key", "nothing of it was applied"},
		{"fault", "realm: test", "realm: TEST", "is not a name"},
	} {
		_, err := reload(c.key, "rate: 1500", "rate: 900", c.from, c.to)
		if code := status.Code(err); err == nil || code == codes.Unknown || code == codes.Internal || !strings.Contains(err.Error(), c.says) || rate() != 1500 {
			t.Errorf("%s: %v; the rate is %v", c.key, err, rate())
		}
	}
	if r, err := reload("look", "rate: 1500", "rate: 900"); err != nil || r.GetApplied() || len(r.GetChanges()) != 1 || rate() != 1500 {
		t.Errorf("a look changed something: %v, %v", r, err)
	}
	found := func(kind string) bool {
		s, err := api.Status(t.Context(), &pb.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.GetFindings() {
			if f.GetKind() == kind {
				return true
			}
		}
		return false
	}
	if !found("config_changed") {
		t.Error("status does not say that the file was changed")
	}
	r, err := reload("rate", "rate: 1500", "rate: 900")
	if err != nil || !r.GetApplied() || rate() != 900 || r.GetChanges()[0].GetKey() != "accounts.mobile.rate" || found("config_changed") {
		t.Errorf("got %v, %v; the rate is %v", r, err, rate())
	}
	if _, err := accounts.SetRate(t.Context(), &pb.SetRateRequest{Key: "hand", Account: "mobile", MessagesPerS: 700}); err != nil {
		t.Fatal(err)
	}
	r, err = reload("by hand", "rate: 1500", "rate: 800")
	if err != nil || len(r.GetByHand()) != 1 || rate() != 700 {
		t.Errorf("a rate by hand holds over the file: %v, %v; the rate is %v", r, err, rate())
	}
	if _, err := accounts.ResetRate(t.Context(), &pb.ResetRateRequest{Key: "back", Account: "mobile"}); err != nil || rate() != 800 {
		t.Errorf("the rate is %v after it was given up: %v", rate(), err)
	}
	inHouse(t, dir, func(h *House) {
		entries, err := h.Store.Entries(t.Context(), 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		reloads := 0
		for _, e := range entries {
			if strings.Contains(string(e), `"config.reload"`) && strings.Contains(string(e), `"eng"`) && strings.Contains(string(e), "accounts.mobile.rate") {
				reloads++
			}
		}
		if reloads != 2 {
			t.Errorf("%d reloads stand in the record, want 2", reloads)
		}
	})
}

// TestStatusIsAnsweredWhileTheStoreIsAway stops the Redis as a machine that hangs would.
func TestStatusIsAnsweredWhileTheStoreIsAway(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	address, _ := serving(t, dir)
	api := pb.NewHouseServiceClient(as(t, dir, address, token))
	kinds := func() string {
		s, err := api.Status(t.Context(), &pb.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range s.GetFindings() {
			all = append(all, f.GetKind()+" "+f.GetSubject())
		}
		return strings.Join(all, ", ")
	}
	until(t, "the first look", func() bool { return kinds() == "down mobile" }) // no carrier plays
	inHouse(t, dir, func(h *House) {
		pid := h.own.PID()
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}()
		until(t, "a status that says that the store is away", func() bool {
			k := kinds()
			return strings.Contains(k, "store ") && strings.Contains(k, "intake ") && strings.Contains(k, "down mobile")
		})
	})
	until(t, "all as before", func() bool { return kinds() == "down mobile" })
}
