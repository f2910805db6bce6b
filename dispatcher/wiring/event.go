package wiring

import (
	"fmt"
	"strings"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// TierNamed is the tier of a name in either language, such as orange, 橙色 or 橙; zero where nobody knows it.
func TierNamed(name string) pb.Tier {
	for _, t := range warning.Tiers {
		chinese := warning.Say(warning.Languages[0], warning.TextOf("tier", t.String()))
		if strings.EqualFold(name, t.String()) || name == chinese || name == strings.TrimSuffix(chinese, "色") {
			return pb.Tier(t)
		}
	}
	return pb.Tier_TIER_UNSPECIFIED
}

// EventCode is the code of a danger that is given by code or name. What nobody knows is left to the engine, which says what is
// wrong with it; a name that means several is refused with all of them.
func EventCode(name string) (string, error) {
	found := warning.EventsNamed(name)
	switch len(found) {
	case 0:
		return name, nil
	case 1:
		return found[0].Code, nil
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = fmt.Sprintf("%s (%s, %s)", e.Code, e.Chinese, e.English)
	}
	return "", fmt.Errorf("--event %q means several: say %s", name, strings.Join(names, " or "))
}
