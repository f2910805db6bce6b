package policy

import (
	"slices"
	"strings"
	"time"

	"tocsin/warning"
)

// PreAuthorised is the paper by which a user may release the warning without the approvals that it needs otherwise.
// inside tells whether all areas of the warning lie inside the units (six digits each); geofences know.
func (p *Policy) PreAuthorised(user string, s *warning.Spec, now time.Time, inside func(units []string) bool) (warning.PreAuthorisation, bool) {
	for _, a := range p.Ahead {
		if s.Status == warning.Actual && s.Type == warning.Alert && now.Before(a.Until.Time()) &&
			slices.Contains(a.Who, user) && slices.Contains(a.Events, s.Event) && slices.Contains(a.Tiers, s.Tier) && inside(a.Units) {
			return a, true
		}
	}
	return warning.PreAuthorisation{}, false
}

// covers tells whether a allowed already all that b allows.
func covers(a, b *warning.PreAuthorisation) bool {
	return a.Until >= b.Until && all(b.Who, a.Who) && all(b.Events, a.Events) && all(b.Units, a.Units) && all(b.Tiers, a.Tiers)
}

func all[T comparable](these, among []T) bool {
	return !slices.ContainsFunc(these, func(x T) bool { return !slices.Contains(among, x) })
}

// ReviewOf is the review that a release under a paper opens.
func (p *Policy) ReviewOf(w *warning.Warning, a warning.PreAuthorisation, user string, now time.Time) warning.Review {
	return warning.Review{Warning: w.ID, Version: w.Version, Paper: a.Paper, OpenedBy: user, OpenedAt: now, Due: now.Add(p.Review)}
}

// Emergency lets a commander release a warning that still lacks approvals, and is the review that this opens. The reason
// must be given. Drills are no emergencies.
func (p *Policy) Emergency(w *warning.Warning, user string, role warning.Role, why string, now time.Time) (warning.Review, error) {
	switch {
	case role != warning.Commander:
		return warning.Review{}, warning.Refuse(warning.ReasonDenied, "%s is a %s; only a commander may release in an emergency", user, role)
	case w.State != warning.Submitted:
		return warning.Review{}, warning.Refuse(warning.ReasonConflict, "the warning is %s; only one that waits for approval can be released in an emergency", w.State)
	case w.Spec.Status != warning.Actual:
		return warning.Review{}, warning.Refuse(warning.ReasonDenied, "the warning is of status %s; only an actual one may be released in an emergency", w.Spec.Status)
	case strings.TrimSpace(why) == "":
		return warning.Review{}, warning.Invalid(warning.Violation{
			Field: "why", Rule: "emergency.why", Detail: "an emergency release has no reason", Remedy: "say in a few words why nobody else could approve",
		})
	}
	return warning.Review{Warning: w.ID, Version: w.Version, Why: why, OpenedBy: user, OpenedAt: now, Due: now.Add(p.Review)}, nil
}
