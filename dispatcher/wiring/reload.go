package wiring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/intake"
	"tocsin/warning"
)

// What a changed value takes.
const (
	atOnce  = "at once"
	agreed  = "two persons"
	restart = "restart"
)

// takes says what a change of a key takes, by the first pattern that fits; a * stands for one part of the path, and what no
// pattern fits needs a restart. docs/status.md has the same for people.
var takes = []struct{ pattern, takes string }{
	{"policy", atOnce},
	{"limits.share", atOnce},
	{"words", atOnce},
	{"accounts.*.rate", atOnce},
	{"accounts.*.burst", atOnce},
	{"routes.numbers", atOnce},
}

// takenBy is what a change of key takes; both tells whether an account is in both configurations: one that comes or goes
// needs a restart.
func takenBy(key string, both func(account string) bool) string {
	parts := strings.Split(key, ".")
	if parts[0] == "accounts" && len(parts) > 1 && !both(parts[1]) {
		return restart
	}
	for _, t := range takes {
		if fits(strings.Split(t.pattern, "."), parts) {
			return t.takes
		}
	}
	return restart
}

func fits(pattern, parts []string) bool {
	for i, p := range pattern {
		if i >= len(parts) || p != "*" && p != parts[i] {
			return false
		}
	}
	return true
}

func hasAccount(cfg *config.Config, name string) bool {
	return slices.ContainsFunc(cfg.Accounts, func(a config.Account) bool { return a.Name == name })
}

// Reload applies the configuration as the file says it now, all of it or nothing, and writes the act down. A policy that
// asks for less is proposed with it and waits for two persons.
func (p *process) Reload(ctx context.Context, c dispatcher.Caller, key string, checkOnly bool) (intake.Reloaded, error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	now := p.current.now.Load()
	was := now.cfg
	var numbers *dispatcher.Numbers
	var digest string
	cfg, err := config.Load(was.Path)
	if err == nil {
		numbers, digest, err = numbersOf(&cfg.Routes)
	}
	if err != nil {
		return intake.Reloaded{}, warning.Refuse(warning.ReasonInvalid, "the configuration is faulty and nothing of it was applied: %v", err)
	}
	var r intake.Reloaded
	var keys, later []string
	both := func(account string) bool { return hasAccount(was, account) && hasAccount(cfg, account) }
	looser := len(p.rule.now.Load().Loosened(policyOf(cfg))) > 0
	differences := config.Diff(was, cfg)
	if digest != now.numbers && was.Routes.Numbers == cfg.Routes.Numbers { // the same file with other lines
		differences = append(differences, config.Difference{
			Key: "routes.numbers", Before: "sha256:" + now.numbers, After: "sha256:" + digest,
		})
	}
	for _, d := range differences {
		change := intake.Change{Key: d.Key, Before: d.Before, After: d.After, Takes: takenBy(d.Key, both)}
		if looser && (strings.HasPrefix(d.Key, "policy.") || strings.HasPrefix(d.Key, "limits.share.")) {
			change.Takes = agreed
		}
		r.Changes, keys = append(r.Changes, change), append(keys, d.Key)
		if change.Takes == restart {
			later = append(later, d.Key)
		}
	}
	switch {
	case checkOnly || len(r.Changes) == 0:
		return r, nil
	case len(later) > 0:
		return intake.Reloaded{}, warning.Refuse(warning.ReasonConflict,
			"nothing was applied: these keys need a restart of this process: %s; restart it, or take them back", strings.Join(later, ", "))
	}
	sum := sha256.Sum256([]byte(cfg.String() + digest))
	if _, err := p.Store.Do(ctx, dispatcher.Act{
		User: c.User, Key: key, Digest: "config.reload " + p.Config.Node + " " + hex.EncodeToString(sum[:]),
		Entry: dispatcher.Entry{
			At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "config.reload", Subject: p.Config.Node,
			Detail: "changed: " + strings.Join(keys, ", ") + "; policy " + policyOf(cfg).Digest(),
		},
	}); err != nil {
		return intake.Reloaded{}, dispatcher.Refusal(err)
	}
	if err := p.rule.meet(ctx, policyOf(cfg), c); err != nil {
		return intake.Reloaded{}, dispatcher.Refusal(err)
	}
	p.current.take(cfg, digest)
	p.engine.SetNumbers(numbers)
	for i := range cfg.Accounts {
		a := &cfg.Accounts[i]
		if p.engine.Retune(a.Name, a.Rate, a.Burst) {
			r.ByHand = append(r.ByHand, a.Name)
		}
	}
	r.Applied = true
	return r, nil
}
