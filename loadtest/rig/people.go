package rig

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
)

// lastDay38 is the last day of the edition with 38 units, which together hold everybody.
var lastDay38 = time.Date(2025, 11, 5, 0, 0, 0, 0, time.UTC)

// AllUnits is every district of the edition of 38.
func AllUnits() []*pb.Area {
	var codes []string
	for c := 500101; c <= 500120; c++ {
		codes = append(codes, strconv.Itoa(c))
	}
	for c := 500151; c <= 500156; c++ {
		codes = append(codes, strconv.Itoa(c))
	}
	for c := 500229; c <= 500243; c++ {
		if c != 500232 && c != 500234 && c != 500239 { // not in use
			codes = append(codes, strconv.Itoa(c))
		}
	}
	out := Units(codes...)
	for _, a := range out {
		a.AsOf = timestamppb.New(lastDay38)
	}
	return out
}

// valley is the middles of six outlines along a river in the southeast, degrees.
var valley = [][2]float64{{108.771, 29.533}, {108.70, 29.62}, {108.80, 29.43}, {108.76, 29.32}, {108.65, 29.42}, {108.58, 29.55}}

// Valley is a drawn area as GeoJSON: six outlines of the size of townships, some 80 km² each, that do not meet.
func Valley() []byte {
	const corners, reach = 24, 0.045
	var parts []string
	for i, c := range valley {
		var ring []string
		for k := range corners + 1 {
			a := 2 * math.Pi * float64(k%corners) / corners
			r := reach * (1 + 0.1*math.Sin(3*a+float64(i)) + 0.06*math.Sin(7*a+2*float64(i)))
			ring = append(ring, fmt.Sprintf("[%.6f,%.6f]", c[0]+r*math.Cos(a)/math.Cos(c[1]*math.Pi/180), c[1]+r*math.Sin(a)))
		}
		parts = append(parts, "[["+strings.Join(ring, ",")+"]]")
	}
	return fmt.Appendf(nil, `{"type":"MultiPolygon","coordinates":[%s]}`+"\n", strings.Join(parts, ","))
}

// Places draws the homes of so many people by lot, longitude and latitude.
func (r *Rig) Places(count int, seed uint64) ([][2]float64, error) {
	f, err := os.Open(r.People())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lot := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // by lot, not secret
	out := make([][2]float64, 0, count)
	lines := bufio.NewScanner(f)
	for n := 0; lines.Scan(); n++ {
		cols := strings.Split(lines.Text(), ",")
		if n == 0 || len(cols) < 3 || cols[0] == "" || strings.HasSuffix(lines.Text(), ",opted_out") {
			continue
		}
		lon, err := strconv.ParseFloat(cols[1], 64)
		if err != nil {
			return nil, err
		}
		lat, err := strconv.ParseFloat(cols[2], 64)
		if err != nil {
			return nil, err
		}
		if len(out) < count { // a reservoir: everybody has the same chance
			out = append(out, [2]float64{lon, lat})
		} else if i := lot.IntN(n); i < count {
			out[i] = [2]float64{lon, lat}
		}
	}
	if len(out) < count {
		return nil, fmt.Errorf("%d homes for %d places", len(out), count)
	}
	return out, lines.Err()
}

// Walkers is the numbers of the first so many people who may be told.
func (r *Rig) Walkers(count int) ([]uint64, error) {
	f, err := os.Open(r.People())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make([]uint64, 0, count)
	lines := bufio.NewScanner(f)
	for n := 0; len(out) < count && lines.Scan(); n++ {
		number, _, _ := strings.Cut(lines.Text(), ",")
		if n == 0 || number == "" || strings.HasSuffix(lines.Text(), ",opted_out") {
			continue
		}
		who, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, who)
	}
	if len(out) < count {
		return nil, fmt.Errorf("%d people who may be told, %d are to walk: name more with --recipients: %w", len(out), count, lines.Err())
	}
	return out, lines.Err()
}

// Someone is the number of a person who lives in the first of the twelve districts.
func (r *Rig) Someone() (string, error) {
	f, err := os.Open(r.People())
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if cols := strings.Split(lines.Text(), ","); len(cols) > 3 && cols[0] != "" && cols[3] == Twelve[0] {
			return cols[0], nil
		}
	}
	return "", fmt.Errorf("nobody lives in %s: %w", Twelve[0], lines.Err())
}

// WarnLarge submits and approves with the head count typed in, as a large area asks.
func (r *Rig) WarnLarge(ctx context.Context, spec *pb.WarningSpec) (*pb.Warning, time.Time, error) {
	w, preview, err := r.Submit(ctx, spec)
	if err != nil {
		return nil, time.Time{}, err
	}
	return r.ApproveLarge(ctx, w, preview.GetPeople())
}

// ApproveLarge approves with the head count typed in, by two persons where one is not enough. It answers when the call was
// sent that released it.
func (r *Rig) ApproveLarge(ctx context.Context, w *pb.Warning, people int64) (released *pb.Warning, sent time.Time, err error) {
	for _, user := range []string{Approver, Commander} {
		conn, err := r.As(user)
		if err != nil {
			return released, sent, err
		}
		api := pb.NewWarningServiceClient(conn)
		if _, err := api.Get(ctx, &pb.GetRequest{Id: w.GetId()}); err != nil { // nobody approves what they have not seen
			return released, sent, err
		}
		sent = time.Now()
		resp, err := api.Approve(ctx, &pb.ApproveRequest{
			Key: Key(), Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest(), People: people,
		})
		if err != nil {
			return released, sent, err
		}
		if released = resp.GetWarning(); released.GetState() != pb.State_STATE_SUBMITTED {
			break
		}
	}
	return released, sent, nil
}

// Cancel ends a warning that was issued by mistake.
func (r *Rig) Cancel(ctx context.Context, id string) error {
	conn, err := r.As(Commander)
	if err != nil {
		return err
	}
	_, err = pb.NewWarningServiceClient(conn).Cancel(ctx, &pb.CancelRequest{Key: Key(), Id: id, Why: "the demonstration goes on"})
	return err
}
