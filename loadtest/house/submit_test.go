package house

import (
	"crypto/rand"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
)

// good is a warning that nothing is wrong with; its words are its own.
func good() *pb.WarningSpec {
	return &pb.WarningSpec{
		Event: "11B03", Tier: pb.Tier_TIER_ORANGE, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Issuers: []string{"台"}, Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
		Areas: []*pb.Area{unit("500101")},
		Words: []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: "【演练】暴雨橙色预警 " + mark()}},
	}
}

func unit(code string) *pb.Area { return &pb.Area{Where: &pb.Area_Unit{Unit: code}} }

func geojson(text string) *pb.Area { return &pb.Area{Where: &pb.Area_Geojson{Geojson: text}} }

// drawn is an area of one part with these rings.
func drawn(rings ...[][2]float64) *pb.Area {
	part := &pb.Polygon{}
	for _, r := range rings {
		ring := &pb.Ring{}
		for _, p := range r {
			ring.Points = append(ring.Points, &pb.Point{Lon: p[0], Lat: p[1]})
		}
		part.Rings = append(part.Rings, ring)
	}
	return &pb.Area{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Crs: "wgs84", Parts: []*pb.Polygon{part}}}}
}

func box(west, south, east, north float64) [][2]float64 {
	return [][2]float64{{west, south}, {east, south}, {east, north}, {west, north}, {west, south}}
}

// round is a ring of n corners and the first again.
func round(n int) (ring [][2]float64) {
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		ring = append(ring, [2]float64{106.5 + cos/4, 29.5 + sin/4})
	}
	return append(ring, ring[0])
}

func where(areas ...*pb.Area) func(*pb.WarningSpec) {
	return func(s *pb.WarningSpec) { s.Areas = areas }
}

func ends(d time.Duration) func(*pb.WarningSpec) {
	return func(s *pb.WarningSpec) { s.Expires = timestamppb.New(time.Now().Add(d)) }
}

func TestSubmitRefusesAndKeepsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pb.WarningSpec)
		want   refusal
	}{
		"unknown event code": {func(s *pb.WarningSpec) { s.Event = "99Z99" },
			invalid("warning.event", "event.unknown", "GB/T 35561")},
		"unknown district": {where(unit("500999")),
			invalid("warning.areas[0].unit", "area.unit.unknown", "or give a polygon")},
		"retired district": {where(unit("500101"), unit("500105")),
			invalid("warning.areas[1].unit", "area.unit.retired", "--as-of 2025-11-05")},
		"district without six digits": {where(unit("5001")),
			invalid("warning.areas[0].unit", "string.pattern", "write it in that form")},

		"empty collection": {where(geojson(`{"type":"FeatureCollection","features":[]}`)),
			invalid("warning.areas[0].geojson.features", "area.empty", "give at least one polygon")},
		"empty polygon": {where(geojson(`{"type":"Polygon","coordinates":[]}`)),
			invalid("warning.areas[0].polygon.parts[0]", "area.empty", "give the outer ring")},
		"no part": {where(&pb.Area{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Crs: "wgs84"}}}),
			invalid("warning.areas[0]", "area.empty", "give a unit's code, polygons")},
		"no GeoJSON": {where(geojson(`{"type":"Point","coordinates":[106.5,29.5]}`)),
			invalid("warning.areas[0].geojson.type", "geojson.type", "use Polygon")},
		"open polygon": {where(drawn([][2]float64{{106.5, 29.5}, {106.6, 29.5}, {106.6, 29.6}, {106.5, 29.6}})),
			invalid("warning.areas[0].polygon.parts[0].rings[0]", "area.ring.open", "end the ring with its first point")},
		"self-crossing polygon": {where(drawn([][2]float64{{106.5, 29.5}, {106.6, 29.6}, {106.6, 29.5}, {106.5, 29.6}, {106.5, 29.5}})),
			invalid("warning.areas[0].polygon.parts[0].rings[0]", "area.ring.crossing", "draw the ring so that it does not meet itself")},
		"hole outside": {where(drawn(box(106.5, 29.5, 106.6, 29.6), box(107.5, 29.5, 107.6, 29.6))),
			invalid("warning.areas[0].polygon.parts[0].rings[1]", "area.hole.outside", "put the hole inside its shell")},
		"huge ring": {where(drawn(round(200_000))),
			invalid("warning.areas[0].polygons.parts[0].rings[0].points", "repeated.max_items", "send fewer")},
		"huge polygon": {where(drawn(round(120_000), round(90_000))),
			invalid("warning.areas[0].polygon", "area.limit.vertices", "simplify the outline")},
		"latitude before longitude in GeoJSON": {where(geojson(`{"type":"Polygon","coordinates":[[[29.5,106.5],[29.6,106.5],[29.6,106.6],[29.5,106.5]]]}`)),
			invalid("warning.areas[0].polygon", "area.swapped", "write longitude first, then latitude")},
		"somewhere else": {where(drawn(box(16.3, 48.1, 16.4, 48.2))),
			invalid("warning.areas[0].polygon", "area.outside", "check the coordinates")},
		"beyond the border": {where(drawn(box(106.2, 30, 106.9, 30.6))),
			invalid("warning.areas", "area.jurisdiction", "cut the area at the border with --clip, or ask the authority of 四川省")},
		"no coordinate system": {func(s *pb.WarningSpec) {
			s.Areas = []*pb.Area{drawn(box(106.5, 29.5, 106.6, 29.6))}
			s.Areas[0].GetPolygons().Crs = ""
		}, invalid("warning.areas[0].polygons.crs", "area.crs", "it is never assumed")},
		"no area": {where(),
			invalid("warning.areas", "areas.missing", "name at least one district or draw a polygon")},

		"no validity": {func(s *pb.WarningSpec) { s.Expires = nil },
			invalid("warning.expires", "expires.missing", "give an end at most 7 days from now")},
		"expired": {ends(-time.Second),
			invalid("warning.expires", "expires.past", "give an end at most 7 days from now")},
		"negative validity": {func(s *pb.WarningSpec) { s.Onset = timestamppb.New(s.GetExpires().AsTime().Add(time.Minute)) },
			invalid("warning.expires", "expires.before_onset", "give an end after the onset")},
		"valid for weeks": {ends(8 * 24 * time.Hour),
			invalid("warning.expires", "expires.far", "give an end at most 7 days from now")},
		"no status": {func(s *pb.WarningSpec) { s.Status = 0 },
			invalid("warning.status", "status.missing", "say actual, exercise or public_drill")},

		"actual without a live link": {func(s *pb.WarningSpec) {
			s.Status = pb.Status_STATUS_ACTUAL
			s.Words[0].Text = "暴雨橙色预警"
		}, invalid("warning.channels[0]", "channel.status", "have an engineer configure a link of that kind")},
		"actual, by the table, without any live link": {func(s *pb.WarningSpec) {
			s.Status, s.Channels = pb.Status_STATUS_ACTUAL, nil
			s.Words[0].Text = "暴雨橙色预警"
		}, invalid("warning.status", "status.unserved", "have an engineer configure a link of that kind")},
		"public drill without a link for it": {func(s *pb.WarningSpec) { s.Status = pb.Status_STATUS_PUBLIC_DRILL },
			invalid("warning.channels[0]", "channel.status", "have an engineer configure a link of that kind")},
	} {
		t.Run(name, func(t *testing.T) {
			spec := good()
			c.change(spec)
			running.nothingStays(t, func() {
				_, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: name, Warning: spec})
				c.want.check(t, err)
				if c.want.rule == "area.jurisdiction" {
					return // a preview shows it
				}
				_, err = running.warnings(forecaster).Preview(t.Context(), &pb.PreviewRequest{What: &pb.PreviewRequest_Warning{Warning: spec}})
				c.want.check(t, err)
			})
		})
	}
}

// TestLatitudeBeforeLongitudeIsTold draws a long outline the wrong way round: latitudes of 106 degrees. Not every point
// is named, so that the answer can be read.
func TestLatitudeBeforeLongitudeIsTold(t *testing.T) {
	spec := good()
	ring := round(20_000)
	for i, p := range ring {
		ring[i] = [2]float64{p[1], p[0]}
	}
	spec.Areas = []*pb.Area{drawn(ring)}
	running.nothingStays(t, func() {
		_, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: "swapped", Warning: spec})
		s := status.Convert(err)
		if s.Code() != codes.InvalidArgument || len(s.Details()) != 2 {
			t.Fatalf("answered %v", err)
		}
		bad := s.Details()[1].(*errdetails.BadRequest).GetFieldViolations()
		if len(bad) == 0 || len(bad) > 20 {
			t.Errorf("%d points are named", len(bad))
		}
		for i, v := range bad {
			if v.GetField() != fmt.Sprintf("warning.areas[0].polygons.parts[0].rings[0].points[%d].lat", i) || !strings.Contains(v.GetDescription(), "write longitude first") {
				t.Errorf("%v", v)
			}
		}
	})
}

func TestEverythingWrongIsSaidInOneAnswer(t *testing.T) {
	running.nothingStays(t, func() {
		_, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Warning: &pb.WarningSpec{Tier: 9}})
		for _, field := range []string{"key", "event", "tier", "status", "type", "expires", "areas", "issuers"} {
			if !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%s is not named: %v", field, err)
			}
		}
	})
}

// submitted is a warning that was taken in, with the key it was submitted under.
func submitted(t *testing.T, spec *pb.WarningSpec) (*pb.Warning, string) {
	t.Helper()
	key := rand.Text()
	r, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: key, Warning: spec})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetWarning(), key
}

func TestTheSameKeyWithOtherContentIsRefused(t *testing.T) {
	spec := good()
	first, key := submitted(t, spec)
	running.nothingStays(t, func() {
		again, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: key, Warning: spec})
		if err != nil || again.GetWarning().GetId() != first.GetId() {
			t.Errorf("the same key with the same content: %v, %v", again.GetWarning(), err)
		}
		_, err = running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: key, Warning: good()})
		refusal{codes.AlreadyExists, "EXISTS", "", "", "take a new key for a new act"}.check(t, err)
	})
	// A key belongs to its user.
	if _, err := running.warnings("feng").Submit(t.Context(), &pb.SubmitRequest{Key: key, Warning: good()}); err != nil {
		t.Errorf("the key of somebody else: %v", err)
	}
}

func TestTheSameWarningAgainMustBeMeant(t *testing.T) {
	spec := good()
	first, _ := submitted(t, spec)
	same := refusal{codes.AlreadyExists, "EXISTS", "", "", "say --again"}
	submit := func(user string, change func(*pb.WarningSpec)) error {
		next := proto.CloneOf(spec)
		change(next)
		_, err := running.warnings(user).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: next})
		return err
	}
	later := func(s *pb.WarningSpec) { s.Expires = timestamppb.New(s.GetExpires().AsTime().Add(time.Second)) }
	running.nothingStays(t, func() {
		same.check(t, submit(forecaster, func(*pb.WarningSpec) {}))
		same.check(t, submit("feng", later))
	})
	if err := submit(forecaster, func(s *pb.WarningSpec) { later(s); s.Again = true }); err != nil {
		t.Errorf("meant all the same: %v", err)
	}
	// What was rejected stands in nobody's way, but the second one still does.
	if _, err := running.warnings(approver).Reject(t.Context(), &pb.RejectRequest{Key: rand.Text(), Id: first.GetId(), Why: "wrong river"}); err != nil {
		t.Fatal(err)
	}
	same.check(t, submit(forecaster, later))
}

// TestNothingOfARefusedOneStandsInTheWay submits under the key, and with the words, of a warning that was refused.
func TestNothingOfARefusedOneStandsInTheWay(t *testing.T) {
	spec := good()
	spec.Status = 0
	req := &pb.SubmitRequest{Key: rand.Text(), Warning: spec}
	if _, err := running.warnings(forecaster).Submit(t.Context(), req); err == nil {
		t.Fatal("it was taken")
	}
	spec.Status = pb.Status_STATUS_EXERCISE
	if _, err := running.warnings(forecaster).Submit(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestAnOversizedRequestIsRefused(t *testing.T) {
	spec := good()
	spec.Areas = []*pb.Area{geojson(`{"type":"Polygon","coordinates":[` + strings.Repeat(" ", 9<<20) + `]}`)}
	running.nothingStays(t, func() {
		_, err := running.warnings(forecaster).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
		refusal{codes.ResourceExhausted, "", "", "", "8388608"}.check(t, err)
	})
}

// mark makes a text unlike any other. It has no digits: five in a row read as a number to call.
func mark() string {
	return strings.Map(func(r rune) rune {
		if r <= '9' {
			r += 'a' - '0'
		}
		return r
	}, rand.Text())
}
