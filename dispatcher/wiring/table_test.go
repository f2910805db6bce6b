package wiring

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/loadtest/carrier"
	"tocsin/loadtest/carrierlog"
	pb "tocsin/proto/tocsin/v1"
)

const tableOfThis = `
policy:
  channels:
    - {tiers: [red, orange, yellow, blue, notice], to: [responsible], by: [flash_sms], then: [{after: 2s, by: [sms]}]}
    - {tiers: [red, orange, yellow, blue, notice], to: [public], by: [sms, cable_tv]}
`

// person is what the carrier saw of one number.
type person struct {
	flash, text int
	delivered   int64 // when the engine had answered the receipt of the flash message; 0: none that says delivered
}

// TestTheChannelTableOverTheWire: by the carrier's log responsible persons get a flash message, and by SMS too when no receipt
// said in time that it was delivered; the public gets the SMS.
func TestTheChannelTableOverTheWire(t *testing.T) {
	c, log := carries(t, func(cfg *carrier.Config) { cfg.Undelivered = 0.5 })
	dir, token := house(t, c.Address())
	path := filepath.Join(dir, ConfigFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(b), "channels: [sms]", "channels: [sms, flash_sms]", 1)+tableOfThis)
	address, _ := serving(t, dir)
	tokens := map[string]string{}
	inHouse(t, dir, func(h *House) {
		for name, role := range map[string]string{"fang": "forecaster", "ma": "approver"} {
			if tokens[name], err = h.AddUser(t.Context(), name, role, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	const people = 200 // the first half responsible
	first := uint64(9991_000000000)
	stream, err := pb.NewDirectoryServiceClient(as(t, dir, address, token)).Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := &pb.ImportRequest{Key: "people"}
	for i := range uint64(people) {
		rows.Number, rows.LonE7, rows.LatE7 = append(rows.Number, first+i), append(rows.LonE7, 108_4000000), append(rows.LatE7, 30_8000000)
		rows.Home, rows.Seen = append(rows.Home, 500101), append(rows.Seen, 0)
		duty := byte(0)
		if i < people/2 {
			duty = 1
		}
		rows.Role, rows.Language, rows.Flags = append(rows.Role, duty), append(rows.Language, 0), append(rows.Flags, 0)
	}
	if err := stream.Send(rows); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	sent, err := pb.NewWarningServiceClient(as(t, dir, address, tokens["fang"])).Submit(t.Context(), &pb.SubmitRequest{Key: "k", Warning: &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_RED, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"},
		Areas: []*pb.Area{{Where: &pb.Area_Unit{Unit: "500101"}}},
		Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨红色预警"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	told := sent.GetPreview().GetTold()
	if len(told) != 2 || told[0].GetDuty() != "responsible" || len(told[0].GetSteps()) != 2 || told[0].GetSteps()[1].GetAfterS() != 2 {
		t.Errorf("the preview says %v", told)
	}
	if r := sent.GetPreview().GetRemarks(); len(r) != 1 || r[0].GetRule() != "channels.unserved" {
		t.Errorf("the preview remarks %v", r)
	}
	w := sent.GetWarning()
	api := pb.NewWarningServiceClient(as(t, dir, address, tokens["ma"]))
	if _, err := api.Approve(t.Context(), &pb.ApproveRequest{Key: "a", Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest()}); err != nil {
		t.Fatal(err)
	}
	until(t, "completion", func() bool {
		g, err := api.Get(t.Context(), &pb.GetRequest{Id: w.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		w = g.GetWarning()
		return w.GetState() == pb.State_STATE_COMPLETED
	})
	step := w.GetReleasedAt().AsTime().Add(2 * time.Second).UnixNano()
	again, spared := 0, 0
	seen := seenBy(t, log)
	for i := range uint64(people) {
		p := seen[first+i]
		switch {
		case i >= people/2:
			if p.flash != 0 || p.text != 1 {
				t.Fatalf("one of the public got %+v", p)
			}
		case p.flash != 1 || p.text > 1 || p.delivered == 0 && p.text != 1 || p.delivered > 0 && p.delivered < step && p.text != 0:
			t.Fatalf("a responsible person got %+v, the step was at %d", p, step)
		case p.text == 1:
			again++
		default:
			spared++
		}
	}
	if again == 0 || spared == 0 {
		t.Errorf("%d responsible persons got the SMS too and %d did not: want some of each", again, spared)
	}
}

// seenBy is what a carrier's log says of every number.
func seenBy(t *testing.T, path string) map[uint64]person {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	seen, flash, of := map[uint64]person{}, map[int]bool{}, map[string]uint64{}
	r := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			return seen
		} else if err != nil {
			t.Fatal(err)
		}
		p := seen[l.To]
		switch l.Event {
		case carrierlog.Text:
			flash[l.Text] = l.Coding&0x10 != 0 // a class is meant, 3GPP TS 23.038 4
		case carrierlog.Submit:
			if flash[l.Text] {
				p.flash++
				of[string(l.ID)] = l.To
			} else {
				p.text++
			}
			seen[l.To] = p
		case carrierlog.Receipt:
			for id := range strings.FieldsSeq(string(l.IDs)) {
				if to := of[id]; to != 0 && l.State == "DELIVRD" && l.Status == 0 {
					p := seen[to]
					p.delivered = l.Time
					seen[to] = p
				}
			}
		}
	}
}
