package cap

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/warning"
)

// longestText and longestName are what a text and the name of an area may have, in characters.
const (
	longestText = 1000
	longestName = 200
)

// ToSpec is the warning that a message asks for. The error is a *warning.Error with everything that keeps it from being
// one; its fields are those of the spec, as in a submission. The spec has what could be read even then, so that a caller
// who is told what is missing (a tier, an end) may fill it and drop the violation of that field.
//
// All infos must mean the same danger, tier and time; they differ in language. Their areas count together. Words are
// taken where one of them is Chinese; else there are none, and the official pattern words the warning. References are
// as the message writes them (sender,identifier,sent); which warnings they are is for the caller to find out. Channels
// are not set. A Cancel is its type, status and references only: it stops, whatever else it says or leaves out.
func ToSpec(a Alert, t Table, now time.Time) (warning.Spec, error) {
	m := mapping{table: t, now: now}
	m.spec.Status = m.status(a)
	m.spec.Type = m.typeOf(a)
	if m.spec.Type != warning.Alert {
		for _, r := range a.Cites() {
			m.spec.References = append(m.spec.References, r.String())
		}
		if len(m.spec.References) == 0 {
			m.fault("references", "cap.references.missing", "have the sender name the message that it follows", "the message is an %s and names no earlier one", a.MsgType)
		}
	}
	if a.Sent.Time().After(now.Add(slack)) {
		m.fault("", "cap.sent", "check the clocks of the sender and of this machine", "the message says that it was sent at %s, which is yet to come", a.Sent)
	}
	if a.Scope != "Public" && m.spec.Type != warning.Cancel { // this house tells everybody in the area
		m.fault("", "cap.scope", "submit a warning of your own by flags, in words for the public", "the message is %s: it is not for everybody", a.Scope)
	}
	switch {
	case m.spec.Type == warning.Cancel: // who it was for, and the words of the correction, are known from what it cancels
	case len(a.Infos) == 0:
		m.fault("", "cap.info.missing", "have the sender say what the danger is", "the message has no info")
	default:
		infos := slices.Clone(a.Infos)
		slices.SortStableFunc(infos, func(a, b Info) int { return rank(a) - rank(b) })
		m.infos(infos)
		m.issuer(infos, a.Sender)
		m.areas(infos)
		m.words(infos)
	}
	if len(m.faults) > 0 {
		return m.spec, warning.Invalid(m.faults...)
	}
	return m.spec, nil
}

// slack is how far clocks of different systems may be apart.
const slack = 5 * time.Minute

// mapping makes one spec and gathers what is wrong.
type mapping struct {
	table  Table
	now    time.Time
	spec   warning.Spec
	faults []warning.Violation
}

func (m *mapping) fault(field, rule, remedy, format string, args ...any) {
	m.faults = append(m.faults, warning.Violation{
		Field: strings.TrimSuffix("warning."+field, "."), Rule: rule, Detail: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

func (m *mapping) status(a Alert) warning.Status {
	switch a.Status {
	case "Actual":
		return warning.Actual
	case "Exercise":
		return warning.Exercise
	case "Test":
		return warning.Test
	}
	m.fault("status", "cap.status", "say --status", "a message of status %s is for machines, or not finished", a.Status)
	return 0
}

func (m *mapping) typeOf(a Alert) warning.Type {
	over := len(a.Infos) > 0
	for _, info := range a.Infos {
		over = over && slices.Contains(info.ResponseTypes, "AllClear")
	}
	switch a.MsgType {
	case "Alert":
		return warning.Alert
	case "Update":
		if over {
			return warning.AllClear
		}
		return warning.Update
	case "Cancel":
		return warning.Cancel
	}
	m.fault("type", "cap.msg_type", "send an Alert, Update or Cancel", "a message of type %s is for the system that sent the one before", a.MsgType)
	return 0
}

// rank puts the languages of the directory first, in their order.
func rank(info Info) int {
	if i := slices.Index(warning.Languages, languageOf(info)); i >= 0 {
		return i
	}
	return len(warning.Languages)
}

// languageOf is the language of the directory that an info speaks, or the tag as it is. Without a tag it is English
// (CAP 1.2, 3.2.2, language).
func languageOf(info Info) string {
	tag := strings.TrimSpace(blank(info.Language))
	lower := strings.ToLower(tag)
	switch primary, _, _ := strings.Cut(lower, "-"); {
	case tag == "" || primary == "en":
		return "en"
	case lower == "zh" || lower == "zh-cn" || strings.HasPrefix(lower, "zh-hans"):
		return "zh-CN"
	}
	return tag
}

// infos reads what all infos must agree in.
func (m *mapping) infos(infos []Info) {
	var codes, severities, onsets, ends []string
	for _, info := range infos {
		codes = append(codes, m.table.codesOf(info)...)
		severities = append(severities, info.Severity)
		onsets = append(onsets, instant(info.Onset))
		ends = append(ends, instant(info.Expires))
	}
	switch codes = distinct(codes); len(codes) {
	case 0:
		m.fault("event", "cap.event", "say --event, or add it to the table", "no event code is known for %.60q", folded(infos[0].Event))
	case 1:
		m.spec.Event = codes[0]
	default:
		m.fault("event", "cap.event", "say --event, or send one message for each danger", "the message means several dangers: %s", strings.Join(codes, ", "))
	}
	switch severities = distinct(severities); {
	case len(severities) > 1:
		m.fault("tier", "cap.severity", "say --tier, or send one message for each", "the infos have severities %s", strings.Join(severities, ", "))
	default:
		var ok bool
		if m.spec.Tier, ok = m.table.Severity[severities[0]]; !ok {
			m.fault("tier", "cap.severity", "say --tier", "no tier follows from severity %s", severities[0])
		}
	}
	switch onsets = distinct(onsets); {
	case len(onsets) > 1:
		m.fault("onset", "cap.onset", "send one message for each time", "the infos begin at %s", strings.Join(onsets, ", "))
	case onsets[0] != "":
		m.spec.Onset = infos[0].Onset.Time()
	}
	switch ends = distinct(ends); {
	case len(ends) > 1:
		m.fault("expires", "cap.expires", "say --until or --for, or send one message for each time", "the infos end at %s", strings.Join(ends, ", "))
	case ends[0] != "":
		m.spec.Expires = infos[0].Expires.Time()
	default:
		m.fault("expires", "expires.missing", fmt.Sprintf("say --for 6h, or --until %s", m.now.Add(6*time.Hour).Truncate(time.Minute).Format(time.RFC3339)), "the message does not say when it ends, and an end is never assumed")
	}
}

// instant is t so that equal times are equal texts; empty where there is none.
func instant(t *Time) string {
	if t == nil {
		return ""
	}
	return t.Time().UTC().Format(time.RFC3339)
}

func distinct(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// issuer is who the first info says that it is, or the sender.
func (m *mapping) issuer(infos []Info, sender string) {
	for _, info := range infos {
		if name := folded(blank(info.SenderName)); name != "" {
			m.spec.Issuers = []string{name}
			return
		}
	}
	m.spec.Issuers = []string{sender}
}

// areas takes the shapes of every area; its geocodes where it has none, since they say the same again (CAP 1.2, 3.2.4,
// geocode). Infos in several languages repeat their areas: the first name stays.
func (m *mapping) areas(infos []Info) {
	seen, before := map[string]bool{}, len(m.faults)
	add := func(key, name string, a warning.Area) {
		if a.Name = name; !seen[key] {
			seen[key] = true
			m.spec.Areas = append(m.spec.Areas, a)
		}
	}
	for i, info := range infos {
		for j, area := range info.Areas {
			name := nameOf(area)
			switch {
			case area.Altitude != nil || area.Ceiling != nil:
				m.fault("areas", "cap.area.height", "say --area or --geojson", "info %d, area %d (%.60s) is bounded in height, which nobody's address tells", i, j, name)
				continue
			case len(area.Polygons)+len(area.Circles) > 0:
				for _, p := range area.Polygons {
					ring, _ := ringOf(p)
					add(folded(p), name, warning.Area{Polygons: [][]warning.Ring{{ring}}, CRS: "wgs84"})
				}
				for _, c := range area.Circles {
					d, _ := discOf(c)
					// A circle without radius is a place.
					add(folded(c), name, warning.Area{Circle: &warning.Circle{Centre: d.centre, Radius: max(d.radius*1000, warning.MinRadius)}, CRS: "wgs84"})
				}
				continue
			}
			known, foreign := false, []string{}
			for _, g := range area.Geocodes {
				if !slices.Contains(m.table.Geocodes, g.Name) && g.Name != UnitScheme {
					foreign = append(foreign, g.Name)
					continue
				}
				known = true
				unit := strings.TrimSpace(g.Value)
				if len(unit) == 12 { // a whole district in the 12 digits of statistics
					unit = strings.TrimSuffix(unit, "000000")
				}
				add(unit, name, warning.Area{Unit: unit})
			}
			if !known {
				found := "has no shape and no code"
				if len(foreign) > 0 {
					found = "has only codes that nobody here knows: " + strings.Join(distinct(foreign), ", ")
				}
				m.fault("areas", "cap.area.foreign", "say --area or --geojson, or have the sender add a polygon, a circle or codes of "+UnitScheme, "info %d, area %d (%.60s) %s", i, j, name, found)
			}
		}
	}
	if len(seen) == 0 && len(m.faults) == before {
		m.fault("areas", "areas.missing", "say --area or --geojson; an area is never assumed", "the message has no area")
	}
}

// nameOf is what people call an area.
func nameOf(a Area) string {
	name := folded(a.Desc)
	if utf8.RuneCountInString(name) > longestName {
		name = string([]rune(name)[:longestName-1]) + "…"
	}
	return name
}

// words takes the text of each info in a language of the directory, if Chinese is among them.
func (m *mapping) words(infos []Info) {
	if languageOf(infos[0]) != warning.Languages[0] {
		return
	}
	kinds := []warning.Type{m.spec.Type}
	if m.spec.Type == warning.Update {
		kinds = append(kinds, warning.Alert) // for those who are new in the area
	}
	texts := map[string]string{}
	for _, info := range infos {
		language, text := languageOf(info), m.text(info)
		switch before, twice := texts[language]; {
		case !slices.Contains(warning.Languages, language) || text == "" || twice && before == text:
		case twice:
			m.fault("words", "cap.words", "say --text, or send one message for each", "two infos say different things in %s", language)
		case utf8.RuneCountInString(text) > longestText:
			m.fault("words", "cap.words", "say --text", "the text in %s has %d characters, more than %d", language, utf8.RuneCountInString(text), longestText)
		default:
			texts[language] = text
			for _, kind := range kinds {
				m.spec.Words = append(m.spec.Words, warning.Words{Language: language, Kind: kind, Text: text})
			}
		}
	}
}

// text is what a phone shows of an info: the words that were made for phones, or else the description (or headline) and
// what to do. Senders break lines at the width of their paper; a phone does that itself.
func (m *mapping) text(info Info) string {
	for _, name := range m.table.ShortTexts {
		for _, p := range info.Parameters {
			if text := folded(p.Value); p.Name == name && text != "" {
				return text
			}
		}
	}
	text := folded(blank(info.Description))
	if text == "" {
		text = folded(blank(info.Headline))
	}
	return strings.TrimSpace(text + " " + folded(blank(info.Instruction)))
}
