package geofence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/warning"
)

// Town is a town or street. No outline of it is shipped: where no imported edition has one, its people are those whose
// registered home has its code.
type Town struct {
	Code     uint32 // nine digits, of which the first six are its district's
	Name     string
	District uint32
}

// towns reads the embedded list once, ascending by code.
var towns = sync.OnceValue(func() (all []Town) {
	err := eachRow("data/townships.csv", func(get func(string) string) error {
		code, err := strconv.ParseUint(get("code"), 10, 32)
		all = append(all, Town{Code: uint32(code), Name: get("name"), District: uint32(code / 1000)})
		return err
	})
	if err != nil {
		panic("geofence: embedded data: " + err.Error())
	}
	return all
})

// TownAt is the town that a code of nine digits means, or of twelve that end in 000.
func TownAt(code string) (Town, bool) {
	if len(code) == 12 {
		code = strings.TrimSuffix(code, "000")
	}
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil || len(code) != 9 {
		return Town{}, false
	}
	return townOf(uint32(n))
}

func townOf(code uint32) (Town, bool) {
	i, ok := slices.BinarySearchFunc(towns(), code, func(t Town, code uint32) int { return int(t.Code) - int(code) })
	if !ok {
		return Town{}, false
	}
	return towns()[i], true
}

// townName is the name of a town, or "".
func townName(code uint32) string {
	t, _ := townOf(code)
	return t.Name
}

// town checks a code of nine or twelve digits.
func (c *checker) town(field, code string) {
	if _, ok := TownAt(code); ok {
		return
	}
	if len(code) == 12 && !strings.HasSuffix(code, "000") {
		c.fault(field, "area.unit.village", "name the town, or draw the village", "%s is a village: homes are registered by town", code)
		return
	}
	c.fault(field, "area.unit.unknown", "tocsin area find NAME shows the codes, or give a polygon", "no town has the code %s", code)
}

// byHome is the town that an area names without an outline.
func byHome(a *warning.Area) (Town, bool) {
	if a.Edition != "" {
		return Town{}, false
	}
	return TownAt(a.Unit)
}

// inDistricts is the areas with its district in the place of each town without an outline: who may warn a district may
// warn its towns.
func inDistricts(areas []warning.Area) []warning.Area {
	out := slices.Clone(areas)
	for i := range out {
		if t, ok := byHome(&out[i]); ok {
			out[i].Unit = fmt.Sprint(t.District)
		}
	}
	return out
}

// Named is a unit that a name means.
type Named struct {
	Code   string `json:"code"`              // of six or nine digits
	Name   string `json:"name"`              // with its district, e.g. 开州区/铁桥镇
	ByHome bool   `json:"by_home,omitempty"` // a town: by outline only where an imported edition has one
	// Unsurveyed: a district of which no outline is shipped.
	Unsurveyed bool `json:"unsurveyed,omitempty"`
	// AsOf is the last day of a district that has ended by the day that is asked for, and of its towns.
	AsOf string `json:"as_of,omitempty"`
	Note string `json:"note,omitempty"`
}

// Sure tells whether the code may be taken without asking.
func (n *Named) Sure() bool { return n.Note == "" && n.AsOf == "" }

// spelling is a way to say the name of a unit.
type spelling struct {
	text string
	Named
}

// spellings is every way to say a unit of the edition of a day.
func spellings(day time.Time) (all []spelling) {
	e := EditionAt(day)
	for _, u := range e.Units {
		if !day.IsZero() && day.Before(u.From) {
			continue
		}
		n := Named{Code: fmt.Sprint(u.Code), Name: u.Name, Unsurveyed: u.outline == nil, AsOf: u.lastDay(day)}
		all = append(all, spelling{u.Name, n}, spelling{strings.ToLower(u.Pinyin), n})
		if !n.Unsurveyed {
			all = append(all, spelling{u.Short, n})
		}
	}
	for _, t := range towns() {
		u, ok := e.byCode[t.District]
		if !ok {
			continue
		}
		n := Named{Code: fmt.Sprint(t.Code), Name: u.Name + "/" + t.Name, ByHome: true, AsOf: u.lastDay(day)}
		short := t.Name
		for _, kind := range []string{"街道", "镇", "乡"} {
			short = strings.TrimSuffix(short, kind)
		}
		all = append(all, spelling{t.Name, n}) // a short name of a town needs its district
		for _, town := range []string{t.Name, short} {
			all = append(all, spelling{u.Name + "/" + town, n}, spelling{u.Short + "/" + town, n})
		}
	}
	err := eachRow("data/spoken.csv", func(get func(string) string) error {
		code, err := strconv.ParseUint(get("code"), 10, 32)
		if u, ok := e.byCode[uint32(code)]; ok {
			all = append(all, spelling{get("name"), Named{Code: get("code"), Name: u.Name, Note: get("note")}})
		}
		return err
	})
	if err != nil {
		panic("geofence: embedded data: " + err.Error())
	}
	return slices.DeleteFunc(all, func(s spelling) bool { return s.text == "" })
}

// lastDay is the last day of a unit that has ended by a day, or "".
func (u *Unit) lastDay(day time.Time) string {
	if u.To.IsZero() || day.IsZero() || day.Before(u.To) {
		return ""
	}
	return u.To.In(civilTime).AddDate(0, 0, -1).Format(time.DateOnly)
}

// UnitsNamed is the units that a name means on a day. More than one: the name is ambiguous. One with a note: it is spoken
// so, and has no code of its own. One with a last day: it is the past that is named. None of these may be taken without asking.
func UnitsNamed(name string, day time.Time) (found []Named) {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, s := range spellings(day) {
		if s.text == name && !slices.Contains(found, s.Named) {
			found = append(found, s.Named)
		}
	}
	return found
}

// NamedAmong is UnitsNamed of units of an imported edition.
func NamedAmong(name string, units []OutlinedUnit) (found []Named) {
	name = strings.TrimSpace(name)
	e := EditionAt(latest)
	for _, u := range units {
		n, said := Named{Code: u.Code, Name: u.Name}, u.Name == name
		if len(u.Code) == 9 {
			if d, ok := e.byCode[numberOf(u.Code[:6])]; ok {
				n.Name = d.Name + "/" + u.Name
				said = said || n.Name == name || d.Short+"/"+u.Name == name
			}
		}
		if said {
			found = append(found, n)
		}
	}
	return found
}

// Proposal is a name found in a text, with what it may mean. It is for a person to confirm, and admits nothing.
type Proposal struct {
	Text  string  `json:"text"`
	Means []Named `json:"means"`
}

// UnitsIn finds names of units in a text: of districts also the short ones, of towns only the full ones.
func UnitsIn(text string, day time.Time) (found []Proposal) {
	byText := map[string][]Named{}
	longest := 0
	for _, s := range spellings(day) {
		if s.text[0] < 0x80 || slices.Contains(byText[s.text], s.Named) {
			continue
		}
		byText[s.text] = append(byText[s.text], s.Named)
		longest = max(longest, len(s.text))
	}
	for at := 0; at < len(text); at++ {
		for n := min(longest, len(text)-at); n > 0; n-- {
			means, ok := byText[text[at:at+n]]
			if !ok {
				continue
			}
			if p := (Proposal{text[at : at+n], means}); !slices.ContainsFunc(found, func(o Proposal) bool { return o.Text == p.Text }) {
				found = append(found, p)
			}
			at += n - 1
			break
		}
	}
	return found
}
