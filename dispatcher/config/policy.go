package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/warning"
)

func (l *Policy) check(p *problems) {
	for _, tier := range warning.Tiers {
		between(p, "policy.approvals."+tier.String(), l.Approvals[tier], 0, 5)
	}
	for status, n := range l.AtLeast {
		between(p, "policy.at_least."+status.String(), n, 0, 5)
	}
	between(p, "policy.at_least.public_drill", l.AtLeast[warning.PublicDrill], 1, 5) // promise 8: two persons, one submits
	between(p, "policy.large", l.Large, 0, 5)
	if !(l.Margin >= 0 && l.Margin <= 1) {
		p.add("policy.margin", fmt.Sprintf("%g is not between 0 and 1", l.Margin), "0.10 is ten in a hundred")
	}
	between(p, "policy.review", l.Review, time.Minute, 24*time.Hour)
	if !(l.Border.Share >= 0 && l.Border.Share <= 0.5) {
		p.add("policy.border.share", fmt.Sprintf("%g is not between 0 and 0.5", l.Border.Share), "0.02 is two in a hundred of the area")
	}
	if !(l.Border.Metres >= 0 && l.Border.Metres <= 10_000) {
		p.add("policy.border.metres", fmt.Sprintf("%g is not between 0 and 10000", l.Border.Metres), "outlines of maps differ by some 500 m")
	}
	between(p, "policy.presence.within", l.Presence.Within, 0, 24*time.Hour) // a place is kept no longer (promise 10)
	once(p, "policy.presence.both", l.Presence.Both)
	once(p, "policy.drills", l.Drills)
	l.checkChannels(p)
	for i := range l.Ahead {
		checkAhead(p, fmt.Sprintf("policy.ahead[%d]", i), &l.Ahead[i])
	}
}

// checkChannels finds people of whom the table says nothing, and rows that never count.
func (l *Policy) checkChannels(p *problems) {
	for i := range l.Channels {
		r, at := &l.Channels[i], fmt.Sprintf("policy.channels[%d]", i)
		distinct(p, at+".tiers", r.Tiers)
		distinct(p, at+".to", r.To)
		if r.By == nil {
			p.add(at+".by", "is missing", "name channels; by: [] tells nobody")
		}
		once(p, at+".by", r.By)
		for j, step := range r.Then {
			then := fmt.Sprintf("%s.then[%d]", at, j)
			between(p, then+".after", step.After, time.Second, 24*time.Hour)
			distinct(p, then+".by", step.Channels)
		}
		if len(r.By) == 0 && len(r.Then) > 0 {
			p.add(at+".then", "follows nothing", "name channels in by: there is no receipt to wait for else")
		}
	}
	turns := []int{0} // the minutes at which another row may begin to fit
	for _, r := range l.Channels {
		turns = append(turns, r.Hours[:]...)
	}
	slices.Sort(turns)
	turns = slices.Compact(turns)
	counts := make([]bool, len(l.Channels))
	for _, tier := range warning.Tiers {
		for _, duty := range warning.Duties {
			whole := true // a gap is named once, by its first minute
			for _, minute := range turns {
				now := time.Date(2026, 1, 1, 0, minute, 0, 0, warning.China)
				i := slices.IndexFunc(l.Channels, func(r warning.ChannelRow) bool { return r.Fits(tier, duty, now) })
				switch {
				case i >= 0:
					counts[i], whole = true, true
				case whole:
					p.add("policy.channels", fmt.Sprintf("says nothing of %s, %s, from %s", tier, duty, now.Format("15:04")), "add a row; by: [] tells nobody")
					whole = false
				}
			}
		}
	}
	for i, counted := range counts {
		if !counted {
			p.add(fmt.Sprintf("policy.channels[%d]", i), "never counts: rows before it fit whenever it does", "move it up, or take it out")
		}
	}
}

func checkAhead(p *problems, at string, a *warning.PreAuthorisation) {
	p.needed(at+".paper", strings.TrimSpace(a.Paper))
	distinct(p, at+".who", a.Who)
	distinct(p, at+".events", a.Events)
	for i, code := range a.Events {
		if _, ok := warning.EventOf(code); !ok {
			p.add(fmt.Sprintf("%s.events[%d]", at, i), fmt.Sprintf("%q is no event code", code), "e.g. 11B03 (rainstorm)")
		}
	}
	distinct(p, at+".tiers", a.Tiers)
	distinct(p, at+".units", a.Units)
	for i, code := range a.Units {
		if !unitForm.MatchString(code) {
			p.add(fmt.Sprintf("%s.units[%d]", at, i), fmt.Sprintf("%q is not a code of six digits", code), "e.g. \"500101\"")
		}
	}
	if a.Until == 0 {
		p.add(at+".until", "is missing", "say when it ends, e.g. 2026-12-31T00:00:00+08:00")
	}
}

// numberForm is a whole number with its country code.
var numberForm = regexp.MustCompile(`^[1-9][0-9]{7,14}$`)

func (d *Duty) check(p *problems) {
	distinct(p, "duty.channels", d.Channels)
	for i, ch := range d.Channels {
		if !ch.Addressed() {
			p.add(fmt.Sprintf("duty.channels[%d]", i), ch.String()+" rings nobody by number", "say sms or flash_sms")
		}
	}
	between(p, "duty.backup", d.Backup, time.Minute, time.Hour)
	users := make([]string, len(d.People))
	for i, x := range d.People {
		at := fmt.Sprintf("duty.people[%d]", i)
		users[i] = x.User
		p.needed(at+".user", x.User)
		if !numberForm.MatchString(x.Number) {
			p.add(at+".number", "is no number with its country code", "digits alone, 8 to 15 of them")
		}
		between(p, at+".backup", x.Backup, 0, 9)
	}
	once(p, "duty.people", users)
}

func (w *Words) check(p *problems) {
	if w.Hotline != "" && strings.Trim(w.Hotline, "0123456789-") != "" {
		p.add("words.hotline", fmt.Sprintf("%q is not a number as people call it", w.Hotline), "digits, and hyphens between them")
	}
	once(p, "words.verified", w.Verified)
	for i, v := range w.Verified {
		if len(warning.CheckContacts("电话 "+v, nil)) == 0 {
			p.add(fmt.Sprintf("words.verified[%d]", i), fmt.Sprintf("%q is no number, host or link", v), "e.g. example.org")
		}
	}
}

// once wants nothing twice and nothing blank.
func once[T comparable](p *problems, path string, list []T) {
	for i, v := range list {
		if slices.Contains(list[:i], v) || fmt.Sprint(v) == "" {
			p.add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%v is blank or stands in the list already", v), "take it out")
		}
	}
}
