package dispatcher

import (
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is fail-over: an account that cannot be trusted is left. Who waits there and may be carried by another one
// becomes moved in the strand, durably, and only then gets a place in a further part of the plan (moved.go): nobody is in
// two strands who could be sent to in both (promises 2 and 3). Who was or may have been reached stays where they are.

// Route is how far an account is trusted, as its owner has judged it: TableRoutes, by account.
type Route struct {
	Share float64   `json:"share"` // of its weight, 0 to 1; 0: it is left
	Since time.Time `json:"since,omitzero"`
	Why   string    `json:"why,omitempty"`  // it was left
	Test  *LinkTest `json:"test,omitempty"` // the newest; nil: there was none
}

// routesEvery is how often owners judge their accounts and all processes read what others judged.
const routesEvery = 500 * time.Millisecond

func (e *Engine) watchRoutes(ctx context.Context) {
	for ctx.Err() == nil {
		e.letLeave()
		if err := e.reroute(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("routes cannot be judged now", zap.Error(err))
		}
		pause(ctx, routesEvery)
	}
}

// routesOf is every account's route as it is stored; those that are not in it are wholly trusted.
func (e *Engine) routesOf(ctx context.Context) (map[string]Route, error) {
	table, err := e.records.Table(ctx, TableRoutes)
	if err != nil {
		return nil, err
	}
	out := map[string]Route{}
	for _, a := range e.all() {
		r := Route{Share: 1}
		if b, ok := table[a.name]; ok {
			if err := json.Unmarshal(b, &r); err != nil {
				return nil, fmt.Errorf("route of account %s: %w", a.name, err)
			}
		}
		out[a.name] = r
	}
	return out, nil
}

// reroute judges the accounts of this process, makes a change durable before it counts, and takes over what others judged.
func (e *Engine) reroute(ctx context.Context) error {
	routes, err := e.routesOf(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, a := range e.all() {
		a.testWhenDue(ctx, now)
		r, changed := a.judge(now, routes[a.name])
		if !changed {
			continue
		}
		if err := e.keepRoute(ctx, a, routes[a.name], r, now); err != nil {
			return err
		}
		routes[a.name] = r
	}
	e.reshape(routes)
	return nil
}

// keepRoute makes a route durable; another share stands in the record of acts.
func (e *Engine) keepRoute(ctx context.Context, a *account, was, r Route, now time.Time) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	act := Act{Puts: []Put{{Table: TableRoutes, Field: a.name, Value: value}}}
	if r.Share != was.Share {
		act.Entry = Entry{
			At: now.UTC(), User: "engine", Role: warning.Engineer.String(), Act: "account.route", Subject: a.name,
			Detail: r.Why, Outcome: fmt.Sprintf("%.0f %%", 100*r.Share),
		}
		a.log.Warn("account is trusted with another share", zap.Float64("share", r.Share), zap.String("why", r.Why))
	}
	_, err = e.records.Do(ctx, act)
	return err
}

// reshape makes the routes count: for plans from now on, and for who waits at an account that is left.
func (e *Engine) reshape(routes map[string]Route) {
	was := e.routing.Load()
	next := &routing{accounts: was.accounts, numbers: was.numbers, failOver: was.failOver, shares: make([]float64, len(was.accounts))}
	for i := range was.accounts {
		next.shares[i] = routes[was.accounts[i].Name].Share
	}
	if !slices.Equal(was.shares, next.shares) {
		e.routing.CompareAndSwap(was, next.after(was)) // a new configuration came meanwhile: the next turn does it
	}
	for _, a := range e.all() {
		a.leaveOff(routes[a.name].Share == 0)
	}
}

// judge is the account's route by now, and whether that is another one than stored.
func (a *account) judge(now time.Time, stored Route) (Route, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.owned || a.carrier == nil || a.leaving {
		return stored, false
	}
	if !a.judging { // the owner before has judged
		a.judging = true
		a.condition.begin(stored.Share, now)
		a.tested = stored.Test
	}
	up := false
	for _, l := range a.carrier.Links() {
		up = up || l.Up
	}
	a.condition.links(now, up)
	a.condition.failed = a.tested != nil && !a.tested.OK
	a.condition.judge(now, a.e.routing.Load().failOver)
	r := Route{Share: a.condition.share(), Since: stored.Since, Why: stored.Why, Test: a.tested}
	if r.Share != stored.Share {
		r.Since, r.Why = a.condition.since.UTC(), a.condition.why
	}
	return r, r.Share != stored.Share || !sameTest(r.Test, stored.Test)
}

// leaveOff says whether people are not to wait here any more.
func (a *account) leaveOff(out bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.owned { // what waits there is not known
		return
	}
	out = out || a.leaving
	if out && !a.out {
		a.outAt = a.newest
	}
	a.out = out
	if out {
		kick(a.commit)
	}
}

// move is who leaves a strand with one commit: all that were never granted, and some who wait for another hand-off.
type move struct {
	s    *strand
	rest bool // those that were never granted
	due  []uint32
}

// moveOn takes people who wait and may go another way out of a strand of an account that is left. They have moved when
// the commit is durable (conclude), and are granted nothing until then.
func (a *account) moveOn(s *strand, r *request, now time.Time) {
	if !a.out || s.moving || s == a.sending || s.state != warning.Released || !now.Before(s.w.Spec.Expires) || !s.mayGo(a) {
		return
	}
	if s.limit > s.next {
		a.giveBack(r, s, s.next)
	}
	a.takeAgainBack(s, now)
	m := move{s: s, rest: s.led.closed == warning.Waiting && s.led.granted < s.People}
	stay := s.due[:0]
	for _, d := range s.due {
		pos := uint32(d)
		if a.sendsNoMore(s, pos) && !s.dueAt(d).After(now) {
			a.repeatElsewhere(s, pos, now)
		}
		if !s.untouched(pos) {
			stay = append(stay, d)
			continue
		}
		m.due = append(m.due, pos)
		a.journal.add(s.ID, now, movedRecord(pos))
	}
	s.due = stay
	heap.Init(&s.due)
	if m.rest {
		r.Close = append(r.Close, Close{Strand: s.ID, As: warning.Moved})
	}
	s.ready(&a.sched)
	if m.rest || len(m.due) > 0 {
		s.moving = true
		r.moves = append(r.moves, m)
	}
}

func movedRecord(pos uint32) record {
	return record{pos: pos, kind: recSettled, reason: channels.OtherRoute, print: uint16(warning.Moved)}
}

// moved makes moves true in memory that are durable now, and has places made for these people.
func (a *account) moved(moves []move, now time.Time) {
	for _, m := range moves {
		m.s.moving = false
		for _, pos := range m.due {
			m.s.led.apply(now, movedRecord(pos))
		}
		if m.rest {
			m.s.led.close(warning.Moved, channels.OtherRoute)
		}
		a.touch(m.s)
		a.e.finish(m.s.Warning)
		kick(a.e.plan)
	}
}

// untouched tells whether the carrier has nothing of somebody's message.
func (s *strand) untouched(pos uint32) bool {
	x := s.led.at(pos)
	return x.state == warning.Waiting && x.handed == 0
}

// mayGo tells whether an open account may carry some of those who wait next in the strand. Who has come back to the
// account after it was left, because no other would have them, stays.
func (s *strand) mayGo(a *account) bool {
	if s.From == s.Account && s.ID > a.outAt {
		return false
	}
	g := a.e.routing.Load()
	if s.stays == g {
		return false
	}
	r := g.router(s.Channel, s.w.Spec.Status)
	away := func(number uint64) bool {
		i := r.reach(number)
		return i >= 0 && g.accounts[i].Name != s.Account
	}
	for _, d := range s.due {
		if pos := uint32(d); (s.untouched(pos) || a.sendsNoMore(s, pos)) && away(s.person(pos)) {
			return true
		}
	}
	if s.led.closed == warning.Waiting && s.next < s.People {
		b := s.batchOf(s.next)
		numbers := s.snap.Block(int(s.Batches[b].Block)).Number
		for slot := range s.Batches[b].Mask.Slots {
			if away(numbers[slot]) {
				return true
			}
		}
	}
	s.stays = g
	return false
}
