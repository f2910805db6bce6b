package dispatcher

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// This file is the way of a warning. Submit takes it in and Approve lets it go (both end in change or record: one act,
// one script, one fsync). release plans it: the plan's strands lie in the store. From there every account that this
// process owns works for itself, in five steps that each have a file:
//
//	refresh  commit.go   open the strands of the plan that planning.go has not handed over; obey hold, cancel, expiry
//	supply   supply.go   ask for grants, red first: a durable mark before every byte (with the journal, in one commit)
//	turn     pump.go     take what ring, windows and scheduler allow; the carrier's adapter writes the bytes
//	outcome  receipts.go answers and, later, receipts: into ledger and journal; retry.go says who is sent to again
//	fold     commit.go   the journal goes into the ledger's chunks
//
// What lies between approval and the first message of a large plan is done before the release, by ahead.go.
// When everybody is settled, engine.go completes it; the correction of one that was cancelled is recorded by followup.go, also
// after a crash in between. Who walks into the area later is added to the plan by fence.go. What became of everybody is read
// from the ledger by report.go.

// Submit takes a warning in: everything that can be wrong with it is found now, and nothing of a refused one is kept.
// OK means that it is durable (promise 1). Where the policy asks for no approval it is released at once.
func (e *Engine) Submit(ctx context.Context, c Caller, key string, s Submission) (warning.Warning, Preview, error) {
	now := time.Now().UTC()
	digest := requestDigest("warning.submit", s)
	if w, ok, err := e.answered(ctx, c, key, digest); ok || err != nil {
		if err == nil {
			p, perr := e.PreviewOf(ctx, c, w.ID)
			return w, p, perr
		}
		return w, Preview{}, err
	}
	if err := c.Scope.Check(c.User, &warning.Warning{Spec: s.Spec, SubmittedBy: c.User}, true); err != nil {
		return warning.Warning{}, Preview{}, err
	}
	if s.Spec.Type == warning.Cancel || s.Spec.Type == warning.AllClear {
		return warning.Warning{}, Preview{}, warning.Invalid(warning.Violation{
			Field: "warning.type", Rule: "type.made", Detail: fmt.Sprintf("the words of a %s are ready since the warning was submitted", s.Spec.Type),
			Remedy: "say tocsin cancel ID for a mistake, tocsin all-clear ID when the danger is over",
		})
	}
	content := warning.ContentOf(s.Spec) // as it was said: words that are made carry the time
	var err error
	if s.Spec, err = e.worded(ctx, s.Spec, now); err != nil {
		return warning.Warning{}, Preview{}, err
	}
	look, err := e.look(ctx, s.Spec, now, now)
	if err != nil {
		return warning.Warning{}, Preview{}, err
	}
	if err := e.policy().MayDrill(c.User, s.Spec.Status); err != nil {
		return warning.Warning{}, Preview{}, err
	}
	if look.Beyond != nil && c.Scope&warning.ScopeOutside == 0 {
		return warning.Warning{}, Preview{}, look.Beyond
	}
	w := e.newWarning(c, s, now)
	w.Content, w.ApprovedPeople = content, look.People
	d := decision{detail: fmt.Sprintf("digest %s, %d people", w.Digest, look.People)}
	if people, _ := e.policy().ApprovalsFor(&s.Spec, look.Share); people == 0 {
		w.State, w.ReleasedAt = warning.Released, now
	} else if alone, ok := e.preAuthorised(c, &w, now); ok {
		d.detail, d.puts = d.detail+", "+alone.detail, alone.puts
	}
	a := Act{
		Entry:   entryOf(c, now, "warning.submit", &w, d.detail),
		Warning: &w, Unique: !s.Spec.Again, ToPlan: w.State == warning.Released, Puts: d.puts,
	}
	w, err = e.record(ctx, c, key, digest, a)
	return w, look.For(c), err
}

// worded is a spec with all that it must say from its submission on, with channels where it names none, with the editions
// of its units, and cut at the border where it says so.
func (e *Engine) worded(ctx context.Context, s warning.Spec, now time.Time) (warning.Spec, error) {
	s.Areas = e.land.Pin(s.Areas, now)
	if s.Clip {
		var err error
		if s.Areas, err = e.land.Clip(s.Areas); err != nil {
			return s, err
		}
	}
	if len(s.Channels) == 0 {
		s.Table, s.Channels = e.table(s.Tier, s.Status)
	}
	var before *warning.Spec
	if s.Type == warning.Update && len(s.References) == 1 {
		o, err := e.followed(ctx, &s)
		if err != nil {
			return s, err
		}
		if err := cmp.Or(late(&o, now), over(&o)); err != nil {
			return s, err
		}
		before = &o.Spec
	}
	if e.words == nil {
		return s, nil
	}
	return e.words(s, before, now)
}

// over refuses to follow what has another in its place, or is no warning any more: two versions would hold side by side.
func over(o *warning.Warning) error {
	if o.State == warning.Replaced || o.State == warning.Cancelled {
		return warning.Refuse(warning.ReasonConflict, "%s, which this follows, is %s; follow the one in its place, or submit a new warning", o.ID, o.State)
	}
	return nil
}

// follows refuses an update or all-clear that is about to leave where what it follows has another in its place, or is none any
// more: two would hold side by side. Else it says what the act must write that releases it: of two at once the second is
// ErrChanged, and refused here when it decides again.
func (e *Engine) follows(ctx context.Context, w *warning.Warning) ([]Put, error) {
	if w.Spec.Type != warning.Update && w.Spec.Type != warning.AllClear {
		return nil, nil
	}
	o, err := e.followed(ctx, &w.Spec)
	if err != nil {
		return nil, err
	}
	if err := over(&o); err != nil {
		return nil, err
	}
	table, err := e.records.Table(ctx, TableFollowed)
	if err != nil {
		return nil, unavailable(err)
	}
	put := Put{Table: TableFollowed, Field: o.ID, Value: []byte(w.ID), Was: []byte{}}
	if by := table[o.ID]; by != nil {
		put.Was = by
		other, _, err := e.records.Warning(ctx, string(by))
		switch {
		case string(by) == w.ID, errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, unavailable(err)
		case other.State == warning.Cancelled: // it was a mistake
		case other.Spec.Type == warning.AllClear:
			return nil, cleared()
		default:
			return nil, warning.Refuse(warning.ReasonConflict, "%s has taken the place of %s, which this follows; follow that one", other.ID, o.ID)
		}
	}
	return []Put{put}, nil
}

// Approve agrees to what the caller saw. When everybody has agreed whom the policy asks for, the warning is released:
// it leaves from this call on.
func (e *Engine) Approve(ctx context.Context, c Caller, key, id string, version int, digest string, people int64) (warning.Warning, error) {
	request := requestDigest("warning.approve", []any{id, version, digest, people})
	return e.change(ctx, c, key, request, "warning.approve", id, func(w *warning.Warning, now time.Time) (decision, error) {
		switch {
		case w.State != warning.Submitted:
			return decision{}, warning.Refuse(warning.ReasonConflict, "the warning is %s; only a submitted one can be approved", w.State)
		case w.Version != version || w.Digest != digest:
			return decision{}, warning.Invalid(warning.Violation{
				Field: "digest", Rule: "approve.digest", Detail: "the warning is not the one that you saw: its digest is " + w.Digest,
				Remedy: "look at it again with tocsin get " + w.ID,
			})
		}
		puts, err := e.follows(ctx, w)
		if err != nil {
			return decision{}, err
		}
		look, err := e.look(ctx, w.Spec, now, now)
		if err != nil {
			return decision{}, err
		}
		needed, _ := e.policy().ApprovalsFor(&w.Spec, look.Share)
		again := slices.Contains(w.ApprovedBy, c.User)
		if again && len(w.ApprovedBy) < needed { // else the policy asks for fewer since then: nobody else need come
			return decision{}, warning.Refuse(warning.ReasonConflict, "you have approved this warning already; another person must agree")
		}
		grown, err := e.headCount(c, w, &look, people)
		if err != nil {
			return decision{}, err
		}
		if grown {
			e.log.Error("a warning goes to more people than were seen", zap.String("warning", w.ID),
				zap.Int64("before", w.ApprovedPeople), zap.Int64("now", look.People))
		}
		if !again {
			w.ApprovedBy = append(w.ApprovedBy, c.User)
		}
		w.ApprovedPeople = look.People
		d := decision{detail: fmt.Sprintf("digest %s, %d people", w.Digest, look.People)}
		if len(w.ApprovedBy) >= needed {
			w.State, w.ReleasedAt, d.release, d.puts = warning.Released, now, true, puts
		}
		return d, nil
	})
}

// Reject refuses a warning that waits for approval.
func (e *Engine) Reject(ctx context.Context, c Caller, key, id, why string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.reject", []string{id, why}), "warning.reject", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if err := may(w, warning.Rejected); err != nil {
				return decision{}, err
			}
			w.State, w.EndedAt, w.Why = warning.Rejected, now, why
			return decision{detail: why}, nil
		})
}

// Hold stops a warning. It answers when nothing more of it can leave but what is in open windows (promise 5).
func (e *Engine) Hold(ctx context.Context, c Caller, key, id, why string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.hold", []string{id, why}), "warning.hold", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if w.State != warning.Held { // to hold what is held is to be sure of it
				if err := may(w, warning.Held); err != nil {
					return decision{}, err
				}
				w.Before, w.State = w.State, warning.Held
				w.Holds = append(slices.Clone(w.Holds), warning.Span{From: now})
			}
			w.Why = why
			return decision{detail: why, stop: w.Before == warning.Released}, nil
		})
}

// Release lets a held warning go on from where it was held.
func (e *Engine) Release(ctx context.Context, c Caller, key, id string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.release", id), "warning.release", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if w.State != warning.Held {
				return decision{}, warning.Refuse(warning.ReasonConflict, "the warning is %s; only a held one can be released", w.State)
			}
			if !now.Before(w.Spec.Expires) {
				return decision{}, warning.Refuse(warning.ReasonConflict, "the warning ended at %s", w.Spec.Expires.Format(time.RFC3339))
			}
			w.State, w.Before, w.Why = w.Before, 0, ""
			if n := len(w.Holds); n > 0 { // an older release kept none
				w.Holds = slices.Clone(w.Holds)
				w.Holds[n-1].To = now
			}
			return decision{release: w.State == warning.Released}, nil
		})
}

// Cancel ends a warning that was issued by mistake. It answers like Hold; the correction to all who were or may have
// been reached is recorded behind it, by any process where this one ends before, and waits for the approvals that the policy asks for. The stop
// never waits for words: where they are missing there is no correction, and the log says so. Where the store has not taken it,
// the warning is cancelled and the answer is UNAVAILABLE: the same call again, and the same key, find it.
func (e *Engine) Cancel(ctx context.Context, c Caller, key, id, why string) (w, correction warning.Warning, err error) {
	if w, err = e.cancel(ctx, c, key, id, why); err != nil || !corrected(&w) {
		return w, correction, err
	}
	correction, err = e.correct(ctx, c, key+"/correction", &w)
	return w, correction, err
}

// corrected tells whether a correction follows when a warning is cancelled.
func corrected(w *warning.Warning) bool {
	return !w.ReleasedAt.IsZero() && (w.Spec.Type == warning.Alert || w.Spec.Type == warning.Update)
}

func (e *Engine) cancel(ctx context.Context, c Caller, key, id, why string) (warning.Warning, error) {
	return e.change(ctx, c, key, requestDigest("warning.cancel", []string{id, why}), "warning.cancel", id,
		func(w *warning.Warning, now time.Time) (decision, error) {
			if err := cmp.Or(may(w, warning.Cancelled), late(w, now)); err != nil {
				return decision{}, err
			}
			d := decision{detail: why, stop: w.State == warning.Released || w.State == warning.Held}
			w.State, w.EndedAt, w.Why = warning.Cancelled, now, why
			if !corrected(w) {
				return d, nil
			}
			b, err := json.Marshal(canceller{c.User, c.Role, key + "/correction"})
			d.puts = []Put{{Table: TableStopped, Field: w.ID, Value: b}}
			return d, err
		})
}

func may(w *warning.Warning, next warning.State) error {
	if !w.State.MayBecome(next) {
		return warning.Refuse(warning.ReasonConflict, "the warning is %s and cannot become %s", w.State, next)
	}
	return nil
}

// decision is what a change comes to beside the record itself.
type decision struct {
	detail  string
	release bool // to be planned, or to go on
	stop    bool // the answer waits until every owner has obeyed
	puts    []Put
}

// change carries out one act on a warning: reads it, decides, and writes it if nobody else did meanwhile.
func (e *Engine) change(ctx context.Context, c Caller, key, digest, act, id string, decide func(*warning.Warning, time.Time) (decision, error)) (warning.Warning, error) {
	for {
		if w, ok, err := e.answered(ctx, c, key, digest); err != nil || ok && w.State != warning.Held && w.State != warning.Cancelled {
			return w, err
		} else if ok { // a stop that is asked for again: whoever asked first may have gone before the owners obeyed
			w, generation, err := e.do(ctx, c, key, digest, Act{Warning: &w})
			if err != nil {
				return w, Refusal(err)
			}
			return w, e.stopped(ctx, id, generation)
		}
		w, rev, err := e.records.Warning(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return w, warning.Refuse(warning.ReasonNotFound, "there is no warning %s; tocsin list shows those there are", id)
		}
		if err != nil {
			return w, unavailable(err)
		}
		if err := e.covers(c, &w); err != nil {
			return w, err
		}
		now := time.Now().UTC()
		d, err := decide(&w, now)
		if err != nil {
			return w, err
		}
		a := Act{
			Entry:   entryOf(c, now, act, &w, d.detail),
			Warning: &w, Rev: rev, ToPlan: d.release, Puts: d.puts,
		}
		w, generation, err := e.do(ctx, c, key, digest, a)
		if errors.Is(err, ErrChanged) {
			continue
		}
		if err != nil {
			return w, Refusal(err)
		}
		if d.stop {
			e.nudge()
			return w, e.stopped(ctx, id, generation)
		}
		return w, nil
	}
}

// entryOf is an act on a warning for the record of acts.
func entryOf(c Caller, at time.Time, act string, w *warning.Warning, detail string) Entry {
	return Entry{At: at, User: c.User, Role: c.Role.String(), Act: act, Subject: w.ID, Detail: detail, Outcome: w.State.String()}
}

// record carries out the act of a new warning, which may leave by it at once.
func (e *Engine) record(ctx context.Context, c Caller, key, digest string, a Act) (warning.Warning, error) {
	for puts := a.Puts; ; {
		if a.Warning.State == warning.Released {
			more, err := e.follows(ctx, a.Warning)
			if err != nil {
				if w, ok, unknown := e.answered(ctx, c, key, digest); ok { // by this very act, meanwhile
					return w, unknown
				}
				return *a.Warning, err
			}
			a.Puts = slices.Concat(puts, more)
		}
		w, _, err := e.do(ctx, c, key, digest, a)
		if !errors.Is(err, ErrChanged) { // else another follows the same since
			return w, Refusal(err)
		}
	}
}

func cleared() error {
	return warning.Refuse(warning.ReasonConflict, "the all-clear of this warning is recorded already: tocsin list shows it")
}

// do is the one place where an act on a warning becomes durable.
func (e *Engine) do(ctx context.Context, c Caller, key, digest string, a Act) (warning.Warning, uint64, error) {
	if key != "" {
		answer, err := json.Marshal(a.Warning)
		if err != nil {
			return *a.Warning, 0, err
		}
		a.Answer = answer
	}
	a.User, a.Key, a.Digest = c.User, key, digest
	clears := a.Warning.Spec.Type == warning.AllClear && a.Rev == 0
	a.Unique = a.Unique || clears // two people may lift a warning at once: everybody hears it once
	done, err := e.records.Do(ctx, a)
	if clears && errors.Is(err, ErrSame) {
		err = cleared()
	}
	if err != nil {
		return *a.Warning, 0, err
	}
	e.lastWell.Store(time.Now().UnixNano())
	w := *a.Warning
	if done.Repeated {
		err = json.Unmarshal(done.Answer, &w)
	} else if w.State == warning.Submitted {
		kick(e.ahead)
	} else if w.State == warning.Completed {
		e.patrol.rest(w, a.Rev+1)
	} else if a.ToPlan {
		e.releasedNow(w, a.Rev+1, a.Entry.At)
		kick(e.plan)
		for _, p := range e.platforms {
			kick(p.wake)
		}
		if e.seal != nil {
			go e.seal(context.WithoutCancel(ctx))
		}
	}
	return w, done.Generation, err
}

// answered is what an act with this key was answered before.
func (e *Engine) answered(ctx context.Context, c Caller, key, digest string) (w warning.Warning, ok bool, err error) {
	if key == "" {
		return w, false, nil
	}
	answer, ok, err := e.records.Answered(ctx, c.User, key, digest)
	if err != nil {
		return w, false, Refusal(err)
	}
	if ok {
		err = json.Unmarshal(answer, &w)
	}
	return w, ok, err
}

// stopped waits until every owner of an account that carries the warning has obeyed: a dead owner sends nothing, and is
// known by a heartbeat that stands still for its lease.
func (e *Engine) stopped(ctx context.Context, id string, generation uint64) error {
	plan, _, err := e.planOf(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil // never planned: nothing can leave
	}
	if err != nil {
		return unavailable(err)
	}
	names := make([]string, len(plan.Strands))
	for i, s := range plan.Strands {
		names[i] = s.Account
	}
	return e.obeyed(ctx, names, generation)
}

// obeyed waits until every owner of the accounts has obeyed a generation.
func (e *Engine) obeyed(ctx context.Context, accounts []string, generation uint64) error {
	type watch struct {
		beat  uint64
		since time.Time
	}
	pending := map[string]watch{}
	for _, n := range accounts {
		pending[n] = watch{since: time.Now()}
	}
	names := make([]string, 0, len(pending))
	for {
		names = names[:0]
		for n := range pending {
			names = append(names, n)
		}
		owners, err := e.records.Obeyed(ctx, names)
		if err != nil && ctx.Err() != nil {
			return unavailable(fmt.Errorf("it is recorded; whether %s has obeyed it is not known yet", strings.Join(names, ", ")))
		}
		for n, was := range pending {
			o, owned := owners[n]
			switch {
			case err != nil:
			case !owned || o.Obeyed >= generation:
				delete(pending, n)
			case o.Beat != was.beat:
				pending[n] = watch{o.Beat, time.Now()}
			case time.Since(was.since) > lease:
				delete(pending, n)
			}
		}
		if len(pending) == 0 {
			return nil
		}
		pause(ctx, 2*time.Millisecond)
	}
}

// planFor says who gets a warning: an alert goes to who is in its area, everything else to whom it follows. A plan that is
// made grows by those who moved, and by the later steps of the channel table.
func (e *Engine) planFor(ctx context.Context, w *warning.Warning) (Plan, error) {
	before, _, err := e.planOf(ctx, w.ID)
	switch {
	case err == nil && !before.Pending:
		return e.planLater(ctx, w, before)
	case err != nil && !errors.Is(err, ErrNotFound):
		return Plan{}, err
	case w.Summons != nil:
		return e.planCall(ctx, w)
	case w.Spec.Type != warning.Alert:
		return e.planFollowUp(ctx, w)
	}
	return e.planAlert(ctx, w)
}

func requestDigest(act string, request any) string {
	b, err := json.Marshal([]any{act, request})
	if err != nil {
		panic("dispatcher: a request always marshals: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unavailable says that the store could not be asked: the caller repeats with the same key.
func unavailable(err error) error {
	return warning.Refuse(warning.ReasonUnavailable, "the store does not answer now (%v); repeat with the same key", err)
}

// Refusal turns an error of the store into what a caller can act on.
func Refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrOtherUse):
		return warning.Refuse(warning.ReasonExists, "this key was used with other content; take a new key for a new act")
	case errors.Is(err, ErrSame):
		return warning.Refuse(warning.ReasonExists, "the same warning is recorded already and still valid; say --again if this one is meant all the same")
	case warning.ReasonOf(err) != 0:
		return err
	}
	return unavailable(err)
}
