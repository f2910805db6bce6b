package dispatcher

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is for people who wait at an account that no configuration has: it was taken out of the file before a start, or
// a process ended while an account was leaving. A process that finds them takes the account over without links: who may goes
// another way, as at a fail-over, and who may not is counted to the end (promise 2).

const (
	// strandedAfter is how long nobody must own such an account: another process may have it in its file and be starting.
	strandedAfter = 10 * time.Second
	// againAfter is how long one that was given back, because nobody there may go, is left to whoever has it in its file.
	againAfter = 5 * time.Minute
)

// unowned is an account that this process does not have, as it was looked at last.
type unowned struct {
	beat    uint64    // of its owner; 0: nobody owns it. A dead owner's stands still
	since   time.Time // and it has stood since then
	stay    *routing  // by this one nobody there may go; nil: not known
	givenAt time.Time // and it was given back then
}

// watchStranded looks at warnings that are over, each until nobody waits, until ctx ends.
func (e *Engine) watchStranded(ctx context.Context) {
	settled := map[string]bool{}
	for ctx.Err() == nil {
		if err := e.strandedOver(ctx, settled); err != nil && ctx.Err() == nil {
			e.log.Warn("whether people wait in warnings that are over cannot be read", zap.Error(err))
		}
		pause(ctx, strandedAfter)
	}
}

func (e *Engine) strandedOver(ctx context.Context, settled map[string]bool) error {
	list, err := e.records.Standing(ctx, []warning.State{warning.Cancelled, warning.Expired, warning.Replaced})
	if err != nil {
		return err
	}
	over := map[string]bool{}
	for _, w := range list {
		over[w.ID] = true
		if settled[w.ID] {
			continue
		}
		plan, tails, err := e.planOf(ctx, w.ID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		waits, err := e.stranded(ctx, &plan, tails, true)
		if err != nil {
			return err
		}
		settled[w.ID] = !waits
	}
	maps.DeleteFunc(settled, func(id string, _ bool) bool { return !over[id] })
	return nil
}

// stranded takes over accounts that this process does not have, where people of a warning wait and that nobody owns who lives.
// Over says that the warning is: they are to be counted. It answers whether anybody waits, wherever.
func (e *Engine) stranded(ctx context.Context, plan *Plan, tails []StrandTail, over bool) (waits bool, err error) {
	var names []string
	for i, t := range tails {
		people := t.Counts[warning.Waiting] + t.Counts[warning.Sending]
		if !over {
			people += int64(t.Stats.Due)
		}
		name := plan.Strands[i].Account
		waits = waits || people > 0
		if people > 0 && e.account(name) == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return waits, nil
	}
	owners, err := e.records.Obeyed(ctx, names)
	if err != nil {
		return waits, err
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	now, routing := time.Now(), e.routing.Load()
	for _, name := range names {
		was, found := e.unowned[name]
		beat := owners[name].Beat
		switch {
		case e.account(name) != nil: // it came meanwhile
		case !found || was.beat != beat:
			was.beat, was.since = beat, now
			e.unowned[name] = was
		case now.Sub(was.since) < strandedAfter:
		case over || was.stay != routing || now.Sub(was.givenAt) >= againAfter:
			delete(e.unowned, name)
			e.log.Warn("people wait at an account that the configuration does not have: who may goes by another one", zap.String("account", name))
			a := newAccount(e, AccountOptions{Account: channels.Account{Name: name}, Rate: 1}, noLinks{e})
			a.leaving, a.leaves = true, now.Add(strandedAfter)
			e.join(a)
		}
	}
	return waits, nil
}

// isLate tells whether another process came first to own an account that was to be taken over without links.
func (a *account) isLate(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.linkless() && a.carrier == nil && now.After(a.leaves)
}

// linkless tells whether the account was taken over without links. mu is held.
func (a *account) linkless() bool {
	_, is := a.adapter.(noLinks)
	return is
}

// mayGiveBack tells whether the account has no links and nobody who waits there may go another way: a process that has it in
// its file may send to them.
func (a *account) mayGiveBack(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.linkless() || !a.out || a.unsettled() {
		return false
	}
	for _, s := range a.live {
		over := s.state != warning.Released && s.state != warning.Held || !now.Before(s.w.Spec.Expires)
		if over || s.moving || s.mayGo(a) {
			return false
		}
	}
	return true
}

// sendsNoMore tells whether the account has no links and somebody's hand-off has no answer: by promise 3 they are handed off
// again, which another account must do.
func (a *account) sendsNoMore(s *strand, pos uint32) bool {
	x := s.led.at(pos)
	return a.linkless() && x.state == warning.Unknown && x.handed == 0
}

// repeatElsewhere lets somebody whose hand-off has no answer wait for another one: a possible repeat.
func (a *account) repeatElsewhere(s *strand, pos uint32, now time.Time) {
	for _, r := range []record{{pos: pos, kind: recAgain}, {pos: pos, kind: recBack, reason: channels.LinkDown}} {
		a.journal.add(s.ID, now, r)
		s.led.apply(now, r)
	}
	a.touch(s)
}

// noLinks is the adapter of an account that has no carrier: nothing leaves by it.
type noLinks struct{ e *Engine }

func (n noLinks) Open(channels.Account, channels.Sink) (channels.Carrier, error) { return n, nil }

func (n noLinks) Prepare(c channels.Content) (channels.Prepared, error) { return n.e.cut(c) }

func (noLinks) Room() int                                      { return 0 }
func (noLinks) Send(channels.Prepared, []channels.Message) int { return 0 }
func (noLinks) Links() []channels.LinkHealth                   { return nil }
func (noLinks) Close(context.Context) error                    { return nil }
