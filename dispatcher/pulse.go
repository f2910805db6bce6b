package dispatcher

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tocsin/warning"
)

// The times of a pulse: each process writes down how it is doing, and reads what the others say. Whether one is silent is
// judged by this process's clock on a pulse that stands still.
const (
	pulseEvery  = 2 * time.Second
	silentAfter = 5 * pulseEvery
	forgetAfter = 24 * time.Hour
)

// pulse is what one process says of itself.
type pulse struct {
	At        time.Time        `json:"at"`
	Started   time.Time        `json:"started"`
	Policy    string           `json:"policy"`
	Accounts  []AccountHealth  `json:"accounts"` // that it owns
	Platforms []PlatformHealth `json:"platforms"`
}

// nodes is the processes of the realm as they were heard of.
type nodes struct {
	mu    sync.Mutex
	by    map[string]heard
	wrote time.Time     // when the pulse of this process was durable last
	took  time.Duration // that write
}

type heard struct {
	pulse
	ahead time.Duration
	moved time.Time // when the pulse was seen to move
}

func (n *nodes) account(node, name string) (AccountHealth, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.by[node].Accounts {
		if a.Name == name {
			return a, true
		}
	}
	return AccountHealth{}, false
}

// ofOthers is what another process than this one says of an account that it owns.
func (n *nodes) ofOthers(this, name string) (h AccountHealth, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, said := range n.by {
		if i := slices.IndexFunc(said.Accounts, func(a AccountHealth) bool { return a.Name == name }); node != this && i >= 0 {
			h, ok = said.Accounts[i], true
		}
	}
	return h, ok
}

func (n *nodes) platform(node, name string) (PlatformHealth, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.by[node].Platforms {
		if p.Name == name {
			return p, true
		}
	}
	return PlatformHealth{}, false
}

// hear takes in the table of pulses, and answers the processes that nobody has heard of for a day.
func (n *nodes) hear(table map[string][]byte, now time.Time) (gone []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.by
	n.by = make(map[string]heard, len(table))
	for node, value := range table {
		h := heard{moved: now}
		if json.Unmarshal(value, &h.pulse) != nil {
			continue // of a later release
		}
		h.ahead = h.At.Sub(now)
		if before, ok := was[node]; ok && before.At.Equal(h.At) {
			h.ahead, h.moved = before.ahead, before.moved
		} else if !ok && -h.ahead > pulseEvery { // it may have been silent before this process began to listen
			h.ahead, h.moved = 0, now.Add(h.ahead)
		}
		if now.Sub(h.moved) > forgetAfter {
			gone = append(gone, node)
			continue
		}
		n.by[node] = h
	}
	return gone
}

// pulses writes and reads until ctx ends, and then takes this process out of the table: it is not silent, it has ended.
func (e *Engine) pulses(ctx context.Context) {
	for ctx.Err() == nil {
		if err := e.pulse(ctx); err != nil && ctx.Err() == nil {
			e.log.Debug("no pulse", zap.Error(err))
		}
		pause(ctx, pulseEvery)
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	if _, err := e.records.Do(end, Act{Puts: []Put{{Table: TableNodes, Field: e.node}}}); err != nil {
		e.log.Warn("this process cannot be taken out of the list; it will be called silent", zap.Error(err))
	}
}

func (e *Engine) pulse(ctx context.Context) error {
	table, err := e.records.Table(ctx, TableNodes)
	if err != nil {
		return err
	}
	now := time.Now()
	gone := e.nodes.hear(table, now)
	p := pulse{At: now.UTC(), Started: e.began.UTC(), Policy: e.policy().Digest(), Platforms: []PlatformHealth{}}
	for _, a := range e.all() {
		if h, ok := a.pulse(now); ok {
			p.Accounts = append(p.Accounts, h)
		}
	}
	for _, f := range e.platforms {
		if h := f.health(); h.Heard {
			p.Platforms = append(p.Platforms, h)
		}
	}
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	puts := []Put{{Table: TableNodes, Field: e.node, Value: value}}
	for _, node := range gone {
		puts = append(puts, Put{Table: TableNodes, Field: node})
	}
	began := time.Now()
	if _, err := e.records.Do(ctx, Act{Puts: puts}); err != nil {
		return err
	}
	e.lastWell.Store(time.Now().UnixNano())
	e.nodes.mu.Lock()
	e.nodes.wrote, e.nodes.took = time.Now(), time.Since(began)
	e.nodes.mu.Unlock()
	return nil
}

// pulse is the health of an account that this process owns.
func (a *account) pulse(now time.Time) (AccountHealth, bool) {
	a.mu.Lock()
	owned := a.carrier != nil
	a.mu.Unlock()
	return a.health(now), owned
}

func (p *platform) health() PlatformHealth {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := PlatformHealth{Name: p.opt.Name, Protocol: p.opt.Protocol, Channel: p.opt.Channel, LastError: p.lastError}
	if p.carrier != nil {
		l := p.carrier.Link()
		h.Heard, h.Up = true, l.Up
		if l.LastError != "" {
			h.LastError = l.LastError
		}
	}
	return h
}

// Status is this process and what it has heard of the others. It always answers: what the store does not say now is left
// out. What lies around the engine is left to fill in.
func (e *Engine) Status(ctx context.Context) Status {
	now := time.Now()
	s := Status{Node: e.node, At: now.UTC(), Started: e.began.UTC()}
	s.Config.Policy = e.policy().Digest()
	owners, err := e.records.Obeyed(ctx, e.names())
	if err != nil { // then nobody can say more than this process knows
		owners = map[string]Owned{}
		for _, name := range e.names() {
			owners[name] = Owned{Owner: e.node}
		}
	}
	routes, err := e.routesOf(ctx)
	if err != nil {
		routes = map[string]Route{}
	}
	s.Accounts = e.accountsOf(owners, routes)
	for _, p := range e.platforms {
		h := p.health()
		owner := owners[h.Name].Owner
		if said, ok := e.nodes.platform(owner, h.Name); ok && owner != e.node {
			h = said
		}
		h.Owner = owner
		s.Platforms = append(s.Platforms, h)
	}
	s.Backlog = backlogOf(s.Accounts, now)
	s.Nodes = e.heardOf(owners, now)
	e.nodes.mu.Lock()
	s.Store.LastWrite, s.Store.WriteTook = e.nodes.wrote, e.nodes.took
	e.nodes.mu.Unlock()
	waiting, _ := e.records.Warnings(ctx, []warning.State{warning.Submitted}, 100)
	for i := len(waiting) - 1; i >= 0; i-- {
		w := &waiting[i]
		s.Awaiting = append(s.Awaiting, Awaiting{
			ID: w.ID, Event: w.Spec.EventName, Tier: w.Spec.Tier, Status: w.Spec.Status, Since: w.SubmittedAt,
			Missing: e.MissingApprovals(*w),
		})
	}
	s.Reviews, _ = e.Reviews(ctx)
	return s
}

func (e *Engine) heardOf(owners map[string]Owned, now time.Time) (out []NodeHealth) {
	owned := map[string][]string{}
	for _, name := range e.names() {
		if o, ok := owners[name]; ok {
			owned[o.Owner] = append(owned[o.Owner], name)
		}
	}
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(e.nodes.by)) {
		h := e.nodes.by[node]
		n := NodeHealth{Node: node, Started: h.Started, Accounts: owned[node], Policy: h.Policy}
		if node != e.node {
			n.Silent, n.Ahead = now.Sub(h.moved), h.ahead
		}
		out = append(out, n)
	}
	return out
}

// backlogOf sums up who waits, and when each tier will be through at the contracts: an account sends the more urgent
// tiers first.
func backlogOf(accounts []AccountHealth, now time.Time) (out []TierBacklog) {
	for _, tier := range warning.Tiers {
		sum := TierBacklog{Tier: tier}
		stuck := false
		for i := range accounts {
			a := &accounts[i]
			var before int64
			for _, b := range a.Backlog {
				if b.Tier > tier {
					break
				}
				before += b.Messages
				if b.Tier < tier {
					continue
				}
				sum.People, sum.Messages = sum.People+b.People, sum.Messages+b.Messages
				if a.Health == HealthDown || a.Health == HealthPaused || a.Health == HealthUnowned {
					stuck = true
					continue
				}
				sum.Finish = later(sum.Finish, now.Add(time.Duration(float64(before)/a.Contract*float64(time.Second))))
			}
		}
		if sum.People == 0 {
			continue
		}
		if stuck {
			sum.Finish = time.Time{}
		}
		out = append(out, sum)
	}
	return out
}
