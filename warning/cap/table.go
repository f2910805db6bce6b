package cap

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"tocsin/warning"
)

// EventScheme and UnitScheme are the valueNames of our event codes and units in messages that FromWarning makes.
const (
	EventScheme = "GB/T 35561"
	UnitScheme  = "GB/T 2260"
)

// Event says which of our codes a message means: by an eventCode, or by the text of its event.
type Event struct {
	Scheme string `json:"scheme,omitempty"` // valueName of the eventCode
	Value  string `json:"value,omitempty"`  // its value
	Text   string `json:"text,omitempty"`   // the event, in any case of letters; instead of scheme and value
	Code   string `json:"code"`             // of warning.EventCodes
}

// Table is what a deployment knows of the senders of messages. Our own codes, under EventScheme, and the names of
// warning.EventCodes are known without it.
type Table struct {
	Severity   map[string]warning.Tier // by severity; what is not here needs a tier that somebody says
	Events     []Event
	Geocodes   []string // valueNames of geocodes that hold units of GB/T 2260
	ShortTexts []string // names of parameters that hold words for a phone, the best first
}

//go:embed table.json
var shipped []byte

// Shipped is the table that comes with the house, as ParseTable reads it.
func Shipped() []byte { return bytes.Clone(shipped) }

// ParseTable reads a table in JSON, strictly.
func ParseTable(b []byte) (Table, error) {
	var file struct {
		Severity   map[string]string `json:"severity"`
		Geocodes   []string          `json:"geocodes"`
		ShortTexts []string          `json:"short_texts"`
		Events     []Event           `json:"events"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return Table{}, fmt.Errorf("table of CAP: %w", err)
	}
	t := Table{Severity: map[string]warning.Tier{}, Events: file.Events, Geocodes: file.Geocodes, ShortTexts: file.ShortTexts}
	var vs []warning.Violation
	for severity, name := range file.Severity {
		tier, err := warning.ParseTier(name)
		if known := oneOf("Extreme", "Severe", "Moderate", "Minor"); err != nil || !known.ok(severity) {
			vs = append(vs, warning.Violation{
				Field: "severity." + severity, Rule: "cap.table.severity", Detail: fmt.Sprintf("%s = %s says nothing", severity, name),
				Remedy: "map Extreme, Severe, Moderate and Minor to red, orange, yellow, blue or notice; Unknown has no tier",
			})
		}
		t.Severity[severity] = tier
	}
	for i, e := range file.Events {
		if _, ok := warning.EventOf(e.Code); !ok || (e.Text == "") == (e.Scheme == "") || (e.Scheme == "") != (e.Value == "") {
			vs = append(vs, warning.Violation{
				Field: fmt.Sprintf("events[%d]", i), Rule: "cap.table.event", Detail: fmt.Sprintf("%+v is no event", e),
				Remedy: "give a scheme and a value, or a text, and a code of the GB/T 35561 family",
			})
		}
	}
	if len(vs) > 0 {
		return Table{}, warning.Invalid(vs...)
	}
	return t, nil
}

// codesOf is every code of ours that an info means.
func (t Table) codesOf(info Info) (codes []string) {
	for _, p := range info.EventCodes {
		if _, ok := warning.EventOf(p.Value); ok && p.Name == EventScheme {
			codes = append(codes, p.Value)
		}
		for _, e := range t.Events {
			if e.Scheme != "" && e.Scheme == p.Name && e.Value == p.Value {
				codes = append(codes, e.Code)
			}
		}
	}
	if len(codes) > 0 {
		return codes // a code says more than a text
	}
	text := folded(info.Event)
	for _, e := range t.Events {
		if e.Text != "" && strings.EqualFold(e.Text, text) {
			codes = append(codes, e.Code)
		}
	}
	for _, e := range warning.EventCodes {
		if text == e.Chinese || strings.EqualFold(text, e.English) {
			codes = append(codes, e.Code)
		}
	}
	return codes
}

// folded is s with every run of white space as one space.
func folded(s string) string { return strings.Join(strings.Fields(s), " ") }
