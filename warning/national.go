package warning

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// NationalID is an identifier of GB/T 35965.1-2018: who enters a warning into the national release system, and when.
type NationalID struct {
	Area       string    // 6 digits, GB/T 2260
	Department string    // 3 digits, GB/T 4657; 416 is the meteorological service
	Internal   string    // 3 digits, 000 where the department has no parts
	Extension  string    // 2 digits, 00 where there is none
	Entered    time.Time // to the second; written in Beijing time
	Serial     int       // 0 to 9; -1: not written, as many systems do
}

// nationalForm is one time as digits after 14 digits of origin, and mostly a serial digit.
var nationalForm = regexp.MustCompile(`^([0-9]{6})([0-9]{3})([0-9]{3})([0-9]{2})_([0-9]{14})(?:_([0-9]))?$`)

const nationalTime = "20060102150405"

// ParseNationalID reads an identifier, with or without its serial digit.
func ParseNationalID(s string) (NationalID, error) {
	m := nationalForm.FindStringSubmatch(s)
	if m != nil {
		id := NationalID{Area: m[1], Department: m[2], Internal: m[3], Extension: m[4], Serial: -1}
		if m[6] != "" {
			id.Serial = int(m[6][0] - '0')
		}
		var err error
		if id.Entered, err = time.ParseInLocation(nationalTime, m[5], China); err == nil {
			return id, nil
		}
	}
	return NationalID{}, Invalid(Violation{
		Field: "warning.national_id", Rule: "national_id.form", Detail: fmt.Sprintf("%.60q is not an identifier of GB/T 35965", s),
		Remedy: "give 14 digits, the time as 14 digits and a serial digit, joined by _, or leave it out",
	})
}

// CheckNationalID checks the form of an identifier. Empty is no identifier.
func CheckNationalID(s string) error {
	if s == "" {
		return nil
	}
	_, err := ParseNationalID(s)
	return err
}

// String is the identifier as it is written. Its parts must have their digits; ParseNationalID of it says whether.
func (id NationalID) String() string {
	s := id.Area + id.Department + id.Internal + id.Extension + "_" + id.Entered.In(China).Format(nationalTime)
	if id.Serial >= 0 {
		s += fmt.Sprintf("_%d", id.Serial)
	}
	return s
}

// Headline is what the title of a warning on the national platform says.
type Headline struct {
	Issuer string
	Event  string // as people call it, e.g. 暴雨
	Tier   Tier   // one of the four colours
}

// titleForm splits at the last 发布 before the colour: issuers have the word in their names too. The brackets say the
// level again and are left out by some.
var titleForm = regexp.MustCompile(`^(.+)发布(.+?)(红|橙|黄|蓝)色预警(?:信号)?(?:[\[［【](Ⅰ|Ⅱ|Ⅲ|Ⅳ|IV|III|II|I)级?/([^\[\]［］【】]+)[\]］】])?$`)

var titleColours = map[string]Tier{"红": Red, "橙": Orange, "黄": Yellow, "蓝": Blue}

// titleLevels is every way in which a level is written, and its words: those of general emergencies and those of
// weather signals differ.
var titleLevels = map[Tier]struct{ numerals, words []string }{
	Red:    {[]string{"Ⅰ", "I"}, []string{"特别重大", "特别严重"}},
	Orange: {[]string{"Ⅱ", "II"}, []string{"重大", "严重"}},
	Yellow: {[]string{"Ⅲ", "III"}, []string{"较大", "较重"}},
	Blue:   {[]string{"Ⅳ", "IV"}, []string{"一般"}},
}

// ParseTitle reads a title like 三明市气象台发布雷电黄色预警[Ⅲ级/较重], as Title makes it and as other systems do. A level
// that contradicts the colour is refused.
func ParseTitle(s string) (Headline, error) {
	refuse := func(detail, remedy string) (Headline, error) {
		return Headline{}, Invalid(Violation{Field: "title", Rule: "title.form", Detail: detail, Remedy: remedy})
	}
	m := titleForm.FindStringSubmatch(s)
	if m == nil {
		return refuse(fmt.Sprintf("%.60q is not the title of a warning", s), "write it like 三明市气象台发布雷电黄色预警[Ⅲ级/较重]")
	}
	h := Headline{Issuer: strings.TrimSuffix(m[1], "继续"), Event: m[2], Tier: titleColours[m[3]]}
	if level := titleLevels[h.Tier]; m[4] != "" && !(slices.Contains(level.numerals, m[4]) && slices.Contains(level.words, m[5])) {
		return refuse(fmt.Sprintf("the level %s/%s is not that of %s色", m[4], m[5], m[3]), "say "+strings.Join(level.words, " or ")+" for "+h.Tier.String())
	}
	return h, nil
}
