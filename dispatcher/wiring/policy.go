package wiring

import (
	"strconv"
	"time"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/dispatcher/policy"
	"tocsin/geofence"
	"tocsin/warning"
)

// policyOf is what the configuration decided.
func policyOf(c *config.Config) *policy.Policy {
	p := &c.Policy
	return &policy.Policy{
		Approvals: p.Approvals, AtLeast: p.AtLeast, Share: c.Limits.Share, Large: p.Large, Margin: p.Margin,
		Drills: p.Drills, Channels: p.Channels, Ahead: p.Ahead, Review: p.Review,
		Within: p.Presence.Within, Both: p.Presence.Both,
		Border: policy.Border{Share: p.Border.Share, Metres: p.Border.Metres},
	}
}

// deskOf is what the installation knows for the words of a warning.
func deskOf(w *config.Words) warning.Desk {
	return warning.Desk{Hotline: w.Hotline, Verified: w.Verified, English: w.English, Unit: unitName}
}

// unitName is the name of a unit in the edition of a day (zero: today); empty where the edition has none.
func unitName(code string, asOf time.Time) warning.Name {
	if asOf.IsZero() {
		asOf = time.Now()
	}
	if t, ok := geofence.TownAt(code); ok {
		return warning.Name{Chinese: unitName(code[:6], asOf).Chinese + t.Name}
	}
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil {
		return warning.Name{}
	}
	u, ok := geofence.EditionAt(asOf).Unit(uint32(n))
	if !ok {
		return warning.Name{}
	}
	return warning.Name{Chinese: u.Name, English: u.Pinyin}
}

// wording completes the words of a spec, and refuses contacts that nobody has verified.
func wording(d warning.Desk) dispatcher.Wording {
	return func(s warning.Spec, before *warning.Spec, at time.Time) (warning.Spec, error) {
		s, err := s.WithPreparedWords(before, d, at)
		if err != nil {
			return s, err
		}
		if found := s.Contacts(d); len(found) > 0 {
			return s, warning.Invalid(found...)
		}
		return s, nil
	}
}
