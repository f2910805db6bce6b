package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is a configuration of accounts and routes that takes the place of another while the engine works. Prepare
// finds what cannot be and binds new links beside the old ones; Apply cannot fail. New links take over in one step between two
// groups of messages: what the old ones have in their windows is answered there or timed out, so nothing is lost and nothing
// is sent twice (promises 2 and 3). The ring goes on through it (promise 7).

// Accounts is what of a configuration may change while the engine works.
type Accounts struct {
	Accounts []AccountOptions
	Numbers  *Numbers // nil: prefixes of accounts alone say who carries whom
	FailOver FailOver
}

// leastLeave is how long an account that the configuration has no more stays at least: plans that were being made when it was
// taken out may still name it.
const leastLeave = 5 * time.Second

// Change is other accounts and routes, made ready. One of Apply and Drop must follow.
type Change struct {
	e     *Engine
	next  Accounts
	links map[string]channels.Carrier // by account: bound, and not in use yet
	gone  []*account
}

// Leaving is an account that the configuration has no more, and who waits there: they go another way, or for an answer.
type Leaving struct {
	Account string
	People  int64
}

// Prepare makes other accounts ready, or says why they cannot be. It binds new links, which takes up to the bind time-out;
// not where it only looks.
func (e *Engine) Prepare(ctx context.Context, next Accounts, look bool) (_ *Change, err error) {
	c := &Change{e: e, next: next, links: map[string]channels.Carrier{}}
	defer func() {
		if err != nil {
			c.Drop()
		}
	}()
	owners, err := e.records.Obeyed(ctx, e.names())
	if err != nil {
		return nil, unavailable(err)
	}
	stays := map[string]bool{}
	for i := range next.Accounts {
		opt := &next.Accounts[i]
		stays[opt.Name] = true
		if err := c.prepare(ctx, opt, look); err != nil {
			return nil, err
		}
	}
	g := &routing{accounts: next.Accounts, numbers: next.Numbers}
	for _, a := range e.all() {
		if stays[a.name] || a.isLeaving() {
			continue
		}
		if err := a.mayGoAway(owners[a.name].Owner, g); err != nil {
			return nil, err
		}
		c.gone = append(c.gone, a)
	}
	return c, nil
}

// prepare makes one account ready.
func (c *Change) prepare(ctx context.Context, opt *AccountOptions, look bool) error {
	a := c.e.account(opt.Name)
	if a == nil {
		a, err := c.e.newAccount(*opt)
		if err != nil || look {
			return err
		}
		one := opt.Account // to see whether the carrier lets us in
		one.Links = 1
		links, err := a.adapter.Open(one, deaf{})
		if err != nil {
			return err
		}
		defer shut(links)
		return bound(ctx, opt, links)
	}
	adapter, ok := c.e.adapters[opt.Protocol]
	if !ok {
		return fmt.Errorf("account %s: no adapter for protocol %q", opt.Name, opt.Protocol)
	}
	if err := a.serves(opt); err != nil || look || !a.relinks(opt) {
		return err
	}
	links, err := adapter.Open(opt.Account, a)
	if err != nil {
		return err
	}
	c.links[opt.Name] = links
	if err := bound(ctx, opt, links); err != nil {
		return err
	}
	return a.cuts(opt, links)
}

// Drop closes links that are not in use.
func (c *Change) Drop() {
	for _, links := range c.links {
		shut(links)
	}
	c.links = nil
}

// shut closes links that have sent nothing.
func shut(c channels.Carrier) {
	ctx, stop := context.WithTimeout(context.Background(), leaveTime)
	defer stop()
	_ = c.Close(ctx) // nobody waits for an answer of theirs
}

// deaf is the sink of links that are only tried: a carrier repeats what nobody answers.
type deaf struct{}

func (deaf) Outcomes([]channels.Outcome) {}
func (deaf) Receipts(channels.Receipts)  {}
func (deaf) Changed()                    {}

// bound waits until all links are up, for the bind time-out at most; then one is enough.
func bound(ctx context.Context, opt *AccountOptions, c channels.Carrier) error {
	patience := opt.BindTimeout
	if patience == 0 {
		patience = 10 * time.Second
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		up, why, links := 0, "", c.Links()
		for _, l := range links {
			if l.Up {
				up++
			} else {
				why = l.LastError
			}
		}
		switch {
		case up == len(links), up > 0 && ctx.Err() != nil:
			return nil
		case ctx.Err() != nil:
			return warning.Refuse(warning.ReasonConflict,
				"nothing was applied: no link of account %s can be bound as the file has it: %s; where the carrier takes no links beside those that are open, restart this process", opt.Name, why)
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// relinks tells whether the links that this process has are not those of opt.
func (a *account) relinks(opt *AccountOptions) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.otherLinks(opt)
}

// otherLinks is relinks. mu is held.
func (a *account) otherLinks(opt *AccountOptions) bool {
	return a.carrier != nil && (a.opt.Protocol != opt.Protocol || !reflect.DeepEqual(a.opt.Account, opt.Account))
}

// serves refuses options by which the account could not carry what waits there.
func (a *account) serves(opt *AccountOptions) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var people int64
	for _, s := range a.live {
		if a.opt.Simulated != opt.Simulated || !slices.Contains(opt.Channels, s.Channel) || !slices.Contains(opt.Statuses, s.w.Spec.Status) {
			people += s.waits()
		}
	}
	if !a.owned || people == 0 {
		return nil
	}
	return warning.Refuse(warning.ReasonConflict,
		"nothing was applied: %d people wait at account %s who could not be sent to with these channels or this kind; let it send them first, or cancel their warning", people, opt.Name)
}

// cuts refuses links that cannot carry the words that wait there.
func (a *account) cuts(opt *AccountOptions, c channels.Carrier) error {
	a.mu.Lock()
	var words []channels.Content
	for _, s := range a.live {
		for l, name := range warning.Languages {
			if s.prepared[l] != nil {
				words = append(words, s.content(name))
			}
		}
	}
	a.mu.Unlock()
	for _, w := range words {
		if _, err := c.Prepare(w); err != nil {
			return warning.Refuse(warning.ReasonConflict, "nothing was applied: account %s could not send what waits there: %v", opt.Name, err)
		}
	}
	return nil
}

// mayGoAway refuses that the account leaves while people wait there whom no account of g may carry.
func (a *account) mayGoAway(owner string, g *routing) error {
	a.mu.Lock()
	owned := a.owned
	a.mu.Unlock()
	switch {
	case owner != "" && owner != a.e.node: // who waits there is that process's business
		return nil
	case !owned:
		return warning.Refuse(warning.ReasonConflict,
			"nothing was applied: no process owns account %s yet, so that nobody knows who waits there; say it again in a few seconds", a.name)
	}
	if n := a.without(g); n > 0 {
		return warning.Refuse(warning.ReasonConflict,
			"nothing was applied: %d people wait at account %s and no other account may carry them; let it send them first, or give their numbers to another account", n, a.name)
	}
	return nil
}

func (a *account) isLeaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}

// without is how many people wait for their first hand-off whom no account of g may carry.
func (a *account) without(g *routing) (n int64) {
	count := func(r *router, number uint64) {
		if r.route(number) < 0 {
			n++
		}
	}
	var fresh []strand
	a.mu.Lock()
	for _, s := range a.live {
		r := g.router(s.Channel, s.w.Spec.Status)
		for _, d := range s.due {
			if pos := uint32(d); s.untouched(pos) {
				count(r, s.person(pos))
			}
		}
		if s.led.closed == warning.Waiting {
			fresh = append(fresh, *s)
		}
	}
	a.mu.Unlock()
	for i := range fresh { // they may be millions: the account goes on sending meanwhile
		s := &fresh[i]
		r := g.router(s.Channel, s.w.Spec.Status)
		for b := s.batchOf(s.next); b < len(s.Batches); b++ {
			pos, numbers := s.starts[b], s.snap.Block(int(s.Batches[b].Block)).Number
			for slot := range s.Batches[b].Mask.Slots {
				if pos >= s.next {
					count(r, numbers[slot])
				}
				pos++
			}
		}
	}
	return n
}

// waits is how many people wait for anything we do.
func (s *strand) waits() int64 {
	return max(s.led.counts[warning.Waiting]+s.led.counts[warning.Sending], int64(s.toRepeat()))
}

// Apply makes the change hold. byHand is the accounts whose rate was set by hand: it stays in force.
func (c *Change) Apply() (byHand []string, leaving []Leaving) {
	e := c.e
	e.changing.Lock()
	defer e.changing.Unlock()
	was, shares := e.routing.Load(), map[string]float64{}
	for i, s := range was.shares {
		shares[was.accounts[i].Name] = s
	}
	next := &routing{accounts: c.next.Accounts, numbers: c.next.Numbers, failOver: c.next.FailOver}
	for i := range c.next.Accounts {
		opt := &c.next.Accounts[i]
		share, judged := shares[opt.Name]
		if !judged {
			share = 1
		}
		next.shares = append(next.shares, share)
		a := e.account(opt.Name)
		if a == nil {
			if a, err := e.newAccount(*opt); err == nil { // Prepare has seen that it can be
				e.join(a)
			}
			continue
		}
		hand, used := a.reconfigure(opt, c.links[opt.Name])
		if hand {
			byHand = append(byHand, opt.Name)
		}
		if used {
			delete(c.links, opt.Name)
		}
	}
	c.Drop()
	e.routing.Store(next.after(was))
	for _, a := range c.gone {
		people, owned := a.goAway()
		if !owned { // who waits there is another process's business
			e.end(a)
		}
		leaving = append(leaving, Leaving{a.name, people})
	}
	return byHand, leaving
}

// join runs an account that is new here. changing is held.
func (e *Engine) join(a *account) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accounts = append(slices.Clone(e.accounts), a)
	if e.start != nil {
		e.start(a)
	}
}

var errOldLinks = errors.New("its links were opened while a reload was on its way, and are opened again as the file has them")

// reconfigure takes other options, and other links where there are some; used says that they are in use now.
func (a *account) reconfigure(opt *AccountOptions, links channels.Carrier) (byHand, used bool) {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	was, other := a.opt, a.otherLinks(opt)
	a.opt, a.adapter, a.leaving = *opt, a.e.adapters[opt.Protocol], false
	if wider := a.ring.Guard(opt.Guard); wider > 0 {
		a.quiet = later(a.quiet, time.Now().Add(wider))
	}
	a.setRate()
	if used = links != nil && a.carrier != nil; used {
		old, owning := a.carrier, a.owning
		a.carrier, a.trip = links, trip{}
		a.drains.Go(func() { a.drain(owning, old, was.AnswerTimeout) })
	} else if other { // they were opened since Prepare
		a.disown(errOldLinks)
	}
	a.stale = true // a part of a warning that could not be sent is tried again
	kick(a.commit)
	kick(a.wake)
	return a.control.Rate > 0, used
}

// drain closes links that others have replaced, when what they have open is answered or timed out; at the end of the
// ownership they have no longer than the others.
func (a *account) drain(owning context.Context, old channels.Carrier, answer time.Duration) {
	ctx, stop := context.WithTimeout(context.Background(), max(answer, time.Minute)+leaveTime)
	defer stop()
	defer context.AfterFunc(owning, func() { time.AfterFunc(leaveTime, stop) })()
	if err := old.Close(ctx); err != nil {
		a.note(err)
	}
}

// goAway lets who waits go another way, and answers how many they are. Whom no other may carry now is sent to all the same.
func (a *account) goAway() (people int64, owned bool) {
	a.mu.Lock()
	a.leaving, a.leaves, owned = true, time.Now().Add(leastLeave), a.owned
	if owned {
		for _, s := range a.live {
			people += s.waits()
		}
	}
	a.mu.Unlock()
	a.leaveOff(true)
	return people, owned
}

// letLeave ends accounts that the configuration has no more, when nobody waits there, or nobody for this process.
func (e *Engine) letLeave() {
	e.changing.Lock()
	defer e.changing.Unlock()
	now, routing := time.Now(), e.routing.Load()
	for _, a := range e.all() {
		switch {
		case a.mayEnd(now), a.isLate(now):
			e.end(a)
		case a.mayGiveBack(now):
			e.unowned[a.name] = unowned{since: now, stay: routing, givenAt: now}
			e.end(a)
		}
	}
}

// end lets an account go. changing is held.
func (e *Engine) end(a *account) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accounts = slices.DeleteFunc(slices.Clone(e.accounts), func(x *account) bool { return x == a })
	if a.stop != nil {
		a.stop()
	}
	a.log.Info("account has left: the configuration does not have it any more")
}

// mayEnd tells whether the account leaves and nobody waits there: not for a hand-off, an answer or another way.
func (a *account) mayEnd(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving && !now.Before(a.leaves) && len(a.live) == 0 && !a.unsettled()
}

// unsettled tells whether what waits there is not known, or somebody is on the way: to the carrier or to another account. mu is
// held.
func (a *account) unsettled() bool {
	if !a.owned || a.inflight > 0 || a.stale || a.missing || a.seen > a.obeyed {
		return true
	}
	for _, s := range a.byID {
		if a.e.placing(s.Warning) {
			return true
		}
	}
	return false
}
