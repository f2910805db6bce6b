package warning

import (
	"slices"
	"strings"
)

// EventCode is one kind of danger: its code in the GB/T 35561 family, as the national release system uses it, and its
// names for people.
type EventCode struct {
	Code, Chinese, English string
}

// EventCodes is every code that a warning may carry, ascending.
var EventCodes = []EventCode{
	{"11A01", "洪水", "flood"},
	{"11A02", "内涝", "waterlogging"},
	{"11A51", "山洪", "flash flood"},
	{"11B01", "台风", "typhoon"},
	{"11B03", "暴雨", "rainstorm"},
	{"11B04", "暴雪", "snowstorm"},
	{"11B05", "寒潮", "cold wave"},
	{"11B06", "大风", "gale"},
	{"11B07", "沙尘暴", "sandstorm"},
	{"11B09", "高温", "heat"},
	{"11B14", "雷电", "lightning"},
	{"11B15", "冰雹", "hail"},
	{"11B16", "霜冻", "frost"},
	{"11B17", "大雾", "fog"},
	{"11B19", "霾", "haze"},
	{"11B20", "雷雨大风", "thunderstorm gale"},
	{"11B21", "道路结冰", "icy roads"},
	{"11B22", "干旱", "drought"},
	{"11B25", "森林(草原)火险", "forest and grassland fire danger"},
	{"11B29", "重污染天气", "heavy air pollution"},
	{"11B37", "地质灾害气象风险", "geological disaster risk"},
	{"11C02", "地震", "earthquake"},
	{"11D01", "滑坡", "landslide"},
	{"11D02", "泥石流", "debris flow"},
	{"11E02", "风暴潮", "storm surge"},
	{"11E06", "海浪", "sea waves"},
	{"11G01", "森林火灾", "forest fire"},
	{"11G05", "草原火灾", "grassland fire"},
}

// EventOf is the entry of the code, or false.
func EventOf(code string) (EventCode, bool) {
	for _, e := range EventCodes {
		if e.Code == code {
			return e, true
		}
	}
	return EventCode{}, false
}

// EventsNamed is the codes that people may mean by a name: the code itself, or the danger in Chinese or English; if nothing
// is called so, all in whose names it occurs. None: nobody calls anything so.
func EventsNamed(name string) (found []EventCode) {
	want := strings.ToLower(strings.TrimSpace(name))
	for _, e := range EventCodes {
		switch {
		case want == "":
		case strings.EqualFold(e.Code, want) || e.Chinese == want || e.English == want:
			return []EventCode{e}
		case strings.Contains(e.Chinese, want) || strings.Contains(e.English, want):
			found = append(found, e)
		}
	}
	return found
}

// usualHours is how long a signal usually holds, by code, from red to blue: the hours that the definitions of the signals
// look ahead (CMA order 16 of 2007). 0: there is no such signal.
var usualHours = map[string][4]int{
	"11B01": {6, 12, 24, 24}, "11B03": {3, 3, 6, 12}, "11B04": {6, 6, 12, 12}, "11B05": {24, 24, 24, 48},
	"11B06": {6, 6, 12, 24}, "11B07": {6, 6, 12, 0}, "11B09": {24, 24, 72, 0}, "11B14": {2, 2, 6, 0}, "11B15": {2, 6, 0, 0},
	"11B16": {0, 24, 24, 48}, "11B17": {2, 6, 12, 0}, "11B19": {0, 6, 12, 0}, "11B21": {2, 6, 12, 0},
}

// UsualHours is how many hours the signal of an event and tier usually holds: to propose, never to assume; false where there
// is no such signal.
func UsualHours(event string, t Tier) (int, bool) {
	hours, ok := usualHours[event]
	if !ok || t < Red || t > Blue || hours[t-Red] == 0 {
		return 0, false
	}
	return hours[t-Red], true
}

// NearEvents is up to three codes that somebody may have meant by code: a name of the danger, or the fewest characters
// apart and at most two.
func NearEvents(code string) []EventCode {
	type near struct {
		e EventCode
		d int
	}
	var found []near
	want := strings.ToUpper(strings.TrimSpace(code))
	for _, e := range EventCodes {
		if want != "" && (e.Chinese == want || strings.EqualFold(e.English, want)) {
			return []EventCode{e}
		}
		if d := apart(want, e.Code); d <= 2 {
			found = append(found, near{e, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.d - b.d })
	out := []EventCode{}
	for _, f := range found[:min(3, len(found))] {
		out = append(out, f.e)
	}
	return out
}

// apart is the Levenshtein distance; the strings are short codes.
func apart(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
