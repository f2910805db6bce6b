package wiring

import (
	"context"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/identity"
)

// seen is what the keepers of this process saw last of the store and the clock.
type seen struct {
	mu    sync.Mutex
	store dispatcher.StoreHealth
	clock dispatcher.ClockHealth
	at    time.Time // the last look at the clock
}

// The marks of the clock: a step of this much is told, for this long.
const (
	leastStep = time.Second
	tellStep  = time.Hour
)

// statusTime is how long the store is waited for: a status that comes late is of no use.
const statusTime = 1500 * time.Millisecond

// lookStore notes how the store is, right after it was checked with the result err.
func (p *process) lookStore(ctx context.Context, err error) {
	s := dispatcher.StoreHealth{
		Up: err == nil, Own: p.own != nil, Version: p.checked.Version, Durability: p.checked.Durability,
		Memory: p.checked.Memory, MaxMemory: p.checked.MaxMemory, AOF: p.checked.AOF, Rewriting: p.checked.Rewriting,
	}
	if err != nil {
		s.Error = err.Error()
	}
	began := time.Now()
	theirs, terr := p.client.Time(ctx).Result()
	ahead := theirs.Sub(began.Add(time.Since(began) / 2))
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	p.seen.store = s
	if terr == nil {
		p.seen.clock.Store = ahead
	}
}

// lookClock compares the wall clock with the monotonic one since the last look.
func (p *process) lookClock(now time.Time) {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	if last := p.seen.at; !last.IsZero() {
		if step := now.Round(0).Sub(last.Round(0)) - now.Sub(last); step.Abs() >= leastStep {
			p.seen.clock.Step, p.seen.clock.SteppedAt = step, now.UTC()
		}
	}
	p.seen.at = now
	if now.Sub(p.seen.clock.SteppedAt) > tellStep {
		p.seen.clock.Step, p.seen.clock.SteppedAt = 0, time.Time{}
	}
}

// Status is the engine's, with what lies around it. It answers also while the store is away.
func (p *process) Status(ctx context.Context) dispatcher.Status {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	s := p.engine.Status(ctx)
	s.Realm = p.Config.Realm
	if err := p.gate.why(true); err != nil {
		s.Intake = err.Error()
	} else if err := p.engine.WellIntake(ctx); err != nil {
		s.Intake = err.Error()
	}
	p.seen.mu.Lock()
	wrote, took := s.Store.LastWrite, s.Store.WriteTook
	s.Store, s.Clock = p.seen.store, p.seen.clock
	s.Store.LastWrite, s.Store.WriteTook = wrote, took
	p.seen.mu.Unlock()
	s.Disk = p.disk()
	now := p.current.now.Load()
	s.Certificates = []dispatcher.Certificate{{File: filepath.Base(now.cfg.TLS.Certificate), Days: identity.DaysLeft(now.shown.Leaf, s.At)}}
	s.Config = p.configHealth()
	s.Findings = s.Judge()
	return s
}

func (p *process) disk() (d dispatcher.DiskHealth) {
	if p.own != nil {
		if free, needed, err := p.own.Room(); err == nil {
			return dispatcher.DiskHealth{Free: free, Needed: needed}
		}
	}
	var st syscall.Statfs_t
	if syscall.Statfs(p.Config.Data, &st) == nil {
		d.Free = int64(st.Bavail) * st.Bsize
	}
	return d
}

// configHealth compares what is in force with the file as it is now.
func (p *process) configHealth() dispatcher.ConfigHealth {
	now := p.current.now.Load()
	h := dispatcher.ConfigHealth{File: filepath.Base(now.cfg.Path), LoadedAt: now.loaded.UTC(), Policy: p.rule.inForce().Digest()}
	cfg, err := config.Load(now.cfg.Path)
	if err != nil {
		h.Fault = err.Error()
		return h
	}
	next, err := settingsOf(cfg)
	if err != nil {
		h.Fault = err.Error()
		return h
	}
	h.Changed = len(now.diff(next)) > 0
	return h
}
