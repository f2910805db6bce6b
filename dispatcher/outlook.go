package dispatcher

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"tocsin/warning"
)

// This file says how long a warning would take, and what would make that less.

// costs is messages a person by channel and language.
type costs map[warning.Channel][languages]int64

// messages is what a tally costs.
func (c costs) messages(t *tally, duties ...warning.Duty) (n int64) {
	cost := c[t.channel]
	for _, d := range duties {
		for language, people := range t.people[d] {
			n += people * cost[language]
		}
	}
	return n
}

// channelsOf is the people of each channel and duty, in the order of the tallies, responsible persons first.
func channelsOf(tallies []tally, c costs) (rows []PreviewChannel) {
	for i := range tallies {
		t := &tallies[i]
		for _, d := range []warning.Duty{warning.Responsible, warning.Public} {
			if t.of(d) == 0 {
				continue
			}
			at := slices.IndexFunc(rows, func(r PreviewChannel) bool { return r.Channel == t.channel && r.Duty == d })
			if at < 0 {
				at = len(rows)
				rows = append(rows, PreviewChannel{Channel: t.channel, Duty: d})
			}
			rows[at].People += t.of(d)
			rows[at].Messages += c.messages(t, d)
		}
	}
	return rows
}

// outlook is what a warning finds at the accounts that would carry it.
type outlook struct {
	tallies  []tally
	costs    costs
	accounts []accountNow // those that have people
}

// accountNow is an account as it is.
type accountNow struct {
	at         int // index into the accounts of the routing
	name       string
	rate       float64 // messages/s, as it holds now; 0: it sends nothing
	configured float64
	paused     bool
	ahead      int64 // messages of the same or a more urgent tier
}

func (e *Engine) outlookOf(tier warning.Tier, r *resolved, c costs) outlook {
	o := outlook{tallies: r.tallies, costs: c}
	for i := range r.tallies {
		at := r.tallies[i].account
		if slices.ContainsFunc(o.accounts, func(a accountNow) bool { return a.at == at }) {
			continue
		}
		now := accountNow{at: at, name: r.routing.accounts[at].Name}
		if a := e.account(now.name); a != nil {
			h := e.said(a)
			now.rate, now.configured, now.paused = float64(a.contract()), h.Configured, h.Paused
			for _, t := range h.Backlog {
				if t.Tier <= tier {
					now.ahead += t.Messages
				}
			}
		}
		o.accounts = append(o.accounts, now)
	}
	return o
}

// said is the health of an account, by whoever owns it: of others as they said last.
func (e *Engine) said(a *account) AccountHealth {
	if h, ok := e.nodes.ofOthers(e.node, a.opt.Name); ok {
		return h
	}
	return a.health(time.Now())
}

// own is the messages of the warning at an account.
func (o *outlook) own(a *accountNow) (n int64) {
	for i := range o.tallies {
		if t := &o.tallies[i]; t.account == a.at {
			n += o.costs.messages(t, warning.Responsible, warning.Public)
		}
	}
	return n
}

// at is how long so many messages take.
func at(messages int64, rate float64) time.Duration {
	if messages == 0 {
		return 0
	}
	return time.Duration(min(float64(messages)/rate, 1e9) * float64(time.Second))
}

// carriers is the part of each account, and when the last of them is through.
func (o *outlook) carriers() (rows []PreviewCarrier, finish time.Duration) {
	for i := range o.accounts {
		a := &o.accounts[i]
		c := PreviewCarrier{Account: a.name, Contract: a.rate, Messages: o.own(a), Ahead: a.ahead}
		for k := range o.tallies {
			if t := &o.tallies[k]; t.account == a.at {
				c.People = max(c.People, t.of(warning.Responsible)+t.of(warning.Public))
			}
		}
		c.Takes, c.Waits = at(c.Messages, a.rate), at(c.Ahead, a.rate)
		rows = append(rows, c)
	}
	_, finish = o.finish()
	return rows, finish
}

// finish is the account that is through last, and when.
func (o *outlook) finish() (last *accountNow, when time.Duration) {
	for i := range o.accounts {
		a := &o.accounts[i]
		if took := at(o.own(a), a.rate) + at(a.ahead, a.rate); last == nil || took > when {
			last, when = a, took
		}
	}
	return last, when
}

// worthSaying is by how much a change must shorten the time.
const worthSaying = 0.9

// faster is the changes that shorten the time by a tenth or more, the best first; then area channels that the warning does
// not name, which reach whoever is there without waiting for anybody.
func (o *outlook) faster(unnamed []warning.Channel) (out []PreviewFaster) {
	last, now := o.finish()
	if last == nil {
		return nil
	}
	try := func(f PreviewFaster, changed *outlook) {
		if _, f.Finish = changed.finish(); float64(f.Finish) <= worthSaying*float64(now) {
			out = append(out, f)
		}
	}
	for ch, cost := range o.costs {
		for language := range warning.Languages {
			if n := cost[language]; n > 1 {
				less := cost
				less[language]--
				try(PreviewFaster{How: warning.TextFasterWords, Channel: ch, Language: warning.Languages[language], From: n, To: n - 1},
					&outlook{o.tallies, o.with(ch, less), o.accounts})
			}
		}
		others := slices.DeleteFunc(slices.Clone(o.tallies), func(t tally) bool { return t.channel == ch })
		if len(others) > 0 && len(others) < len(o.tallies) {
			try(PreviewFaster{How: warning.TextFasterWithout, Channel: ch}, &outlook{others, o.costs, o.accounts})
		}
	}
	if last.ahead > 0 {
		try(PreviewFaster{How: warning.TextFasterAhead, Account: last.name}, o.changed(last, func(a *accountNow) { a.ahead = 0 }))
	}
	if last.rate < last.configured {
		try(PreviewFaster{How: warning.TextFasterConfigured, Account: last.name, From: int64(last.rate), To: int64(last.configured)},
			o.changed(last, func(a *accountNow) { a.rate = a.configured }))
	}
	_, next := o.changed(last, func(a *accountNow) { a.rate = math.Inf(1) }).finish()
	if rate := math.Ceil(float64(o.own(last)+last.ahead) / max(next, now/2).Seconds()); now > 0 && rate > max(last.rate, last.configured) {
		try(PreviewFaster{How: warning.TextFasterContract, Account: last.name, From: int64(last.rate), To: int64(rate)},
			o.changed(last, func(a *accountNow) { a.rate = rate }))
	}
	slices.SortFunc(out, func(a, b PreviewFaster) int {
		return cmp.Or(cmp.Compare(a.Finish, b.Finish), cmp.Compare(a.How, b.How), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Language, b.Language))
	})
	for i := range o.accounts {
		if a := &o.accounts[i]; a.paused {
			out = slices.Insert(out, 0, PreviewFaster{How: warning.TextFasterPaused, Account: a.name})
		}
	}
	for _, ch := range unnamed {
		out = append(out, PreviewFaster{How: warning.TextFasterArea, Channel: ch})
	}
	return out
}

// with is the costs with others for a channel.
func (o *outlook) with(ch warning.Channel, cost [languages]int64) costs {
	out := maps.Clone(o.costs)
	out[ch] = cost
	return out
}

// changed is the outlook with one account changed.
func (o *outlook) changed(which *accountNow, change func(*accountNow)) *outlook {
	out := outlook{o.tallies, o.costs, slices.Clone(o.accounts)}
	for i := range out.accounts {
		if out.accounts[i].at == which.at {
			change(&out.accounts[i])
		}
	}
	return &out
}

// unnamed is the area channels that are served here for the status of a spec, and that it does not name.
func (e *Engine) unnamed(s *warning.Spec) (chs []warning.Channel) {
	for _, p := range e.platforms {
		ch := p.opt.Channel
		if slices.Contains(p.opt.Statuses, s.Status) && !slices.Contains(s.Channels, ch) && !slices.Contains(chs, ch) {
			chs = append(chs, ch)
		}
	}
	slices.Sort(chs)
	return chs
}
