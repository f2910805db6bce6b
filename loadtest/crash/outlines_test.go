package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// TestOutlinesReachEveryEngineAndNoApprovedArea: an edition that is imported at one engine is in force at another without
// a restart; a warning that waits for approval keeps the outline that it was submitted with, also at the other engine.
func TestOutlinesReachEveryEngineAndNoApprovedArea(t *testing.T) {
	h, err := up(t.Context(), t.TempDir(), redisOfOthers(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Down)
	if err := h.StandBy(t.Context()); err != nil {
		t.Fatal(err)
	}
	bring := func(code string, east float64) (*pb.ImportEditionResponse, error) {
		path := filepath.Join(t.TempDir(), "towns.geojson")
		text := fmt.Sprintf(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":%q,"name":"铁桥镇"},"geometry":`+
			`{"type":"Polygon","coordinates":[[[108.2,31],[%[2]g,31],[%[2]g,31.3],[108.2,31.3],[108.2,31]]]}}]}`, code, east)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &pb.ImportEditionResponse{}
		verb := h.Command(rig.Engineer, "area", "import", path, "--edition", "2025-11", "--crs", "wgs84", "-o", "json")
		out, err := exec.CommandContext(t.Context(), binary, verb...).Output()
		if err != nil {
			return nil, err
		}
		return r, protojson.Unmarshal(out, r)
	}
	spec := func(name string) *pb.WarningSpec {
		return rig.Rainstorm(pb.Tier_TIER_ORANGE, name, name, rig.Units("500154119")...)
	}
	preview := func(w *pb.WarningSpec) (*pb.PreviewResponse, error) {
		conn, err := h.As(rig.Forecaster)
		if err != nil {
			return nil, err
		}
		return pb.NewWarningServiceClient(conn).Preview(t.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: w}})
	}
	says := func(p *pb.PreviewResponse) (rules string) {
		for _, r := range p.GetRemarks() {
			rules += r.GetRule() + " " + r.GetText() + "; "
		}
		return rules
	}

	home, err := preview(spec("甲"))
	if err != nil || !strings.Contains(says(home), "area.town.home") {
		t.Fatal(says(home), err)
	}
	first, err := bring("500154119", 108.4)
	if err != nil {
		t.Fatal(err)
	}
	w, seen, err := h.Submit(t.Context(), spec("乙"))
	if err != nil || w.GetState() != pb.State_STATE_SUBMITTED || seen.GetPeople() < 20 {
		t.Fatal(w.GetState(), seen.GetPeople(), err)
	}
	if got := w.GetSpec().GetAreas()[0].GetEdition(); got != first.GetEdition().GetId() {
		t.Errorf("the warning names %q, imported was %v", got, first.GetEdition())
	}
	second, err := bring("500154119", 108.6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bring("500101001", 108.7); err == nil {
		t.Error("a town far from its district is taken")
	}
	wider, err := preview(spec("丙"))
	if err != nil || wider.GetPeople() <= seen.GetPeople() || !strings.Contains(says(wider), second.GetEdition().GetId()) {
		t.Fatal(wider.GetPeople(), seen.GetPeople(), says(wider), err)
	}

	h.KillEngine()
	h.TurnTo()
	until(t, func() error {
		p, err := preview(spec("丁"))
		if err == nil && (p.GetPeople() != wider.GetPeople() || !strings.Contains(says(p), second.GetEdition().GetId())) {
			err = errors.New(says(p))
		}
		return err
	})
	conn, err := h.As(rig.Engineer)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pb.NewDirectoryServiceClient(conn).ListEditions(t.Context(), &pb.ListEditionsRequest{})
	if err != nil || len(list.GetEditions()) != 2 || list.GetEditions()[0].GetId() != second.GetEdition().GetId() || list.GetEditions()[0].GetImportedBy() != rig.Engineer {
		t.Errorf("%v, %v", list, err)
	}
	if _, _, err := h.Approve(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		rep, err := h.Report(t.Context(), w.GetId())
		if err == nil && len(rep.GetLanes()) == 0 {
			err = errors.New("not planned yet")
		}
		if err == nil && rep.GetInArea() != seen.GetPeople() {
			t.Errorf("%d people in the area, approved were %d", rep.GetInArea(), seen.GetPeople())
		}
		return err
	})
}
