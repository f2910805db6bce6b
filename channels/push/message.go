package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/channels"
	"tocsin/warning"
)

// trees is the first level of a topic behind the prefix: an app that has not asked for drills never gets one
// (promise 8).
var trees = map[warning.Status]string{
	warning.Actual: "warning", warning.PublicDrill: "drill", warning.Exercise: "exercise", warning.Test: "test",
}

// format is the version of the payload.
const format = 1

// contentType is that of a payload.
const contentType = "application/json"

// stopped is the type of the message that Stop sends: it has no words.
const stopped = "stop"

// payload is what a phone reads, described in docs/push.md.
type payload struct {
	Format    int       `json:"format"`
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	Drill     bool      `json:"drill"`
	Type      string    `json:"type"`
	Warning   string    `json:"warning"`
	Version   int       `json:"version"`
	Serial    uint32    `json:"serial"`
	Related   uint32    `json:"related,omitempty"`
	Tier      string    `json:"tier"`
	Event     string    `json:"event"`
	EventName string    `json:"event_name,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Title     string    `json:"title,omitempty"`
	Text      string    `json:"text,omitempty"`
	Language  string    `json:"language,omitempty"`
	Issued    time.Time `json:"issued"`
	Starts    time.Time `json:"starts,omitzero"`
	Expires   time.Time `json:"expires"`
}

// labels is what stands beside the payload as user properties, for those who sort messages without reading them.
func (p *payload) labels() [][2]string {
	return [][2]string{{"id", p.ID}, {"status", p.Status}, {"type", p.Type}, {"tier", p.Tier}, {"event", p.Event}}
}

// newPayload is the message as it is played. It is the same whenever the message is played again.
func newPayload(m channels.AreaMessage) *payload {
	if m.Status == warning.PublicDrill {
		m.Title, m.Text = marked(m.Title), marked(m.Text)
	}
	return &payload{
		Format: format, ID: fmt.Sprintf("%s-%d-%d", m.Warning, m.Version, m.Serial),
		Status: m.Status.String(), Drill: m.Status != warning.Actual, Type: m.Type.String(),
		Warning: m.Warning, Version: m.Version, Serial: m.Serial, Related: m.Related,
		Tier: m.Tier.String(), Event: m.Event, EventName: m.EventName, Issuer: m.Issuer,
		Title: m.Title, Text: m.Text, Language: m.Language,
		Issued: second(m.Sent), Starts: second(m.Starts), Expires: second(m.Expires),
	}
}

// marked is text that begins with the mark of a public drill, also where whoever wrote it forgot.
func marked(text string) string {
	if text == "" || strings.HasPrefix(text, warning.DrillMark) {
		return text
	}
	return warning.DrillMark + text
}

// newStop is the message that ends m: an id of its own, or a phone would take it for a repeat, and no words.
func newStop(m channels.AreaMessage) *payload {
	p := newPayload(m)
	p.ID, p.Type, p.Related = p.ID+"-"+stopped, stopped, m.Serial
	p.Title, p.Text, p.Language = "", "", ""
	return p
}

// encode is the JSON of p.
func (p *payload) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// topics is where m stands, one for each of its units.
func topics(prefix string, m channels.AreaMessage) []string {
	all := make([]string, len(m.Units))
	for i, unit := range m.Units {
		all[i] = prefix + trees[m.Status] + "/" + unit + "/" + m.Warning
	}
	return all
}

// validity is the Message Expiry Interval (MQTT 5, clause 3.3.2.3.3): whole seconds from now to the end, rounded down
// so that nothing outlives its warning. 0: it is over.
func validity(expires, now time.Time) uint32 {
	s := expires.Sub(now) / time.Second
	return uint32(min(max(s, 0), math.MaxUint32))
}

// faults is what stands in the way of m, for a person; empty when it can be played.
func faults(m channels.AreaMessage) (all []string) {
	bad := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	bad(!word(m.Warning), "warning: %q is not 1 to 64 letters, digits, dots, dashes", m.Warning)
	bad(m.Serial == 0, "serial: is 0; a message has a number that stays the same at a repeat")
	bad(m.Type < warning.Alert || m.Type > warning.AllClear, "type: %v is none of alert, update, cancel, all_clear", m.Type)
	bad(ends(m.Type) && m.Related == 0, "related: is 0; a %v says which message it ends", m.Type)
	bad(m.Text == "", "text: is empty")
	for _, f := range []struct{ field, text string }{
		{"event", m.Event}, {"event_name", m.EventName}, {"issuer", m.Issuer}, {"title", m.Title}, {"text", m.Text}, {"language", m.Language},
	} {
		bad(!utf8.ValidString(f.text), "%s: is not UTF-8", f.field)
		bad(strings.ContainsFunc(f.text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }), "%s: has a control character", f.field)
	}
	bad(m.Expires.IsZero(), "expires: is not said; every message has an end")
	bad(len(m.Units) == 0, "units: there is none; name at least one")
	for i, unit := range m.Units {
		bad(len(unit) != 12 || strings.Trim(unit, "0123456789") != "", "units[%d]: %q is not a code of 12 digits", i, unit)
		bad(slices.Contains(m.Units[:i], unit), "units[%d]: %s stands there twice", i, unit)
	}
	return all
}

// ends tells whether a message of this type ends another.
func ends(t warning.Type) bool { return t == warning.Cancel || t == warning.AllClear }

// word tells whether s may be a level of a topic, or a client id that every broker takes.
func word(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && len(s) <= 64 && strings.Trim(s, letters) == ""
}
