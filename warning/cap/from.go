package cap

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/warning"
)

// Profile is who speaks in the messages that FromWarning makes.
type Profile struct {
	Sender  string // of the installation, e.g. an address of its domain (CAP 1.2, 3.2.1, sender)
	Web     string // a page with more, or empty
	Contact string // whom to ask, or empty
}

// ReferenceTo is how later messages name the message of w.
func ReferenceTo(w warning.Warning, p Profile) Reference {
	id := w.NationalID
	if id == "" {
		id = w.ID
	}
	if w.Version > 1 {
		id = fmt.Sprintf("%s.v%d", id, w.Version) // every message needs an identifier of its own
	}
	return Reference{Sender: p.Sender, Identifier: id, Sent: TimeOf(w.ReleasedAt.In(warning.China))}
}

var (
	severities = map[warning.Tier]string{warning.Red: "Extreme", warning.Orange: "Severe", warning.Yellow: "Moderate", warning.Blue: "Minor", warning.Notice: "Unknown"}
	statuses   = map[warning.Status]string{warning.Actual: "Actual", warning.Exercise: "Exercise", warning.PublicDrill: "Exercise", warning.Test: "Test"}
	msgTypes   = map[warning.Type]string{warning.Alert: "Alert", warning.Update: "Update", warning.Cancel: "Cancel", warning.AllClear: "Update"}
	// categories is by the letter of the event code: its class of danger.
	categories = map[byte]string{'A': "Met", 'B': "Met", 'C': "Geo", 'D': "Geo", 'E': "Met", 'G': "Fire"}
)

// FromWarning is the message that says a released warning to the public; earlier is the released warnings that it
// follows. It has one info for each language that the warning has words in. CAP has no word for a public drill: it is an
// Exercise whose texts begin with warning.DrillMark. What the house does not know (certainty) is Unknown. The error is a
// *warning.Error.
func FromWarning(w warning.Warning, earlier []warning.Warning, p Profile) (Alert, error) {
	for _, x := range append([]warning.Warning{w}, earlier...) {
		if x.ReleasedAt.IsZero() {
			return Alert{}, warning.Refuse(warning.ReasonConflict, "warning %s is %s: only what was released is told to the public", x.ID, x.State)
		}
	}
	if !token.ok(p.Sender) {
		return Alert{}, warning.Invalid(warning.Violation{Field: "sender", Rule: "cap.identifier", Detail: fmt.Sprintf("sender %.60q", p.Sender), Remedy: "name the installation; " + token.remedy})
	}
	self := ReferenceTo(w, p)
	a := Alert{
		Identifier: self.Identifier, Sender: self.Sender, Sent: self.Sent,
		Status: statuses[w.Spec.Status], MsgType: msgTypes[w.Spec.Type], Scope: "Public",
	}
	if w.Spec.Status == warning.PublicDrill {
		a.Note = new("Public drill")
	}
	var refs []string
	for _, x := range earlier {
		refs = append(refs, ReferenceTo(x, p).String())
	}
	if refs != nil {
		a.References = new(strings.Join(refs, " "))
	}
	areas, err := areasFrom(w.Spec.Areas)
	if err != nil {
		return Alert{}, err
	}
	for _, language := range warning.Languages {
		if text := textOf(w.Spec, language); text != "" {
			info := infoFrom(w, p, language, text)
			info.Areas = areas
			a.Infos = append(a.Infos, info)
		}
	}
	return a, nil
}

// textOf is what the warning says in a language: the words for all channels, or else those of its first one.
func textOf(s warning.Spec, language string) (text string) {
	for _, w := range s.Words {
		if w.Kind == s.Type && w.Language == language && (text == "" || w.Channel == 0) {
			text = w.Text
		}
	}
	return text
}

func infoFrom(w warning.Warning, p Profile, language, text string) Info {
	s := w.Spec
	event, _ := warning.EventOf(s.Event)
	name := event.English
	if language == warning.Languages[0] {
		if name = event.Chinese; s.EventName != "" {
			name = s.EventName
		}
	}
	info := Info{
		Language: new(language), Categories: []string{"Other"}, Event: name,
		Urgency: urgency(s.Onset.Sub(w.ReleasedAt)), Severity: severities[s.Tier], Certainty: "Unknown",
		EventCodes: []Pair{{EventScheme, s.Event}}, Expires: new(TimeOf(s.Expires.In(warning.China))),
		SenderName: new(strings.Join(s.Issuers, warning.Say(language, warning.TextListJoin))), Description: new(text),
		Parameters: []Pair{{"tier", s.Tier.String()}},
	}
	if len(s.Event) > 2 && categories[s.Event[2]] != "" {
		info.Categories = []string{categories[s.Event[2]]}
	}
	if s.Type == warning.AllClear {
		info.ResponseTypes = []string{"AllClear"}
	}
	if !s.Onset.IsZero() {
		info.Onset = new(TimeOf(s.Onset.In(warning.China)))
	}
	if p.Web != "" {
		info.Web = new(p.Web)
	}
	if p.Contact != "" {
		info.Contact = new(p.Contact)
	}
	return info
}

// areasFrom is each area as one of CAP, in WGS-84. What CAP cannot say is refused, not widened.
func areasFrom(areas []warning.Area) (out []Area, err error) {
	var vs []warning.Violation
	for i, area := range areas {
		refuse := func(rule, detail, remedy string) {
			vs = append(vs, warning.Violation{Field: fmt.Sprintf("warning.areas[%d]", i), Rule: rule, Detail: detail, Remedy: remedy})
		}
		c := Area{Desc: area.Name}
		if c.Desc == "" {
			c.Desc = cmp.Or(area.Unit, fmt.Sprintf("area %d", i+1))
		}
		switch {
		case area.Unit != "":
			c.Geocodes = []Pair{{UnitScheme, area.Unit}}
		case area.CRS != "wgs84" && area.CRS != "cgcs2000":
			refuse("cap.area.crs", "coordinate system "+area.CRS, "convert it to WGS-84; CAP knows no other")
		case area.Circle != nil:
			c.Circles = []string{position(area.Circle.Centre) + " " + plain(area.Circle.Radius/1000)}
		}
		for _, part := range area.Polygons {
			if len(part) != 1 {
				refuse("cap.area.hole", "a polygon has holes", "draw it without: a polygon of CAP has none")
				break
			}
			c.Polygons = append(c.Polygons, outlineFrom(part[0]))
		}
		out = append(out, c)
	}
	if len(vs) > 0 {
		return nil, warning.Invalid(vs...)
	}
	return out, nil
}

func outlineFrom(r warning.Ring) string {
	pairs := make([]string, len(r))
	for i, p := range r {
		pairs[i] = position(p)
	}
	return strings.Join(pairs, " ")
}

// position is a point in the order of CAP: latitude,longitude.
func position(p warning.Point) string { return plain(p[1]) + "," + plain(p[0]) }

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// urgency is by the time until the danger begins (CAP 1.2, 3.2.2, urgency).
func urgency(until time.Duration) string {
	switch {
	case until <= 0:
		return "Immediate"
	case until <= time.Hour:
		return "Expected"
	}
	return "Future"
}
