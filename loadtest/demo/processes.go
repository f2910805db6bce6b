package demo

import (
	"context"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Processes shows promises 2, 3 and 7 for accounts that are spread over three engine processes on one Redis: one is
// killed, another one is frozen and woken when a successor owns its account.
type Processes struct {
	*Result
	Owners  map[string]string  `json:"owners_before"`
	After   map[string]string  `json:"owners_after"`
	SilentS map[string]float64 `json:"longest_silence_s"` // by account: while nobody owned it
	Extra   int64              `json:"repeats_at_the_carriers"`
	Allowed int64              `json:"repeats_allowed"`
}

// succession is how long an account is silent at least when its owner ends without a word: lease, and a second in which
// what left last may still count.
const succession = 3 * time.Second

// ShowProcesses sends one warning to the twelve districts. The first account is at home with the engine that is killed,
// the last with the one that is frozen.
func ShowProcesses(ctx context.Context, o Options) (*Processes, error) {
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	out := &Processes{SilentS: map[string]float64{}}
	if out.Owners, err = r.Owners(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	w, sent, err := r.Warn(ctx, rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南", "the southeast", rig.Units(rig.Twelve...)...))
	if err != nil {
		return nil, err
	}
	if err := reach(ctx, r, w.GetId(), 0.2); err != nil {
		return nil, err
	}
	o.Say("freezing the last engine and killing the first")
	if err := r.Freeze(); err != nil {
		return nil, err
	}
	r.KillEngine()
	r.TurnTo()
	pauseFor(ctx, 2*succession)
	o.Say("waking the frozen one")
	if err := r.Wake(); err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, w.GetId(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	if out.After, err = r.Owners(ctx); err != nil {
		return nil, err
	}
	accounts := o.Rig.Accounts
	lost := []rig.Account{accounts[0], accounts[len(accounts)-1]}
	for _, a := range lost { // promise 3: the open windows and 100 ms of sending
		out.Allowed += int64(a.Links*a.Window + a.Contract/10)
	}
	v, err := r.Verify(ctx, out.Allowed, w.GetId())
	if err != nil {
		return nil, err
	}
	out.Extra = v.ExtraMessages
	out.Result = judge(o.Rig, v, told{rep, sent})
	out.contractKept()
	for _, a := range accounts {
		if out.Owners[a.Name] != a.Home {
			out.fault("account %s is at home with %s and was owned by %q", a.Name, a.Home, out.Owners[a.Name])
		}
		as, err := arrivalsAt(r, a.Name, byClass)
		if err != nil {
			return nil, err
		}
		out.SilentS[a.Name] = silence(as).Seconds()
	}
	for _, a := range lost {
		if s := out.SilentS[a.Name]; s < succession.Seconds() {
			out.fault("account %s was silent for %.2f s between two owners, the least is %v", a.Name, s, succession)
		}
	}
	out.finish(began)
	return out, nil
}

// silence is the longest time between two arrivals.
func silence(as []arrival) (longest time.Duration) {
	for i := 1; i < len(as); i++ {
		longest = max(longest, time.Duration(as[i].at-as[i-1].at))
	}
	return longest
}
