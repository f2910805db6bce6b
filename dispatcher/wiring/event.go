package wiring

import (
	"fmt"
	"strings"

	"tocsin/warning"
)

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
