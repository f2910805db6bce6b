package cap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elements is every element of a document in order: its local name and path, and its text.
func elements(t testing.TB, document []byte) (out []string) {
	t.Helper()
	var path []string
	var text []*strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			path, text = append(path, x.Name.Local), append(text, &strings.Builder{})
		case xml.CharData:
			if len(text) > 0 {
				text[len(text)-1].Write(x)
			}
		case xml.EndElement:
			said := text[len(text)-1].String()
			if strings.TrimSpace(said) == "" {
				said = "" // layout
			}
			out = append(out, strings.Join(path, ".")+"="+said)
			path, text = path[:len(path)-1], text[:len(text)-1]
		}
	}
}

var (
	letters = rapid.StringOf(rapid.RuneFrom([]rune("ab 暴雨&<>\"'\t\n\r]]>=🌧é")))
	word    = rapid.StringMatching(`[a-z0-9@.:]{1,12}`)
	times   = rapid.Custom(func(t *rapid.T) Time {
		return Time(rapid.StringMatching(`20[0-9]{2}-0[1-9]-[012][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9][-+]0[0-9]:[0-5][0-9]`).Draw(t, "time"))
	})
)

func maybe[T any](t *rapid.T, g *rapid.Generator[T]) *T {
	if !rapid.Bool().Draw(t, "present") {
		return nil
	}
	return new(g.Draw(t, "value"))
}

// several is up to three of g, nil for none.
func several[T any](t *rapid.T, g *rapid.Generator[T]) []T {
	return append([]T(nil), rapid.SliceOfN(g, 0, 3).Draw(t, "values")...)
}

var pairs = rapid.Custom(func(t *rapid.T) Pair { return Pair{letters.Draw(t, "name"), letters.Draw(t, "value")} })

func anyAlert(t *rapid.T) Alert {
	a := Alert{
		Identifier: word.Draw(t, "identifier"), Sender: word.Draw(t, "sender"), Sent: "2099" + times.Draw(t, "sent")[4:],
		Status:  rapid.SampledFrom([]string{"Actual", "Exercise", "System", "Test", "Draft"}).Draw(t, "status"),
		MsgType: rapid.SampledFrom([]string{"Alert", "Update", "Cancel", "Ack", "Error"}).Draw(t, "msgType"),
		Source:  maybe(t, letters), Scope: "Public", Codes: several(t, letters), Note: maybe(t, letters), Incidents: maybe(t, letters),
		Infos: several(t, rapid.Custom(anyInfo)),
	}
	if rapid.Bool().Draw(t, "refers") {
		a.References = new(Reference{word.Draw(t, "of"), word.Draw(t, "id"), "2000" + times.Draw(t, "at")[4:]}.String())
	}
	if rapid.Bool().Draw(t, "signed") {
		a.Extensions = []string{`<s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"><s:a b="c"/></s:Signature>`}
	}
	return a
}

func anyInfo(t *rapid.T) Info {
	return Info{
		Language: maybe(t, rapid.SampledFrom([]string{"zh-CN", "en", "fr-CA"})), Categories: []string{"Met", "Geo"}[:rapid.IntRange(1, 2).Draw(t, "n")],
		Event: letters.Draw(t, "event"), ResponseTypes: several(t, rapid.SampledFrom([]string{"Shelter", "AllClear"})),
		Urgency: "Future", Severity: rapid.SampledFrom([]string{"Extreme", "Minor", "Unknown"}).Draw(t, "severity"), Certainty: "Likely",
		Audience: maybe(t, letters), EventCodes: several(t, pairs), Effective: maybe(t, times), Onset: maybe(t, times), Expires: maybe(t, times),
		SenderName: maybe(t, letters), Headline: maybe(t, letters), Description: maybe(t, letters), Instruction: maybe(t, letters),
		Web: maybe(t, rapid.Just("https://example.org/a")), Contact: maybe(t, letters), Parameters: several(t, pairs),
		Resources: several(t, rapid.Custom(func(t *rapid.T) Resource {
			return Resource{Desc: letters.Draw(t, "desc"), MimeType: "image/png", Size: maybe(t, rapid.Just("12")), URI: maybe(t, rapid.Just("a:b")), Digest: maybe(t, letters)}
		})),
		Areas: several(t, rapid.Custom(func(t *rapid.T) Area {
			return Area{
				Desc: letters.Draw(t, "desc"), Polygons: several(t, rapid.Just("1,2 3,4 5,6 1,2")), Circles: several(t, rapid.Just("-1.5,2 0")),
				Geocodes: several(t, pairs), Altitude: maybe(t, rapid.Just("1.5")),
			}
		})),
	}
}
