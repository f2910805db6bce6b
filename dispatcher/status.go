package dispatcher

import (
	"fmt"
	"time"

	"tocsin/warning"
)

// Level is how bad something is: what an exit status, a colour and a bell go by.
type Level uint8

// The levels.
const (
	LevelOK       Level = iota + 1
	LevelDegraded       // everybody is still reached; somebody should look today
	LevelWrong          // people are not reached, or nothing new is taken in: look now
)

// Finding is one thing that is not well. Kind is a stable name of the catalogue of texts.
type Finding struct {
	Level   Level
	Kind    string
	Subject string // account, platform, process, warning or file; empty where there is only one
	Detail  string // what was seen
	People  int64  // who wait because of it
}

// Status is what whoever is on watch must see: one process, and what it has heard of the others.
type Status struct {
	Realm, Node string
	At, Started time.Time
	Intake      string // why nothing new is taken in; empty: it is well

	Accounts  []AccountHealth
	Platforms []PlatformHealth
	Nodes     []NodeHealth
	Backlog   []TierBacklog    // tiers that somebody waits in, most urgent first
	Awaiting  []Awaiting       // warnings that wait for an approval, oldest first
	Reviews   []warning.Review // that are open, the one due first first

	Store        StoreHealth
	Disk         DiskHealth
	Clock        ClockHealth
	Certificates []Certificate
	Config       ConfigHealth

	Findings []Finding // worst first
}

// PlatformHealth is how one platform of an area channel is doing.
type PlatformHealth struct {
	Name, Protocol string
	Channel        warning.Channel
	Owner          string
	Up             bool // as its owner said last
	LastError      string
	Heard          bool // whether an owner has said anything
}

// NodeHealth is one engine process of the realm.
type NodeHealth struct {
	Node     string
	Started  time.Time
	Accounts []string // that it owns, platforms too
	// Silent is how long its pulse has stood still, by this process's clock; it pulses each two seconds.
	Silent time.Duration
	Ahead  time.Duration // of its clock against this one's, when its last pulse was read
	Policy string        // digest of the policy that it goes by
}

// TierBacklog is who waits in one tier.
type TierBacklog struct {
	Tier     warning.Tier
	People   int64
	Messages int64
	// Finish is when the last of them is handed over at the contracts, with what goes before them; zero where an account
	// with a part of them sends nothing.
	Finish time.Time
}

// Awaiting is a warning that waits for an approval.
type Awaiting struct {
	ID, Event string
	Tier      warning.Tier
	Status    warning.Status
	Since     time.Time
	Missing   int // approvals
}

// StoreHealth is how the Redis is doing.
type StoreHealth struct {
	Up         bool
	Own        bool // the engine runs it
	Version    string
	Durability string
	Error      string        // why it is not well
	Memory     int64         // bytes used
	MaxMemory  int64         // bytes allowed; 0: no limit
	AOF        int64         // bytes of the append-only file
	Rewriting  bool          // the append-only file is rewritten now
	LastWrite  time.Time     // when a durable write came back last
	WriteTook  time.Duration // of that write
}

// DiskHealth is the room on the disk of the data directory.
type DiskHealth struct {
	Free, Needed int64 // bytes; Needed is the mark below which intake stops, 0: the Redis is run by others
}

// ClockHealth is what is known of this machine's clock.
type ClockHealth struct {
	Store     time.Duration // of the Redis machine's clock ahead of this one's
	Step      time.Duration // the last step of this one's of a second or more, of this hour; 0: none
	SteppedAt time.Time
}

// Certificate is one that somebody will miss when it ends.
type Certificate struct {
	File  string
	Days  int // left
	Error string
}

// ConfigHealth is the configuration that this process goes by.
type ConfigHealth struct {
	File     string
	LoadedAt time.Time
	Policy   string // digest
	// Changed says that the file is not what was loaded; Fault why it could not be.
	Changed bool
	Fault   string
}

// The marks beyond which something is told.
const (
	lateApproval = 5 * time.Minute
	soonDays     = 30
	nowDays      = 3
	clocksApart  = 2 * time.Second
	fullMemory   = 0.8
	lowDisk      = 2 // times what is needed
)

// Judge is what is not well in s, worst first. It is pure; docs/status.md has the same as a table.
func (s *Status) Judge() []Finding {
	var all []Finding
	tell := func(l Level, kind, subject, format string, args ...any) {
		all = append(all, Finding{Level: l, Kind: kind, Subject: subject, Detail: fmt.Sprintf(format, args...)})
	}
	if s.Intake != "" {
		tell(LevelWrong, "intake", "", "%s", s.Intake)
	}
	if !s.Store.Up || s.Store.Error != "" {
		tell(LevelWrong, "store", "", "%s", s.Store.Error)
	}
	if m := s.Store; m.MaxMemory > 0 && float64(m.Memory) > fullMemory*float64(m.MaxMemory) {
		tell(LevelDegraded, "memory", "", "%d of %d MB", m.Memory>>20, m.MaxMemory>>20)
	}
	if d := s.Disk; d.Needed > 0 && d.Free < lowDisk*d.Needed {
		level := LevelDegraded
		if d.Free < d.Needed {
			level = LevelWrong
		}
		tell(level, "disk", "", "%d of %d MB", d.Free>>20, d.Needed>>20)
	}
	for i := range s.Accounts {
		all = append(all, s.Accounts[i].judge()...)
	}
	for _, p := range s.Platforms {
		switch {
		case p.Owner == "":
			tell(LevelWrong, "unowned", p.Name, "%s", p.LastError)
		case p.Heard && !p.Up:
			tell(LevelWrong, "down", p.Name, "%s", p.LastError)
		}
	}
	for _, n := range s.Nodes {
		switch {
		case n.Silent > silentAfter && len(n.Accounts) > 0:
			tell(LevelWrong, "silent", n.Node, "%s", n.Silent.Round(time.Second))
		case n.Silent > silentAfter:
			tell(LevelDegraded, "silent", n.Node, "%s", n.Silent.Round(time.Second))
		case n.Ahead.Abs() > clocksApart:
			tell(LevelDegraded, "clocks", n.Node, "%s", n.Ahead.Round(100*time.Millisecond))
		case n.Policy != s.Config.Policy && n.Node != s.Node:
			tell(LevelDegraded, "policies", n.Node, "%.12s, %.12s", n.Policy, s.Config.Policy)
		}
	}
	if s.Clock.Store.Abs() > clocksApart {
		tell(LevelDegraded, "clocks", "Redis", "%s", s.Clock.Store.Round(100*time.Millisecond))
	}
	if s.Clock.Step != 0 {
		tell(LevelDegraded, "step", "", "%s", s.Clock.Step.Round(100*time.Millisecond))
	}
	for _, c := range s.Certificates {
		switch {
		case c.Error != "":
			tell(LevelWrong, "certificate", c.File, "%s", c.Error)
		case c.Days < nowDays:
			tell(LevelWrong, "certificate", c.File, "%d d", c.Days)
		case c.Days < soonDays:
			tell(LevelDegraded, "certificate", c.File, "%d d", c.Days)
		}
	}
	for _, w := range s.Awaiting {
		if waited := s.At.Sub(w.Since); waited > lateApproval {
			tell(LevelDegraded, "approval", w.ID, "%s", waited.Round(time.Minute))
		}
	}
	for _, r := range s.Reviews {
		if r.Overdue(s.At) {
			tell(LevelDegraded, "review", r.Warning, "%s", r.Due.Local().Format("2006-01-02 15:04"))
		}
	}
	switch {
	case s.Config.Fault != "":
		tell(LevelDegraded, "config_fault", s.Config.File, "%s", s.Config.Fault)
	case s.Config.Changed:
		tell(LevelDegraded, "config_changed", s.Config.File, "")
	}
	return worstFirst(all)
}

// judge is what is not well with one account.
func (h *AccountHealth) judge() (all []Finding) {
	tell := func(l Level, kind, detail string) {
		all = append(all, Finding{Level: l, Kind: kind, Subject: h.Name, Detail: detail, People: h.WaitingPeople})
	}
	up, why := 0, h.LastError
	for _, l := range h.Links {
		if l.Up {
			up++
		} else if l.LastError != "" {
			why = fmt.Sprintf("#%d %s", l.Index, l.LastError)
		}
	}
	if h.Twin {
		tell(LevelDegraded, "twin", "")
	}
	switch h.Health {
	case HealthUnowned:
		tell(LevelWrong, "unowned", h.LastError)
	case HealthDown:
		tell(LevelWrong, "down", h.LastError)
	case HealthPaused:
		level := LevelDegraded
		if h.WaitingPeople > 0 {
			level = LevelWrong
		}
		tell(level, "paused", h.Why)
	case HealthSlow:
		tell(LevelDegraded, "slow", h.LastError)
	}
	if up > 0 && up < len(h.Links) {
		tell(LevelDegraded, "links", fmt.Sprintf("%d of %d: %s", up, len(h.Links), why))
	}
	if h.Route.Share < 1 {
		tell(LevelDegraded, "route", fmt.Sprintf("%.0f %%: %s", 100*h.Route.Share, h.Route.Why))
	}
	if h.Slowed > 0 && h.Slowed < 1 {
		tell(LevelDegraded, "slowed", fmt.Sprintf("%.0f %%", 100*h.Slowed))
	}
	return all
}

// worstFirst keeps the order within a level.
func worstFirst(all []Finding) []Finding {
	out := make([]Finding, 0, len(all))
	for _, l := range []Level{LevelWrong, LevelDegraded} {
		for _, f := range all {
			if f.Level == l {
				out = append(out, f)
			}
		}
	}
	return out
}

// Level is the worst of the findings.
func (s *Status) Level() Level {
	if len(s.Findings) == 0 {
		return LevelOK
	}
	return s.Findings[0].Level
}
