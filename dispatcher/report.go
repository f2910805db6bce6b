package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// planOf is a plan with the strands of accounts and their tails. Who was added since its owner wrote the tail is waiting.
func (e *Engine) planOf(ctx context.Context, id string) (Plan, []StrandTail, error) {
	plan, all, err := e.records.PlanOf(ctx, id)
	strands, tails := plan.Strands[:0], all[:0]
	for i, t := range all {
		s := plan.Strands[i]
		if s.Account == "" {
			continue
		}
		if t.Counts.Sum() == 0 || t.People > 0 {
			t.Counts[warning.Waiting] += int64(s.People) - int64(t.People)
		}
		strands, tails = append(strands, s), append(tails, t)
	}
	plan.Strands = strands
	return plan, tails, err
}

// lanes sums the tails of a warning's strands by channel.
func (e *Engine) lanes(plan *Plan, tails []StrandTail) []LaneCounts {
	var out []LaneCounts
	at := map[warning.Channel]int{}
	for i, t := range tails {
		s := &plan.Strands[i]
		k, ok := at[s.Channel]
		if !ok {
			k = len(out)
			at[s.Channel] = k
			out = append(out, LaneCounts{Channel: s.Channel, Balanced: true})
		}
		l := &out[k]
		l.Counts.Add(t.Counts)
		if s.From == "" {
			l.Planned += int64(s.People)
		} else { // moved from one strand of the lane to another: counted where they are now
			l.Counts[warning.Moved] -= int64(s.People)
			l.Rerouted += int64(s.People)
		}
		l.Segments = max(l.Segments, t.Stats.Segments)
		l.Messages += t.Stats.Messages
		l.PossibleRepeats += t.Stats.PossibleRepeats
		l.RecallAsked += t.Stats.RecallAsked
		l.Recalled += t.Stats.Recalled
		l.First, l.Last = earlier(l.First, t.Stats.First), later(l.Last, t.Stats.Last)
		if t.Counts.Sum() != int64(s.People) {
			l.Balanced = false
		}
		if waiting := t.Counts[warning.Waiting]; waiting > 0 {
			if a := e.account(s.Account); a != nil {
				left := float64(waiting) * float64(max(1, t.Stats.Segments)) / float64(a.contract())
				l.Finish = later(l.Finish, time.Now().Add(time.Duration(left*float64(time.Second))))
			}
		}
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Progress is where a warning stands at this moment.
func (e *Engine) Progress(ctx context.Context, id string) (Progress, error) {
	w, err := e.Get(ctx, id)
	if err != nil {
		return Progress{}, err
	}
	p := Progress{Warning: w}
	plan, tails, err := e.planOf(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return p, unavailable(err)
	}
	p.Planned, p.InArea = true, plan.InArea
	p.Lanes = e.lanes(&plan, tails)
	carries := map[*account]bool{}
	for i := range plan.Strands {
		a := e.account(plan.Strands[i].Account)
		if a == nil {
			continue
		}
		a.mu.Lock()
		if !carries[a] { // SMS and flash share one contract
			carries[a] = true
			p.Contract += float64(a.rate)
		}
		if s := a.byID[tails[i].Strand]; s != nil && s.cost > 0 {
			n := s.pace.lastSecond(time.Now())
			p.Messages += n
			p.People += n / int64(s.cost)
		}
		a.mu.Unlock()
	}
	return p, nil
}

// ledgers is the ledger of every strand of a plan: copied from the owner's memory where this process owns the account,
// else read from the store and brought up to date by the journal.
func (e *Engine) ledgers(ctx context.Context, w *warning.Warning, plan *Plan, visit func(s *strand) error) error {
	for i := range plan.Strands {
		var s *strand
		if a := e.account(plan.Strands[i].Account); a != nil {
			a.mu.Lock()
			if s = a.byID[plan.Strands[i].ID]; s != nil && a.owned {
				s = s.copy()
			} else {
				s = nil
			}
			a.mu.Unlock()
		}
		if s == nil {
			var err error
			s, err = e.stored(ctx, plan.Strands[i].Account, plan.Strands[i].ID, func(ctx context.Context, st Strand) (*strand, error) { return e.readOnly(ctx, st, w) })
			if err != nil {
				return err
			}
		}
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

// stored rebuilds one strand from the store, as open makes it ready. The configuration may not have its account any more.
func (e *Engine) stored(ctx context.Context, account string, id StrandID, open func(context.Context, Strand) (*strand, error)) (*strand, error) {
	img, err := e.queue.Read(ctx, account, []StrandID{id}, true)
	if err != nil {
		return nil, unavailable(err)
	}
	s, err := open(ctx, img.Strands[0])
	if err != nil {
		return nil, err
	}
	return s, newAccount(e, AccountOptions{Account: channels.Account{Name: account}}, nil).rebuild(img, []*strand{s})
}

// readOnly makes a strand ready that nothing leaves from.
func (e *Engine) readOnly(ctx context.Context, st Strand, w *warning.Warning) (*strand, error) {
	snap, err := e.dir.Snapshot(ctx, st.Snapshot)
	if err != nil {
		return nil, unavailable(err)
	}
	return openStrand(st, *w, snap, 0, e.cut)
}

// cut prepares words only as far as a ledger needs: how many segments they have.
func (e *Engine) cut(c channels.Content) (channels.Prepared, error) {
	ch := warning.SMS
	if c.Flash {
		ch = warning.FlashSMS
	}
	segments, _, err := e.segments(c.Text, ch)
	return segmentCount(len(segments)), err
}

type segmentCount int

func (n segmentCount) Segments() int { return int(n) }

// Report is what became of everybody.
func (e *Engine) Report(ctx context.Context, id string) (Report, error) {
	return e.report(ctx, id, func(*strand) error { return nil })
}

// report visits all strands besides.
func (e *Engine) report(ctx context.Context, id string, visit func(*strand) error) (Report, error) {
	w, err := e.Get(ctx, id)
	if err != nil {
		return Report{}, err
	}
	r := Report{Warning: w, Durability: e.records.Durability()}
	for _, a := range e.all() {
		a.mu.Lock()
		r.Unmatched += a.stats.UnknownReceipts
		r.Late += a.stats.LateReceipts
		a.mu.Unlock()
	}
	if e.seal != nil {
		r.Seal = e.seal(ctx)
	}
	if r.Plays, err = e.playsOf(ctx, id); err != nil {
		return r, unavailable(err)
	}
	plan, tails, err := e.planOf(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, unavailable(err)
	}
	if r.Planned = true; plan.Archived != nil {
		return r, json.Unmarshal(plan.Archived, &r)
	}
	r.InArea, r.Entered, r.LeftOut = plan.InArea, plan.Entered, plan.LeftOut
	r.Addressable = r.InArea + r.Entered - r.NoAddress - r.OptedOut
	r.Lanes = e.lanes(&plan, tails)
	b := newReportBuilder(&r)
	err = e.ledgers(ctx, &w, &plan, func(s *strand) error { return errors.Join(b.strand(s), visit(s)) })
	if err != nil {
		return r, err
	}
	b.finish()
	e.reportRates(&r, &plan, tails)
	return r, nil
}

// reportRates fills in the speeds and the use of contracts.
func (e *Engine) reportRates(r *Report, plan *Plan, tails []StrandTail) {
	var first, last time.Time
	var people, messages int64
	type busy struct {
		ReportAccount
		first, last time.Time
	}
	byAccount := map[string]*busy{}
	for i, t := range tails {
		first, last = earlier(first, t.Stats.First), later(last, t.Stats.Last)
		c := t.Counts
		people += c.Sum() - c[warning.Waiting] - c[warning.ExpiredOut] - c[warning.CancelledIn] - c[warning.Superseded]
		messages += t.Stats.Messages
		name := plan.Strands[i].Account
		acc := byAccount[name]
		if acc == nil {
			acc = &busy{ReportAccount: ReportAccount{Account: name}}
			if a := e.account(name); a != nil {
				acc.Contract = float64(a.contract())
			}
			byAccount[name] = acc
			r.Accounts = append(r.Accounts, ReportAccount{Account: name})
		}
		acc.Messages += t.Stats.Messages
		acc.MaxInAnySecond = max(acc.MaxInAnySecond, int64(t.Stats.MaxInAnySecond))
		acc.first, acc.last = earlier(acc.first, t.Stats.First), later(acc.last, t.Stats.Last)
	}
	for i := range r.Accounts {
		acc := byAccount[r.Accounts[i].Account]
		if acc.Contract > 0 { // which is of whole seconds: fewer messages than that use a part of one
			acc.Used = float64(acc.Messages) / (acc.Contract * max(1, acc.last.Sub(acc.first).Seconds()))
		}
		r.Accounts[i] = acc.ReportAccount
	}
	if first.IsZero() {
		return
	}
	r.ToFirst, r.ToLast = first.Sub(r.Warning.ReleasedAt), last.Sub(r.Warning.ReleasedAt)
	if span := last.Sub(first).Seconds(); span > 0 {
		r.PeopleRate, r.MessageRate = float64(people)/span, float64(messages)/span
	}
	if r.Waiting == 0 {
		r.Finished = last
	}
}
