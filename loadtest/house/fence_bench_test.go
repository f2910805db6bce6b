package house

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/geofence"
	"tocsin/loadtest/carrier"
	"tocsin/loadtest/carrierlog"
	pb "tocsin/proto/tocsin/v1"
)

var (
	fencePeople = flag.Int("fence.people", 100_000, "people of the directory that walk")
	fences      = flag.Int("fence.fences", 50, "live warnings, each with an outline of 500 corners")
)

// ragged is an outline of 500 corners around a place, of a kilometre or so; the place itself is inside.
func ragged(lon, lat float64) *pb.Area {
	r := &pb.Ring{}
	for i := range 500 {
		angle := 2 * math.Pi * float64(i) / 500
		d := 0.01 * (1 + 0.3*math.Sin(37*angle))
		r.Points = append(r.Points, &pb.Point{Lon: lon + d*math.Cos(angle), Lat: lat + d*math.Sin(angle)})
	}
	r.Points = append(r.Points, r.Points[0])
	return &pb.Area{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Crs: "wgs84", Parts: []*pb.Polygon{{Rings: []*pb.Ring{r}}}}}}
}

// BenchmarkMove walks people through live fences: gRPC over TLS, the engine's own Redis, a carrier without throttle. One
// position in fifty is in a fence that its person was not in before. Then a hundred positions a second show how long it
// takes from a position to the carrier's log.
func BenchmarkMove(b *testing.B) {
	dir := b.TempDir()
	cfg := carrier.Default()
	cfg.Receipts = false
	cfg.Name, cfg.Log, cfg.SystemID, cfg.Password = "mobile", filepath.Join(dir, "mobile.jsonl"), "tocsin", "secret"
	c, err := carrier.Listen(cfg)
	if err != nil {
		b.Fatal(err)
	}
	carrying, stop := context.WithCancel(context.Background())
	carried := make(chan error, 1)
	go func() { carried <- c.Serve(carrying) }()
	line := strings.NewReplacer("rate: 1500", "rate: 1000000", "links: 2, window: 10", "links: 4, window: 1000").
		Replace(account("mobile", c.Address(), `"9991", "9992", "9993"`, "simulated"))
	h, err := newHome(b.Context(), b.TempDir(), line)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		stop()
		if err := errors.Join(h.close(), <-carried); err != nil {
			b.Error(err)
		}
	}()
	all, err := geofence.Synth(*fencePeople, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := h.bring(b.Context(), chunksOf("fill", all)...); err != nil {
		b.Fatal(err)
	}
	centres := make([][2]int32, *fences)
	for i := range centres {
		at := i * (all.Len() / len(centres))
		centres[i] = [2]int32{all.Lon[at], all.Lat[at]}
		spec := good()
		spec.Words[0].Text = "Rainstorm in the next hours, keep away from rivers."
		spec.Areas, spec.Clip, spec.Again, spec.Expires = []*pb.Area{ragged(float64(all.Lon[at])/1e7, float64(all.Lat[at])/1e7)}, true, true, timestamppb.New(time.Now().Add(time.Hour))
		r, err := h.warnings(forecaster).Submit(b.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
		if err != nil {
			b.Fatal(err)
		}
		w := r.GetWarning()
		if _, err := h.warnings(approver).Approve(b.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: w.GetVersion(), Digest: w.GetDigest()}); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	err = poll(ctx, func() error { // all are planned
		r, err := h.warnings(commander).List(ctx, &pb.ListRequest{States: []pb.State{pb.State_STATE_RELEASED}})
		if err == nil && len(r.GetWarnings()) > 0 {
			err = errors.New("not all are complete")
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var took time.Duration
	var moved, entered int64
	n := 0 // of a position
	for b.Loop() {
		began := time.Now()
		r, err := h.walk(b.Context(), 40, 16384, 0, func() (int, [2]int32) {
			n++
			if n%50 > 0 {
				return (n * 7919) % all.Len(), [2]int32{1200000000, 300000000} // at sea
			}
			k := n / 50
			return (k * 7919) % all.Len(), centres[(k+k/all.Len())%len(centres)] // no one twice in the same fence
		}, all.Number)
		if err != nil {
			b.Fatal(err)
		}
		took += time.Since(began)
		b.Logf("%d positions and %d entries in %v", r.GetPositions(), r.GetEntered(), time.Since(began))
		moved, entered = moved+r.GetPositions(), entered+r.GetEntered()
	}
	b.ReportMetric(float64(moved)/took.Seconds(), "positions/s")
	b.ReportMetric(float64(entered)/took.Seconds(), "entries/s")
	b.StopTimer()
	b.ReportMetric(0, "ns/op")
	late, err := h.lateness(b.Context(), cfg.Log, all, centres, n)
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2].Milliseconds()), "ms-median")
	b.ReportMetric(float64(late[len(late)-1].Milliseconds()), "ms-max")
}

// walk streams chunks of positions, which next gives as row and place, with a pause between chunks.
func (h *home) walk(ctx context.Context, chunks, size int, every time.Duration, next func() (int, [2]int32), numbers []uint64) (*pb.MoveResponse, error) {
	stream, err := pb.NewDirectoryServiceClient(h.conns[engineer]).Move(ctx)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(max(every, 1))
	defer tick.Stop()
	for range chunks {
		m := &pb.MoveRequest{}
		for range size {
			i, at := next()
			m.Number, m.LonE7, m.LatE7 = append(m.Number, numbers[i]), append(m.LonE7, at[0]), append(m.LatE7, at[1])
		}
		if stream.Send(m) != nil { // the answer says why
			break
		}
		<-tick.C
	}
	return stream.CloseAndRecv()
}

// lateness is the time from a position to the log of the carrier, for five hundred people in five seconds.
func (h *home) lateness(ctx context.Context, log string, all geofence.Columns, centres [][2]int32, n int) ([]time.Duration, error) {
	sent := map[uint64]int64{}
	began := time.Now().UnixNano()
	_, err := h.walk(ctx, 500, 1, 10*time.Millisecond, func() (int, [2]int32) {
		n++
		i := (n * 104729) % all.Len()
		sent[all.Number[i]] = time.Now().UnixNano()
		return i, centres[n%len(centres)]
	}, all.Number)
	if err != nil {
		return nil, err
	}
	var out []time.Duration
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = poll(ctx, func() error {
		f, err := os.Open(log)
		if err != nil {
			return err
		}
		defer f.Close()
		out = out[:0]
		var l carrierlog.Line
		for r := carrierlog.NewReader(f); ; {
			if err := r.Next(&l); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			if at := sent[l.To]; l.Event == carrierlog.Submit && l.Seq == 1 && at > 0 && l.Time > at && l.Time > began {
				out = append(out, time.Duration(l.Time-at))
			}
		}
		if len(out) < 400 {
			return fmt.Errorf("only %d of 500 have arrived", len(out))
		}
		return nil
	})
	return out, err
}
