package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
)

// Twelve is the districts that the notice of 2020-06-13 named, by code (GB/T 2260).
var Twelve = []string{
	"500114", "500102", "500119", "500110", "500156", "500230", "500233", "500231", "500240", "500241", "500242", "500243",
}

// Key is a key of idempotency that nobody used before.
func Key() string { return rand.Text() }

// Units is the areas of administrative codes.
func Units(codes ...string) []*pb.Area {
	out := make([]*pb.Area, len(codes))
	for i, c := range codes {
		out[i] = &pb.Area{Where: &pb.Area_Unit{Unit: c}}
	}
	return out
}

// Square is a square around a point, with sides of so many degrees.
func Square(lon, lat, side float64) *pb.Area {
	h := side / 2
	var ring pb.Ring
	for _, p := range [][2]float64{{-h, -h}, {h, -h}, {h, h}, {-h, h}, {-h, -h}} {
		ring.Points = append(ring.Points, &pb.Point{Lon: lon + p[0], Lat: lat + p[1]})
	}
	return &pb.Area{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Parts: []*pb.Polygon{{Rings: []*pb.Ring{&ring}}}, Crs: "wgs84"}}}
}

// Rainstorm is a warning of the tier in the words of the official pattern, valid for twelve hours. The name of the
// place, in Chinese and in English, tells it from others at the carrier.
func Rainstorm(tier pb.Tier, name, english string, areas ...*pb.Area) *pb.WarningSpec {
	now := time.Now()
	colour := map[pb.Tier]string{
		pb.Tier_TIER_RED: "红色", pb.Tier_TIER_ORANGE: "橙色", pb.Tier_TIER_YELLOW: "黄色", pb.Tier_TIER_BLUE: "蓝色",
	}[tier]
	at := now.Format("2006年01月02日15时04分")
	text := fmt.Sprintf("【演练】重庆市气象台%s发布暴雨%s预警信号：预计未来12小时%s部分地区雨量将达50毫米以上，请注意防范山洪和地质灾害。", at, colour, name)
	translated := fmt.Sprintf("[EXERCISE] Chongqing Meteorological Observatory, %s: rainstorm warning (%s) for 12 hours in %s. Beware of flash floods and landslides.",
		now.Format("2006-01-02 15:04"), strings.ToLower(strings.TrimPrefix(tier.String(), "TIER_")), english)
	return &pb.WarningSpec{
		Event: "11B03", EventName: "暴雨", Tier: tier, Status: pb.Status_STATUS_EXERCISE, Type: pb.Type_TYPE_ALERT,
		Expires: timestamppb.New(now.Add(12 * time.Hour)), Areas: areas, Issuers: []string{"重庆市气象台"},
		Words: []*pb.Words{
			{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: text},
			{Language: "en", Kind: pb.Type_TYPE_ALERT, Text: translated},
		},
		Channels: []pb.Channel{pb.Channel_CHANNEL_SMS},
	}
}

// WithText is spec with the same words for everybody.
func WithText(spec *pb.WarningSpec, text string) *pb.WarningSpec {
	spec.Words = []*pb.Words{{Language: "zh-CN", Kind: pb.Type_TYPE_ALERT, Text: text}}
	return spec
}

// Submit submits as the forecaster.
func (r *Rig) Submit(ctx context.Context, spec *pb.WarningSpec) (*pb.Warning, *pb.PreviewResponse, error) {
	conn, err := r.As(Forecaster)
	if err != nil {
		return nil, nil, err
	}
	resp, err := pb.NewWarningServiceClient(conn).Submit(ctx, &pb.SubmitRequest{Key: Key(), Warning: spec})
	return resp.GetWarning(), resp.GetPreview(), err
}

// Approve approves as the approver, which releases; sent is when the call left: times to the first message count from it.
func (r *Rig) Approve(ctx context.Context, w *pb.Warning) (released *pb.Warning, sent time.Time, err error) {
	conn, err := r.As(Approver)
	if err != nil {
		return nil, sent, err
	}
	sent = time.Now()
	resp, err := pb.NewWarningServiceClient(conn).Approve(ctx, &pb.ApproveRequest{
		Key: Key(), Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest(),
	})
	return resp.GetWarning(), sent, err
}

// Warn submits and approves.
func (r *Rig) Warn(ctx context.Context, spec *pb.WarningSpec) (*pb.Warning, time.Time, error) {
	w, _, err := r.Submit(ctx, spec)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("submit: %w", err)
	}
	w, sent, err := r.Approve(ctx, w)
	if err != nil {
		return nil, sent, fmt.Errorf("approve: %w", err)
	}
	return w, sent, nil
}

// Follow calls f with the progress of a warning until it answers false or the watch ends, which it does when the
// warning is complete.
func (r *Rig) Follow(ctx context.Context, id string, every time.Duration, f func(*pb.WatchResponse) bool) error {
	conn, err := r.As(Commander)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewWarningServiceClient(conn).Watch(ctx, &pb.WatchRequest{Id: id, EveryMs: int32(every.Milliseconds())})
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !f(resp) {
			return nil
		}
	}
}

// Report is what became of everybody.
func (r *Rig) Report(ctx context.Context, id string) (*pb.ReportResponse, error) {
	conn, err := r.As(Commander)
	if err != nil {
		return nil, err
	}
	return pb.NewWarningServiceClient(conn).Report(ctx, &pb.ReportRequest{Id: id})
}

// Played waits until area channels have taken so many messages of a warning in all.
func (r *Rig) Played(ctx context.Context, id string, messages int) error {
	return until(ctx, nil, time.Minute, func(ctx context.Context) error {
		rep, err := r.Report(ctx, id)
		if err != nil {
			return err
		}
		n := 0
		for _, p := range rep.GetPlays() {
			n += int(p.GetMessages())
		}
		if n < messages {
			return fmt.Errorf("%d of %d messages were taken", n, messages)
		}
		return nil
	})
}

// Settled waits until nobody waits any more, and then until every answer and receipt that will come has come: nobody is
// being sent to or handed over without receipt, or nothing has changed for the patience.
func (r *Rig) Settled(ctx context.Context, id string, patience time.Duration) (*pb.ReportResponse, error) {
	if err := r.Follow(ctx, id, 200*time.Millisecond, func(*pb.WatchResponse) bool { return true }); err != nil {
		return nil, err
	}
	var last int64 = -1
	still := time.Now()
	for {
		rep, err := r.Report(ctx, id)
		under := rep.GetHandedOver()
		for _, l := range rep.GetLanes() {
			under += l.GetSending()
		}
		if err != nil || under == 0 {
			return rep, err
		}
		if n := rep.GetDelivered(); n != last {
			last, still = n, time.Now()
		} else if time.Since(still) > patience {
			return rep, nil
		}
		pause(ctx, 500*time.Millisecond)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}
