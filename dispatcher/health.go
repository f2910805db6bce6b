package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/warning"
)

func (e *Engine) account(name string) *account {
	for _, a := range e.all() {
		if a.name == name {
			return a
		}
	}
	return nil
}

// contract is the rate that holds now, in messages a second.
func (a *account) contract() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rate
}

// Accounts is every account with its health: of one that another process owns, as that process said last.
func (e *Engine) Accounts(ctx context.Context) ([]AccountHealth, error) {
	owners, err := e.records.Obeyed(ctx, e.names())
	if err != nil {
		return nil, unavailable(err)
	}
	routes, err := e.routesOf(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return e.accountsOf(owners, routes), nil
}

// names is of all accounts and platforms.
func (e *Engine) names() (all []string) {
	for _, a := range e.all() {
		all = append(all, a.name)
	}
	for _, p := range e.platforms {
		all = append(all, p.opt.Name)
	}
	return all
}

func (e *Engine) accountsOf(owners map[string]Owned, routes map[string]Route) []AccountHealth {
	all := e.all()
	out := make([]AccountHealth, len(all))
	for i, a := range all {
		h := a.health(time.Now())
		switch o, ok := owners[h.Name]; {
		case !ok:
			h.Health = HealthUnowned
		case o.Owner != e.node:
			if said, ok := e.nodes.account(o.Owner, h.Name); ok {
				h = said
			} else {
				h.Health = HealthElsewhere
			}
			h.Owner = o.Owner
		default:
			h.Owner = o.Owner
			if h.Twin {
				h.Health = HealthElsewhere
			}
		}
		if r, ok := routes[h.Name]; ok {
			h.Route = r
		} else {
			h.Route.Share = 1 // nobody says that it is left
		}
		out[i] = h
	}
	return out
}

func (a *account) health(now time.Time) AccountHealth {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := AccountHealth{
		Name: a.name, Protocol: a.opt.Protocol, Contract: float64(a.rate), Paused: a.control.Paused,
		RateSetByHand: a.control.Rate > 0, Epoch: a.fence.Epoch, LastError: a.lastError, Twin: a.twin, Simulated: a.opt.Simulated,
		MaxInAnySecond: int64(a.ring.Highest()), Messages10s: a.sentTotal.last10s(now), Window: a.opt.Window,
		Configured: float64(a.opt.Rate), Why: a.control.Why, By: a.control.User, Slowed: a.slow.factor(),
	}
	h.Used10s = float64(h.Messages10s) / (10 * float64(a.rate))
	var byTier [warning.Notice + 1]TierBacklog
	for _, s := range a.live {
		waiting := s.led.counts[warning.Waiting] + s.led.counts[warning.Sending]
		h.WaitingPeople += waiting
		t := &byTier[s.w.Spec.Tier]
		t.Tier, t.People, t.Messages = s.w.Spec.Tier, t.People+waiting, t.Messages+waiting*int64(s.cost)
	}
	for _, t := range byTier {
		if t.People > 0 {
			h.Backlog = append(h.Backlog, t)
		}
	}
	up, open := 0, 0
	if a.carrier != nil {
		for _, l := range a.carrier.Links() {
			h.Links = append(h.Links, AccountLink(l))
			open += l.Open
			if l.Up {
				up++
			} else if l.LastError != "" {
				h.LastError = l.LastError
			}
		}
	}
	switch {
	case a.control.Paused:
		h.Health = HealthPaused
	case up == 0:
		h.Health = HealthDown
	case !a.owned || now.Before(a.quiet):
		h.Health = HealthWaiting
	case h.WaitingPeople == 0:
		h.Health = HealthIdle
		a.busySince = time.Time{}
	default:
		h.Health = HealthOK
		if a.busySince.IsZero() {
			a.busySince = now
		}
		if now.Sub(a.busySince) > 10*time.Second && float64(h.Messages10s) < 5*a.allowed(up) {
			h.Health = HealthSlow
		}
	}
	return h
}

// allowed is the messages a second that contract and windows allow with so many links up.
func (a *account) allowed(up int) float64 {
	r := float64(a.rate) / (time.Second + a.opt.Guard).Seconds()
	if a.trip.median > 0 {
		r = min(r, float64(up*a.opt.Window)/a.trip.median.Seconds())
	}
	return r
}

// WellIntake answers promise 12 for intake: a durable write comes back within two seconds, whatever the backlog.
func (e *Engine) WellIntake(ctx context.Context) error {
	if time.Since(time.Unix(0, e.lastWell.Load())) < time.Second {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	probe, _ := json.Marshal(time.Now().UTC())
	_, err := e.records.Do(ctx, Act{Puts: []Put{{Table: TableProbes, Field: e.node, Value: probe}}})
	if err != nil {
		return fmt.Errorf("no durable write comes back within 2 s: %w", err)
	}
	e.lastWell.Store(time.Now().UnixNano())
	return nil
}

// WellDispatch answers promise 12 for sending: every account of this process makes progress while work is due.
func (e *Engine) WellDispatch(context.Context) error {
	for _, a := range e.all() {
		if h := a.health(time.Now()); h.WaitingPeople > 0 && (h.Health == HealthDown || h.Health == HealthSlow) {
			return fmt.Errorf("account %s is %s with %d people waiting: %s", h.Name, h.Health, h.WaitingPeople, h.LastError)
		}
	}
	return nil
}

// Pause stops an account until Resume; it is durable.
func (e *Engine) Pause(ctx context.Context, c Caller, key, account, why string) (AccountHealth, error) {
	return e.steer(ctx, c, key, "account.pause", account, why, func(ctl *Control) { ctl.Paused, ctl.Why = true, why })
}

// Resume lets a paused account go on.
func (e *Engine) Resume(ctx context.Context, c Caller, key, account string) (AccountHealth, error) {
	return e.steer(ctx, c, key, "account.resume", account, "", func(ctl *Control) { ctl.Paused, ctl.Why = false, "" })
}

// SetRate changes the rate of an account, in messages a second; it is durable and wins over the configuration.
func (e *Engine) SetRate(ctx context.Context, c Caller, key, account string, rate int) (AccountHealth, error) {
	return e.steer(ctx, c, key, "account.rate", account, fmt.Sprintf("%d messages/s", rate), func(ctl *Control) { ctl.Rate = rate })
}

// ResetRate gives up the rate that was set by hand.
func (e *Engine) ResetRate(ctx context.Context, c Caller, key, account string) (AccountHealth, error) {
	return e.steer(ctx, c, key, "account.reset_rate", account, "", func(ctl *Control) { ctl.Rate = 0 })
}

func (e *Engine) steer(ctx context.Context, c Caller, key, act, name, detail string, set func(*Control)) (AccountHealth, error) {
	a := e.account(name)
	if a == nil {
		return AccountHealth{}, warning.Refuse(warning.ReasonNotFound, "there is no account %q; tocsin channel list shows those there are", name)
	}
	for {
		table, err := e.records.Table(ctx, TableControls)
		if err != nil {
			return AccountHealth{}, unavailable(err)
		}
		var ctl Control
		was := table[name]
		if was == nil {
			was = []byte{}
		} else if err := json.Unmarshal(was, &ctl); err != nil {
			return AccountHealth{}, fmt.Errorf("control of account %s: %w", name, err)
		}
		set(&ctl)
		ctl.User = c.User
		value, err := json.Marshal(ctl)
		if err != nil {
			return AccountHealth{}, err
		}
		done, err := e.records.Do(ctx, Act{
			User: c.User, Key: key, Digest: requestDigest(act, []string{name, detail}),
			Entry: Entry{At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: act, Subject: name, Detail: detail},
			Puts:  []Put{{Table: TableControls, Field: name, Value: value, Was: was}},
		})
		if errors.Is(err, ErrChanged) { // somebody else has steered it since: neither takes back what the other did
			continue
		}
		if err != nil {
			return AccountHealth{}, Refusal(err)
		}
		if !done.Repeated {
			a.obeyControl(ctl)
		}
		a.nudge()
		if err := e.obeyed(ctx, []string{name}, done.Generation); err != nil {
			return AccountHealth{}, err
		}
		h := a.health(time.Now())
		h.Route.Share = 1 // nobody says that it is left
		if all, err := e.Accounts(ctx); err == nil {
			if i := slices.IndexFunc(all, func(x AccountHealth) bool { return x.Name == name }); i >= 0 {
				h.Owner, h.Route = all[i].Owner, all[i].Route
			}
		}
		return h, nil
	}
}

// obeyControl takes a control at once; other processes learn it with their next answer from the store.
func (a *account) obeyControl(c Control) {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.control = c
	a.setRate()
}
