package wiring

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
)

// TestConfiguredLimitsHold: what the file allows of areas is what a request over gRPC may have, and each limit is refused by
// its own rule.
func TestConfiguredLimitsHold(t *testing.T) {
	dir, token := house(t, "127.0.0.1:2775")
	path := filepath.Join(dir, ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text)+"limits: {areas: 2, vertices: 4000, rings: 1000, work: 1000000}\n")
	var fang string
	inHouse(t, dir, func(h *House) { // before the engine has read who there is
		if fang, err = h.AddUser(t.Context(), "fang", "forecaster", 0); err != nil {
			t.Fatal(err)
		}
	})
	address, _ := serving(t, dir)
	importPeople(t, as(t, dir, address, token), "i", 100)
	api := pb.NewWarningServiceClient(as(t, dir, address, fang))

	point := func(lon, lat float64) *pb.Point { return &pb.Point{Lon: lon, Lat: lat} }
	// flags is triangles around one pole: every two of them touch at it. round is one ring.
	flags, round := &pb.Polygons{Crs: "wgs84"}, func(corners int) *pb.Ring {
		r := &pb.Ring{}
		for i := range corners {
			angle := 2 * math.Pi * float64(i%(corners-1)) / float64(corners-1)
			r.Points = append(r.Points, point(107.5+math.Cos(angle)/2, 30+math.Sin(angle)/2))
		}
		return r
	}
	for i := range 900 {
		a, b := 2*math.Pi*float64(i)/900, 2*math.Pi*(float64(i)+0.5)/900
		pole := point(107.5, 30)
		flags.Parts = append(flags.Parts, &pb.Polygon{Rings: []*pb.Ring{{Points: []*pb.Point{
			pole, point(107.5+math.Cos(a), 30+math.Sin(a)), point(107.5+math.Cos(b), 30+math.Sin(b)), pole}}}})
	}
	drawn := func(p *pb.Polygons) *pb.Area { return &pb.Area{Where: &pb.Area_Polygons{Polygons: p}} }
	ring := func(n int) *pb.Area {
		return drawn(&pb.Polygons{Crs: "wgs84", Parts: []*pb.Polygon{{Rings: []*pb.Ring{round(n)}}}})
	}
	unit := func(code string) *pb.Area { return &pb.Area{Where: &pb.Area_Unit{Unit: code}} }
	many := &pb.Polygons{Crs: "wgs84"}
	for range 1001 {
		many.Parts = append(many.Parts, &pb.Polygon{Rings: []*pb.Ring{round(4)}})
	}
	for _, c := range []struct {
		name, rule string // no rule: it is taken
		areas      []*pb.Area
	}{
		{"two units", "", []*pb.Area{unit("500101"), unit("500154")}},
		{"three units", "area.limit.areas", []*pb.Area{unit("500101"), unit("500154"), unit("500103")}},
		{"4,000 points", "", []*pb.Area{ring(4000)}},
		{"4,001 points", "area.limit.vertices", []*pb.Area{ring(4001)}},
		{"1,001 rings", "area.limit.rings", []*pb.Area{drawn(many)}},
		{"900 flags at a pole", "area.limit.work", []*pb.Area{drawn(flags)}},
	} {
		_, err := api.Preview(t.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: &pb.WarningSpec{
			Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
			Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS}, Areas: c.areas,
			Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "暴雨橙色预警"}},
		}}})
		if c.rule == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if rules := rulesIn(err); status.Code(err) != codes.InvalidArgument || !slices.Contains(rules, c.rule) {
			t.Errorf("%s: %v, rules %v", c.name, err, rules)
		}
	}
}

// rulesIn is the rules that a refusal names.
func rulesIn(err error) (rules []string) {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				rules = append(rules, v.GetReason())
			}
		}
	}
	return rules
}
