package verify

import (
	"slices"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// Presence is who counts as being in an area. Whoever was never seen is where they live. Whoever was seen no longer than
// Within before the release is there. Whoever was seen earlier, outside of the unit of their home, is at home again: in
// the area when that names the unit. For the tiers in Both the place and the home always count. In a town that is named without
// an outline is whose home it is, unless they were seen outside of its district.
type Presence struct {
	Within time.Duration
	Both   []tocsinv1.Tier
}

// counts tells whether somebody counts as being in the area of a warning.
func (p *Presence) counts(w *tocsinv1.Warning, a area, units map[string]area, r *row) place {
	there := a.where(r.at)
	stays := there
	if townNamed(w.GetSpec().GetAreas(), r.home) {
		stays = in
	}
	if p == nil || r.seen == 0 {
		return stays
	}
	home, known := homeIn(w.GetSpec().GetAreas(), units, r.home)
	if !known || home.where(r.at) != out { // the place stands for the home
		return stays
	}
	named := out
	if names(w.GetSpec().GetAreas(), r.home) {
		named = in
	}
	if slices.Contains(p.Both, w.GetSpec().GetTier()) {
		return max(there, named)
	}
	released := w.GetReleasedAt().AsTime().Unix() / 60
	if released-int64(r.seen) <= int64(p.Within/time.Minute) {
		return there
	}
	return named
}
