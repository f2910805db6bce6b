package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Bench is the unthrottled speed of the whole: one account without a tight contract, two segments a person, a receipt
// for every message, ledger and fsync on.
type Bench struct {
	OK      bool       `json:"ok"`
	Why     []string   `json:"why"`
	People  int        `json:"people"`
	Machine Machine    `json:"machine"`
	Shapes  []ShapeRun `json:"shapes"`
}

// ShapeRun is the runs of one shape of links.
type ShapeRun struct {
	Links        int       `json:"links"`
	Window       int       `json:"window"`
	Trip         float64   `json:"round_trip_ms"`
	Target       float64   `json:"target_messages_per_s"`
	MessagesPerS []float64 `json:"messages_per_s"` // at the carrier, by run
	Median       float64   `json:"median_messages_per_s"`
	PeakMB       []float64 `json:"engine_peak_resident_mb"`
	EngineCPU    []float64 `json:"engine_cpu_s"`
	Results      []*Result `json:"runs"`
}

// The shapes and what is asked of them. The last one is what carriers of a province are like: many links, small windows,
// and a way to them: at most links × window ÷ round trip, here 204,800/s, can be had of it.
var shapes = []ShapeRun{
	{Links: 4, Window: 1024, Target: 300_000},
	{Links: 256, Window: 16, Target: 150_000},
	{Links: 256, Window: 16, Trip: 20, Target: 120_000},
}

// mostResidentMB is the engine's budget at a million people.
const mostResidentMB = 250

// RunBench runs every shape so many times, each from nothing.
func RunBench(ctx context.Context, o Options, runs int) (*Bench, error) {
	b := &Bench{People: o.Rig.People, Machine: machine(o.Rig.Dir)}
	for _, s := range shapes {
		for n := range runs {
			res, err := benchOnce(ctx, o, &s, n)
			if err != nil {
				return nil, err
			}
			s.MessagesPerS = append(s.MessagesPerS, res.Lanes[0].MessagesPerS)
			s.PeakMB = append(s.PeakMB, res.Engine.PeakResidentMB)
			s.EngineCPU = append(s.EngineCPU, res.Engine.CPUSeconds)
			s.Results = append(s.Results, res)
			b.Why = append(b.Why, res.Why...)
			o.Say("%d × %d at %g ms, run %d: %.0f messages/s, engine %.0f MB", s.Links, s.Window, s.Trip, n+1, res.Lanes[0].MessagesPerS, res.Engine.PeakResidentMB)
			if mb := res.Engine.PeakResidentMB; mb > mostResidentMB {
				b.Why = append(b.Why, fmt.Sprintf("the engine had %.0f MB at its peak, asked are %d", mb, mostResidentMB))
			}
		}
		s.Median = median(s.MessagesPerS)
		if s.Median < s.Target {
			b.Why = append(b.Why, fmt.Sprintf("%d × %d at %g ms: %.0f messages/s, asked are %.0f", s.Links, s.Window, s.Trip, s.Median, s.Target))
		}
		b.Shapes = append(b.Shapes, s)
	}
	b.OK = len(b.Why) == 0
	return b, nil
}

// median is the middle of some figures; of an even number the middle of the two in the middle.
func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func benchOnce(ctx context.Context, o Options, s *ShapeRun, n int) (*Result, error) {
	began := time.Now()
	ro := o.Rig
	ro.Dir = filepath.Join(o.Rig.Dir, fmt.Sprintf("%dx%d-%gms-%d", s.Links, s.Window, s.Trip, n))
	ro.Accounts = []rig.Account{{
		Name: "fast", Prefix: "999", Links: s.Links, Window: s.Window, Contract: 10_000_000, Unlimited: true,
		Trip: time.Duration(s.Trip * float64(time.Millisecond)), Receipt: 20 * time.Millisecond,
	}}
	r, err := rig.New(ro)
	if err != nil {
		return nil, err
	}
	defer func() {
		r.Down()
		_ = os.RemoveAll(ro.Dir) // gigabytes of logs
	}()
	if err := r.Up(ctx); err != nil {
		return nil, err
	}
	w, sent, err := r.WarnLarge(ctx, rig.Rainstorm(pb.Tier_TIER_RED, "全市", "all districts", rig.AllUnits()...))
	if err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, w.GetId(), 10*time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, w.GetId())
	if err != nil {
		return nil, err
	}
	res := judge(ro, v, told{rep, sent})
	res.Engine = &Process{}
	if res.Engine.PeakResidentMB, res.Engine.CPUSeconds, err = r.PeakResident(); err != nil {
		return nil, err
	}
	res.finish(began)
	return res, nil
}
