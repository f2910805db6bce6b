package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"tocsin/loadtest/carrierlog"
	"tocsin/loadtest/rig"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// Fence shows the electronic fence: people who walk into the areas of a thousand live warnings, in one stream.
type Fence struct {
	OK          bool      `json:"ok"`
	Why         []string  `json:"why"`
	People      int       `json:"people"`
	Machine     Machine   `json:"machine"`
	LoadAverage [2]string `json:"load_average"` // before and after: 1, 5 and 15 minutes

	Fences        int         `json:"fences"` // live warnings, each with an outline of 500 corners
	Positions     int64       `json:"positions"`
	PositionsPerS float64     `json:"positions_per_s"` // until everybody who entered is durably in a plan
	Crossing      float64     `json:"share_that_crosses"`
	Entered       int64       `json:"entered"`   // by the engine's answer to the stream
	CameBack      int         `json:"came_back"` // left a fence and entered it again
	Told          Times       `json:"position_to_carrier"`
	ToldAtFirst   Times       `json:"in_the_first_two_seconds"` // those of them when every warning was completed and is opened again
	Repeats       int64       `json:"repeats"`                  // by the carriers' logs
	Verify        verify.Sums `json:"verify"`
}

// What is asked of the fence.
const (
	leastPositions = 500_000 // a second
	leastCrossing  = 0.01
	mostTold       = 1000.0 // ms
)

// The stream: in each round of a hundred positions one person enters a fence and leaves it again, in each tenth round to
// come back. All others stay outside.
const (
	fencePace    = 600_000 // positions/s
	fenceRounds  = 80_000
	fenceRound   = 100
	fenceReturns = 10
	fenceChunk   = 16384
	outline500   = 500
)

// fenceSize is the least and the most distance from the middle of a fence to its line, in degrees: some 300 m.
const fenceSize, fenceWaves = 0.003, 0.3

// ragged is an outline of 500 corners around a place, which is inside.
func ragged(lon, lat float64) *pb.Area {
	ring := &pb.Ring{}
	for i := range outline500 + 1 {
		angle := 2 * math.Pi * float64(i%outline500) / outline500
		away := fenceSize * (1 + fenceWaves*math.Sin(37*angle))
		ring.Points = append(ring.Points, &pb.Point{Lon: lon + away*math.Cos(angle), Lat: lat + away*math.Sin(angle)})
	}
	return &pb.Area{Where: &pb.Area_Polygons{Polygons: &pb.Polygons{Crs: "wgs84", Parts: []*pb.Polygon{{Rings: []*pb.Ring{ring}}}}}}
}

// walk is the stream.
type walk struct {
	people  []uint64
	inside  [][2]float64 // the middles of the fences
	outside [][2]float64
	entered map[uint64]int64 // when somebody was seen inside first, Unix nanoseconds
	table   bytes.Buffer     // everybody who was seen inside, for the verdict
	back    int
	began   time.Time
}

// ShowFence runs it, in one house.
func ShowFence(ctx context.Context, o Options, fences int) (*Fence, error) {
	f := &Fence{People: o.Rig.People, Fences: fences, Machine: machine(o.Rig.Dir)}
	f.LoadAverage[0] = loadAverage()
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	w := &walk{entered: map[uint64]int64{}}
	if w.inside, err = r.Places(fences, o.Seed); err != nil {
		return nil, err
	}
	if w.people, err = r.Walkers(fenceRounds); err != nil {
		return nil, err
	}
	w.stayOutside(o.Seed)
	ids, err := f.fence(ctx, r, w)
	if err != nil {
		return nil, err
	}
	o.Say("%d warnings are live", fences)
	if err := f.stream(ctx, r, w); err != nil {
		return nil, err
	}
	o.Say("%.0f positions/s, %d people entered", f.PositionsPerS, f.Entered)
	var entered int64
	for _, id := range ids {
		rep, err := r.Settled(ctx, id, time.Second)
		if err != nil {
			return nil, err
		}
		entered += rep.GetEntered()
		for _, l := range rep.GetLanes() {
			if !l.GetBalanced() {
				f.Why = append(f.Why, "a lane of "+id+" is not balanced")
			}
		}
	}
	f.LoadAverage[1] = loadAverage()
	if r.Positions, err = r.Write("positions.csv", w.table.Bytes()); err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, ids...)
	if err != nil {
		return nil, err
	}
	if entered != v.Entered {
		f.Why = append(f.Why, fmt.Sprintf("the engine's reports count %d people who entered, the verdict %d", entered, v.Entered))
	}
	f.Why, f.Verify, f.Repeats = append(f.Why, v.Faults...), v.Sums, v.ExtraMessages
	if f.Told, f.ToldAtFirst, err = w.told(r.Log(o.Rig.Accounts[0].Name)); err != nil {
		return nil, err
	}
	f.judge()
	return f, nil
}

// stayOutside draws places between the fences by lot, in none of them.
func (w *walk) stayOutside(seed uint64) {
	lot := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // by lot, not secret
	for len(w.outside) < 4096 {
		near := w.inside[lot.IntN(len(w.inside))]
		at := [2]float64{near[0] + lot.Float64()*0.1 - 0.05, near[1] + lot.Float64()*0.1 - 0.05}
		in := false
		for _, m := range w.inside {
			in = in || math.Hypot(at[0]-m[0], at[1]-m[1]) < 1.1*fenceSize*(1+fenceWaves)
		}
		if !in {
			w.outside = append(w.outside, at)
		}
	}
}

// fence releases a warning for each place and waits until those who live there have it.
func (f *Fence) fence(ctx context.Context, r *rig.Rig, w *walk) ([]string, error) {
	ids := make([]string, len(w.inside))
	for i, at := range w.inside {
		spec := rig.WithText(rig.Rainstorm(pb.Tier_TIER_ORANGE, "", "", ragged(at[0], at[1])), fmt.Sprintf("【演练】暴雨预警第%04d号", i))
		spec.Clip = true
		one, _, err := r.Warn(ctx, spec)
		if err != nil {
			return nil, err
		}
		ids[i] = one.GetId()
	}
	for _, id := range ids {
		if _, err := r.Settled(ctx, id, time.Second); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// stream sends all positions at a steady pace, or as fast as the engine takes them.
func (f *Fence) stream(ctx context.Context, r *rig.Rig, w *walk) error {
	conn, err := r.As(rig.Engineer)
	if err != nil {
		return err
	}
	stream, err := pb.NewDirectoryServiceClient(conn).Move(ctx)
	if err != nil {
		return err
	}
	w.table.WriteString("at,number,lon,lat\n")
	w.began = time.Now()
	for from := 0; from < fenceRounds*fenceRound; from += fenceChunk {
		pauseFor(ctx, time.Until(w.began.Add(time.Duration(from)*time.Second/fencePace)))
		if err := stream.Send(w.chunk(from, min(from+fenceChunk, fenceRounds*fenceRound), time.Now())); errors.Is(err, io.EOF) {
			break // the answer says why
		} else if err != nil {
			return err
		}
	}
	m, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	f.Positions, f.Entered, f.CameBack = m.GetPositions(), m.GetEntered(), w.back
	f.PositionsPerS = float64(f.Positions) / time.Since(w.began).Seconds()
	f.Crossing = float64(2*(len(w.entered)+w.back)) / float64(f.Positions) // in and out
	return nil
}

// chunk is the positions from one number to another. All of one chunk are of the same time.
func (w *walk) chunk(from, to int, now time.Time) *pb.MoveRequest {
	m := &pb.MoveRequest{Number: make([]uint64, 0, to-from), LonE7: make([]int32, 0, to-from), LatE7: make([]int32, 0, to-from)}
	at := now.UTC().Format(time.RFC3339Nano)
	for n := from; n < to; n++ {
		round := n / fenceRound
		who, place := w.people[round], w.outside[n%len(w.outside)]
		switch step := n % fenceRound; {
		case step == 0 || step == 60 && round%fenceReturns == 0:
			place = w.inside[round%len(w.inside)]
			if step == 0 {
				w.entered[who] = now.UnixNano()
			} else {
				w.back++
			}
			fmt.Fprintf(&w.table, "%s,%d,%.7f,%.7f\n", at, who, place[0], place[1])
		case step == 30 || step == 90: // out again
		default:
			who = w.people[n*7919%len(w.people)]
		}
		m.Number = append(m.Number, who)
		m.LonE7, m.LatE7 = append(m.LonE7, int32(math.Round(place[0]*1e7))), append(m.LatE7, int32(math.Round(place[1]*1e7)))
	}
	return m
}

// told is the times from a position to the carrier's log: all, and those of the first two seconds.
func (w *walk) told(log string) (all, first Times, err error) {
	f, err := os.Open(log)
	if err != nil {
		return all, first, err
	}
	defer f.Close()
	var ms, early []float64
	lines := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		if err := lines.Next(&l); errors.Is(err, io.EOF) {
			return timesOf(ms, 0), timesOf(early, 0), nil
		} else if err != nil {
			return all, first, err
		}
		if at := w.entered[l.To]; l.Event == carrierlog.Submit && at > 0 && l.Time > at {
			ms = append(ms, float64(l.Time-at)/1e6)
			if at < w.began.Add(2*time.Second).UnixNano() {
				early = append(early, float64(l.Time-at)/1e6)
			}
		}
	}
}

// judge says what is not as asked.
func (f *Fence) judge() {
	if f.PositionsPerS < leastPositions {
		f.Why = append(f.Why, fmt.Sprintf("%.0f positions/s, asked are %d", f.PositionsPerS, leastPositions))
	}
	if f.Crossing < leastCrossing {
		f.Why = append(f.Why, fmt.Sprintf("%.4f of the positions cross a fence, asked are %.2f", f.Crossing, leastCrossing))
	}
	if f.Told.Count == 0 || f.Told.Max > mostTold {
		f.Why = append(f.Why, fmt.Sprintf("%d messages came up to %.0f ms after the position, asked are %.0f", f.Told.Count, f.Told.Max, mostTold))
	}
	if f.Repeats > 0 {
		f.Why = append(f.Why, fmt.Sprintf("%d messages were repeated", f.Repeats))
	}
	f.OK = len(f.Why) == 0
}
