package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/loadtest/rig"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// Reds shows promise 4 with as many reds in one second as a bad night has, while a blue is being sent to everybody.
type Reds struct {
	OK       bool        `json:"ok"`
	Why      []string    `json:"why"`
	Reds     int         `json:"reds"`
	WithinS  float64     `json:"released_within_s"`
	RedFirst float64     `json:"first_red_ms"` // from the first release to the first red message at any carrier
	First    Times       `json:"release_to_first_message"`
	Shares   []Share     `json:"shares"`
	Carriers verify.Sums `json:"verify"`
	Accounts []Account   `json:"accounts"`
}

// jitter is by how many messages a lane may miss its part at a carrier beyond the promise, which holds where messages
// leave: links are read one after another, so that one message may come into the next second.
const jitter = 1

// ShowReds releases so many reds for one district at once.
func ShowReds(ctx context.Context, o Options, count int) (*Reds, error) {
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	words, reds := make([]string, count), make([]*pb.Warning, count)
	for i := range reds {
		words[i] = fmt.Sprintf("【演练】暴雨红色预警第%04d号", i)
		spec := rig.WithText(rig.Rainstorm(pb.Tier_TIER_RED, "", "", rig.Units(smallest)...), words[i])
		if reds[i], _, err = r.Submit(ctx, spec); err != nil {
			return nil, err
		}
	}
	blue, _, err := r.WarnLarge(ctx, rig.Rainstorm(pb.Tier_TIER_BLUE, "全市", "all districts", rig.AllUnits()...))
	if err != nil {
		return nil, err
	}
	pauseFor(ctx, 2*time.Second) // blue is in full flow
	o.Say("releasing %d reds at once", count)
	sent, err := approveAll(ctx, r, reds)
	if err != nil {
		return nil, err
	}
	began, ended := earliest(sent)
	out := &Reds{Reds: count, WithinS: ended.Sub(began).Seconds()}
	ids := []string{blue.GetId()}
	for _, w := range reds {
		ids = append(ids, w.GetId())
	}
	reports, err := settledAll(ctx, r, ids[1:], sent)
	if err != nil {
		return nil, err
	}
	if err := r.Cancel(ctx, blue.GetId()); err != nil { // it has done its part
		return nil, err
	}
	rep, err := r.Settled(ctx, blue.GetId(), time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, ids...)
	if err != nil {
		return nil, err
	}
	res := judge(o.Rig, v, append(reports, told{ReportResponse: rep})...)
	res.contractKept()
	out.Why, out.Carriers, out.Accounts = res.Why, v.Sums, res.Accounts
	firsts := make([]int64, count)
	for _, a := range o.Rig.Accounts {
		as, err := arrivalsAt(r, a.Name, byWords(words...))
		if err != nil {
			return nil, err
		}
		for i, s := range spansOf(as, count) {
			if s.messages > 0 && (firsts[i] == 0 || s.first < firsts[i]) {
				firsts[i] = s.first
			}
		}
		s := shareAt(a.Name, as, count, count, began)
		out.Shares = append(out.Shares, s)
		if s.ForS < 2 {
			out.Why = append(out.Why, fmt.Sprintf("account %s sent to all reds together for %.1f s only: say more --recipients", a.Name, s.ForS))
		} else if s.short() > 1+jitter {
			out.Why = append(out.Why, fmt.Sprintf("account %s: a red got %d messages of a second, its part is %.1f", a.Name, s.Got, s.Part))
		}
	}
	var ms []float64
	for i, at := range firsts {
		if at == 0 {
			out.First.Missed++
			continue
		}
		ms = append(ms, float64(at-sent[i].UnixNano())/1e6)
		if d := float64(at-began.UnixNano()) / 1e6; out.RedFirst == 0 || d < out.RedFirst {
			out.RedFirst = d
		}
	}
	out.First = timesOf(ms, out.First.Missed)
	if out.First.P99 > 1000 || out.First.Missed > 0 {
		out.Why = append(out.Why, fmt.Sprintf("p99 of the first message of each is %.0f ms (asked: 1000), %d never had one", out.First.P99, out.First.Missed))
	}
	if out.WithinS > 1 {
		out.Why = append(out.Why, fmt.Sprintf("the releases took %.2f s, not one", out.WithinS))
	}
	out.OK = len(out.Why) == 0
	return out, nil
}

// smallest is the district with the fewest people.
const smallest = "500229"

// hands is how many calls of a demonstration are made side by side.
const hands = 32

// sideBySide calls f for each of n.
func sideBySide(n int, f func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for h := range hands {
		group.Go(func() {
			for i := h; i < n; i += hands {
				errs[i] = f(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// approveAll releases warnings. It answers when each call was sent.
func approveAll(ctx context.Context, r *rig.Rig, ws []*pb.Warning) ([]time.Time, error) {
	if _, err := r.As(rig.Approver); err != nil { // one connection for all
		return nil, err
	}
	sent := make([]time.Time, len(ws))
	return sent, sideBySide(len(ws), func(i int) (err error) {
		_, sent[i], err = r.Approve(ctx, ws[i])
		return err
	})
}

// settledAll waits for the end of warnings that were released at times.
func settledAll(ctx context.Context, r *rig.Rig, ids []string, sent []time.Time) ([]told, error) {
	if _, err := r.As(rig.Commander); err != nil { // one connection for all
		return nil, err
	}
	out := make([]told, len(ids))
	return out, sideBySide(len(ids), func(i int) error {
		rep, err := r.Settled(ctx, ids[i], time.Second)
		out[i] = told{rep, sent[i]}
		return err
	})
}

func earliest(ts []time.Time) (first, last time.Time) {
	first, last = ts[0], ts[0]
	for _, t := range ts {
		if t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	return first, last
}
