package dispatcher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"go.uber.org/zap"

	"tocsin/warning"
)

// This file is promise 5 for what follows a warning. A cancel or all-clear goes to all who were or may have been
// reached, by the channels they got it. An update speaks to three groups: who was reached and is still inside gets the
// update, who is inside and was not reached gets the warning, who was reached and is outside now hears that it no longer
// holds. Whoever's original is in an open window waits for its answer or time-out in another part of the plan.

// followed is the warning that w follows.
func (e *Engine) followed(ctx context.Context, w *warning.Spec) (warning.Warning, error) {
	o, _, err := e.records.Warning(ctx, w.References[0])
	if errors.Is(err, ErrNotFound) {
		return o, warning.Invalid(warning.Violation{
			Field: "warning.references[0]", Rule: "references.unknown", Detail: "there is no warning " + w.References[0],
			Remedy: "give the identifier of a warning of this house: tocsin list shows them",
		})
	}
	if err != nil {
		return o, unavailable(err)
	}
	if o.Spec.Status != w.Status {
		return o, warning.Invalid(warning.Violation{
			Field: "warning.status", Rule: "references.status", Detail: fmt.Sprintf("the warning that it follows is %s", o.Spec.Status),
			Remedy: "say the same status: it is fixed at creation",
		})
	}
	return o, nil
}

// leastValidity is how long a correction or all-clear holds at least: who hears it may be out of reach now.
const leastValidity = 2 * time.Hour

// follow makes the spec of a correction or an all-clear of o, in the words that o has had from its submission.
func follow(o *warning.Warning, t warning.Type, now time.Time) warning.Spec {
	s := o.Spec
	s.Type, s.References, s.Onset, s.Again, s.Focus, s.Table = t, []string{o.ID}, time.Time{}, true, nil, nil
	if t == warning.AllClear {
		s.Tier = warning.Notice
	}
	s.Expires = later(o.Spec.Expires, now.Add(leastValidity))
	s.Words = slices.Clone(o.Spec.Words)
	return s
}

// submitFollowUp records the correction or all-clear of o. It waits for the approvals that the policy asks for its tier.
func (e *Engine) submitFollowUp(ctx context.Context, c Caller, key string, o *warning.Warning, t warning.Type) (warning.Warning, error) {
	now := time.Now().UTC()
	digest := followDigest(t, o.ID)
	if w, ok, err := e.answered(ctx, c, key, digest); ok || err != nil {
		return w, err
	}
	s := follow(o, t, now)
	if err := s.Validate(now); err != nil {
		return warning.Warning{}, err
	}
	w := e.newWarning(c, Submission{Spec: s}, now)
	if people, _ := e.policy().ApprovalsFor(&s, 0); people == 0 {
		w.State, w.ReleasedAt = warning.Released, now
	}
	return e.record(ctx, c, key, digest, Act{
		Entry: Entry{
			At: now, User: c.User, Role: c.Role.String(), Act: "warning." + t.String(), Subject: w.ID, Outcome: w.State.String(),
			Detail: "follows " + o.ID + ", digest " + w.Digest,
		},
		Warning: &w, ToPlan: w.State == warning.Released,
		Puts: []Put{{Table: TableStopped, Field: o.ID}},
	})
}

// canceller is who cancelled a warning, and the key of its correction.
type canceller struct {
	User string       `json:"user"`
	Role warning.Role `json:"role"`
	Key  string       `json:"key"`
}

// correct records the correction of a warning that was cancelled; none where it has no words for one.
func (e *Engine) correct(ctx context.Context, c Caller, key string, w *warning.Warning) (warning.Warning, error) {
	correction, err := e.submitFollowUp(ctx, c, key, w, warning.Cancel)
	if err == nil {
		return correction, nil
	}
	e.log.Error("the warning is cancelled; its correction cannot be recorded", zap.String("warning", w.ID), zap.Error(err))
	if warning.ReasonOf(err) != warning.ReasonUnavailable {
		_, err = e.records.Do(ctx, Act{Puts: []Put{{Table: TableStopped, Field: w.ID}}})
	}
	return warning.Warning{}, Refusal(err)
}

// corrections records those that a process did not come to which recorded the cancel. With its key there is one of each.
func (e *Engine) corrections(ctx context.Context) error {
	stopped, err := e.records.Table(ctx, TableStopped)
	if err != nil {
		return err
	}
	for id, b := range stopped {
		var by canceller
		faulty := json.Unmarshal(b, &by)
		w, _, unread := e.records.Warning(ctx, id)
		if faulty != nil || unread != nil {
			err = errors.Join(err, faulty, unread)
			continue
		}
		_, failed := e.correct(ctx, Caller{User: by.User, Role: by.Role}, by.Key, &w)
		err = errors.Join(err, failed)
	}
	return err
}

func followDigest(t warning.Type, id string) string { return requestDigest("warning."+t.String(), id) }

// newWarning is a submission as it is recorded.
func (e *Engine) newWarning(c Caller, s Submission, now time.Time) warning.Warning {
	return warning.Warning{
		Record: warning.RecordVersion, ID: ulid.Make().String(), Version: 1, Spec: s.Spec, Digest: warning.DigestOf(s.Spec),
		Content: warning.ContentOf(s.Spec),
		State:   warning.Submitted, NationalID: s.NationalID, SourceSystem: s.SourceSystem, SourceID: s.SourceID, Node: e.node,
		SubmittedBy: c.User, SubmittedAt: now,
	}
}

// AllClear says that the danger of a warning is over, to all who were or may have been reached. It goes as notice.
func (e *Engine) AllClear(ctx context.Context, c Caller, key, id string) (warning.Warning, error) {
	if w, ok, err := e.answered(ctx, c, key, followDigest(warning.AllClear, id)); ok || err != nil {
		return w, err
	}
	o, err := e.Get(ctx, id)
	if err != nil {
		return o, err
	}
	if err := e.covers(c, &o); err != nil {
		return o, err
	}
	if err := late(&o, time.Now()); err != nil {
		return o, err
	}
	if o.Spec.Type != warning.Alert && o.Spec.Type != warning.Update { // it would take the place of a correction that is on its way
		return o, warning.Refuse(warning.ReasonConflict, "%s is a %s; an all-clear follows a warning", o.ID, o.Spec.Type)
	}
	if o.ReleasedAt.IsZero() || o.State != warning.Released && o.State != warning.Completed && o.State != warning.Held && o.State != warning.Expired {
		return o, warning.Refuse(warning.ReasonConflict, "the warning is %s; an all-clear follows one that was released", o.State)
	}
	return e.submitFollowUp(ctx, c, key, &o, warning.AllClear)
}

// planFollowUp says who gets a follow-up, or the next part of it.
func (e *Engine) planFollowUp(ctx context.Context, w *warning.Warning) (Plan, error) {
	o, err := e.followed(ctx, &w.Spec)
	if err != nil {
		return Plan{}, err
	}
	if o.State.MayBecome(warning.Replaced) { // what still waits of it is superseded
		if o, err = e.replace(ctx, o.ID); err != nil {
			return Plan{}, err
		}
	}
	before, _, err := e.planOf(ctx, w.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Plan{}, err
	}
	f := followUp{
		w: w, late: map[uint32]*warning.Mask{}, strays: map[uint32]*warning.Mask{}, reached: map[uint32]*warning.Mask{},
		newer: map[place]*warning.Mask{}, counted: map[place]*warning.Mask{},
		plan: Plan{Warning: w.ID, Version: w.Version, Parts: before.Parts + 1},
	}
	f.plan.InArea, f.plan.Entered = before.InArea, before.Entered
	f.plan.LeftOut = before.LeftOut
	if w.Spec.Type == warning.Update {
		if f.inside, err = e.resolve(w.Spec, w.ReleasedAt); err != nil {
			return Plan{}, err
		}
		if f.sel = f.inside.sel; w.Spec.Focus != nil { // by blocks in ascending order: they are searched
			f.sel, err = f.inside.snap.Resolve(w.Spec.Areas, f.inside.who)
			if err != nil {
				return Plan{}, err
			}
		}
		f.plan.Snapshot = f.inside.snap.ID()
	}
	if before.Snapshot != "" { // it was planned and counted by that
		f.plan.Snapshot = before.Snapshot
	}
	oplan, _, err := e.planOf(ctx, o.ID)
	switch {
	case errors.Is(err, ErrNotFound): // never planned: nobody was reached
	case err != nil:
		return Plan{}, err
	default:
		if f.covered, err = e.covered(ctx, &before); err != nil {
			return Plan{}, err
		}
		for at, m := range f.covered {
			maskAt(f.counted, place{snapshot: at.snapshot, block: at.block}).Add(m)
		}
		if err := f.place(ctx, e.dir); err != nil {
			return Plan{}, err
		}
		if f.plan.Snapshot == "" {
			f.plan.Snapshot = oplan.Snapshot
		}
		slices.Reverse(oplan.Strands) // newest first, as placer goes; who came back is known before who had left
		slices.SortStableFunc(oplan.Strands, func(a, b Strand) int { return cmp.Compare(leaves(a.Words), leaves(b.Words)) })
		if err := e.ledgers(ctx, &o, &oplan, f.strand); err != nil {
			return Plan{}, err
		}
	}
	if w.Spec.Type == warning.Update {
		f.newcomers(e.routing.Load(), before.Parts == 0)
	}
	if f.plan.Snapshot == "" {
		if snap, ok := e.dir.Current(); ok {
			f.plan.Snapshot = snap.ID()
		}
	}
	return f.plan, nil
}

// replace ends the original, and answers when nothing more of it can leave but what is in open windows.
func (e *Engine) replace(ctx context.Context, id string) (warning.Warning, error) {
	return e.change(ctx, itself(), "", "", "warning.replaced", id,
		func(o *warning.Warning, now time.Time) (decision, error) {
			if err := may(o, warning.Replaced); err != nil {
				return decision{}, err
			}
			stop := o.State == warning.Released || o.State == warning.Held
			o.State, o.EndedAt = warning.Replaced, now
			return decision{stop: stop}, nil
		})
}

// finish remembers that a plan needs another part; a process that begins anew finds it by the plan itself.
func (e *Engine) finish(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ask(id)
}

// ask is finish. mu is held.
func (e *Engine) ask(id string) {
	e.asked++
	e.unfinished[id] = e.asked
}

// finished says that the part was made that was asked for so; pending that another one follows. What was asked for since then
// may not be in it, and stays.
func (e *Engine) finished(id string, asked uint64, pending bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unfinished[id] == asked {
		delete(e.unfinished, id)
	}
	if pending {
		e.ask(id)
	}
}

func (e *Engine) toFinish() (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.unfinished {
		ids = append(ids, id)
	}
	return ids
}

// place names the people of one block who get it by one channel of one account.
type place struct {
	channel  warning.Channel
	account  string
	snapshot string
	block    uint32
}

// covered is who has a place in the parts before.
func (e *Engine) covered(ctx context.Context, before *Plan) (map[place]*warning.Mask, error) {
	out := map[place]*warning.Mask{}
	err := e.eachStrand(ctx, before.Strands, func(st *Strand) error {
		for i := range st.Batches {
			maskAt(out, place{st.Channel, st.Account, st.Snapshot, st.Batches[i].Block}).Add(&st.Batches[i].Mask)
		}
		return nil
	})
	return out, err
}

// eachStrand reads strands with their batches, those of an account together.
func (e *Engine) eachStrand(ctx context.Context, strands []Strand, visit func(*Strand) error) error {
	byAccount := map[string][]StrandID{}
	for i := range strands {
		byAccount[strands[i].Account] = append(byAccount[strands[i].Account], strands[i].ID)
	}
	for account, ids := range byAccount {
		for part := range slices.Chunk(ids, 256) {
			img, err := e.queue.Read(ctx, account, part, false)
			if err != nil {
				return err
			}
			for i := range img.Strands {
				if err := visit(&img.Strands[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.channel, o.channel), cmp.Compare(p.account, o.account))
}

func maskAt[K comparable](m map[K]*warning.Mask, key K) *warning.Mask {
	if m[key] == nil {
		m[key] = &warning.Mask{}
	}
	return m[key]
}

// followUp sorts the people of the original's strands into the follow-up's.
type followUp struct {
	w       *warning.Warning
	plan    Plan
	covered map[place]*warning.Mask
	inside  *resolved // of an update: who is in its area now
	sel     warning.Selection
	reached map[uint32]*warning.Mask // of an update, in the newest snapshot: who need not be told anew
	there   []*crowd                 // who has a place in the parts before
	newer   map[place]*warning.Mask  // who hears it for a newer strand, by snapshot
	walked  []crowd                  // who hears it for a strand of those who walked in
	counted map[place]*warning.Mask  // who is in InArea, whatever the channel, by snapshot
	late    map[uint32]*warning.Mask // of an update, in the newest snapshot: who has none, and was not reached after all
	strays  map[uint32]*warning.Mask // the same of those who walked in, also in the first part
}

// strand takes one strand of the original, newest first: everybody who was or may have been reached gets the follow-up by the
// same channel and account. Who has moved gets it where they have moved to, unless that did not come about.
func (f *followUp) strand(s *strand) error {
	out := map[warning.Type]*Strand{}
	for i := range s.Batches {
		b := &s.Batches[i]
		blk := s.snap.Block(int(b.Block))
		covered := f.covered[place{s.Channel, s.Account, s.Snapshot, b.Block}]
		newer := maskAt(f.newer, place{snapshot: s.Snapshot, block: b.Block})
		open := map[warning.Type]int{} // index+1 of the batch that is open
		pos := s.starts[i]
		for slot := range b.Mask.Slots {
			state := s.led.stateOf(pos)
			pos++
			if state == warning.Moved && newer.Has(slot) {
				continue
			}
			if s.Words == warning.Left && knows(f.walked, s.snap, blk.Number[slot], int(b.Block), slot) {
				continue // they came back, and what they were told then counts
			}
			if !state.Reached() && !s.led.mayHaveIt(pos-1) && !f.heardBefore(s.Words, state) {
				if pos <= s.led.granted || s.Entered {
					f.missed(blk.Number[slot], s.Entered)
				}
				continue
			}
			newer.Set(slot)
			if s.Entered {
				maskAt(in(&f.walked, s.snap).masks, b.Block).Set(slot)
			}
			kind := f.kindFor(blk.Number[slot], s.Entered)
			if covered != nil && covered.Has(slot) {
				continue
			}
			if kind == warning.Left && s.Words == warning.Left && (state == warning.HandedOver || state == warning.Delivered) {
				continue // they have heard that
			}
			if state == warning.Sending {
				f.plan.Pending = true
				continue
			}
			st := out[kind]
			if st == nil {
				st = &Strand{
					Warning: f.w.ID, Version: f.w.Version, Channel: s.Channel, Words: kind, Account: s.Account, Snapshot: s.Snapshot, Entered: s.Entered,
				}
				out[kind] = st
			}
			if open[kind] == 0 {
				st.Batches = append(st.Batches, Batch{Block: b.Block, Duty: b.Duty, Language: b.Language})
				open[kind] = len(st.Batches)
			}
			st.Batches[open[kind]-1].Mask.Set(slot)
			st.People++
			if in := maskAt(f.counted, place{snapshot: s.Snapshot, block: b.Block}); !in.Has(slot) {
				in.Set(slot)
				f.plan.InArea++
			}
		}
	}
	for _, kind := range []warning.Type{warning.Cancel, warning.Update, warning.Left, warning.AllClear} {
		if st := out[kind]; st != nil {
			f.plan.Strands = append(f.plan.Strands, *st)
		}
	}
	return nil
}

func leaves(w warning.Type) int {
	if w == warning.Left {
		return 1
	}
	return 0
}

// kindFor is which words somebody who was reached hears. Of who walked in the directory does not know the place: that it does
// not hold for them any more is not told while they may be inside.
func (f *followUp) kindFor(number uint64, entered bool) warning.Type {
	if f.inside == nil {
		return f.w.Spec.Type
	}
	block, slot, inside := f.find(number)
	if !inside && !entered {
		return warning.Left
	}
	if slot >= 0 {
		maskAt(f.reached, block).Set(slot)
	}
	return warning.Update
}

// place sorts who has a place in the parts before an update's by snapshot.
func (f *followUp) place(ctx context.Context, dir Directory) error {
	if f.inside == nil {
		return nil // nobody is warned who was not reached
	}
	all := map[string]*crowd{}
	for at, m := range f.covered {
		if all[at.snapshot] == nil {
			snap, err := dir.Snapshot(ctx, at.snapshot)
			if err != nil {
				return err
			}
			all[at.snapshot] = &crowd{snap, map[uint32]*warning.Mask{}}
		}
		maskAt(all[at.snapshot].masks, at.block).Add(m)
	}
	f.there = slices.Collect(maps.Values(all))
	return nil
}

// find is where somebody stands in the newest directory, and whether that is in the area of an update.
func (f *followUp) find(number uint64) (block uint32, slot int, inside bool) {
	b, slot, ok := f.inside.snap.Find(number)
	if !ok {
		return 0, -1, false // not in it any more
	}
	at, ok := slices.BinarySearch(f.sel.Blocks, uint32(b))
	return uint32(b), slot, ok && f.sel.Masks[at].Has(slot)
}

// heardBefore tells whether somebody whom an update has not reached was told by the warning before it: they are in its plan for
// that, and must hear what comes after it all the same. Its correction is for those alone who have it.
func (f *followUp) heardBefore(words warning.Type, state warning.PersonState) bool {
	return f.w.Spec.Type != warning.Cancel && (words == warning.Update || words == warning.Left) && state != warning.Withdrawn
}

// missed notes somebody who was not reached after all and has no place in the parts before: their original was in an open
// window when these were made; or they walked in, so that the directory has them elsewhere.
func (f *followUp) missed(number uint64, entered bool) {
	if f.inside == nil || len(f.there) == 0 && !entered {
		return
	}
	for i := range f.there {
		if block, slot, ok := f.there[i].snap.Find(number); ok && f.there[i].has(block, slot) {
			return
		}
	}
	switch block, slot, inside := f.find(number); {
	case inside: // of the first part they are without this
		maskAt(f.late, block).Set(slot)
	case entered && slot >= 0:
		maskAt(f.strays, block).Set(slot)
	}
}

// newcomers adds who is in the area of an update and was not reached: they get the warning itself. Behind the first part they
// are those who were missed; who of them cannot be told was counted with it.
func (f *followUp) newcomers(g *routing, first bool) {
	if first {
		f.plan.LeftOut = f.warn(f.sel, g).LeftOut
	} else {
		f.warnSome(f.late, g)
	}
	last := len(f.plan.Strands)
	f.warnSome(f.strays, g)
	for i := range f.plan.Strands[last:] {
		f.plan.Strands[last+i].Entered = true
	}
}

// warnSome warns those of some people who can be told.
func (f *followUp) warnSome(who map[uint32]*warning.Mask, g *routing) {
	sel := warning.Selection{Snapshot: f.inside.snap.ID()}
	for _, b := range slices.Sorted(maps.Keys(who)) {
		sel.Blocks, sel.Masks = append(sel.Blocks, b), append(sel.Masks, *who[b])
	}
	p := f.warn(sel, g)
	f.plan.InArea -= p.NoAddress + p.OptedOut + p.NoRoute + p.Untold
}

// warn adds those of people who were not reached, those in the greatest danger first.
func (f *followUp) warn(sel warning.Selection, g *routing) Plan {
	left := warning.Selection{Snapshot: sel.Snapshot}
	for i, b := range sel.Blocks {
		mask := sel.Masks[i]
		if m := f.reached[b]; m != nil {
			mask.Remove(m)
		}
		if mask != (warning.Mask{}) {
			left.Blocks, left.Masks = append(left.Blocks, b), append(left.Masks, mask)
		}
	}
	if focus := f.w.Spec.Focus; focus != nil {
		left = ordered(left, f.inside.snap.Order(&left, *focus))
	}
	p := makePlan(f.w, f.inside.tells, f.inside.snap, &left, g)
	f.plan.InArea += p.InArea
	f.plan.Strands = append(f.plan.Strands, p.Strands...)
	return p
}
