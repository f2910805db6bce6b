package warning

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxValidity is the longest time a warning may hold, from submission to expiry.
const MaxValidity = 7 * 24 * time.Hour

// DrillMark stands first in every text of a public drill (promise 8).
const DrillMark = "【演练】"

// EditionChannels is the channels that this edition can send by.
var EditionChannels = []Channel{SMS, FlashSMS, Broadcast, Push}

// Stages is the rungs of a ladder of warnings: 3 days, 1 day, 6, 2 and 0 hours before.
var Stages = []string{"3d", "1d", "6h", "2h", "0h"}

// Validate checks everything that a spec says by itself, with field paths as in SubmitRequest. It finds all
// violations, not the first only. What needs the directory, the links or the coding of a channel is checked elsewhere.
func (s Spec) Validate(now time.Time) error {
	var c checks
	c.event(s)
	c.kindOf(s)
	c.validity(s, now)
	c.areas(s)
	c.channels(s)
	c.words(s)
	c.issuers(s)
	c.focus(s.Focus)
	if s.Stage != "" && !slices.Contains(Stages, s.Stage) {
		c.add("stage", "stage.unknown", fmt.Sprintf("%q is not a stage", s.Stage), "use one of "+strings.Join(Stages, ", ")+", or leave it out")
	}
	c.plain("event_id", s.EventID)
	for i, r := range s.References {
		c.plain(fmt.Sprintf("references[%d]", i), r)
	}
	if len(c) > 0 {
		return Invalid(c...)
	}
	return nil
}

// checks gathers violations.
type checks []Violation

func (c *checks) add(field, rule, detail, remedy string) {
	*c = append(*c, Violation{Field: "warning." + field, Rule: rule, Detail: detail, Remedy: remedy})
}

func (c *checks) event(s Spec) {
	c.plain("event_name", s.EventName)
	if s.Event == "" {
		c.add("event", "event.missing", "no event code", "say what the danger is, for example 11B03 (rainstorm)")
		return
	}
	if _, ok := EventOf(s.Event); ok {
		return
	}
	remedy := "use a code of the GB/T 35561 family, for example 11B03 (rainstorm)"
	if near := NearEvents(s.Event); len(near) > 0 {
		names := make([]string, len(near))
		for i, e := range near {
			names[i] = fmt.Sprintf("%s (%s, %s)", e.Code, e.Chinese, e.English)
		}
		remedy = "did you mean " + strings.Join(names, " or ") + "?"
	}
	c.add("event", "event.unknown", fmt.Sprintf("%q is not a known event code", s.Event), remedy)
}

func (c *checks) kindOf(s Spec) {
	if !slices.Contains(Tiers, s.Tier) {
		c.add("tier", "tier.missing", "no tier", "say red, orange, yellow, blue or notice")
	}
	switch s.Status {
	case Actual, Exercise, PublicDrill:
	case Test:
		c.add("status", "status.test", "a link test goes to no recipient, and this edition has none", "use exercise: it goes to simulated people over simulated links")
	default:
		c.add("status", "status.missing", "no status; there is no default", "say actual, exercise or public_drill")
	}
	switch s.Type {
	case Alert:
		if len(s.References) > 0 {
			c.add("references", "references.alert", "an alert follows no other warning", "say update as type, or leave the references out")
		}
	case Update, Cancel, AllClear:
		if len(s.References) != 1 {
			c.add("references", "references.one", fmt.Sprintf("%d references; the %s follows one warning", len(s.References), s.Type), "give the identifier of the warning that it follows")
		}
	default:
		c.add("type", "type.missing", "no type", "say alert or update")
	}
}

func (c *checks) validity(s Spec, now time.Time) {
	const form = "give an end at most 7 days from now, for example now plus 6 h"
	switch {
	case s.Expires.IsZero():
		if hours, ok := UsualHours(s.Event, s.Tier); ok {
			c.add("expires", "expires.missing", "no end of validity", fmt.Sprintf("give an end at most 7 days from now; usual for this signal is --for %dh", hours))
			return
		}
		c.add("expires", "expires.missing", "no end of validity", form)
	case !s.Expires.After(now):
		c.add("expires", "expires.past", "the end of validity "+s.Expires.Format(time.RFC3339)+" is over", form)
	case s.Expires.Sub(now) > MaxValidity:
		c.add("expires", "expires.far", "the end of validity "+s.Expires.Format(time.RFC3339)+" is more than 7 days away", form)
	}
	if !s.Onset.IsZero() && !s.Expires.IsZero() && !s.Expires.After(s.Onset) {
		c.add("expires", "expires.before_onset", "the validity ends at or before its onset "+s.Onset.Format(time.RFC3339), "give an end after the onset")
	}
}

func (c *checks) areas(s Spec) {
	if len(s.Areas) == 0 {
		c.add("areas", "areas.missing", "no area", "name at least one district or draw a polygon; an area is never assumed")
	}
	for i, a := range s.Areas {
		at := fmt.Sprintf("areas[%d]", i)
		c.plain(at+".name", a.Name)
		given := 0
		for _, is := range []bool{a.Unit != "", len(a.Polygons) > 0, a.Circle != nil} {
			if is {
				given++
			}
		}
		switch {
		case given == 0:
			c.add(at, "area.empty", "the area says nothing", "give a unit's code, polygons, GeoJSON or a circle")
		case given > 1:
			c.add(at, "area.both", "the area says more than one place", "make it several areas")
		case a.Unit == "" && a.Edition != "":
			c.add(at+".edition", "area.edition", "only a unit is of an edition", "leave edition out")
		case a.Unit != "" && a.CRS != "":
			c.add(at+".crs", "area.crs", "a unit has no coordinate system of its own", "leave crs out")
		case a.Circle != nil:
			c.crs(at+".circle.crs", a.CRS)
			c.circle(at+".circle", a.Circle)
		case len(a.Polygons) > 0:
			c.crs(at+".polygons.crs", a.CRS)
		}
	}
}

func (c *checks) channels(s Spec) {
	for i, ch := range s.Channels {
		at := fmt.Sprintf("channels[%d]", i)
		if !slices.Contains(EditionChannels, ch) {
			c.add(at, "channel.edition", fmt.Sprintf("channel %s is not served in this edition", ch), "say sms")
		}
		if slices.Contains(s.Channels[:i], ch) {
			c.add(at, "channel.twice", fmt.Sprintf("channel %s stands twice", ch), "name each channel once")
		}
	}
}

func (c *checks) words(s Spec) {
	type use struct {
		language string
		channel  Channel
		kind     Type
	}
	seen := map[use]bool{}
	for i, w := range s.Words {
		at := fmt.Sprintf("words[%d]", i)
		if !slices.Contains(Languages, w.Language) {
			c.add(at+".language", "words.language", fmt.Sprintf("nobody in the directory is addressed in %q", w.Language), "use one of "+strings.Join(Languages, ", "))
		}
		if w.Kind < Alert || w.Kind > Left {
			c.add(at+".kind", "words.kind", "the words say not what they are for", "say alert, update, left, cancel or all_clear")
		}
		if w.Channel != 0 && !slices.Contains(s.Channels, w.Channel) {
			c.add(at+".channel", "words.channel", fmt.Sprintf("the warning does not go by %s", w.Channel), "leave the channel out or name it in channels")
		}
		if u := (use{w.Language, w.Channel, w.Kind}); seen[u] {
			c.add(at, "words.twice", "a second text for the same language, channel and kind", "keep one of them")
		} else {
			seen[u] = true
		}
		c.text(at+".text", w.Text)
		switch marked := strings.HasPrefix(w.Text, DrillMark); {
		case s.Status == PublicDrill && !marked:
			c.add(at+".text", "words.drill_mark", "the text of a public drill does not begin with "+DrillMark, "put "+DrillMark+" first in every text")
		case s.Status == Actual && marked:
			c.add(at+".text", "words.drill_mark", "an actual warning begins with "+DrillMark, "say public_drill as status, or take the mark away")
		}
	}
	for _, ch := range s.Channels {
		for _, kind := range s.Type.Kinds() {
			if !slices.ContainsFunc(s.Words, func(w Words) bool {
				return w.Language == Languages[0] && w.Kind == kind && (w.Channel == 0 || w.Channel == ch)
			}) {
				c.add("words", "words.missing", fmt.Sprintf("no %s words of kind %s for %s", Languages[0], kind, ch), fmt.Sprintf("add a text of kind %s in %s", kind, Languages[0]))
			}
		}
	}
}

// Kinds is the kinds of words that a warning of this type speaks in. An update has words for people who know of the
// warning, for people who are new in its area, and for people for whom it no longer holds.
func (t Type) Kinds() []Type {
	switch t {
	case 0:
		return []Type{Alert}
	case Update:
		return []Type{Update, Alert, Left}
	}
	return []Type{t}
}

func (c *checks) issuers(s Spec) {
	if len(s.Issuers) == 0 {
		c.add("issuers", "issuers.missing", "no issuer", "name the authority that issues the warning")
	}
	for i, name := range s.Issuers {
		at := fmt.Sprintf("issuers[%d]", i)
		if strings.TrimSpace(name) == "" {
			c.add(at, "issuer.blank", "the issuer has no name", "name the authority that issues the warning")
		}
		if slices.Contains(s.Issuers[:i], name) {
			c.add(at, "issuer.twice", fmt.Sprintf("issuer %q stands twice", name), "name each issuer once")
		}
		c.plain(at, name)
	}
}

// text checks words that a phone shows: line breaks are allowed, all else that is not seen is not.
func (c *checks) text(field, s string) {
	if strings.TrimSpace(s) == "" {
		c.add(field, "text.blank", "the text is empty", "write the words, or leave the entry out")
	}
	c.visible(field, s, true)
}

// plain checks a short field of one line.
func (c *checks) plain(field, s string) { c.visible(field, s, false) }

func (c *checks) visible(field, s string, lines bool) {
	if !utf8.ValidString(s) {
		c.add(field, "text.utf8", "the text is not valid UTF-8", "send UTF-8")
		return
	}
	position := 0
	for _, r := range s {
		position++
		if r == '\n' && lines || !hidden(r) {
			continue
		}
		c.add(field, "text.control", fmt.Sprintf("character %d is U+%04X, which nobody sees", position, r), "take it away")
		return
	}
}

// hidden tells whether r is a control character, turns the direction of reading, or has no meaning that phones share.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Co, r) || r == utf8.RuneError || r == '\uFEFF' ||
		r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
}
