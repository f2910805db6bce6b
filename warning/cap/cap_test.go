package cap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/warning"
)

// files is every sample of a folder of testdata, by name.
func files(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		if out[filepath.Base(p)], err = os.ReadFile(p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestEverySampleIsReadAndWrittenWithoutLoss compares the elements of what is written with those of the sample, by a
// reader of its own: each element with its path and text, in order.
func TestEverySampleIsReadAndWrittenWithoutLoss(t *testing.T) {
	samples := files(t, "valid")
	if len(samples) != 30 {
		t.Fatalf("%d samples", len(samples))
	}
	for name, document := range samples {
		a, err := Parse(document, DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		written, err := Write(a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(elements(t, document), elements(t, written)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if !strings.Contains(string(written), `<alert xmlns="`+Namespace+`">`) {
			t.Errorf("%s: is not written as CAP 1.2", name)
		}
	}
}

func TestEveryBadSampleIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"google-invalid.xml": "line 2: alert.scope: the element is missing (add it; it is required) [cap.missing]",
		"google-xee.xml":     "cap.dtd",
	} {
		_, err := Parse(files(t, "invalid")[name], DefaultLimits())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %s, got %v", name, want, err)
		}
		if warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%s: %T is no refusal", name, err)
		}
	}
}

// good is a document that has everything; each fault is a replacement in it.
const good = `<?xml version="1.0" encoding="UTF-8"?>
<c:alert xmlns:c="urn:oasis:names:tc:emergency:cap:1.2" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b">
<c:identifier>50000041600000_20260613180000_0</c:identifier>
<c:sender>cap@example.org</c:sender>
<c:sent>2026-06-13T18:00:00+08:00</c:sent>
<c:status>Actual</c:status>
<c:msgType>Update</c:msgType>
<c:source/>
<c:scope>Restricted</c:scope>
<c:restriction>responsible persons</c:restriction>
<c:addresses>"the duty officer" b</c:addresses>
<c:code>x</c:code>
<c:note>1 &lt; 2 &amp; <![CDATA[<3>]]></c:note>
<c:references>cap@example.org,a1,2026-06-13T09:00:00-00:00 b,c,2026-06-13T17:59:59+08:00</c:references>
<c:incidents>flood</c:incidents>
<c:info>
<c:language>zh-CN</c:language>
<c:category>Met</c:category>
<c:event>暴雨</c:event>
<c:responseType>Shelter</c:responseType>
<c:urgency>Immediate</c:urgency>
<c:severity>Severe</c:severity>
<c:certainty>Likely</c:certainty>
<c:audience>all</c:audience>
<c:eventCode><c:valueName>GB/T 35561</c:valueName><c:value>11B03</c:value></c:eventCode>
<c:effective>2026-06-13T18:00:00+08:00</c:effective>
<c:onset>2026-06-13T18:00:00+08:00</c:onset>
<c:expires>2026-06-14T00:00:00+08:00</c:expires>
<c:senderName>重庆市气象台</c:senderName>
<c:headline>重庆市气象台发布暴雨橙色预警</c:headline>
<c:description> two
lines	and a tab </c:description>
<c:instruction>请注意防范。</c:instruction>
<c:web>https://example.org/a?b=%20c#d</c:web>
<c:contact/>
<c:parameter><c:valueName>a</c:valueName><c:value/></c:parameter>
<c:resource><c:resourceDesc>map</c:resourceDesc><c:mimeType>image/png</c:mimeType><c:size>3</c:size><c:uri>map.png</c:uri><c:derefUri>YWJj</c:derefUri><c:digest>x</c:digest></c:resource>
<c:area>
<c:areaDesc>万州</c:areaDesc>
<c:polygon>30,108 30,109 31,109 30.0,108.0</c:polygon>
<c:circle>30.5,108.5 1.5</c:circle>
<c:geocode><c:valueName>GB/T 2260</c:valueName><c:value>500101</c:value></c:geocode>
<c:altitude>-10.5</c:altitude>
<c:ceiling>3000</c:ceiling>
</c:area>
</c:info>
<ds:Signature Id="s"><ds:SignedInfo><!-- kept --><plain/></ds:SignedInfo></ds:Signature>
</c:alert>
`

func TestAWholeMessageIsReadWrittenAndReadAgain(t *testing.T) {
	a, err := Parse([]byte("\uFEFF"+strings.ReplaceAll(good, "\n", "\r\n")), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if *a.Note != "1 < 2 & <3>" || *a.Source != "" || a.Infos[0].Web == nil || len(a.Cites()) != 2 {
		t.Errorf("got %+v", a)
	}
	want := []string{`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns="" Id="s"><ds:SignedInfo><!-- kept --><plain/></ds:SignedInfo></ds:Signature>`}
	if d := cmp.Diff(want, a.Extensions); d != "" {
		t.Error(d)
	}
	written, err := Write(a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(written, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, again); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(elements(t, []byte(good)), elements(t, written)); d != "" {
		t.Error(d)
	}
}

// TestEveryRule breaks one rule at a time and wants that one fault, at its line, with a remedy.
func TestEveryRule(t *testing.T) {
	line := func(text string) string { return "<c:" + text + "\n" }
	for _, c := range []struct{ from, to, want string }{
		{"<c:identifier>", "<c:identifier>a ", "3 alert.identifier cap.identifier"},
		{"cap@example.org</c:sender>", "a,b</c:sender>", "4 alert.sender cap.identifier"},
		{"cap@example.org</c:sender>", "a&lt;b</c:sender>", "4 alert.sender cap.identifier"},
		{"cap@example.org</c:sender>", "a&amp;b</c:sender>", "4 alert.sender cap.identifier"},
		{"18:00:00+08:00</c:sent>", "18:00:00Z</c:sent>", "5 alert.sent cap.time"},
		{"18:00:00+08:00</c:sent>", "18:00:00.5+08:00</c:sent>", "5 alert.sent cap.time"},
		{"18:00:00+08:00</c:sent>", "18:00:00+14:01</c:sent>", "5 alert.sent cap.time"},
		{"2026-06-14T00:00:00+08:00", "2026-06-31T00:00:00+08:00", "28 alert.info[0].expires cap.time"},
		{"Actual", "actual", "6 alert.status cap.enum"},
		{"Update", "Renew", "7 alert.msgType cap.enum"},
		{"Restricted", "Public", "10 alert.restriction cap.restriction"},
		{"<c:restriction>responsible persons", "<c:restriction>", "9 alert.restriction cap.restriction"},
		{"b,c,2026-06-13T17:59:59+08:00", "b,2026-06-13T17:59:59+08:00", "14 alert.references cap.references"},
		{"17:59:59", "18:00:01", "14 alert.references cap.references"},
		{"zh-CN", "zh_CN", "17 alert.info[0].language cap.language"},
		{"<c:category>Met", "<c:category>Weather", "18 alert.info[0].category[0] cap.enum"},
		{line("category>Met</c:category>"), "\n", "16 alert.info[0].category cap.missing"},
		{line("urgency>Immediate</c:urgency>"), "\n", "16 alert.info[0].urgency cap.missing"},
		{"<c:severity>Severe", "<c:severity>Severe ", "22 alert.info[0].severity cap.enum"},
		{line("source/>"), "<c:source/><c:source/>\n", "8 alert.source cap.twice"},
		{line("source/>"), "<c:code/>\n", "9 alert.scope cap.order"},
		{line("source/>"), "<c:password/>\n", "8 alert cap.unknown"},
		{line("source/>"), "<ds:source/>\n", "9 alert.scope cap.order"},
		{line("source/>"), "<c:source a='b'/>\n", "8 alert cap.attribute"},
		{line("source/>"), "text<c:source/>\n", "8 alert cap.text"},
		{line("source/>"), "<c:source>a<c:b/></c:source>\n", "8 alert.source cap.unknown"},
		{line("source/>"), "<c:source>&nbsp;</c:source>\n", "8 alert.source cap.xml"},
		{line("source/>"), "<c:source>\x01</c:source>\n", "8 alert.source cap.xml"},
		{line("source/>"), "<c:source>\xff</c:source>\n", "1 alert cap.utf8"},
		{"<plain/>", "<q:plain/>", "47 alert cap.xml"},
		{"Id=\"s\"", "Id='a' Id='b'", "47 alert cap.xml"},
		{"example.org/a?b", "example.org/a b", "34 alert.info[0].web cap.uri"},
		{"image/png", "png", "37 alert.info[0].resource[0].mimeType cap.mime_type"},
		{"YWJj", "YW", "37 alert.info[0].resource[0].derefUri cap.base64"},
		{"<c:derefUri>YWJj</c:derefUri>", "", "37 alert.info[0].resource[0].uri cap.uri"},
		{"<c:size>3", "<c:size>3 kB", "37 alert.info[0].resource[0].size cap.number"},
		{"30,108 30,109", "30,109", "40 alert.info[0].area[0].polygon[0] cap.polygon"},
		{"30.0,108.0", "30.1,108.0", "40 alert.info[0].area[0].polygon[0] cap.polygon"},
		{"31,109 ", "31 109 ", "40 alert.info[0].area[0].polygon[0] cap.polygon"},
		{"31,109 ", "109,31 ", "40 alert.info[0].area[0].polygon[0] cap.polygon"},
		{"108.5 1.5", "108.5 -1.5", "41 alert.info[0].area[0].circle[0] cap.circle"},
		{"108.5 1.5", "108.5 1e3", "41 alert.info[0].area[0].circle[0] cap.circle"},
		{"108.5 1.5", "108.5", "41 alert.info[0].area[0].circle[0] cap.circle"},
		{line("altitude>-10.5</c:altitude>"), "\n", "44 alert.info[0].area[0].ceiling cap.ceiling"},
		{"emergency:cap:1.2", "emergency:cap:1.3", "2 alert cap.namespace"},
		{"</c:alert>\n", "</c:alert><b/>", "48 alert cap.twice"},
		{"</c:alert>\n", "</c:alert>b", "48 alert cap.text"},
		{"</c:alert>\n", "", "48 alert cap.xml"},
		{"?>\n", "?><!DOCTYPE a [<!ENTITY x 'y'>]>\n", "1 alert cap.dtd"},
		{"UTF-8", "GBK", "1 alert cap.xml"},
		{"<plain/>", strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20), "47 alert cap.depth"},
		{good, "", "1 alert cap.missing"},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%q is not in the document", c.from)
		}
		_, err := Parse([]byte(strings.Replace(good, c.from, c.to, 1)), DefaultLimits())
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Remedy == "" || faults[0].Detail == "" {
			t.Errorf("%q: want %s, got %v", c.to, c.want, err)
			continue
		}
		if f := faults[0]; fmt.Sprintf("%d %s %s", f.Line, f.Field, f.Rule) != c.want {
			t.Errorf("%q: want %s, got %v", c.to, c.want, f)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	s := strings.NewReplacer("Actual", "actual", "17:59:59", "18:00:01", "<c:altitude>-10.5</c:altitude>\n", "").Replace(good)
	_, err := Parse([]byte(s), DefaultLimits())
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 3 || faults[0].Rule != "cap.enum" || faults[1].Rule != "cap.references" || faults[2].Rule != "cap.ceiling" {
		t.Errorf("got %v", err)
	}
}

func TestScopePrivateNeedsAddresses(t *testing.T) {
	s := strings.NewReplacer("Restricted", "Private", "<c:restriction>responsible persons</c:restriction>\n", "", "\"the duty officer\" b", " ").Replace(good)
	if _, err := Parse([]byte(s), DefaultLimits()); err == nil || !strings.Contains(err.Error(), "cap.addresses") {
		t.Errorf("got %v", err)
	}
}

func TestALargeDocumentIsNotRead(t *testing.T) {
	if _, err := Parse([]byte(good), Limits{Bytes: len(good) - 1, Depth: 9}); err == nil || !strings.Contains(err.Error(), "cap.size") {
		t.Errorf("got %v", err)
	}
}

func TestWriteRefusesWhatIsNotCAP(t *testing.T) {
	a, err := Parse([]byte(good), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(a *Alert){
		"control character": func(a *Alert) { a.Note = new("a\x01") },
		"no scope":          func(a *Alert) { a.Scope = "" },
		"not an extension":  func(a *Alert) { a.Extensions = []string{"<note/>"} },
		"open extension":    func(a *Alert) { a.Extensions = []string{"<x"} },
	} {
		b := a
		spoil(&b)
		if _, err := Write(b); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTimesKeepTheirZone(t *testing.T) {
	at := time.Date(2026, 6, 13, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		zone *time.Location
		want Time
	}{{time.UTC, "2026-06-13T10:00:00-00:00"}, {warning.China, "2026-06-13T18:00:00+08:00"}, {time.FixedZone("", -9000), "2026-06-13T07:30:00-02:30"}} {
		got := TimeOf(at.In(c.zone))
		if got != c.want || !got.Time().Equal(at) {
			t.Errorf("got %s, %s", got, got.Time())
		}
	}
	if !Time("soon").Time().IsZero() {
		t.Error("a time was made of nothing")
	}
}

// TestWhatIsWrittenReadsBack makes alerts of any text that XML can carry.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert(t)
		b, err := Write(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, again); d != "" {
			t.Fatal(d)
		}
	})
}

// seeds is a small document for each part of the grammar: the engine of fuzzing shortens what it finds, and large ones
// would take all its time.
func seeds() []string {
	const head = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier><sender>b</sender><sent>2026-06-13T18:00:00+08:00</sent><status>Test</status><msgType>Alert</msgType><scope>Public</scope>`
	const info = `<info><category>Met</category><event>hail</event><urgency>Past</urgency><severity>Minor</severity><certainty>Likely</certainty>`
	return []string{
		head + `</alert>`,
		head + `<note>&lt;<![CDATA[<]]></note><references>a,b,2026-06-13T17:00:00+08:00</references></alert>`,
		head + info + `<expires>2026-06-13T19:00:00-00:00</expires></info></alert>`,
		head + info + `<area><areaDesc>x</areaDesc><polygon>1,2 3,4 5,6 1,2</polygon><circle>1,2 3</circle></area></info></alert>`,
		head + info + `<area><areaDesc>x</areaDesc><geocode><valueName>GB/T 2260</valueName><value>500101</value></geocode></area></info></alert>`,
		head + `<d:Signature xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:a/></d:Signature></alert>`,
	}
}

func FuzzParse(f *testing.F) {
	for _, document := range seeds() {
		f.Add([]byte(document))
	}
	known := table(f)
	f.Fuzz(func(t *testing.T, document []byte) {
		a, err := Parse(document, DefaultLimits())
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T without faults", err)
			}
			return
		}
		// Write refuses what does not read back equal.
		if _, err := Write(a); err != nil {
			t.Fatal(err)
		}
		if _, err := ToSpec(a, known, a.Sent.Time()); err != nil && warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Fatal(err)
		}
	})
}
