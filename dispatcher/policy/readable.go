package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"tocsin/warning"
)

// readable is p as people read it: the keys of the configuration, with names in the place of numbers.
func (p *Policy) readable() map[string]any {
	channels := []any{}
	for _, r := range p.Channels {
		row := map[string]any{"tiers": names(r.Tiers), "to": names(r.To), "by": names(r.By)}
		if r.Hours != (warning.Hours{}) {
			row["hours"] = r.Hours.String()
		}
		then := []any{}
		for _, s := range r.Then {
			then = append(then, map[string]any{"after": s.After.String(), "by": names(s.Channels)})
		}
		if len(then) > 0 {
			row["then"] = then
		}
		channels = append(channels, row)
	}
	ahead := []any{}
	for _, a := range p.Ahead {
		ahead = append(ahead, map[string]any{"paper": a.Paper, "who": a.Who, "events": a.Events, "tiers": names(a.Tiers), "units": a.Units, "until": a.Until.String()})
	}
	return map[string]any{
		"approvals": named(p.Approvals), "at_least": named(p.AtLeast), "share": named(p.Share), "large": p.Large, "margin": p.Margin,
		"drills": p.Drills, "channels": channels, "ahead": ahead, "review": p.Review.String(), "border": p.Border,
		"within": p.Within.String(), "both": names(p.Both),
	}
}

func names[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

func named[K interface {
	comparable
	fmt.Stringer
}, V any](table map[K]V) map[string]V {
	out := make(map[string]V, len(table))
	for k, v := range table {
		out[k.String()] = v
	}
	return out
}

// Text is the whole policy as JSON, as people read it.
func (p *Policy) Text() string { return string(marshalled(p.readable())) }

func marshalled(v any) []byte {
	b, err := json.Marshal(v) // maps marshal by key
	if err != nil {
		panic("policy: plain values always marshal: " + err.Error())
	}
	return b
}

// Changes is every value in which next differs, by its path in the configuration.
func (p *Policy) Changes(next *Policy) (changes []string) {
	was, now := p.values(), next.values()
	all := maps.Clone(was)
	maps.Copy(all, now)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if was[path] != now[path] {
			changes = append(changes, fmt.Sprintf("%s %s, was %s", path, cmp.Or(now[path], "none"), cmp.Or(was[path], "none")))
		}
	}
	return changes
}

// values is p as JSON by path, two levels deep.
func (p *Policy) values() map[string]string {
	out := map[string]string{}
	for name, value := range p.readable() {
		text := marshalled(value)
		var below map[string]json.RawMessage
		if json.Unmarshal(text, &below) != nil {
			out[name] = string(text)
		}
		for key, v := range below {
			out[name+"."+key] = string(v)
		}
	}
	return out
}
