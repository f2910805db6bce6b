package cap

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"tocsin/warning"
)

// Write is the alert as a document of CAP 1.2 in UTF-8. An alert that breaks a rule, or that XML cannot carry (a control
// character), is refused: what is written always reads back as the same alert.
func Write(a Alert) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(xml.Header)
	body, err := xml.MarshalIndent(struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
		Alert
	}{Alert: a}, "", "  ")
	if err != nil {
		return nil, err
	}
	// A line break needs no escape in text, and people read these files.
	body = bytes.ReplaceAll(body, []byte("&#xA;"), []byte("\n"))
	const end = "</alert>"
	out.Write(bytes.TrimSuffix(body, []byte(end)))
	for _, x := range a.Extensions {
		out.WriteString("  " + x + "\n")
	}
	out.WriteString(end + "\n")
	again, err := Parse(out.Bytes(), Limits{Bytes: out.Len(), Depth: DefaultLimits().Depth})
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(again, a) {
		return nil, warning.Invalid(warning.Violation{
			Field: "alert", Rule: "cap.text", Detail: "a text has a character that XML cannot carry", Remedy: "take control characters away",
		})
	}
	return out.Bytes(), nil
}

// unprefixed finds the start of an element without a prefix.
var unprefixed = regexp.MustCompile(`<[^!?/:\s>]+[\s/>]`)

// extensions is each extension as it was written. Prefixes that were declared outside of it and that it uses are
// declared on it, so that it can stand in another document.
func (s *scan) extensions() []string {
	var out []string
	for _, k := range s.kept {
		raw := string(s.document[k.from:k.to])
		var more strings.Builder
		declare := func(name xml.Name, uri string) {
			if slices.ContainsFunc(k.start.Attr, func(a xml.Attr) bool { return a.Name == name }) {
				return
			}
			more.WriteString(" xmlns")
			if name.Space != "" {
				more.WriteString(":" + name.Local)
			}
			more.WriteString(`="`)
			_ = xml.EscapeText(&more, []byte(uri)) // a strings.Builder takes everything
			more.WriteString(`"`)
		}
		standard := xml.Name{Local: "xmlns"}
		uri := ""
		for _, a := range s.root.Attr {
			switch {
			case a.Name == standard:
				uri = a.Value
			case a.Name.Space == "xmlns" && strings.Contains(raw, a.Name.Local+":"):
				declare(a.Name, a.Value)
			}
		}
		// Documents that are written have CAP as their default; where it was another, or none, the extension says so.
		if uri != Namespace && unprefixed.MatchString(raw) {
			declare(standard, uri)
		}
		cut := strings.IndexAny(raw, " \t\r\n/>")
		out = append(out, raw[:cut]+more.String()+raw[cut:])
	}
	return out
}
