package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Kill shows promises 2 and 3 across kill -9: of the engine, and of its Redis.
type Kill struct {
	OK     bool      `json:"ok"`
	Why    []string  `json:"why"`
	Seed   uint64    `json:"seed"`
	Engine *KillPart `json:"engine"`
	Redis  *KillPart `json:"redis"`
}

// KillPart is the kills of one kind.
type KillPart struct {
	Kills         int     `json:"kills"`
	Lost          int64   `json:"lost"`
	ExtraMessages int64   `json:"repeats_at_the_carriers"`
	Allowed       int64   `json:"repeats_allowed"`
	Counted       int64   `json:"possible_repeats_counted_by_the_engine"` // people
	Balanced      int     `json:"balanced"`                               // of that many looks after a kill
	Result        *Result `json:"run"`
}

// ShowKill kills the engine and then its Redis, each so many times in a run of its own, at moments drawn by lot.
func ShowKill(ctx context.Context, o Options, kills int) (*Kill, error) {
	out := &Kill{Seed: o.Seed}
	var err error
	o.Say("killing the engine %d times, seed %d", kills, o.Seed)
	out.Engine, err = killRun(ctx, o, "engine", kills, func(r *rig.Rig) error {
		r.KillEngine()
		return r.StartEngine(ctx)
	})
	if err != nil {
		return nil, err
	}
	o.Say("killing its Redis %d times", kills)
	if out.Redis, err = killRun(ctx, o, "redis", kills, (*rig.Rig).KillRedis); err != nil {
		return nil, err
	}
	for _, p := range []*KillPart{out.Engine, out.Redis} {
		out.Why = append(out.Why, p.Result.Why...)
	}
	out.OK = len(out.Why) == 0
	return out, nil
}

// killRun sends one warning and kills at shares of it between a tenth and nine tenths.
func killRun(ctx context.Context, o Options, name string, kills int, kill func(*rig.Rig) error) (*KillPart, error) {
	o.Rig.Dir = filepath.Join(o.Rig.Dir, name)
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	lot := rand.New(rand.NewPCG(o.Seed, uint64(len(name)+kills))) //nolint:gosec // by lot, not secret
	at := make([]float64, kills)
	for i := range at {
		at[i] = 0.1 + 0.8*lot.Float64()
	}
	slices.Sort(at)
	w, sent, err := r.Warn(ctx, rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南", "the southeast", rig.Units(rig.Twelve...)...))
	if err != nil {
		return nil, err
	}
	p := &KillPart{Kills: kills}
	for i, share := range at {
		if err := reachAcross(ctx, r, w.GetId(), share); err != nil {
			return nil, err
		}
		if err := kill(r); err != nil {
			return nil, fmt.Errorf("kill %d: %w", i, err)
		}
		ok, err := balanced(ctx, r, w.GetId())
		if err != nil {
			return nil, err
		}
		if ok {
			p.Balanced++
		}
		o.Say("kill %d of %d at %.0f %%", i+1, kills, 100*share)
	}
	rep, err := r.Settled(ctx, w.GetId(), 12*time.Second)
	if err != nil {
		return nil, err
	}
	// Promise 3: the open windows and 100 ms of sending, each time.
	for _, a := range o.Rig.Accounts {
		p.Allowed += int64(kills) * int64(a.Links*a.Window+a.Contract/10)
	}
	v, err := r.Verify(ctx, p.Allowed, w.GetId())
	if err != nil {
		return nil, err
	}
	p.Result = judge(o.Rig, v, told{rep, sent})
	p.Lost, p.ExtraMessages = v.Lost, v.ExtraMessages
	for _, l := range rep.GetLanes() {
		p.Counted += l.GetPossibleRepeats()
	}
	if p.Balanced != kills {
		p.Result.fault("balanced after %d of %d kills", p.Balanced, kills)
	}
	p.Result.finish(began)
	return p, nil
}

// reachAcross is reach where the engine may be gone for a moment.
func reachAcross(ctx context.Context, r *rig.Rig, id string, share float64) error {
	var err error
	for range 50 {
		if err = reach(ctx, r, id, share); err == nil {
			return nil
		}
		pauseFor(ctx, 100*time.Millisecond)
	}
	return err
}

func balanced(ctx context.Context, r *rig.Rig, id string) (bool, error) {
	var err error
	for range 100 {
		var rep *pb.ReportResponse
		if rep, err = r.Report(ctx, id); err == nil {
			for _, l := range rep.GetLanes() {
				if !l.GetBalanced() {
					return false, nil
				}
			}
			return len(rep.GetLanes()) > 0, nil
		}
		pauseFor(ctx, 100*time.Millisecond)
	}
	return false, err
}
