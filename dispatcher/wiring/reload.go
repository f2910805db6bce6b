package wiring

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/intake"
	"tocsin/warning"
)

// What a changed value takes.
const (
	atOnce   = "at_once"
	newLinks = "new_links" // the account's are bound first, then the old ones end
	agreed   = "two_persons"
	restart  = "restart"
)

// takes says what a change of a key takes, by the first pattern that fits; a * stands for one part of the path, and what no
// pattern fits needs a restart. docs/status.md has the same for people.
var takes = []struct{ pattern, takes string }{
	{"policy", atOnce},
	{"limits.share", atOnce},
	{"words", atOnce},
	{"routes", atOnce},
	{"tls", atOnce},
	{"accounts.*.rate", atOnce},
	{"accounts.*.burst", atOnce},
	{"accounts.*.guard", atOnce},
	{"accounts.*.channels", atOnce},
	{"accounts.*.prefixes", atOnce},
	{"accounts.*.carrier", atOnce},
	{"accounts.*.weight", atOnce},
	{"accounts.*.home", atOnce},
	{"accounts.*.test", atOnce},
	{"accounts", newLinks},
}

// takenBy is what a change of key takes.
func takenBy(key string) string {
	parts := strings.Split(key, ".")
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

// Reload applies the configuration as the file says it now, all of it or nothing, and writes the act down. A policy that
// asks for less is proposed with it and waits for two persons.
func (p *process) Reload(ctx context.Context, c dispatcher.Caller, key string, checkOnly bool) (intake.Reloaded, error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	was := p.current.now.Load()
	var next *settings
	cfg, err := config.Load(was.cfg.Path)
	if err == nil {
		next, err = settingsOf(cfg)
	}
	if err != nil {
		return intake.Reloaded{}, warning.Refuse(warning.ReasonInvalid, "the configuration is faulty and nothing of it was applied: %v", err)
	}
	r := intake.Reloaded{Node: p.Config.Node, Before: was.digest(), After: next.digest()}
	var keys, later []string
	looser := len(p.rule.now.Load().Loosened(policyOf(cfg))) > 0
	for _, d := range was.diff(next) {
		change := intake.Change{Key: d.Key, Before: d.Before, After: d.After, Takes: takenBy(d.Key)}
		if looser && (strings.HasPrefix(d.Key, "policy.") || strings.HasPrefix(d.Key, "limits.share.")) {
			change.Takes = agreed
		}
		r.Changes, keys = append(r.Changes, change), append(keys, d.Key)
		if change.Takes == restart {
			later = append(later, fmt.Sprintf("%s (line %d)", d.Key, cfg.Line(d.Key)))
		}
	}
	switch {
	case len(r.Changes) == 0 || checkOnly && len(later) > 0:
		return r, nil
	case len(later) > 0:
		return intake.Reloaded{}, warning.Refuse(warning.ReasonConflict,
			"nothing was applied: these keys need a restart of this process: %s; restart it, or take them back", strings.Join(later, ", "))
	}
	change, err := p.engine.Prepare(ctx, next.accounts(), checkOnly)
	if err != nil || checkOnly {
		return r, dispatcher.Refusal(err)
	}
	if err := p.recordReload(ctx, c, key, r, keys, policyOf(cfg).Digest()); err != nil {
		change.Drop()
		return intake.Reloaded{}, dispatcher.Refusal(err)
	}
	if err := p.rule.meet(ctx, policyOf(cfg), c); err != nil {
		change.Drop()
		return intake.Reloaded{}, dispatcher.Refusal(err)
	}
	p.current.now.Store(next)
	r.ByHand, r.Leaving = change.Apply()
	r.Applied = true
	return r, nil
}

// recordReload writes the act down before it holds.
func (p *process) recordReload(ctx context.Context, c dispatcher.Caller, key string, r intake.Reloaded, keys []string, policy string) error {
	_, err := p.Store.Do(ctx, dispatcher.Act{
		User: c.User, Key: key, Digest: "config.reload " + r.Node + " " + r.After,
		Entry: dispatcher.Entry{
			At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "config.reload", Subject: r.Node,
			Detail: fmt.Sprintf("changed: %s; policy %s; before %s, after %s", strings.Join(keys, ", "), policy, r.Before, r.After),
		},
	})
	return err
}
