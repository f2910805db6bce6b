package policy

import (
	"fmt"
	"strings"

	"tocsin/warning"
)

// Border is how far an area may reach over the border of the jurisdiction: outlines of rivers and ridges differ between
// maps, and a drawn area is never exact.
type Border struct {
	Share  float64 `json:"share"`  // of the area's surface, 0 to 1
	Metres float64 `json:"metres"` // from the border; one of both is enough
}

// Admit says of an area that reaches outside whether it may. What it may is a border sliver, and note reports it (empty:
// nothing lies outside). The error names the neighbours, their shares, the people there, and who may approve.
func (p *Policy) Admit(o warning.Outside) (note string, err error) {
	switch {
	case o.Share == 0:
		return "", nil
	case o.Share <= p.Border.Share || o.Share < 1 && o.Reach <= p.Border.Metres:
		return fmt.Sprintf("border sliver: %s of the area lies outside of the jurisdiction, up to %.0f m (%s)", percent(o.Share), o.Reach, listed(o.Neighbours)), nil
	}
	return "", warning.Invalid(warning.Violation{
		Field: "warning.areas", Rule: "area.jurisdiction",
		Detail: fmt.Sprintf("%s of the area lies outside of the jurisdiction, up to %.0f m: %s", percent(o.Share), o.Reach, listed(o.Neighbours)),
		Remedy: "cut the area at the border with --clip, or ask " + authorities(o.Neighbours) + " to issue the warning there",
	})
}

// few is the head count below which nobody is told how many people are somewhere (promise 10).
const few = 20

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func listed(all []warning.Neighbour) string {
	parts := make([]string, len(all))
	for i, n := range all {
		people := fmt.Sprintf("%d people", n.People)
		if n.People < few {
			people = fmt.Sprintf("fewer than %d people", few)
		}
		parts[i] = fmt.Sprintf("%s (%s) %s, %s", n.Name, n.Code, percent(n.Share), people)
	}
	if len(parts) == 0 {
		return "no neighbour is known there"
	}
	return strings.Join(parts, "; ")
}

func authorities(all []warning.Neighbour) string {
	names := make([]string, len(all))
	for i, n := range all {
		names[i] = n.Name
	}
	if len(names) == 0 {
		return "the authority that is competent there"
	}
	return "the authority of " + strings.Join(names, " and ")
}
