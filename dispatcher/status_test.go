package dispatcher

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/warning"
)

// well is a house in which all is well.
func well() Status {
	at := time.Date(2026, 6, 13, 3, 0, 0, 0, time.UTC)
	return Status{
		Node: "n1", At: at,
		Accounts: []AccountHealth{{
			Name: "mobile", Health: HealthOK, Contract: 1500, Slowed: 1, Route: Route{Share: 1}, Links: []AccountLink{{Up: true}, {Up: true}}, WaitingPeople: 7,
		}},
		Platforms:    []PlatformHealth{{Name: "loud", Owner: "n1", Heard: true, Up: true}},
		Nodes:        []NodeHealth{{Node: "n1", Policy: "p"}, {Node: "n2", Policy: "p", Accounts: []string{"telecom"}}},
		Store:        StoreHealth{Up: true, Memory: 1 << 20, MaxMemory: 1 << 30},
		Disk:         DiskHealth{Free: 100, Needed: 10},
		Certificates: []Certificate{{File: "server.pem", Days: 30}},
		Awaiting:     []Awaiting{{ID: "01J", Since: at.Add(-lateApproval)}},
		Reviews:      []warning.Review{{Warning: "01K", Due: at}},
		Config:       ConfigHealth{Policy: "p"},
	}
}

// TestEachFaultIsTold breaks one thing at a time: it is found, at its level, and nothing else is.
func TestEachFaultIsTold(t *testing.T) {
	s := well()
	if found := s.Judge(); len(found) > 0 || s.Level() != LevelOK {
		t.Fatalf("all is well, and %v was found", found)
	}
	account := func(change func(*AccountHealth)) func(*Status) {
		return func(s *Status) { change(&s.Accounts[0]) }
	}
	for _, c := range []struct {
		finding string
		level   Level
		fault   func(*Status)
	}{
		{"intake ", LevelWrong, func(s *Status) { s.Intake = "the disk is full" }},
		{"store ", LevelWrong, func(s *Status) { s.Store.Up = false }},
		{"store ", LevelWrong, func(s *Status) { s.Store.Error = "appendfsync is everysec" }},
		{"memory ", LevelDegraded, func(s *Status) { s.Store.Memory = 9 << 27 }},
		{"disk ", LevelDegraded, func(s *Status) { s.Disk.Free = 19 }},
		{"disk ", LevelWrong, func(s *Status) { s.Disk.Free = 9 }},
		{"unowned mobile", LevelWrong, account(func(h *AccountHealth) { h.Health = HealthUnowned })},
		{"down mobile", LevelWrong, account(func(h *AccountHealth) { h.Health, h.Links = HealthDown, nil })},
		{"paused mobile", LevelWrong, account(func(h *AccountHealth) { h.Health = HealthPaused })},
		{"paused mobile", LevelDegraded, account(func(h *AccountHealth) { h.Health, h.WaitingPeople = HealthPaused, 0 })},
		{"slow mobile", LevelDegraded, account(func(h *AccountHealth) { h.Health = HealthSlow })},
		{"links mobile", LevelDegraded, account(func(h *AccountHealth) { h.Links[1].Up = false })},
		{"slowed mobile", LevelDegraded, account(func(h *AccountHealth) { h.Slowed = 0.5 })},
		{"route mobile", LevelDegraded, account(func(h *AccountHealth) { h.Route.Share = 0 })},
		{"unowned loud", LevelWrong, func(s *Status) { s.Platforms[0].Owner = "" }},
		{"down loud", LevelWrong, func(s *Status) { s.Platforms[0].Up = false }},
		{"silent n2", LevelWrong, func(s *Status) { s.Nodes[1].Silent = silentAfter + 1 }},
		{"silent n2", LevelDegraded, func(s *Status) { s.Nodes[1].Silent, s.Nodes[1].Accounts = silentAfter+1, nil }},
		{"clocks n2", LevelDegraded, func(s *Status) { s.Nodes[1].Ahead = -clocksApart - 1 }},
		{"policies n2", LevelDegraded, func(s *Status) { s.Nodes[1].Policy = "q" }},
		{"clocks Redis", LevelDegraded, func(s *Status) { s.Clock.Store = clocksApart + 1 }},
		{"step ", LevelDegraded, func(s *Status) { s.Clock.Step = -time.Second }},
		{"certificate server.pem", LevelDegraded, func(s *Status) { s.Certificates[0].Days = soonDays - 1 }},
		{"certificate server.pem", LevelWrong, func(s *Status) { s.Certificates[0].Days = nowDays - 1 }},
		{"certificate server.pem", LevelWrong, func(s *Status) { s.Certificates[0].Error = "no such file" }},
		{"approval 01J", LevelDegraded, func(s *Status) { s.At = s.At.Add(1); s.Reviews = nil }},
		{"review 01K", LevelDegraded, func(s *Status) { s.At = s.At.Add(1); s.Awaiting = nil }},
		{"config_fault ", LevelDegraded, func(s *Status) { s.Config.Fault = "line 3" }},
		{"config_changed ", LevelDegraded, func(s *Status) { s.Config.Changed = true }},
	} {
		s := well()
		c.fault(&s)
		s.Findings = s.Judge()
		if len(s.Findings) != 1 || s.Level() != c.level || s.Findings[0].Kind+" "+s.Findings[0].Subject != c.finding {
			t.Errorf("%s: found %+v, want level %d", c.finding, s.Findings, c.level)
			continue
		}
		kind := s.Findings[0].Kind
		for _, key := range []string{"finding", "remedy"} {
			if text := warning.Say("en", warning.TextOf(key, kind)); text == kind {
				t.Errorf("%s.%s has no text", key, kind)
			}
		}
	}
}

func TestTheWorstStandsFirst(t *testing.T) {
	s := well()
	s.Certificates[0].Days, s.Clock.Step, s.Intake = 5, time.Minute, "full"
	var kinds []string
	for _, f := range s.Judge() {
		kinds = append(kinds, f.Kind)
	}
	if got := strings.Join(kinds, " "); got != "intake step certificate" {
		t.Errorf("the order is %s", got)
	}
}

// TestBacklogEndsInTheOrderOfTiers: an account sends the more urgent tiers first; the slowest account decides, and where
// one sends nothing there is no end.
func TestBacklogEndsInTheOrderOfTiers(t *testing.T) {
	now := time.Date(2026, 6, 13, 3, 0, 0, 0, time.UTC)
	accounts := []AccountHealth{
		{Health: HealthOK, Contract: 100, Backlog: []TierBacklog{{Tier: warning.Red, People: 100, Messages: 200}, {Tier: warning.Blue, People: 300, Messages: 300}}},
		{Health: HealthSlow, Contract: 10, Backlog: []TierBacklog{{Tier: warning.Red, People: 10, Messages: 10}}},
		{Health: HealthIdle, Contract: 10},
	}
	got := backlogOf(accounts, now)
	want := []TierBacklog{
		{warning.Red, 110, 210, now.Add(2 * time.Second)},
		{warning.Blue, 300, 300, now.Add(5 * time.Second)},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	accounts[0].Health = HealthPaused
	for _, b := range backlogOf(accounts, now) {
		if !b.Finish.IsZero() {
			t.Errorf("%v ends at %v while an account with a part of it is paused", b.Tier, b.Finish)
		}
	}
}

// TestAProcessIsSilentByTheClockOfTheOther: a pulse that stands still is what counts, not the time that it names.
func TestAProcessIsSilentByTheClockOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n nodes
		stood := []byte(`{"at":"2000-01-01T00:00:00Z"}`)
		n.hear(map[string][]byte{"n2": stood}, time.Now())
		<-time.After(time.Minute)
		n.hear(map[string][]byte{"n2": stood}, time.Now())
		if silent := time.Since(n.by["n2"].moved); silent != time.Minute {
			t.Errorf("silent for %v, want a minute", silent)
		}
		n.hear(map[string][]byte{"n2": []byte(`{"at":"2000-01-01T00:00:02Z"}`)}, time.Now())
		if silent := time.Since(n.by["n2"].moved); silent != 0 {
			t.Errorf("silent for %v right after a pulse", silent)
		}
		<-time.After(forgetAfter + 1)
		if gone := n.hear(map[string][]byte{"n2": []byte(`{"at":"2000-01-01T00:00:02Z"}`)}, time.Now()); len(gone) != 1 || len(n.by) != 0 {
			t.Errorf("after a day %v is gone and %d are left", gone, len(n.by))
		}
	})
}
