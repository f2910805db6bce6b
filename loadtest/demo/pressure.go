package demo

import (
	"context"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Behind shows promise 4: a warning for few behind one of the same tier for everybody does not wait for it.
type Behind struct {
	*Result
	Few      int64          `json:"people"`
	Many     int64          `json:"people_before_them"`
	Finished []FinishedLane `json:"finished"`
}

// FinishedLane is one account's part of the small warning.
type FinishedLane struct {
	Account  string  `json:"account"`
	Messages int     `json:"messages"`
	AfterS   float64 `json:"after_s"` // from the release to the last message
	AloneS   float64 `json:"alone_s"` // at its share, half of the contract, with nobody else there
	Ratio    float64 `json:"ratio"`   // at most 2
}

// ShowBehind releases a warning for the smallest district three seconds after one of its tier for everybody.
func ShowBehind(ctx context.Context, o Options) (*Behind, error) {
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	many, manySent, err := r.WarnLarge(ctx, rig.Rainstorm(pb.Tier_TIER_ORANGE, "全市", "all districts", rig.AllUnits()...))
	if err != nil {
		return nil, err
	}
	pauseFor(ctx, 3*time.Second)
	const words = "【演练】城口县暴雨橙色预警"
	few, fewSent, err := r.Warn(ctx, rig.WithText(rig.Rainstorm(pb.Tier_TIER_ORANGE, "", "", rig.Units(smallest)...), words))
	if err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, few.GetId(), time.Second)
	if err != nil {
		return nil, err
	}
	if err := r.Cancel(ctx, many.GetId()); err != nil {
		return nil, err
	}
	large, err := r.Settled(ctx, many.GetId(), time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, many.GetId(), few.GetId())
	if err != nil {
		return nil, err
	}
	out := &Behind{
		Result: judge(o.Rig, v, told{large, manySent}, told{rep, fewSent}), Few: few.GetApprovedPeople(), Many: many.GetApprovedPeople(),
	}
	out.contractKept()
	for _, a := range o.Rig.Accounts {
		as, err := arrivalsAt(r, a.Name, byWords(words))
		if err != nil {
			return nil, err
		}
		s := spansOf(as, 1)[0]
		f := FinishedLane{
			Account: a.Name, Messages: s.messages, AfterS: time.Unix(0, s.last).Sub(fewSent).Seconds(),
			AloneS: float64(s.messages) / (float64(a.Contract) / 2),
		}
		f.Ratio = f.AfterS / f.AloneS
		if s.messages == 0 || f.Ratio > 2 {
			out.fault("account %s: %d messages took %.2f s behind the others, alone at their share %.2f", a.Name, s.messages, f.AfterS, f.AloneS)
		}
		out.Finished = append(out.Finished, f)
	}
	out.finish(began)
	return out, nil
}

// Shared shows promise 7 for an account that carries short messages and flash messages: one contract.
type Shared struct {
	*Result
	Shares []Share `json:"shares"` // between the two channels
}

// ShowShared sends one warning to the twelve districts by both.
func ShowShared(ctx context.Context, o Options) (*Shared, error) {
	for i := range o.Rig.Accounts {
		o.Rig.Accounts[i].Flash = true
	}
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	spec := rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南", "the southeast", rig.Units(rig.Twelve...)...)
	spec.Channels = []pb.Channel{pb.Channel_CHANNEL_SMS, pb.Channel_CHANNEL_FLASH_SMS}
	w, sent, err := r.Warn(ctx, spec)
	if err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, w.GetId(), 2*time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, w.GetId())
	if err != nil {
		return nil, err
	}
	out := &Shared{Result: judge(o.Rig, v, told{rep, sent})}
	out.contractKept()
	for _, a := range o.Rig.Accounts {
		as, err := arrivalsAt(r, a.Name, byClass)
		if err != nil {
			return nil, err
		}
		s := shareAt(a.Name, as, 2, 2, sent)
		if s.ForS < 2 {
			out.fault("account %s sent both together for %.1f s only: say more --recipients", a.Name, s.ForS)
		} else if most := 2 * segments; s.short() > float64(most) {
			out.fault("account %s: a channel got %d messages of a second, its part is %.1f", a.Name, s.Got, s.Part)
		}
		out.Shares = append(out.Shares, s)
	}
	out.finish(began)
	return out, nil
}

// segments is how many messages a person costs in the usual words.
const segments = 2
