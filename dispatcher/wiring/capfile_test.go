package wiring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning/cap"
)

const sample = "../../warning/cap/testdata/valid/google-thunderstorm.xml"

func TestCheckCAPNamesEveryFault(t *testing.T) {
	if v, err := CheckCAP(sample, 1<<20); err != nil || !v.Valid || len(v.Faults) != 0 || v.File != sample {
		t.Errorf("got %+v, %v", v, err)
	}
	if v, err := CheckCAP(sample, 100); err != nil || v.Valid || v.Faults[0].Rule != "cap.size" {
		t.Errorf("got %+v, %v", v, err)
	}
	v, err := CheckCAP("../../warning/cap/testdata/invalid/google-invalid.xml", 1<<20)
	if err != nil || v.Valid || len(v.Faults) != 1 || v.Faults[0].Line != 2 || v.Faults[0].Element != "alert.scope" || v.Faults[0].Remedy == "" {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := CheckCAP("nowhere.xml", 1<<20); err == nil {
		t.Error("a missing file passed")
	}
}

func TestWhatFlagsSayIsNotAskedOfTheFile(t *testing.T) {
	earthquake := strings.Replace(sample, "thunderstorm", "earthquake", 1)
	now := time.Date(2010, 8, 31, 6, 0, 0, 0, time.UTC)
	if _, err := (CAPFile{Path: earthquake}).Spec(now); status.Code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), "say --tier") {
		t.Errorf("got %v", err)
	}
	spec, err := CAPFile{Path: earthquake, Said: []string{"tier", "areas", "issuers"}}.Spec(now)
	if err != nil || len(spec.GetAreas()) != 0 || len(spec.GetIssuers()) != 0 || spec.GetEvent() != "11C02" ||
		spec.GetSourceSystem() != "http://earthquake.usgs.gov/research/monitoring/anss/neic/" || spec.GetSourceId() != "USGS-earthquakes-us2010apcd.6.20100831T000925.496Z" {
		t.Errorf("got %v, %v", spec, err)
	}
	if _, err := (CAPFile{Path: "../../warning/cap/testdata/invalid/google-xee.xml"}).Spec(now); status.Code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), "line 11: ") {
		t.Errorf("got %v", err)
	}
	table := filepath.Join(t.TempDir(), "table.json")
	write(t, table, strings.Replace(string(CAPTable()), `"EQW", "code": "11C02"`, `"EQW", "code": "11D01"`, 1))
	if spec, err := (CAPFile{Path: earthquake, Table: table, Said: []string{"tier"}}).Spec(now); err != nil || spec.GetEvent() != "11D01" {
		t.Errorf("got %v, %v", spec, err)
	}
	write(t, table, "{")
	for _, c := range []CAPFile{{Path: sample, Table: table}, {Path: sample, Table: "nowhere"}, {Path: "nowhere"}, {Path: table}} {
		if _, err := c.Spec(now); err == nil {
			t.Errorf("%+v passed", c)
		}
	}
}

// message is a CAP message of the observatory about a square in 万州; cites is earlier ones.
func message(id, msgType string, sent time.Time, cites ...cap.Reference) cap.Alert {
	a := cap.Alert{
		Identifier: id, Sender: "cap@example.org", Sent: cap.TimeOf(sent), Status: "Exercise", MsgType: msgType, Scope: "Public",
		Infos: []cap.Info{{
			Language: new("zh-CN"), Categories: []string{"Met"}, Event: "暴雨", Urgency: "Immediate", Severity: "Severe", Certainty: "Likely",
			Expires: new(cap.TimeOf(sent.Add(6 * time.Hour))), SenderName: new("万州区气象台"), Description: new("万州区气象台发布暴雨橙色预警,请注意防范。"),
			Areas: []cap.Area{{Desc: "万州城区", Polygons: []string{"30.7,108.3 30.7,108.5 30.9,108.5 30.9,108.3 30.7,108.3"}}},
		}},
	}
	var refs []string
	for _, c := range cites {
		refs = append(refs, c.String())
	}
	if refs != nil {
		a.References = new(strings.Join(refs, " "))
	}
	return a
}

// lister answers every list with these.
type lister struct {
	pb.WarningServiceClient
	all []*pb.Warning
}

func (l lister) List(context.Context, *pb.ListRequest, ...grpc.CallOption) (*pb.ListResponse, error) {
	return &pb.ListResponse{Warnings: l.all}, nil
}

// TestACancelOfAnotherSystemEndsItsOwn: what is over is left out, a public drill is an exercise for CAP, and whatever of
// another status is cited is refused with all.
func TestACancelOfAnotherSystemEndsItsOwn(t *testing.T) {
	const at = ",2026-06-13T18:00:00+08:00"
	all := lister{all: []*pb.Warning{
		{Id: "1", State: pb.State_STATE_RELEASED, Spec: &pb.WarningSpec{Status: pb.Status_STATUS_ACTUAL}},
		{Id: "2", State: pb.State_STATE_EXPIRED, Spec: &pb.WarningSpec{Status: pb.Status_STATUS_ACTUAL}},
		{Id: "3", State: pb.State_STATE_REPLACED, Spec: &pb.WarningSpec{Status: pb.Status_STATUS_ACTUAL}},
		{Id: "4", State: pb.State_STATE_COMPLETED, Spec: &pb.WarningSpec{Status: pb.Status_STATUS_PUBLIC_DRILL}},
	}}
	for _, c := range []struct {
		status pb.Status
		cites  []string
		want   []string
	}{
		{pb.Status_STATUS_ACTUAL, []string{"1", "2", "3"}, []string{"1"}},
		{pb.Status_STATUS_ACTUAL, []string{"2", "3"}, nil},
		{pb.Status_STATUS_EXERCISE, []string{"1"}, nil},
		{pb.Status_STATUS_TEST, []string{"1"}, nil},
		{pb.Status_STATUS_EXERCISE, []string{"4"}, []string{"4"}},
		{pb.Status_STATUS_EXERCISE, []string{"1", "4"}, nil},
		{pb.Status_STATUS_ACTUAL, []string{"4"}, nil},
	} {
		spec := &pb.WarningSpec{Type: pb.Type_TYPE_CANCEL, Status: c.status}
		for _, id := range c.cites {
			spec.References = append(spec.References, "x,"+id+at)
		}
		err := FollowCAP(t.Context(), all, spec)
		if (err == nil) != (c.want != nil) || err == nil && !slices.Equal(spec.GetReferences(), c.want) {
			t.Errorf("%+v: follows %v, %v", c, spec.GetReferences(), err)
		}
	}
}

// TestMessagesGoThroughTheHouse submits an alert of another system, follows it with its updates and cancel, and tells it
// on as a message of this house.
func TestMessagesGoThroughTheHouse(t *testing.T) {
	dir, token := house(t, "127.0.0.1:9") // nobody carries anything in this test
	// This house reads Severe as red.
	table := strings.Replace(string(CAPTable()), `"Severe": "orange"`, `"Severe": "red"`, 1)
	write(t, filepath.Join(dir, "cap.json"), table)
	text, err := os.ReadFile(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ConfigFile), string(text)+"\ncap: {table: ./cap.json}\n")
	address, stop := serving(t, dir)
	defer stop()
	var forecaster, approver string
	inHouse(t, dir, func(h *House) {
		var err error
		if forecaster, err = h.AddUser(t.Context(), "fang", "forecaster", 0); err != nil {
			t.Fatal(err)
		}
		if approver, err = h.AddUser(t.Context(), "ma", "approver", 0); err != nil {
			t.Fatal(err)
		}
	})
	importPeople(t, as(t, dir, address, token), "i1", 2000)
	api := pb.NewWarningServiceClient(as(t, dir, address, forecaster))
	sent := time.Now().Truncate(time.Second)

	read := func(a cap.Alert) *pb.WarningSpec {
		t.Helper()
		b, err := cap.Write(a)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "message.xml")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		known, err := HouseTable(t.Context(), api)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := CAPFile{Path: path, House: known}.Spec(sent)
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
	first := cap.Reference{Sender: "cap@example.org", Identifier: "m1", Sent: cap.TimeOf(sent)}
	// An update cannot come before its original.
	update := message("m2", "Update", sent, first)
	if err := FollowCAP(t.Context(), api, read(update)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an update of an unknown warning: %v", err)
	}
	alert := read(message("m1", "Alert", sent))
	if err := FollowCAP(t.Context(), api, alert); err != nil {
		t.Fatal(err)
	}
	got, err := api.Submit(t.Context(), &pb.SubmitRequest{Key: "k1", Warning: alert})
	if err != nil {
		t.Fatal(err)
	}
	id := got.GetWarning().GetId()
	if got.GetWarning().GetSpec().GetTier() != pb.Tier_TIER_RED || got.GetPreview().GetPeople() == 0 || got.GetWarning().GetSpec().GetSourceId() != "m1" {
		t.Errorf("got %v", got)
	}
	if _, err := TellCAP(t.Context(), api, id, "tocsin@example.org"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("what was not released was told: %v", err)
	}
	approving := pb.NewWarningServiceClient(as(t, dir, address, approver))
	if _, err := approving.Approve(t.Context(), &pb.ApproveRequest{Key: "k2", Id: id, Version: 1, Digest: got.GetWarning().GetDigest()}); err != nil {
		t.Fatal(err)
	}

	// Its own messages and those of the house that tell of it are followed alike.
	for name, cited := range map[string]cap.Reference{"of the source": first, "of this house": {Sender: "tocsin@example.org", Identifier: id, Sent: first.Sent}} {
		for msgType, response := range map[string]string{"Update": "Shelter", "Cancel": "None"} {
			a := message("m3", msgType, sent, cap.Reference{Sender: "x", Identifier: "y", Sent: first.Sent}, cited)
			a.Infos[0].ResponseTypes = []string{response}
			spec := read(a)
			if err := FollowCAP(t.Context(), api, spec); err != nil || !slices.Equal(spec.GetReferences(), []string{id}) {
				t.Errorf("%s: %s follows %v, %v", name, msgType, spec.GetReferences(), err)
			}
		}
	}
	over := message("m4", "Update", sent, first)
	over.Infos[0].ResponseTypes = []string{"AllClear"}
	if err := FollowCAP(t.Context(), api, read(over)); status.Code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), "tocsin all-clear "+id) {
		t.Errorf("an all-clear: %v", err)
	}

	// A cancel of another status is of another warning: what is an exercise for its sender ends nothing that is actual, nor the
	// reverse. One that names warnings that are over as well ends those that hold.
	for _, said := range []string{"Actual", "Test"} {
		a := message("m5", "Cancel", sent, first)
		a.Status = said
		err := FollowCAP(t.Context(), api, read(a))
		if found := fmt.Sprint(status.Convert(err).Details()); !strings.Contains(found, "references.status") || !strings.Contains(found, "tocsin cancel "+id) {
			t.Errorf("a cancel of status %s: %v", said, err)
		}
	}

	told, err := TellCAP(t.Context(), api, id, "tocsin@example.org")
	if err != nil {
		t.Fatal(err)
	}
	again, err := cap.Parse(told, cap.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := message("", "", sent).Infos[0].Areas
	if again.Identifier != id || again.Sender != "tocsin@example.org" || again.Infos[0].Areas[0].Polygons[0] != want[0].Polygons[0] {
		t.Errorf("got %s", told)
	}
	if _, err := TellCAP(t.Context(), api, id, ""); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a message without a sender: %v", err)
	}
	if _, err := TellCAP(t.Context(), api, "nothing", "a"); status.Code(err) != codes.NotFound {
		t.Errorf("a message of nothing: %v", err)
	}

	if _, err := api.Cancel(t.Context(), &pb.CancelRequest{Key: "k3", Id: id}); err != nil {
		t.Fatal(err)
	}
	if err := FollowCAP(t.Context(), api, read(update)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an update of a cancelled warning: %v", err)
	}
}
