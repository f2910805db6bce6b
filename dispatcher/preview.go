package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/warning"
)

// selected is who counts as being in the areas of s, those in the greatest danger first.
func selected(s *warning.Spec, snap Snapshot, who warning.Presence) (warning.Selection, error) {
	sel, err := snap.Resolve(s.Areas, who)
	if err == nil && s.Focus != nil {
		sel = ordered(sel, snap.Order(&sel, *s.Focus))
	}
	return sel, err
}

// ordered is the selection with its blocks in this order.
func ordered(sel warning.Selection, order []int) warning.Selection {
	out := sel
	out.Blocks, out.Masks = make([]uint32, len(order)), make([]warning.Mask, len(order))
	for i, at := range order {
		out.Blocks[i], out.Masks[i] = sel.Blocks[at], sel.Masks[at]
	}
	return out
}

// look validates a spec as of a time and says who would get what were it released at another. It fails closed, with every
// fault named.
func (e *Engine) look(ctx context.Context, s warning.Spec, valid, at time.Time) (Preview, error) {
	if err := s.Validate(valid); err != nil {
		return Preview{}, err
	}
	if err := e.served(s, at); err != nil {
		return Preview{}, err
	}
	texts, costs, err := e.texts(s)
	if err != nil {
		return Preview{}, err
	}
	if err := e.fits(&s, costs); err != nil {
		return Preview{}, err
	}
	if s.Type != warning.Alert {
		o, err := e.followed(ctx, &s)
		if err != nil {
			return Preview{}, err
		}
		if s.Type != warning.Update {
			return e.lookBack(ctx, &s, o.ID, texts, costs)
		}
	}
	r, err := e.resolve(s, at)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		People: r.counts.InArea, LeftOut: r.counts.LeftOut, Share: r.share,
		Addressable: r.counts.InArea - r.counts.NoAddress - r.counts.OptedOut, Texts: texts, Digest: warning.DigestOf(s), Units: r.units, Towns: r.towns,
		Remarks: slices.Concat(r.remarks, e.unserved(&s)), Told: s.ToldBy(at), Channels: channelsOf(r.tallies, costs),
	}
	p.Residents = residentsOf(p.Units)
	if p.Border, p.Beyond = e.policy().Admit(r.beyond); p.Beyond != nil {
		p.Border = p.Beyond.Error()
	}
	if s.Clip {
		p.Clipped = s.Areas
	}
	o := e.outlookOf(s.Tier, r, costs)
	p.Carriers, p.Finish = o.carriers()
	p.Faster = o.faster(e.unnamed(&s))
	return p, nil
}

// lookBack is the preview of a correction or all-clear: who was or may have been reached by the original. Its messages are the
// most that there can be: in which language people are told is not counted apart, so the longest words stand for all.
func (e *Engine) lookBack(ctx context.Context, s *warning.Spec, original string, texts []PreviewText, c costs) (Preview, error) {
	p := Preview{Texts: texts, Digest: warning.DigestOf(*s)}
	plan, tails, err := e.planOf(ctx, original)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return p, unavailable(err)
	}
	r := resolved{routing: e.routing.Load()}
	for i, t := range tails {
		reached := int64(0)
		for state, n := range t.Counts {
			if warning.PersonState(state).Reached() {
				reached += n
			}
		}
		p.People += reached
		ch, account := plan.Strands[i].Channel, slices.IndexFunc(r.routing.accounts, func(a AccountOptions) bool { return a.Name == plan.Strands[i].Account })
		if account < 0 { // the configuration has it no more: others will carry them
			p.Carriers = append(p.Carriers, PreviewCarrier{Account: plan.Strands[i].Account, People: reached})
			continue
		}
		cost := c[ch]
		longest := slices.Index(cost[:], slices.Max(cost[:]))
		row := tally{channel: ch, account: account}
		row.people[warning.Public][longest] = reached
		r.tallies = append(r.tallies, row)
	}
	p.Addressable = p.People
	out := e.outlookOf(s.Tier, &r, c)
	carriers, finish := out.carriers()
	p.Carriers, p.Finish, p.Faster = append(p.Carriers, carriers...), finish, out.faster(nil)
	return p, nil
}

// table is the rows of the channel table for a tier, with what is served, and all channels in them.
func (e *Engine) table(t warning.Tier, status warning.Status) (rows []warning.ChannelRow, chs []warning.Channel) {
	rows = e.policy().TableFor(t, func(ch warning.Channel) bool { return e.serves(ch, status) })
	for _, r := range rows {
		chs = append(chs, r.By...)
		for _, step := range r.Then {
			chs = append(chs, step.Channels...)
		}
	}
	slices.Sort(chs)
	return rows, slices.Compact(chs)
}

// unserved says which channels the table names for a warning that nothing here serves.
func (e *Engine) unserved(s *warning.Spec) []warning.Violation {
	if len(s.Table) == 0 {
		return nil
	}
	var names []string
	e.policy().TableFor(s.Tier, func(ch warning.Channel) bool {
		if name := ch.String(); !e.serves(ch, s.Status) && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return false
	})
	if len(names) == 0 {
		return nil
	}
	return []warning.Violation{{
		Field: "warning.channels", Rule: "channels.unserved", Detail: fmt.Sprintf("the channel table also names %s, which no account or platform serves", strings.Join(names, ", ")),
		Remedy: "nobody is told by them",
	}}
}

// served refuses a spec that tells nobody when it is released at a time, or that no account may carry (promise 8).
func (e *Engine) served(s warning.Spec, at time.Time) error {
	if len(s.Channels) == 0 && !slices.ContainsFunc(warning.EditionChannels, func(ch warning.Channel) bool { return e.serves(ch, s.Status) }) {
		return warning.Invalid(warning.Violation{
			Field: "warning.status", Rule: "status.unserved", Detail: fmt.Sprintf("no account and no platform carries anything for the status %s", s.Status),
			Remedy: "choose another status, or have an engineer configure a link of that kind",
		})
	}
	if tells := s.Tells(at); len(tells.Channels()) == 0 {
		return warning.Invalid(warning.Violation{
			Field: "warning.channels", Rule: "channels.nobody", Detail: fmt.Sprintf("by the channel table nobody is told of %s at this hour", s.Tier),
			Remedy: "say --channels",
		})
	}
	for i, ch := range s.Channels {
		if !e.serves(ch, s.Status) {
			return warning.Invalid(warning.Violation{
				Field: fmt.Sprintf("warning.channels[%d]", i), Rule: "channel.status",
				Detail: fmt.Sprintf("no account carries %s for the status %s", ch, s.Status),
				Remedy: "choose another status or channel, or have an engineer configure a link of that kind",
			})
		}
	}
	return nil
}

// fits refuses words for which a link of an account that may carry them has no room: all of a message leaves in one write.
func (e *Engine) fits(s *warning.Spec, c costs) error {
	accounts := e.routing.Load().accounts
	for i := range accounts {
		a := &accounts[i]
		for _, ch := range s.Channels {
			cost := c[ch]
			if n := slices.Max(cost[:]); slices.Contains(a.Channels, ch) && slices.Contains(a.Statuses, s.Status) && n > int64(a.Window) {
				return warning.Invalid(warning.Violation{
					Field: "warning.words", Rule: "words.window",
					Detail: fmt.Sprintf("the words need %d messages to a person and a link of account %s holds %d", n, a.Name, a.Window),
					Remedy: "shorten them, or have an engineer widen the window of the account",
				})
			}
		}
	}
	return nil
}

// serves tells whether an account or a platform carries the channel for the status.
func (e *Engine) serves(ch warning.Channel, status warning.Status) bool {
	for _, p := range e.platforms {
		if p.opt.Channel == ch && slices.Contains(p.opt.Statuses, status) {
			return true
		}
	}
	return !e.routing.Load().router(ch, status).empty()
}

// texts cuts the words of every channel and language: what a person gets, and how many messages each costs.
func (e *Engine) texts(s warning.Spec) (texts []PreviewText, costs costs, err error) {
	costs = map[warning.Channel][languages]int64{}
	for _, ch := range s.Channels {
		var cost [languages]int64
		for l, name := range warning.Languages {
			for _, kind := range s.Type.Kinds() {
				segments, coding, err := e.segments(s.TextFor(kind, ch, name), ch)
				if err != nil {
					return nil, nil, warning.Invalid(warning.Violation{
						Field: "warning.words", Rule: "words.segments", Detail: fmt.Sprintf("the %s words in %s do not fit %s: %v", kind, name, ch, err),
						Remedy: "shorten them",
					})
				}
				cost[l] = max(cost[l], int64(len(segments)))
				texts = append(texts, PreviewText{Language: name, Channel: ch, Kind: kind, Segments: segments, Coding: coding})
			}
		}
		costs[ch] = cost
	}
	return texts, costs, nil
}

// Preview says who would get what, and records nothing.
func (e *Engine) Preview(ctx context.Context, c Caller, s warning.Spec) (Preview, error) {
	now := time.Now().UTC()
	s, err := e.worded(ctx, s, now)
	if err != nil {
		return Preview{}, err
	}
	l, err := e.look(ctx, s, now, now)
	return l.For(c), err
}

// PreviewOf is the preview of a warning that is recorded, over the directory as it is now.
func (e *Engine) PreviewOf(ctx context.Context, c Caller, id string) (Preview, error) {
	w, err := e.Get(ctx, id)
	if err != nil {
		return Preview{}, err
	}
	l, err := e.look(ctx, w.Spec, w.SubmittedAt, w.ReleaseAt(time.Now()))
	return l.For(c), err
}

// Get is one warning as it is recorded.
func (e *Engine) Get(ctx context.Context, id string) (warning.Warning, error) {
	w, _, err := e.records.Warning(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return w, warning.Refuse(warning.ReasonNotFound, "there is no warning %s; tocsin list shows those there are", id)
	}
	if err != nil {
		return w, unavailable(err)
	}
	return w, nil
}

// List is the warnings of people in any of the states (none named: all), active ones first, then the newest first; at most
// limit, and with 0 all. With calls also those that the engine made for itself.
func (e *Engine) List(ctx context.Context, states []warning.State, calls bool, limit int) (out []warning.Warning, err error) {
	if len(states) == 0 {
		states = slices.Collect(maps.Keys(warning.Transitions))
	}
	over := slices.DeleteFunc(slices.Clone(states), func(s warning.State) bool { return !final(s) })
	for _, some := range [][]warning.State{slices.DeleteFunc(slices.Clone(states), final), over} {
		if len(some) == 0 || limit > 0 && len(out) >= limit {
			continue
		}
		list, err := e.listed(ctx, some, calls, max(0, limit-len(out)))
		if err != nil {
			return nil, unavailable(err)
		}
		out = append(out, list...)
	}
	return out, nil
}

// listed leaves out what the engine made for itself, unless calls are asked for: it reads more as long as too few are left.
func (e *Engine) listed(ctx context.Context, states []warning.State, calls bool, limit int) ([]warning.Warning, error) {
	for n := limit; ; n *= 4 {
		list, err := e.records.Warnings(ctx, states, n)
		if err != nil {
			return nil, err
		}
		all := len(list) < n || n == 0
		list = slices.DeleteFunc(list, func(w warning.Warning) bool { return w.Summons != nil && !calls })
		if limit > 0 && len(list) > limit {
			list = list[:limit]
		}
		if all || len(list) == limit {
			return list, nil
		}
	}
}

func final(s warning.State) bool {
	return s == warning.Completed || len(warning.Transitions[s]) == 0
}

// MissingApprovals is how many approvals the policy still asks for.
func (e *Engine) MissingApprovals(w warning.Warning) int {
	if w.State != warning.Submitted {
		return 0
	}
	share := 0.0
	if w.Spec.Type == warning.Alert || w.Spec.Type == warning.Update {
		_, share, _ = e.border(w.Spec.Areas)
	}
	needed, _ := e.policy().ApprovalsFor(&w.Spec, share)
	return max(0, max(1, needed)-len(w.ApprovedBy))
}

// pending is what is under way, by name.
type pending struct {
	mu sync.Mutex
	m  map[string]bool
}

func newPending() *pending { return &pending{m: map[string]bool{}} }

func (p *pending) begin(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m[id] {
		return false
	}
	p.m[id] = true
	return true
}

func (p *pending) end(id string) {
	p.mu.Lock()
	delete(p.m, id)
	p.mu.Unlock()
}

// wait returns at a signal, after d, or when ctx ends.
func wait(ctx context.Context, c <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-ctx.Done():
	}
}
