package cap

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/warning"
)

// form is what the text of an element must look like.
type form struct {
	rule, remedy string
	ok           func(text string) bool
}

// part is one line of the grammar: an element, how often it may stand, and what is in it: a form, other parts, or any
// text.
type part struct {
	name     string
	min, max int // max 0: any number
	form     *form
	parts    []part
}

func one(name string, f *form) part      { return part{name: name, min: 1, max: 1, form: f} }
func optional(name string, f *form) part { return part{name: name, max: 1, form: f} }
func many(name string, f *form) part     { return part{name: name, form: f} }

func matching(rule, pattern, remedy string) *form {
	return &form{rule, remedy, regexp.MustCompile(pattern).MatchString}
}

func oneOf(values ...string) *form {
	return &form{"cap.enum", "use one of " + strings.Join(values, ", "), func(s string) bool { return slices.Contains(values, s) }}
}

// The forms. The schema folds the white space around times, languages, numbers and URIs; so do they.
var (
	anyText *form

	token     = matching("cap.identifier", `^[^\s,<&]+$`, "leave out spaces, commas, < and &")
	moment    = &form{"cap.time", "write it like 2026-06-13T18:00:00+08:00, and UTC with -00:00, never Z", isTime}
	language  = matching("cap.language", `^\s*[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*\s*$`, "use a tag like zh-CN (RFC 3066)")
	mediaType = matching("cap.mime_type", "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\\s*;.*)?$", "write it like image/png (RFC 2046)")
	integer   = matching("cap.number", `^\s*[-+]?[0-9]+\s*$`, "write a whole number")
	decimal   = matching("cap.number", `^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*$`, "write a number like 120.5")
	address   = matching("cap.uri", uri(), "write a URI (RFC 3986); other characters as %20 and the like")
	base64d   = &form{"cap.base64", "write the file in base64 (RFC 2045)", isBase64}
	outline   = &form{"cap.polygon", "write at least four pairs latitude,longitude in degrees of WGS-84, separated by spaces, the last like the first", func(s string) bool { _, ok := ringOf(s); return ok }}
	disc      = &form{"cap.circle", "write latitude,longitude in degrees of WGS-84, a space, and the radius in km", func(s string) bool { _, ok := discOf(s); return ok }}
	citations = &form{"cap.references", "write sender,identifier,sent for each message, separated by spaces", func(s string) bool { _, ok := ParseReferences(s); return ok }}
)

// uri is the pattern of RFC 3986, appendix A, with letters of all languages and without addresses in brackets.
func uri() string {
	const (
		plain     = "(?:[^\\s\\x00-\\x20\\x7f%#?/:\"<>\\\\^`{|}\\[\\]]|%[0-9A-Fa-f]{2})" // and no colon
		char      = "(?:" + plain + "|:)"
		authority = "//(?:" + char + "*@)?" + plain + "*(?::[0-9]*)?"
		segments  = "(?:/" + char + "*)*"
		absolute  = "/(?:" + char + "+" + segments + ")?" // no second slash: that begins an authority
		rest      = "(?:" + char + "|[/?])*"
	)
	return "^\\s*(?:" + strings.Join([]string{
		"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?:" + authority + segments + "|" + absolute + ")",
		"[A-Za-z][A-Za-z0-9+.-]*:" + char + "+" + segments,
		plain + "+" + segments,
		"",
	}, "|") + ")(?:\\?" + rest + ")?(?:#" + rest + ")?\\s*$"
}

// grammar is an alert as the schema has it (CAP 1.2, 3.4), in order.
var grammar = []part{
	one("identifier", token),
	one("sender", token),
	one("sent", moment),
	one("status", oneOf("Actual", "Exercise", "System", "Test", "Draft")),
	one("msgType", oneOf("Alert", "Update", "Cancel", "Ack", "Error")),
	optional("source", anyText),
	one("scope", oneOf("Public", "Restricted", "Private")),
	optional("restriction", anyText),
	optional("addresses", anyText),
	many("code", anyText),
	optional("note", anyText),
	optional("references", citations),
	optional("incidents", anyText),
	{name: "info", parts: []part{
		optional("language", language),
		{name: "category", min: 1, form: oneOf("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other")},
		one("event", anyText),
		many("responseType", oneOf("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None")),
		one("urgency", oneOf("Immediate", "Expected", "Future", "Past", "Unknown")),
		one("severity", oneOf("Extreme", "Severe", "Moderate", "Minor", "Unknown")),
		one("certainty", oneOf("Observed", "Likely", "Possible", "Unlikely", "Unknown")),
		optional("audience", anyText),
		{name: "eventCode", parts: pair},
		optional("effective", moment),
		optional("onset", moment),
		optional("expires", moment),
		optional("senderName", anyText),
		optional("headline", anyText),
		optional("description", anyText),
		optional("instruction", anyText),
		optional("web", address),
		optional("contact", anyText),
		{name: "parameter", parts: pair},
		{name: "resource", parts: []part{
			one("resourceDesc", anyText),
			one("mimeType", mediaType),
			optional("size", integer),
			optional("uri", address),
			optional("derefUri", base64d),
			optional("digest", anyText),
		}},
		{name: "area", parts: []part{
			one("areaDesc", anyText),
			many("polygon", outline),
			many("circle", disc),
			{name: "geocode", parts: pair},
			optional("altitude", decimal),
			optional("ceiling", decimal),
		}},
	}},
}

var pair = []part{one("valueName", anyText), one("value", anyText)}

// timeForm is narrower than RFC 3339: no fraction, no Z.
var timeForm = regexp.MustCompile(`^\s*([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})[-+]([0-9]{2}):([0-9]{2})\s*$`)

func isTime(s string) bool {
	m := timeForm.FindStringSubmatch(s)
	if m == nil || m[1] < "0001" || m[3] > "59" || m[2]+m[3] > "1400" { // XML Schema: a zone is at most 14 h away
		return false
	}
	_, err := time.Parse("2006-01-02T15:04:05", m[1])
	return err == nil
}

func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	return err == nil
}

// degrees reads one pair of CAP order, latitude,longitude.
func degrees(s string) (warning.Point, bool) {
	north, east, _ := strings.Cut(s, ",")
	lat, latOK := number(north)
	lon, lonOK := number(east)
	return warning.Point{lon, lat}, latOK && lonOK && lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180
}

// number reads a plain decimal; what else Go reads (1e3, 0x1, NaN) is no number of CAP.
func number(s string) (float64, bool) {
	if !decimal.ok(s) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// ringOf is a polygon as a ring in longitude, latitude order.
func ringOf(s string) (warning.Ring, bool) {
	pairs := strings.Fields(s)
	if len(pairs) < 4 {
		return nil, false
	}
	ring := make(warning.Ring, len(pairs))
	for i, p := range pairs {
		var ok bool
		if ring[i], ok = degrees(p); !ok {
			return nil, false
		}
	}
	return ring, ring[0] == ring[len(ring)-1]
}

// circle is a centre in longitude, latitude order and a radius in km.
type circle struct {
	centre warning.Point
	radius float64
}

func discOf(s string) (c circle, ok bool) {
	f := strings.Fields(s)
	if len(f) != 2 {
		return c, false
	}
	var centred bool
	c.centre, centred = degrees(f[0])
	c.radius, ok = number(f[1])
	return c, ok && centred && c.radius >= 0
}

// Reference names an earlier message (3.2.1, references).
type Reference struct {
	Sender, Identifier string
	Sent               Time
}

// String is r as a message writes it.
func (r Reference) String() string { return r.Sender + "," + r.Identifier + "," + string(r.Sent) }

// ParseReferences reads what a message cites; false: it is not written so.
func ParseReferences(s string) ([]Reference, bool) {
	var out []Reference
	for _, f := range strings.Fields(s) {
		p := strings.Split(f, ",")
		if len(p) != 3 || !token.ok(p[0]) || !token.ok(p[1]) || !isTime(p[2]) {
			return nil, false
		}
		out = append(out, Reference{p[0], p[1], Time(p[2])})
	}
	return out, true
}
