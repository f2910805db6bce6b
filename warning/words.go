package warning

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// fields is what a pattern may name.
var fields = []string{"issuers", "at", "warning", "former", "grade", "where", "until", "advice", "hotline"}

// wanted says where somebody finds a field that is missing: its path in a request, and what to do.
var wanted = map[string][2]string{
	"issuers": {"warning.issuers", "name the authority that issues the warning"},
	"at":      {"warning.at", "say when it is issued"},
	"warning": {"warning.event", "say the event and the tier"},
	"former":  {"warning.references", "name the warning that this one updates"},
	"where":   {"warning.areas", "give every area a name that people know; a drawn one has it in properties.name of its GeoJSON feature"},
	"until":   {"warning.expires", "give the end of validity"},
	"advice":  {"warning.event", "write the words yourself: the official pattern does not know what to do in this danger"},
	"hotline": {"words.hotline", "have an engineer put the number that people may call into words.hotline of the configuration, or write the words yourself"},
}

// China is the time of every text: Beijing's, without summer time.
var China = time.FixedZone("+08:00", 8*60*60)

// Name is what something is called in the two languages of the house. Without an English name the Chinese one stands
// in English words too.
type Name struct{ Chinese, English string }

func (n Name) in(language string) string {
	if language == Languages[0] || n.English == "" {
		return n.Chinese
	}
	return n.English
}

// Fields is what official words are made of. Beside Former, Extended and Hotline nothing may be missing.
type Fields struct {
	Issuers  []Name
	At       time.Time // when it is issued
	Event    Name
	Code     string // of the event
	Tier     Tier
	Former   Tier // of an update: the tier of the version before
	Extended bool // of an update: only the end was put off
	Status   Status
	Where    []Name
	Until    time.Time
	Hotline  string // digits that people may call
}

// Desk is what an installation knows for its words.
type Desk struct {
	Hotline  string            // the number that people may call
	Verified []string          // numbers and links that a text may show beside it
	English  map[string]string // English of issuers and places, by Chinese name
	// Unit is the name of an administrative unit of the edition of a day; nil: areas are named by their own name only.
	Unit func(code string, asOf time.Time) Name
}

func (d Desk) name(chinese string) Name { return Name{chinese, d.English[chinese]} }

// contacts is every number and link that a text may show.
func (d Desk) contacts() []string {
	if d.Hotline == "" {
		return d.Verified
	}
	return append(slices.Clone(d.Verified), d.Hotline)
}

// FieldsOf is what the words of s, issued at a time, are made of. An update names the version before it.
func FieldsOf(s Spec, before *Spec, d Desk, at time.Time) Fields {
	f := Fields{At: at, Code: s.Event, Tier: s.Tier, Status: s.Status, Until: s.Expires, Hotline: d.Hotline}
	if e, ok := EventOf(s.Event); ok {
		f.Event = Name{e.Chinese, e.English}
	}
	if s.EventName != "" && s.EventName != f.Event.Chinese {
		f.Event = d.name(s.EventName)
	}
	for _, name := range s.Issuers {
		f.Issuers = append(f.Issuers, d.name(name))
	}
	for _, a := range s.Areas {
		n := d.name(a.Name)
		if a.Unit != "" && d.Unit != nil && (a.Name == "" || n.English == "") {
			if u := d.Unit(a.Unit, a.AsOf); a.Name == "" || a.Name == u.Chinese {
				n = u
			}
		}
		f.Where = append(f.Where, n)
	}
	if before != nil {
		f.Former = before.Tier
		f.Extended = s.Expires.After(before.Expires) && slices.EqualFunc(s.Areas, before.Areas, samePlace)
	}
	return f
}

// samePlace tells whether two areas mean the same, perhaps by outlines of different editions.
func samePlace(a, b Area) bool {
	a.Edition, b.Edition = "", ""
	return reflect.DeepEqual(a, b)
}

// Compose makes the words of a kind in the official pattern: Alert (also for those who are new in an update), Update
// (for those who had the version before), Left (for those who are no longer in the area), Cancel (the correction) and
// AllClear. The words of a public drill begin with DrillMark. A missing field is an Error that names it, never a gap.
func Compose(f Fields, kind Type, ch Channel, language string) (string, error) {
	return f.fill(f.pattern(kind), ch, language)
}

// Title is how lists and the national platform name the warning.
func Title(f Fields, language string) (string, error) { return f.fill("title", 0, language) }

// pattern is the name of the lines for words of the kind: updates are worded by what changed.
func (f Fields) pattern(kind Type) string {
	switch {
	case kind != Update:
		return kind.String()
	case f.Former != 0 && f.Tier < f.Former:
		return "upgrade"
	case f.Former != 0 && f.Tier > f.Former:
		return "downgrade"
	case f.Extended:
		return "renew"
	}
	return "update"
}

func (f Fields) fill(kind string, ch Channel, language string) (string, error) {
	p, ok := patternOf(language, kind, ch, f.Tier)
	if !ok {
		return "", Invalid(Violation{
			Field: "words", Rule: "words.pattern", Detail: fmt.Sprintf("there is no official pattern for %s in %s", kind, language), Remedy: "write the words yourself",
		})
	}
	text, missing := fill(p.parts, f.values(language))
	if missing != "" {
		return "", Invalid(Violation{
			Field: wanted[missing][0], Rule: "words.field." + missing, Detail: fmt.Sprintf("the %s words in %s need it", kind, language), Remedy: wanted[missing][1],
		})
	}
	if f.Status == PublicDrill {
		text = DrillMark + text
	}
	return text, nil
}

// values is every field that is there, as a text shows it.
func (f Fields) values(language string) map[string]string {
	v := map[string]string{
		"issuers": f.join(f.Issuers, language), "where": f.join(f.Where, language), "hotline": f.Hotline,
		"warning": f.warning(f.Tier, language), "former": f.warning(f.Former, language),
		"advice": adviceFor(f.Code, f.Tier).in(language),
	}
	if f.Tier >= Red && f.Tier <= Blue {
		v["grade"] = Say(language, TextOf("grade", f.Tier.String()))
	}
	if !f.At.IsZero() {
		v["at"] = moment(f.At, language)
	}
	if !f.Until.IsZero() {
		v["until"] = moment(f.Until, language)
	}
	return v
}

// join is the names, or nothing when one of them is missing.
func (f Fields) join(names []Name, language string) string {
	all := make([]string, len(names))
	for i, n := range names {
		if all[i] = n.in(language); strings.TrimSpace(all[i]) == "" {
			return ""
		}
	}
	return strings.Join(all, Say(language, TextListJoin))
}

// warning is the danger with its tier: 暴雨红色预警, red rainstorm warning.
func (f Fields) warning(t Tier, language string) string {
	event := f.Event.in(language)
	switch {
	case event == "" || !slices.Contains(Tiers, t):
		return ""
	case t == Notice:
		return Say(language, TextWordsNotice, event)
	case language == Languages[0]:
		return Say(language, TextWordsWarning, event, Say(language, TextOf("tier", t.String())))
	}
	return Say(language, TextWordsWarning, Say(language, TextOf("tier", t.String())), event)
}

// moment is a time in Beijing as people say it.
func moment(t time.Time, language string) string {
	t = t.In(China)
	if language == Languages[0] {
		return fmt.Sprintf("%d月%d日%d时%02d分", t.Month(), t.Day(), t.Hour(), t.Minute())
	}
	return t.Format("2 Jan 15:04")
}

// SaysUntil tells whether a text names the hour and minute at which it ends, in one of the forms that people use.
func SaysUntil(text string, end time.Time) bool {
	end = end.In(China)
	forms := []string{
		fmt.Sprintf("%d时%d分", end.Hour(), end.Minute()), fmt.Sprintf("%d时%02d分", end.Hour(), end.Minute()),
		fmt.Sprintf("%d:%02d", end.Hour(), end.Minute()), fmt.Sprintf("%d：%02d", end.Hour(), end.Minute()),
	}
	if end.Minute() == 0 {
		forms = append(forms, fmt.Sprintf("%d时", end.Hour()), fmt.Sprintf("%d点", end.Hour()))
	}
	return slices.ContainsFunc(forms, func(form string) bool {
		for rest := text; ; {
			i := strings.Index(rest, form)
			if i < 0 {
				return false
			}
			before, after := rest[:i], rest[i+len(form):]
			longer := before != "" && before[len(before)-1] >= '1' && before[len(before)-1] <= '9'      // 14:00 is not 4:00; 04:00 is
			later := after != "" && after[0] >= '0' && after[0] <= '9' || strings.HasPrefix(after, "半") // 18时30分 is not 18时
			if !longer && !later {
				return true
			}
			rest = after
		}
	})
}

// WithPreparedWords is s with everything that it must say from its submission on: alert words in both languages where
// none are given, for an update those for the kept and the left, and always the correction and the all-clear. Words that
// are given stay; where an alert of them does not say until when it holds, that is added. at is when the warning is
// issued, for a Cancel or AllClear when the one that it follows was. The error names what is wrong with s beside its
// words, and if nothing is, what the official pattern misses.
func (s Spec) WithPreparedWords(before *Spec, d Desk, at time.Time) (Spec, error) {
	f := FieldsOf(s, before, d, at)
	kinds := []Type{Alert, Cancel, AllClear}
	switch s.Type {
	case Update:
		kinds = []Type{Alert, Update, Left, Cancel, AllClear}
	case Cancel, AllClear:
		kinds = []Type{s.Type}
	}
	given := s.Words
	s.Words = slices.Clone(given)
	has := func(kind Type, ch Channel, language string) bool {
		return slices.ContainsFunc(given, func(w Words) bool {
			own := kind == Alert || kind == Update // a text of one's own speaks for both languages: nothing else is put beside it
			return w.Kind == kind && (w.Channel == 0 || w.Channel == ch) && (w.Language == language || own)
		})
	}
	for i, w := range s.Words {
		if (w.Kind == Alert || w.Kind == Update) && strings.TrimSpace(w.Text) != "" && !SaysUntil(w.Text, s.Expires) && !s.Expires.IsZero() {
			s.Words[i].Text = w.Text + Say(w.Language, TextWordsUntil, moment(s.Expires, w.Language))
		}
	}
	channels := append([]Channel{0}, s.Channels...)
	var missing checks
	for _, kind := range kinds {
		for _, language := range Languages {
			for _, ch := range channels {
				if has(kind, ch, language) || ch != 0 && !ownPattern(f, kind, ch, language) {
					continue
				}
				text, err := Compose(f, kind, ch, language)
				if err != nil {
					missing.take(err)
					continue
				}
				s.Words = append(s.Words, Words{Language: language, Channel: ch, Kind: kind, Text: text})
			}
		}
	}
	if len(missing) == 0 {
		return s, nil
	}
	var e *Error
	if errors.As(s.Validate(at), &e) {
		other := slices.DeleteFunc(e.Violations, func(v Violation) bool { return v.Rule == "words.missing" })
		if len(other) > 0 { // what is wrong with the warning itself says more than the gap that it leaves in the words
			return Spec{}, Invalid(other...)
		}
	}
	return Spec{}, Invalid(missing...)
}

// ownPattern tells whether words for the channel differ from those for all.
func ownPattern(f Fields, kind Type, ch Channel, language string) bool {
	p, ok := patternOf(language, f.pattern(kind), ch, f.Tier)
	return ok && p.channel != "*"
}

// take adds the violations of err that are not there yet: a field that is missing is missing in every text.
func (c *checks) take(err error) {
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	for _, v := range e.Violations {
		if !slices.ContainsFunc(*c, func(x Violation) bool { return x.Rule == v.Rule }) {
			*c = append(*c, v)
		}
	}
}
