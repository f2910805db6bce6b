package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Options of a demonstration.
type Options struct {
	Rig  rig.Options
	Seed uint64 // of what the measurement draws by lot
	Say  func(format string, args ...any)
	// Picture is the path of the night's picture, PNG; empty: none.
	Picture string
}

// Contract shows promise 7: three accounts, three segments a person, one run through and one with a restart of the
// engine in the middle.
type Contract struct {
	OK      bool     `json:"ok"`
	Why     []string `json:"why"`
	Through *Result  `json:"through"`
	Restart *Result  `json:"with_restart"`
}

// leastUsed is promise 7's use of a contract with a backlog and the guard of 5 ms.
const leastUsed = 0.998 / 1.005

// ThreeSegments is words that cost three messages.
func threeSegments(spec *pb.WarningSpec) *pb.WarningSpec {
	const more = "请低洼易涝区、地质灾害隐患点、涉水景区和在建工地的人员提前转移，远离河道、沟谷和陡坡，不要在积水路段行走或驾车；" +
		"各有关单位加强值班值守，做好防御准备。咨询电话见当地公告。"
	return rig.WithText(spec, spec.GetWords()[0].GetText()+more)
}

// ShowContract runs it: each run in a house of its own.
func ShowContract(ctx context.Context, o Options) (*Contract, error) {
	c := &Contract{}
	var err error
	o.Say("sending three messages each to the twelve districts, without a break")
	if c.Through, err = contractRun(ctx, o, "through", false); err != nil {
		return nil, err
	}
	for _, a := range c.Through.Carriers.Accounts { // one warning without a break: a pause is no excuse
		if a.IdleS > 0 {
			c.Through.fault("account %s stood still for %.2f s with people waiting", a.Name, a.IdleS)
		}
	}
	c.Through.usedEnough()
	o.Say("the same, with a restart of the engine in the middle")
	if c.Restart, err = contractRun(ctx, o, "restart", true); err != nil {
		return nil, err
	}
	c.Restart.usedEnough()
	c.Why = append(append(c.Why, c.Through.Why...), c.Restart.Why...)
	c.OK = len(c.Why) == 0
	return c, nil
}

// usedEnough holds the use of each contract against the promise, without the pauses of more than a second.
func (r *Result) usedEnough() {
	for _, a := range r.Accounts {
		if a.ContractUsed < leastUsed {
			r.fault("account %s used %.4f of its contract, promised are %.4f", a.Account, a.ContractUsed, leastUsed)
		}
	}
	r.OK = len(r.Why) == 0
}

// contractRun sends one warning to the twelve districts, with a restart of the engine when half of the people have it.
func contractRun(ctx context.Context, o Options, name string, restart bool) (*Result, error) {
	o.Rig.Dir = filepath.Join(o.Rig.Dir, name)
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	w, sent, err := r.Warn(ctx, threeSegments(rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南", "", rig.Units(rig.Twelve...)...)))
	if err != nil {
		return nil, err
	}
	if restart {
		if err := reach(ctx, r, w.GetId(), 0.5); err != nil {
			return nil, err
		}
		r.StopEngine()
		if err := r.StartEngine(ctx); err != nil {
			return nil, err
		}
	}
	rep, err := r.Settled(ctx, w.GetId(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, w.GetId())
	if err != nil {
		return nil, err
	}
	res := judge(o.Rig, v, told{rep, sent})
	res.contractKept()
	res.finish(began)
	return res, nil
}

// reach waits until the share of the planned people is no longer waiting.
func reach(ctx context.Context, r *rig.Rig, id string, share float64) error {
	return r.Follow(ctx, id, 100*time.Millisecond, func(p *pb.WatchResponse) bool {
		var planned, waiting int64
		for _, l := range p.GetLanes() {
			planned += l.GetPlanned()
			waiting += l.GetWaiting()
		}
		return !p.GetPlanned() || float64(planned-waiting) < share*float64(planned)
	})
}

// Times is a distribution in milliseconds.
type Times struct {
	Count  int     `json:"count"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	Missed int     `json:"missed"` // nothing arrived at all
}

// Latency shows the time from a release to the first message at a carrier.
type Latency struct {
	OK       bool     `json:"ok"`
	Why      []string `json:"why"`
	First    Times    `json:"release_to_first_message"`
	Backlog  int64    `json:"people_behind"` // who were being sent to meanwhile
	Balanced bool     `json:"balanced"`
	Carriers any      `json:"verify"`
}

// smallSide is the side of a small warning's square, in degrees: some 200 m, with a few dozen people in a town. A
// thousand of them in a minute stay below the contract, so that none waits for the others' messages.
const smallSide = 0.002

// target is what the first issue asks of a first message while everything else goes on: the promise is 20 ms.
const target = 50.0

// ShowLatency releases count small warnings of the tier one after another, while a warning of the backlog's tier is
// being sent to everybody.
func ShowLatency(ctx context.Context, o Options, backlog, tier pb.Tier, count int) (*Latency, error) {
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	places, err := r.Places(count, o.Seed)
	if err != nil {
		return nil, err
	}
	everybody := rig.Rainstorm(backlog, "全市", "all districts", rig.AllUnits()...)
	large, _, err := r.WarnLarge(ctx, everybody)
	if err != nil {
		return nil, err
	}
	pauseFor(ctx, 3*time.Second) // the backlog is in full flow
	out := &Latency{Balanced: true, Backlog: large.GetApprovedPeople()}
	ids, sent := make([]string, count), make([]time.Time, count)
	for i, p := range places {
		spec := rig.WithText(rig.Rainstorm(tier, "", "", rig.Square(p[0], p[1], smallSide)), fmt.Sprintf("【演练】暴雨预警第%04d号", i))
		w, at, err := r.Warn(ctx, spec)
		if err != nil {
			return nil, err
		}
		ids[i], sent[i] = w.GetId(), at
		if i%100 == 99 {
			o.Say("%d of %d small warnings released", i+1, count)
		}
		pauseFor(ctx, time.Duration(20+rand.New(rand.NewPCG(o.Seed, uint64(i))).IntN(60))*time.Millisecond) //nolint:gosec // by lot, not secret
	}
	for _, id := range ids {
		if _, err := r.Settled(ctx, id, time.Second); err != nil {
			return nil, err
		}
	}
	if err := r.Cancel(ctx, large.GetId()); err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, large.GetId(), 3*time.Second)
	if err != nil {
		return nil, err
	}
	for _, l := range rep.GetLanes() {
		out.Balanced = out.Balanced && l.GetBalanced()
	}
	v, err := r.Verify(ctx, 0, append(ids, large.GetId())...)
	if err != nil {
		return nil, err
	}
	first := map[string]time.Time{}
	for _, w := range v.Warnings {
		if w.FirstAt != nil {
			first[w.Warnings[0]] = *w.FirstAt
		}
	}
	var ms []float64
	for i, id := range ids {
		if at, ok := first[id]; ok {
			ms = append(ms, float64(at.Sub(sent[i]).Microseconds())/1000)
		} else {
			out.First.Missed++
		}
	}
	out.First = timesOf(ms, out.First.Missed)
	out.Why, out.Carriers = v.Faults, v.Sums
	if out.First.P99 > target || out.First.Missed > 0 {
		out.Why = append(out.Why, fmt.Sprintf("p99 is %.1f ms (asked: %.0f), %d missed", out.First.P99, target, out.First.Missed))
	}
	if !out.Balanced {
		out.Why = append(out.Why, "a lane is not balanced")
	}
	out.OK = len(out.Why) == 0
	return out, nil
}

func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
