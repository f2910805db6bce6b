package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// This file is the engine's own calls: it rings the approvers on duty while a warning waits for them, and tells who
// submitted a warning that it ends. A call is a warning of its own to users instead of people of an area, so that guard,
// contract, ledger and report hold for it as for any other. Its key of idempotency names what it is about and the minute,
// so that no restart and no second engine rings anybody twice for the same one.

// Duty is how people on duty are rung.
type Duty struct {
	Roster   Roster
	Channels []warning.Channel
	Backup   time.Duration // how long a warning waits before the next backups are rung too
}

// The times of calls.
const (
	ringEvery  = time.Minute
	ringLook   = time.Second      // between two looks at what waits
	endsLook   = 15 * time.Second // between two looks at what ends
	endsEarly  = 30 * time.Minute // before its end the submitter of a warning is told
	endsLate   = 30 * time.Minute // after its end nobody is told any more
	callsOwner = "engine:calls"   // whose keys they are; no user is named so
)

// bell remembers what was rung already, so that the store is asked once for each.
type bell struct {
	e      *Engine
	rung   map[string]rung // by warning that waits
	told   map[string]bool
	looked time.Time // at what ends
}

// rung is how long a warning waits, and the minute of it that was rung last; -1: none.
type rung struct {
	since  time.Time // by this process's clock, which nobody sets back
	minute int
}

// rings rings until ctx ends.
func (e *Engine) rings(ctx context.Context) {
	if e.duty.Roster == nil {
		return
	}
	b := &bell{e: e, rung: map[string]rung{}, told: map[string]bool{}}
	for ctx.Err() == nil {
		if err := b.turn(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
			e.log.Warn("people on duty cannot be rung now; it is tried again", zap.Error(err))
		}
		pause(ctx, ringLook)
	}
}

func (b *bell) turn(ctx context.Context, now time.Time) error {
	list, err := b.e.records.Standing(ctx, []warning.State{warning.Submitted, warning.Released})
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, st := range list {
		if st.State == warning.Submitted {
			waiting[st.ID] = true
			err = b.wait(ctx, st.ID, now)
		} else {
			err = b.stop(ctx, st.ID)
		}
		if err != nil {
			return err
		}
	}
	maps.DeleteFunc(b.rung, func(id string, _ rung) bool { return !waiting[id] })
	if now.Sub(b.looked) < endsLook {
		return nil
	}
	b.looked = now
	return b.ends(ctx, now)
}

// wait rings the approvers of a warning once in each minute of its waiting.
func (b *bell) wait(ctx context.Context, id string, now time.Time) error {
	r, known := b.rung[id]
	minute := int(now.Sub(r.since) / ringEvery)
	if known && r.minute >= minute {
		return nil
	}
	w, _, err := b.e.records.Warning(ctx, id)
	if err != nil || w.State != warning.Submitted {
		return err
	}
	if !known {
		r.since = now.Add(-max(0, now.Sub(w.SubmittedAt)))
		minute = int(now.Sub(r.since) / ringEvery)
	}
	waited := now.Sub(r.since)
	all, err := b.e.duty.Roster.Callees(ctx, now)
	if err != nil {
		return err
	}
	who := Approvers(all, &w, waited, b.e.duty.Backup)
	// The next one takes its place: nobody gets a heap of them when a link comes back.
	until := now.Add(time.Duration(minute+1)*ringEvery - waited)
	if err := b.call(ctx, &w, warning.CallApprove, fmt.Sprintf("%s/%d", id, minute), who, now, until); err != nil {
		return err
	}
	b.rung[id] = rung{r.since, minute}
	return nil
}

// Approvers is who is rung over a warning that has waited so long: those on duty who may approve it, and their backups in
// turn. Where nobody of the first is on duty the next are rung at once; where nobody is, everybody.
func Approvers(all []Callee, w *warning.Warning, waited, each time.Duration) []Callee {
	may := slices.DeleteFunc(slices.Clone(all), func(c Callee) bool {
		return !c.Approves || c.User == w.SubmittedBy || slices.Contains(w.ApprovedBy, c.User)
	})
	ready := slices.DeleteFunc(slices.Clone(may), func(c Callee) bool { return !c.OnDuty })
	if len(ready) == 0 {
		return may
	}
	reach := slices.MinFunc(ready, func(a, b Callee) int { return a.Backup - b.Backup }).Backup
	if each > 0 {
		reach = max(reach, int(waited/each))
	}
	return slices.DeleteFunc(ready, func(c Callee) bool { return c.Backup > reach })
}

// stop ends a call about a warning that does not wait any more: what of it has not left stays here.
func (b *bell) stop(ctx context.Context, id string) error {
	w, err := b.e.warning(ctx, id)
	if err != nil || w.Summons == nil || w.Summons.Why != warning.CallApprove {
		return err
	}
	about, _, err := b.e.records.Warning(ctx, w.Spec.References[0])
	if err != nil || about.State == warning.Submitted {
		return err
	}
	_, err = b.e.move(ctx, id, warning.Replaced)
	return err
}

// ends tells who submitted a warning that it ends soon, and that it has ended; each once.
func (b *bell) ends(ctx context.Context, now time.Time) error {
	list, err := b.e.records.Standing(ctx, []warning.State{warning.Released, warning.Held, warning.Completed, warning.Expired})
	if err != nil {
		return err
	}
	near := map[string]bool{}
	for _, st := range list {
		left := st.Expires.Sub(now)
		why := warning.CallEnding
		if left <= 0 {
			why = warning.CallEnded
		}
		if left > endsEarly || left <= -endsLate || st.State == warning.Expired && left > 0 {
			continue
		}
		key := st.ID + "/" + string(why)
		near[key] = true
		if b.told[key] {
			continue
		}
		if err := b.end(ctx, st.ID, key, why, now); err != nil {
			return err
		}
		b.told[key] = true
	}
	maps.DeleteFunc(b.told, func(key string, _ bool) bool { return !near[key] })
	return nil
}

func (b *bell) end(ctx context.Context, id, key string, why warning.CallReason, now time.Time) error {
	w, _, err := b.e.records.Warning(ctx, id)
	if err != nil || w.Spec.Type != warning.Alert && w.Spec.Type != warning.Update {
		return err
	}
	until := now.Add(endsLate)
	if why == warning.CallEnding {
		if until = w.Spec.Expires; until.Sub(w.SubmittedAt) <= endsEarly { // it was short from the start
			return nil
		}
	}
	all, err := b.e.duty.Roster.Callees(ctx, now)
	if err != nil {
		return err
	}
	who := slices.DeleteFunc(all, func(c Callee) bool { return c.User != w.SubmittedBy })
	return b.call(ctx, &w, why, key, who, now, until)
}

// call records a call and releases it: one act. With a key that was used it changes nothing.
func (b *bell) call(ctx context.Context, about *warning.Warning, why warning.CallReason, key string, who []Callee, now, until time.Time) error {
	spec := warning.CallAbout(about, why, now, until)
	for _, ch := range b.e.duty.Channels {
		if b.e.serves(ch, spec.Status) {
			spec.Channels = append(spec.Channels, ch)
		}
	}
	if len(who) == 0 || len(spec.Channels) == 0 {
		b.e.log.Warn("nobody can be rung about a warning: complete duty in the configuration", zap.String("warning", about.ID),
			zap.String("why", string(why)), zap.Int("people", len(who)), zap.Int("channels", len(spec.Channels)))
		return nil
	}
	w := b.e.newWarning(Caller{User: "engine"}, Submission{Spec: spec}, now)
	w.State, w.ReleasedAt, w.Summons = warning.Released, now, &warning.Summons{Why: why}
	for _, c := range who {
		w.Summons.Users = append(w.Summons.Users, c.User)
	}
	_, _, err := b.e.do(ctx, Caller{User: callsOwner}, key, requestDigest("warning.call", key), Act{
		Entry: Entry{
			At: now, User: "engine", Role: warning.Engineer.String(), Act: "warning.call", Subject: about.ID, Outcome: w.ID,
			Detail: string(why) + ": " + strings.Join(w.Summons.Users, ", "),
		},
		Warning: &w, ToPlan: true,
	})
	return err
}

// planCall says by which accounts the users of a call are rung.
func (e *Engine) planCall(ctx context.Context, w *warning.Warning) (Plan, error) {
	all, err := e.duty.Roster.Callees(ctx, w.ReleasedAt)
	if err != nil {
		return Plan{}, err
	}
	var numbers []uint64
	for _, c := range all {
		if slices.Contains(w.Summons.Users, c.User) {
			numbers = append(numbers, c.Number)
		}
	}
	snap := e.duty.Roster.Snapshot(numbers)
	sel := warning.Selection{Snapshot: snap.ID()}
	for block := range snap.Blocks() {
		var m warning.Mask
		for slot := range snap.Block(block).Number {
			m.Set(slot)
		}
		sel.Blocks, sel.Masks = append(sel.Blocks, uint32(block)), append(sel.Masks, m)
	}
	p := makePlan(w, w.Spec.Tells(w.ReleasedAt), snap, &sel, e.routing.Load())
	if p.NoRoute > 0 {
		e.log.Warn("no account carries a call to people of the roster", zap.String("warning", w.ID), zap.Int64("people", p.NoRoute),
			zap.Stringer("status", w.Spec.Status))
	}
	return p, nil
}

// SetDuty puts the caller on or off duty by hand ("on", "off"), or back to the hours of the roster ("hours").
func (e *Engine) SetDuty(ctx context.Context, c Caller, key, state string) error {
	now := time.Now().UTC()
	all, err := e.OnDuty(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(x Callee) bool { return x.User == c.User }) {
		return warning.Refuse(warning.ReasonConflict, "%s has no number in the roster; have an engineer add one to duty.people of the configuration", c.User)
	}
	put := Put{Table: TableDuty, Field: c.User, Value: []byte(state)}
	switch state {
	case "on", "off":
	case "hours":
		put.Value = nil
	default:
		return warning.Invalid(warning.Violation{
			Field: "state", Rule: "duty.state", Detail: fmt.Sprintf("%q is no state of duty", state), Remedy: "say on, off or hours",
		})
	}
	_, err = e.records.Do(ctx, Act{
		User: c.User, Key: key, Digest: requestDigest("duty.set", state),
		Entry: Entry{At: now, User: c.User, Role: c.Role.String(), Act: "duty.set", Subject: c.User, Outcome: state},
		Puts:  []Put{put},
	})
	return Refusal(err)
}

// OnDuty is everybody of the roster as they stand now.
func (e *Engine) OnDuty(ctx context.Context) ([]Callee, error) {
	if e.duty.Roster == nil {
		return nil, nil
	}
	all, err := e.duty.Roster.Callees(ctx, time.Now())
	if err != nil {
		return nil, unavailable(err)
	}
	return all, nil
}
