package demo

import (
	"context"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Once warns the twelve districts in a new house, and answers what became of it.
func Once(ctx context.Context, o Options) (*Result, error) {
	r, err := rig.New(o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	if err := r.Up(ctx); err != nil {
		return nil, err
	}
	o.Say("an orange rainstorm warning for twelve districts is submitted and approved")
	began := time.Now()
	w, sent, err := r.Warn(ctx, rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南等十二区县", "twelve districts of the southeast", rig.Units(rig.Twelve...)...))
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
	res := judge(o.Rig, rep, v, sent)
	res.contractKept()
	res.Engine = &Process{}
	if res.Engine.PeakResidentMB, res.Engine.CPUSeconds, err = r.PeakResident(); err != nil {
		return nil, err
	}
	res.finish(began)
	return res, nil
}
