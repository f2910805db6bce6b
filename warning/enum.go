package warning

import (
	"fmt"
	"sort"
	"strings"
)

// enumNames is one enumeration as data: its stable lower-case names.
type enumNames[T ~uint8] map[string]T

func (m enumNames[T]) name(v T) string {
	for n, x := range m {
		if x == v {
			return n
		}
	}
	return fmt.Sprintf("?%d", uint8(v))
}

func (m enumNames[T]) parse(what, s string) (T, error) {
	if v, ok := m[s]; ok {
		return v, nil
	}
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool { return m[names[i]] < m[names[j]] })
	return 0, Invalid(Violation{
		Field: what, Rule: what + ".unknown",
		Detail: fmt.Sprintf("%q is not a %s", s, what),
		Remedy: "use one of " + strings.Join(names, ", "),
	})
}
