package house

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"tocsin/loadtest/carrier"
	pb "tocsin/proto/tocsin/v1"
)

// Each test here replays an accident of real warnings on a running house.

// desk is a house with a carrier that answers, one that never does, and a live one for which nobody has a number.
func desk(t *testing.T) *home {
	t.Helper()
	cfg := carrier.Default()
	cfg.Name, cfg.Listen, cfg.Log, cfg.SystemID, cfg.Password = "mobile", "127.0.0.1:0", filepath.Join(t.TempDir(), "mobile.jsonl"), "tocsin", "secret"
	return opened(t, deskText(carrying(t, cfg)))
}

// carrying runs a simulated carrier and answers where.
func carrying(t *testing.T, cfg carrier.Config) string {
	t.Helper()
	c, err := carrier.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c.Address()
}

// released is a warning that somebody else has approved.
func (h *home) released(t *testing.T, spec *pb.WarningSpec) *pb.Warning {
	t.Helper()
	r, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	return h.approved(t, r.GetWarning())
}

func (h *home) approved(t *testing.T, w *pb.Warning) *pb.Warning {
	t.Helper()
	a, err := h.warnings(approver).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: 1, Digest: w.GetDigest()})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetWarning()
}

// untilTold waits until so many people have it in each lane.
func (h *home) untilTold(t *testing.T, id string, enough func(*pb.ReportResponse) bool) (r *pb.ReportResponse) {
	t.Helper()
	until(t, func() (err error) {
		if r, err = h.warnings(commander).Report(t.Context(), &pb.ReportRequest{Id: id}); err == nil && !enough(r) {
			err = fmt.Errorf("%d delivered, %d waiting: %v", r.GetDelivered(), r.GetWaiting(), r.GetLanes())
		}
		return err
	})
	return r
}

func actual() *pb.WarningSpec {
	spec := good()
	spec.Status, spec.Words = pb.Status_STATUS_ACTUAL, nil
	return spec
}

// TestHawaii20180113: one person chose the danger in a menu where the drill stood beside it, nobody else looked, and the
// correction had to be written first: 38 minutes. Here the status has no default and a wrong one is refused by its words
// or its links, a second person sees it, one person stops it, and the correction is ready and goes to whom it reached.
func TestHawaii20180113(t *testing.T) {
	h := desk(t)
	none := good()
	none.Status = 0
	h.nothingStays(t, func() {
		_, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: none})
		invalid("warning.status", "status.missing", "say actual, exercise or public_drill").check(t, err)
	})
	spec := actual()
	spec.Event, spec.Tier = "11A51", pb.Tier_TIER_RED
	r, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	w := r.GetWarning()
	if w.GetState() != pb.State_STATE_SUBMITTED || w.GetApprovalsMissing() != 1 {
		t.Errorf("one person was enough: %v", w)
	}
	_, err = h.warnings(forecaster).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: 1, Digest: w.GetDigest()})
	refusal{codes.PermissionDenied, "DENIED", "", "", "approver"}.check(t, err)
	_, err = h.warnings(forecaster).EmergencyRelease(t.Context(), &pb.EmergencyReleaseRequest{Key: rand.Text(), Id: w.GetId(), Why: "x"})
	refusal{codes.PermissionDenied, "DENIED", "", "", "commander"}.check(t, err)
	for _, kind := range []pb.Type{pb.Type_TYPE_CANCEL, pb.Type_TYPE_ALL_CLEAR} {
		if !slices.ContainsFunc(w.GetSpec().GetWords(), func(x *pb.Words) bool { return x.GetKind() == kind && x.GetText() != "" }) {
			t.Errorf("no words of kind %s are ready at submission", kind)
		}
	}

	// The same mistake in a drill, which this house can play to the end.
	drill := h.released(t, good())
	h.untilTold(t, drill.GetId(), func(r *pb.ReportResponse) bool { return r.GetDelivered() > 0 })
	c, err := h.warnings(forecaster).Cancel(t.Context(), &pb.CancelRequest{Key: rand.Text(), Id: drill.GetId(), Why: "by mistake"})
	if err != nil || c.GetWarning().GetState() != pb.State_STATE_CANCELLED || c.GetCorrection().GetId() == "" {
		t.Fatalf("one person stops it, and the correction is there: %v, %v", c, err)
	}
	first := h.untilTold(t, drill.GetId(), func(r *pb.ReportResponse) bool {
		return r.GetLanes()[0].GetHandedOver() == 0 && r.GetLanes()[0].GetSending() == 0
	})
	h.approved(t, c.GetCorrection())
	// Whose message was recalled may have read a part of it: they hear the correction too.
	may := first.GetLanes()[0].GetDelivered() + first.GetLanes()[0].GetUndelivered()
	h.untilTold(t, c.GetCorrection().GetId(), func(r *pb.ReportResponse) bool {
		return r.GetDelivered() == may && r.GetHandedOver() == 0
	})
}

// TestSeoul20230531: a text woke a city at 06:41 and did not say why, where to go, or what to do, and who sent it had no
// authority to. Here every text that is made says all of it and until when, and an area of somebody else's is refused with
// whom to ask.
func TestSeoul20230531(t *testing.T) {
	h := desk(t)
	spec := actual()
	r, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range r.GetPreview().GetTexts() {
		words := strings.Join(text.GetSegments(), "")
		if text.GetLanguage() != "zh-CN" || text.GetKind() != pb.Type_TYPE_ALERT {
			continue
		}
		for what, part := range map[string]string{
			"who": "台", "what": "暴雨", "how bad": "橙色", "where": "万州区", "until when": "有效至", "what to do": "减少外出", "whom to call": "9990000001",
		} {
			if !strings.Contains(words, part) {
				t.Errorf("%s does not say %s", words, what)
			}
		}
	}
	for field, spoil := range map[string]func(*pb.WarningSpec){
		"warning.issuers": func(s *pb.WarningSpec) { s.Issuers = nil },
		"warning.event":   func(s *pb.WarningSpec) { s.Event = "" },
		"warning.areas":   func(s *pb.WarningSpec) { s.Areas = nil },
		"warning.expires": func(s *pb.WarningSpec) { s.Expires = nil },
	} {
		bad := actual()
		spoil(bad)
		if _, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: bad}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
	foreign := actual()
	foreign.Areas = []*pb.Area{drawn(box(106.2, 30, 106.9, 30.6))}
	foreign.Areas[0].Name = "华蓥山"
	h.nothingStays(t, func() {
		_, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: foreign})
		invalid("warning.areas", "area.jurisdiction", "ask the authority of 四川省").check(t, err)
	})
	foreign.Clip = true
	cut, err := h.warnings(forecaster).Preview(t.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: foreign}})
	if err != nil || cut.GetBorder() != "" || len(cut.GetClipped()) != 1 || len(cut.GetClipped()[0].GetPolygons().GetParts()) == 0 {
		t.Errorf("what is left at the border: %v, %v", cut, err)
	}
}

// TestHokkaido20230413: an alert was corrected after 21 minutes, and over another channel only. Here the correction goes by
// every channel by which the alert went, to whom it reached there.
func TestHokkaido20230413(t *testing.T) {
	h := desk(t)
	spec := good()
	spec.Channels = []pb.Channel{pb.Channel_CHANNEL_SMS, pb.Channel_CHANNEL_FLASH_SMS}
	w := h.released(t, spec)
	both := func(r *pb.ReportResponse) bool {
		return len(r.GetLanes()) == 2 && !slices.ContainsFunc(r.GetLanes(), func(l *pb.LaneCounts) bool { return l.GetDelivered() == 0 || l.GetHandedOver() > 0 })
	}
	h.untilTold(t, w.GetId(), both)
	c, err := h.warnings(commander).Cancel(t.Context(), &pb.CancelRequest{Key: rand.Text(), Id: w.GetId(), Why: "no missile"})
	if err != nil {
		t.Fatal(err)
	}
	h.approved(t, c.GetCorrection())
	reached := func(id string) map[pb.Channel]int64 {
		out := map[pb.Channel]int64{}
		for _, l := range h.untilTold(t, id, both).GetLanes() {
			out[l.GetChannel()] = l.GetDelivered()
		}
		return out
	}
	until(t, func() error { // what was on its way at the cancel still arrives, and is corrected then
		if alert, correction := reached(w.GetId()), reached(c.GetCorrection().GetId()); !maps.Equal(alert, correction) {
			return fmt.Errorf("reached by the alert %v, by its correction %v", alert, correction)
		}
		return nil
	})
}

// TestLosAngeles20250109: the polygon was lost on upload, the software took the whole county for it, and ten million people
// were told. Here no area is no warning, and who approves a large one types in the head count that is shown.
func TestLosAngeles20250109(t *testing.T) {
	h := desk(t)
	for name, areas := range map[string][]*pb.Area{
		"none":             nil,
		"no shape":         {{Name: "the fire"}},
		"empty collection": {geojson(`{"type":"FeatureCollection","features":[]}`)},
		"no geometry":      {geojson(`{"type":"Feature","geometry":null,"properties":{}}`)},
		"cut off":          {geojson(`{"type":"Polygon","coordinates":[[[106.5,29.5],[106.6`)},
	} {
		spec := actual()
		spec.Areas = areas
		h.nothingStays(t, func() {
			_, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
			if err == nil || !strings.Contains(err.Error(), "warning.areas") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	spec := actual()
	spec.Areas, spec.Clip = []*pb.Area{drawn(box(105, 28, 110.5, 32.5))}, true
	spec.Areas[0].Name = "全市"
	r, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	if p := r.GetPreview(); p.GetPeople() < people*9/10 || p.GetShareOfJurisdiction() < 0.9 || r.GetWarning().GetApprovalsMissing() != 2 {
		t.Errorf("the head count is not shown, or one more person is not asked for: %v", p)
	}
	approve := &pb.ApproveRequest{Key: rand.Text(), Id: r.GetWarning().GetId(), Version: 1, Digest: r.GetWarning().GetDigest()}
	_, err = h.warnings(approver).Approve(t.Context(), approve)
	invalid("people", "approve.people.large", fmt.Sprintf("--people %d", r.GetPreview().GetPeople())).check(t, err)
}

// TestNetherlands20190624: an alert about the emergency number carried a newspaper's tip line, in one language. Here a
// number or link that nobody has verified is refused, and both languages are ready.
func TestNetherlands20190624(t *testing.T) {
	h := desk(t)
	spec := actual()
	spec.Words = []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨橙色预警，请拨打电话 9990000077"}}
	h.nothingStays(t, func() {
		_, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
		if err == nil || !strings.Contains(err.Error(), "words.number") || !strings.Contains(err.Error(), "9990000077") {
			t.Errorf("an unverified number: %v", err)
		}
	})
	spec.Words = nil
	r, err := h.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"zh-CN", "en"} {
		if !slices.ContainsFunc(r.GetPreview().GetTexts(), func(x *pb.PreviewResponse_Text) bool {
			return x.GetLanguage() == language && strings.Contains(strings.Join(x.GetSegments(), ""), "9990000001")
		}) {
			t.Errorf("no words in %s with the verified number", language)
		}
	}
}

// TestBritain20230423: the total looked well while the customers of one operator got nothing. Here the report counts by
// carrier, and one that takes nothing keeps the warning open and its account unwell.
func TestBritain20230423(t *testing.T) {
	h := desk(t)
	w := h.released(t, good())
	r := h.untilTold(t, w.GetId(), func(r *pb.ReportResponse) bool { return r.GetDelivered() > 0 && r.GetHandedOver() == 0 })
	rows := map[string]*pb.ReportResponse_Row{}
	for _, row := range r.GetByCarrier() {
		rows[row.GetKey()] = row
	}
	if m, s := rows["mobile"], rows["silent"]; m.GetDelivered() == 0 || s.GetPlanned() == 0 || s.GetDelivered() != 0 || s.GetWaiting() != s.GetPlanned() {
		t.Errorf("by carrier: %v", rows)
	}
	if r.GetFinishedAt() != nil || r.GetWaiting() != rows["silent"].GetPlanned() {
		t.Errorf("it is told as finished: %v", r)
	}
	list, err := pb.NewChannelServiceClient(h.conns[commander]).List(t.Context(), &pb.ListChannelsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list.GetAccounts() {
		if want := map[string]string{"silent": "down"}[a.GetName()]; want != "" && a.GetHealth() != want {
			t.Errorf("account %s is %s", a.GetName(), a.GetHealth())
		}
	}
}
