package wiring

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/loadtest/carrier"
	pb "tocsin/proto/tocsin/v1"
)

// misbehaviours is what each carrier of one house does, and what becomes of all of its people. The accounts begin with 999
// and two digits of their own.
var misbehaviours = []struct {
	name    string
	hex     bool // the account is told that ids come in two forms
	carrier func(*carrier.Config)
	want    func(*pb.ReportResponse_Row) int64
}{
	{"well", false, func(*carrier.Config) {}, (*pb.ReportResponse_Row).GetDelivered},
	{"early", false, func(c *carrier.Config) { c.EarlyReceipts, c.RoundTrip = 1, 50*time.Millisecond }, (*pb.ReportResponse_Row).GetDelivered},
	{"twice", false, func(c *carrier.Config) { c.DuplicateReceipts = 1 }, (*pb.ReportResponse_Row).GetDelivered},
	{"stray", false, func(c *carrier.Config) { c.StrayReceipts = 1 }, (*pb.ReportResponse_Row).GetDelivered},
	{"none", false, func(c *carrier.Config) { c.Receipts = false }, (*pb.ReportResponse_Row).GetHandedOver},
	{"hex", true, func(c *carrier.Config) { c.IDs = "hex" }, (*pb.ReportResponse_Row).GetDelivered},
	{"failed", false, func(c *carrier.Config) { c.Undelivered = 1 }, (*pb.ReportResponse_Row).GetNotReached},
	{"unknown", false, func(c *carrier.Config) { c.BadNumber = 1 }, (*pb.ReportResponse_Row).GetNotReached},
	{"throttling", false, func(c *carrier.Config) { c.Throttled = 0.05 }, (*pb.ReportResponse_Row).GetDelivered},
	{"full", false, func(c *carrier.Config) { c.QueueFull = 0.01 }, (*pb.ReportResponse_Row).GetDelivered},
}

// TestWhereAPersonStandsAfterAMisbehaviour sends one warning over carriers that each do one thing.
func TestWhereAPersonStandsAfterAMisbehaviour(t *testing.T) {
	dir, token := house(t, "127.0.0.1:1")
	file := filepath.Join(dir, ConfigFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, line, _ := strings.Cut(string(text), "accounts:\n")
	all := head + "accounts:\n"
	for i, m := range misbehaviours {
		c, _ := carries(t, m.carrier)
		all += strings.NewReplacer("name: mobile", fmt.Sprintf("name: %s, hex_ids: %v", m.name, m.hex), "127.0.0.1:1", c.Address(),
			`"999"`, fmt.Sprintf(`"999%02d"`, i)).Replace(line)
	}
	write(t, file, all)
	address, _ := serving(t, dir)
	tokens := map[string]string{}
	inHouse(t, dir, func(h *House) {
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	people, err := geofence.Synth(10_000, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := pb.NewDirectoryServiceClient(as(t, dir, address, token)).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row := uint64(0)
	for p := range people.Chunks(1000) {
		for i := range p.Number {
			row++
			p.Number[i] = 999_00_00000000 + row%uint64(len(misbehaviours))*1_00000000 + row
		}
		if err := stream.Send(&pb.ImportRequest{Key: "people", Number: p.Number, LonE7: p.Lon, LatE7: p.Lat, Home: p.Home, Seen: p.Seen, Language: p.Language, Role: p.Duty, Flags: p.Flags}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	approver := as(t, dir, address, tokens["ma"])
	id := warn(t, as(t, dir, address, tokens["fang"]), approver)
	var faults []string
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := pb.NewWarningServiceClient(approver).Report(t.Context(), &pb.ReportRequest{Id: id})
		if err != nil || !r.GetLanes()[0].GetBalanced() {
			t.Fatalf("%v, %v", r, err)
		}
		faults = nil
		for _, m := range misbehaviours {
			var of *pb.ReportResponse_Row
			for _, x := range r.GetByCarrier() {
				if x.GetKey() == m.name {
					of = x
				}
			}
			if n := of.GetPlanned(); n == 0 || m.want(of) != n {
				faults = append(faults, fmt.Sprintf("%s: %v", m.name, of))
			}
		}
		if len(faults) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not as the table says:\n%s", strings.Join(faults, "\n"))
		}
	}
}
