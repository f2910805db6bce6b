package intake

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

func TestAnAnswerIsReadAsItWasRecorded(t *testing.T) {
	at := time.Date(2026, 6, 13, 12, 0, 0, 0, time.UTC)
	want := warning.Warning{
		Record: 1, ID: "01J", Version: 2, Digest: "d", State: warning.Completed, NationalID: "50010141600000_20260613120000_0",
		SourceSystem: "cap@example.org", SourceID: "a1", Node: "n", SubmittedBy: "li", SubmittedAt: at, ApprovedBy: []string{"wang"},
		ReleasedAt: at, EndedAt: at, Why: "w", ApprovedPeople: 7, Snapshot: "s",
		Review: &warning.Review{Warning: "01J", Version: 2, Paper: "p", Why: "y", OpenedBy: "hu", OpenedAt: at, Due: at, ClosedBy: "an", ClosedAt: at, Finding: "f"},
		Spec: warning.Spec{
			Event: "11B03", EventName: "暴雨", Tier: warning.Red, Status: warning.Actual, Type: warning.Update, Onset: at, Expires: at,
			Areas: []warning.Area{
				{Name: "万州", Unit: "500101", AsOf: at}, {Circle: &warning.Circle{Centre: warning.Point{108, 30}, Radius: 5}, CRS: "gcj02"},
				{Polygons: [][]warning.Ring{{{{1, 2}, {3, 4}, {5, 6}, {1, 2}}}}, CRS: "wgs84"},
			},
			Words: []warning.Words{{Language: "en", Channel: warning.SMS, Kind: warning.Alert, Text: "t"}}, Issuers: []string{"a"},
			EventID: "e", Stage: "6h", References: []string{"01I"}, Channels: []warning.Channel{warning.SMS}, Again: true, Clip: true,
		},
	}
	s := &Server{Options: Options{Acts: &engine{}, Now: time.Now}}
	got, err := WarningFrom(s.warningTo(want, dispatcher.Caller{Role: warning.Commander}))
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	odd := &pb.Warning{Spec: &pb.WarningSpec{Areas: []*pb.Area{{Where: &pb.Area_Geojson{Geojson: "{}"}}}}}
	if _, err := WarningFrom(odd); err == nil {
		t.Error("GeoJSON in an answer passed")
	}
}
