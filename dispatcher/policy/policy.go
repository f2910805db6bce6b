// Package policy decides who must agree to a warning, who is told by which channels at which hour, and what somebody may
// release on their own. It is pure: it sees a policy, a warning, a time and numbers, and it changes nothing.
//
// Invariants:
//   - What the policy does not say is refused or asks for more people, never for fewer.
//   - Who releases on their own leaves a review that another person must close.
//   - A change that loosens an approval takes effect when two persons agreed to it.
package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"tocsin/warning"
)

// Policy is what one installation decided. It is complete and was checked when it was read.
type Policy struct {
	// Approvals is how many people beside the submitter must agree; 0: it leaves at once.
	Approvals map[warning.Tier]int `json:"approvals"`
	// AtLeast is the fewest of them for a status, whatever the tier.
	AtLeast map[warning.Status]int `json:"at_least"`
	// Share is the part of the jurisdiction's surface, above 0 to 1, beyond which a tier needs Large more, and the head
	// count typed in (promise 6).
	Share map[warning.Tier]float64 `json:"share"`
	Large int                      `json:"large"`
	// Margin is by how much the head count may exceed the approved one before release asks again (promise 6).
	Margin float64 `json:"margin"`
	// Drills is the users who may submit a drill with real people (promise 8).
	Drills   []string                   `json:"drills"`
	Channels []warning.ChannelRow       `json:"channels"`
	Ahead    []warning.PreAuthorisation `json:"ahead"`
	// Review is how long another person has to look at what somebody released on their own.
	Review time.Duration `json:"review"`
	Border Border        `json:"border"`
	// Within is for how long a place where somebody was seen counts; of the tiers in Both, home and place always do.
	Within time.Duration  `json:"within"`
	Both   []warning.Tier `json:"both"`
}

// most is asked for where the policy says nothing of a tier: nothing leaves by an omission.
const most = 5

// Digest names the policy: what the record of acts says of it.
func (p *Policy) Digest() string {
	sum := sha256.Sum256(marshalled(p))
	return hex.EncodeToString(sum[:])
}

// ApprovalsFor is how many people beside the submitter must agree to a warning that covers a share of the jurisdiction, and
// whether the head count must be typed in. An all-clear goes as notice; a cancel is a correction and has the tier of what
// it corrects.
func (p *Policy) ApprovalsFor(s *warning.Spec, share float64) (people int, headCount bool) {
	tier := s.Tier
	if s.Type == warning.AllClear {
		tier = warning.Notice
	}
	people, ok := p.Approvals[tier]
	if !ok {
		people = most
	}
	people = max(people, p.AtLeast[s.Status])
	if limit, ok := p.Share[tier]; !ok || !(share <= limit) { // a share that is no number is large
		return people + p.Large, true
	}
	return people, false
}

// HeadCount asks for the count typed in where the area is large, or where more people are there than were approved before
// (promise 6): the one that was seen, which people who come and go may change by the margin until it is typed. A red that grew
// goes to its approved area all the same; grown says that this is to be told.
func (p *Policy) HeadCount(w *warning.Warning, share float64, people, typed int64) (grown bool, err error) {
	grown = w.ApprovedPeople > 0 && float64(people) > float64(w.ApprovedPeople)*(1+p.Margin)
	refuse := func(rule, detail string) (bool, error) {
		return grown, warning.Invalid(warning.Violation{
			Field: "people", Rule: rule, Detail: detail, Remedy: fmt.Sprintf("agree with the head count: --people %d", people),
		})
	}
	_, large := p.ApprovalsFor(&w.Spec, share)
	switch {
	case typed == people, typed > 0 && float64(max(typed, people)) <= float64(min(typed, people))*(1+p.Margin):
		return grown, nil
	case large:
		return refuse("approve.people.large", fmt.Sprintf("the area is %.0f %% of the jurisdiction (limit for %s: %.0f %%) and holds %d people",
			100*share, w.Spec.Tier, 100*p.Share[w.Spec.Tier], people))
	case grown && w.Spec.Tier != warning.Red:
		return refuse("approve.people.grown", fmt.Sprintf("%d people are in the area now, %d were approved", people, w.ApprovedPeople))
	}
	return grown, nil
}

// TableFor is the rows of the channel table for a tier, with the channels that are served. A step of which none is served
// gives its place, with its time, to the next one.
func (p *Policy) TableFor(t warning.Tier, served func(warning.Channel) bool) (rows []warning.ChannelRow) {
	for _, r := range p.Channels {
		if !slices.Contains(r.Tiers, t) {
			continue
		}
		row := warning.ChannelRow{Tiers: []warning.Tier{t}, To: r.To, Hours: r.Hours, By: []warning.Channel{}}
		after := time.Duration(0)
		for _, step := range append([]warning.Step{{Channels: r.By}}, r.Then...) {
			after += step.After
			chs := slices.DeleteFunc(slices.Clone(step.Channels), func(ch warning.Channel) bool { return !served(ch) })
			switch {
			case len(chs) == 0:
				continue
			case len(row.By) == 0:
				row.By = chs
			default:
				row.Then = append(row.Then, warning.Step{After: after, Channels: chs})
			}
			after = 0
		}
		rows = append(rows, row)
	}
	return rows
}

// Presence is who counts as being in the area of a warning of a tier that is released at a time.
func (p *Policy) Presence(t warning.Tier, at time.Time) warning.Presence {
	if slices.Contains(p.Both, t) {
		return warning.Presence{Both: true}
	}
	return warning.Presence{Now: warning.MinutesOf(at), Within: uint32(p.Within / time.Minute)}
}

// MayDrill refuses a drill with real people to those who have no permission of their own for it.
func (p *Policy) MayDrill(user string, s warning.Status) error {
	if s != warning.PublicDrill || slices.Contains(p.Drills, user) {
		return nil
	}
	return warning.Refuse(warning.ReasonDenied, "%s may not submit a drill with real people; policy.drills of the configuration names who may", user)
}

// Loosened is every way in which next asks for less than p: fewer people, larger areas, more that may be released alone.
func (p *Policy) Loosened(next *Policy) (ways []string) {
	add := func(form string, args ...any) { ways = append(ways, fmt.Sprintf(form, args...)) }
	for _, t := range warning.Tiers {
		for _, s := range []warning.Status{warning.Actual, warning.Exercise, warning.PublicDrill, warning.Test} {
			for _, share := range []float64{0, 2} { // within every limit, and beyond
				spec := warning.Spec{Tier: t, Status: s, Type: warning.Alert}
				a, _ := p.ApprovalsFor(&spec, share)
				b, _ := next.ApprovalsFor(&spec, share)
				if b < a {
					size := "an ordinary area"
					if share > 1 {
						size = "a large area"
					}
					add("%s, %s, %s: %d approvals instead of %d", t, s, size, b, a)
				}
			}
		}
		if next.Share[t] > p.Share[t] {
			add("%s: an area is large above a share of %g instead of %g", t, next.Share[t], p.Share[t])
		}
	}
	if next.Margin > p.Margin {
		add("margin %g instead of %g", next.Margin, p.Margin)
	}
	if next.Review > p.Review {
		add("reviews may take %s instead of %s", next.Review, p.Review)
	}
	if next.Border.Share > p.Border.Share || next.Border.Metres > p.Border.Metres {
		add("areas may reach %g or %g m over the border instead of %g or %g m", next.Border.Share, next.Border.Metres, p.Border.Share, p.Border.Metres)
	}
	for _, u := range next.Drills {
		if !slices.Contains(p.Drills, u) {
			add("%s may submit drills with real people", u)
		}
	}
	for i := range next.Ahead {
		if !slices.ContainsFunc(p.Ahead, func(was warning.PreAuthorisation) bool { return covers(&was, &next.Ahead[i]) }) {
			add("paper %s lets %v release alone", next.Ahead[i].Paper, next.Ahead[i].Who)
		}
	}
	return ways
}

// MayTakeEffect refuses a loosened policy that fewer than two persons agreed to.
func (p *Policy) MayTakeEffect(next *Policy, agreed []string) error {
	ways := p.Loosened(next)
	if len(ways) == 0 || len(slices.Compact(slices.Sorted(slices.Values(agreed)))) >= 2 {
		return nil
	}
	return warning.Refuse(warning.ReasonDenied, "this policy asks for less than the one in force, so two persons must agree to it; %d did: %v", len(agreed), ways)
}
