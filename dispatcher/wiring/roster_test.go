package wiring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
)

const roll = `
duty:
  people:
    - {user: ma, number: "9998000000001", hours: 08:00-20:00}
    - {user: bo, number: "9998000000002", backup: 1}
    - {user: fang, number: "9998000000003"}
    - {user: gone, number: "9998000000004"}
`

// onRoll makes a house with people on duty.
func onRoll(t *testing.T, address string) (dir string, tokens map[string]string) {
	t.Helper()
	dir, token := house(t, address)
	path := filepath.Join(dir, ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text)+roll)
	tokens = map[string]string{"eng": token}
	inHouse(t, dir, func(h *House) {
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver", "bo": "commander", "gone": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.RevokeUser(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	})
	return dir, tokens
}

// TestRoster: hours are those of Beijing, a hand wins over them, a role is the one of now, and nobody who is no user any
// more is rung.
func TestRoster(t *testing.T) {
	dir, _ := onRoll(t, "127.0.0.1:1")
	inHouse(t, dir, func(h *House) {
		r, err := newRoster(h)
		if err != nil {
			t.Fatal(err)
		}
		today := time.Now().UTC().Truncate(24 * time.Hour)
		at := func(when time.Time) map[string]dispatcher.Callee {
			all, err := r.Callees(t.Context(), when)
			if err != nil || len(all) != 3 {
				t.Fatalf("%d people, %v", len(all), err)
			}
			byName := map[string]dispatcher.Callee{}
			for _, c := range all {
				byName[c.User] = c
			}
			return byName
		}
		noon, night := at(today.Add(4*time.Hour)), at(today.Add(14*time.Hour))
		if !noon["ma"].OnDuty || night["ma"].OnDuty || !night["bo"].OnDuty {
			t.Errorf("at noon %+v, at night %+v", noon, night)
		}
		if !noon["ma"].Approves || !noon["bo"].Approves || noon["fang"].Approves || noon["bo"].Backup != 1 {
			t.Errorf("got %+v", noon)
		}
		put := dispatcher.Put{Table: dispatcher.TableDuty, Field: "ma", Value: []byte("on")}
		if _, err := h.Store.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{put}}); err != nil {
			t.Fatal(err)
		}
		if c := at(today.Add(14 * time.Hour))["ma"]; !c.OnDuty || !c.Switched {
			t.Errorf("on by hand: %+v", c)
		}

		made := r.Snapshot([]uint64{9998000000001, 9998000000002})
		if strings.Contains(made.ID(), "9998") {
			t.Errorf("the id %s shows a number", made.ID())
		}
		d := newDirectory(h.Store, limitsOf(h.Config.Limits), h.log)
		again, err := d.Snapshot(t.Context(), made.ID())
		if err != nil {
			t.Fatal(err)
		}
		if _, slot, ok := again.Find(9998000000002); !ok || again.Block(0).Number[slot] != 9998000000002 || again.Blocks() != 1 || again.ID() != made.ID() {
			t.Errorf("read again it is %+v", again)
		}
		if _, err := d.Snapshot(t.Context(), made.ID()+"A"); err == nil {
			t.Error("a changed id is taken")
		}
	})
}

// TestAnApproverIsRungOverTheWire: the number of the roster is at the carrier, and neither in the store nor in an answer.
func TestAnApproverIsRungOverTheWire(t *testing.T) {
	c, log := carries(t)
	dir, tokens := onRoll(t, c.Address())
	address, stop := serving(t, dir)
	importPeople(t, as(t, dir, address, tokens["eng"]), "i1", 1000)
	duty := pb.NewDutyServiceClient(as(t, dir, address, tokens["ma"]))
	set, err := duty.Set(t.Context(), &pb.SetDutyRequest{Key: "on", State: "on"})
	if err != nil || strings.Contains(set.String(), "9998") || len(set.GetPeople()) != 3 {
		t.Errorf("%v, %v", set, err)
	}
	if _, err := pb.NewDutyServiceClient(as(t, dir, address, tokens["eng"])).Set(t.Context(), &pb.SetDutyRequest{Key: "on", State: "on"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an engineer went on duty: %v", err)
	}
	sent, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["fang"])).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
		Areas: []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}},
		Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨橙色预警"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the call", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && bytes.Contains(text, []byte("9998000000001"))
	})
	list, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"])).List(t.Context(), &pb.ListRequest{})
	if err != nil || len(list.GetWarnings()) != 1 || list.GetWarnings()[0].GetId() != sent.GetWarning().GetId() {
		t.Errorf("the list is %v, %v", list, err)
	}
	list, err = pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"])).List(t.Context(), &pb.ListRequest{Calls: true})
	if err != nil || !slices.ContainsFunc(list.GetWarnings(), func(w *pb.Warning) bool { return len(w.GetRung()) > 0 }) { // it may have ended by now
		t.Errorf("with calls the list is %v, %v", list, err)
	}
	stop()
	err = filepath.WalkDir(filepath.Join(dir, "data"), func(path string, e os.DirEntry, err error) error {
		var text []byte
		if err == nil && e.Type().IsRegular() { // sockets hold nothing
			text, err = os.ReadFile(path)
		}
		if bytes.Contains(text, []byte("9998000000001")) {
			t.Errorf("%s holds the number", path)
		}
		if errors.Is(err, os.ErrNotExist) { // gone meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
