package geofence

import (
	"fmt"

	"tocsin/warning"
)

// Remarks is what is no fault of areas, but should make whoever sends or approves them think: an outline that seems to be
// in another coordinate system (area.crs.suspicious), a town, whose people are found by home (area.town.home), and a unit that
// is taken by an imported outline (area.unit.edition).
func (r *Revision) Remarks(areas []warning.Area) (all []warning.Violation) {
	for _, s := range Suspicious(areas, r.limits) {
		all = append(all, warning.Violation{
			Field: fmt.Sprintf("areas[%d]", s.Area), Rule: "area.crs.suspicious", Detail: s.String(),
			Remedy: "if that is what they are, say it: --crs " + s.CRS,
		})
	}
	for i := range areas {
		if o, err := r.limits.Atlas.Get(areas[i].Edition); err == nil && o != nil {
			if p := o.find(shortCode(areas[i].Unit)); p != nil {
				all = append(all, warning.Violation{Field: fmt.Sprintf("areas[%d]", i), Rule: "area.unit.edition",
					Detail: fmt.Sprintf("%s is taken by its outline of edition %s", fullName(p.code, p.name), o.ID)})
			}
			continue
		}
		if t, ok := TownAt(areas[i].Unit); ok {
			all = append(all, warning.Violation{
				Field: fmt.Sprintf("areas[%d]", i), Rule: "area.town.home",
				Detail: fmt.Sprintf("no outline of %s%s is at hand: who has it as registered home counts", r.District(t.District), t.Name),
				Remedy: "draw it, or import outlines of towns",
			})
		}
	}
	return all
}

func (s Suspicion) String() string {
	return fmt.Sprintf("half of the corners lie within %.0f m of a border of a unit, but within %.0f m when they are read as %s", s.AsGiven, s.AsCRS, s.CRS)
}
