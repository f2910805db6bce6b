package cap

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/warning"
)

func read(t testing.TB, document string) Alert {
	t.Helper()
	a, err := Parse([]byte(document), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// public is the good message for everybody.
func public(t testing.TB) Alert {
	t.Helper()
	a := read(t, good)
	a.Scope, a.Restriction = "Public", nil
	return a
}

// table is the shipped one with entries of a deployment that reads the samples.
func table(t testing.TB) Table {
	t.Helper()
	tb, err := ParseTable(Shipped())
	if err != nil {
		t.Fatal(err)
	}
	for text, code := range map[string]string{
		"civil emergency message": "11A01", "Special Weather Statement": "11B20", "Flood Advisory": "11A01", "fire": "11G01",
	} {
		tb.Events = append(tb.Events, Event{Text: text, Code: code})
	}
	return tb
}

// TestEverySampleWithAShapeIsAdmitted takes each sample just after it was sent. Only what a sample does not say is asked
// for, and no area of a sample is lost.
func TestEverySampleWithAShapeIsAdmitted(t *testing.T) {
	asked := map[string]string{
		"google-earthquake.xml":         "warning.tier: no tier follows from severity Unknown (say --tier) [cap.severity]",
		"google-weather.xml":            "area 0 (Central and Southern Lewis and Clark; Lewis and Clark) has only codes that nobody here knows: FIPS6, UGC",
		"google-no_optional_fields.xml": "cap.info.missing",
	}
	shapes := 0
	for name, document := range files(t, "valid") {
		a := read(t, string(document))
		now := a.Sent.Time().Add(time.Second)
		spec, err := ToSpec(a, table(t), now)
		if want := asked[name]; want != "" || err != nil {
			if err == nil || want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q, got %v", name, want, err)
			}
			if name != "google-earthquake.xml" {
				continue
			}
			spec.Tier = warning.Orange // --tier orange
		}
		shapes++
		spec.Channels = []warning.Channel{warning.SMS}
		if spec.Type != warning.Alert {
			spec.References = []string{"01J0000000000000000000000"} // the caller has found the original
		}
		for _, kind := range spec.Type.Kinds() { // no sample speaks Chinese: the official pattern does
			spec.Words = append(spec.Words, warning.Words{Language: "zh-CN", Kind: kind, Text: "预警"})
		}
		if err := spec.Validate(now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		distinct := map[string]bool{}
		for _, info := range a.Infos {
			for _, area := range info.Areas {
				for _, s := range append(area.Polygons, area.Circles...) {
					distinct[s] = true
				}
			}
		}
		if len(spec.Areas) != len(distinct) {
			t.Errorf("%s: %d areas of %d shapes", name, len(spec.Areas), len(distinct))
		}
	}
	if shapes != 28 {
		t.Errorf("%d samples have a shape", shapes)
	}
}

func TestAMessageBecomesASpec(t *testing.T) {
	a := public(t)
	a.Infos[0].Areas[0].Altitude, a.Infos[0].Areas[0].Ceiling = nil, nil
	english := a.Infos[0]
	english.Language, english.SenderName, english.Description, english.Instruction = nil, new("Observatory"), new("Heavy\n rain."), nil
	english.Areas = []Area{{Desc: "Wanzhou", Polygons: english.Areas[0].Polygons}, {Desc: "Fuling", Geocodes: []Pair{{"GB/T 2260", "500102000000"}, {"UGC", "x"}}}}
	french := Info{Language: new("fr"), Event: "pluie", Severity: "Severe", Onset: english.Onset, Expires: english.Expires}
	a.Infos = []Info{french, english, a.Infos[0]}
	got, err := ToSpec(a, table(t), a.Sent.Time())
	if err != nil {
		t.Fatal(err)
	}
	chinese := "two lines and a tab 请注意防范。"
	want := warning.Spec{
		Event: "11B03", Tier: warning.Orange, Status: warning.Actual, Type: warning.Update, Issuers: []string{"重庆市气象台"},
		Onset: a.Sent.Time(), Expires: time.Date(2026, 6, 13, 16, 0, 0, 0, time.UTC), References: []string{"cap@example.org,a1,2026-06-13T09:00:00-00:00", "b,c,2026-06-13T17:59:59+08:00"},
		Areas: []warning.Area{
			{Name: "万州", Polygons: [][]warning.Ring{{{{108, 30}, {109, 30}, {109, 31}, {108, 30}}}}, CRS: "wgs84"},
			{Name: "万州", Circle: &warning.Circle{Centre: warning.Point{108.5, 30.5}, Radius: 1500}, CRS: "wgs84"},
			{Name: "Fuling", Unit: "500102"},
		},
		Words: []warning.Words{
			{Language: "zh-CN", Kind: warning.Update, Text: chinese}, {Language: "zh-CN", Kind: warning.Alert, Text: chinese},
			{Language: "en", Kind: warning.Update, Text: "Heavy rain."}, {Language: "en", Kind: warning.Alert, Text: "Heavy rain."},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestNothingIsAssumed breaks one thing of a message at a time and wants the field of the spec and the rule.
func TestNothingIsAssumed(t *testing.T) {
	for want, spoil := range map[string]func(a *Alert, i *Info){
		"warning.status cap.status":                 func(a *Alert, _ *Info) { a.Status = "Draft" },
		"warning.type cap.msg_type":                 func(a *Alert, _ *Info) { a.MsgType = "Ack" },
		"warning.references cap.references.missing": func(a *Alert, _ *Info) { a.References = nil },
		"warning cap.sent":                          func(a *Alert, _ *Info) { a.Sent = "2026-06-13T18:07:00+08:00" },
		"warning cap.info.missing":                  func(a *Alert, _ *Info) { a.Infos = nil },
		"warning.tier cap.severity":                 func(_ *Alert, i *Info) { i.Severity = "Unknown" },
		"warning.expires expires.missing":           func(_ *Alert, i *Info) { i.Expires = nil },
		"warning.event cap.event":                   func(_ *Alert, i *Info) { i.Event, i.EventCodes = "rain", nil },
		"warning.areas areas.missing":               func(_ *Alert, i *Info) { i.Areas = nil },
		"warning.areas cap.area.foreign":            func(_ *Alert, i *Info) { i.Areas[0] = Area{Geocodes: []Pair{{"UGC", "500101"}}} },
		"warning.areas cap.area.height":             func(_ *Alert, i *Info) { i.Areas[0].Altitude = new("0") },
		"warning.words cap.words":                   func(_ *Alert, i *Info) { i.Description = new(strings.Repeat("雨", longestText)) },
		"warning.event cap.event ":                  func(_ *Alert, i *Info) { i.EventCodes = append(i.EventCodes, Pair{"SAME", "FFW"}) },
		"warning.tier cap.severity ":                func(a *Alert, i *Info) { i2 := *i; i2.Severity = "Minor"; a.Infos = append(a.Infos, i2) },
		"warning.expires cap.expires":               func(a *Alert, i *Info) { i2 := *i; i2.Expires = nil; a.Infos = append(a.Infos, i2) },
		"warning.onset cap.onset":                   func(a *Alert, i *Info) { i2 := *i; i2.Onset = nil; a.Infos = append(a.Infos, i2) },
		"warning.words cap.words ":                  func(a *Alert, i *Info) { i2 := *i; i2.Description = new("x"); a.Infos = append(a.Infos, i2) },
	} {
		a := public(t)
		now := a.Sent.Time()
		a.Infos[0].Areas[0].Altitude, a.Infos[0].Areas[0].Ceiling = nil, nil
		spoil(&a, &a.Infos[0])
		spec, err := ToSpec(a, table(t), now)
		var refused *warning.Error
		if !errors.As(err, &refused) || len(refused.Violations) != 1 {
			t.Errorf("want %s, got %v", want, err)
			continue
		}
		v := refused.Violations[0]
		if v.Field+" "+v.Rule != strings.TrimSpace(want) || v.Remedy == "" {
			t.Errorf("want %s, got %v", want, v)
		}
		if v.Field == "warning.expires" && v.Rule == "expires.missing" && !strings.Contains(v.Remedy, now.Add(6*time.Hour).Format(time.RFC3339)) {
			t.Errorf("the remedy %q proposes no end", v.Remedy)
		}
		if v.Field != "warning.event" && len(a.Infos) > 0 && spec.Event != "11B03" {
			t.Errorf("%s: what could be read is not there: %+v", want, spec)
		}
	}
}

func TestACancelStopsWhateverElseItSays(t *testing.T) {
	a := public(t)
	a.MsgType, a.Infos = "Cancel", nil
	got, err := ToSpec(a, table(t), a.Sent.Time())
	if d := cmp.Diff(warning.Spec{Status: warning.Actual, Type: warning.Cancel, References: []string{"cap@example.org,a1,2026-06-13T09:00:00-00:00", "b,c,2026-06-13T17:59:59+08:00"}}, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

// TestWhatIsNotForEverybodyIsNotToldToEverybody: a warning of this house goes to all in its area.
func TestWhatIsNotForEverybodyIsNotToldToEverybody(t *testing.T) {
	for name, document := range files(t, "valid") {
		a := read(t, string(document))
		for _, scope := range []string{"Restricted", "Private"} {
			a.Scope = scope
			_, err := ToSpec(a, table(t), a.Sent.Time())
			if refused := err != nil && strings.Contains(err.Error(), "[cap.scope]"); refused == (a.MsgType == "Cancel") {
				t.Errorf("%s, %s %s: %v", name, scope, a.MsgType, err)
			}
		}
	}
}

func TestAnUpdateThatClearsAllIsAnAllClear(t *testing.T) {
	a := read(t, string(files(t, "valid")["google-canada.xml"]))
	got, err := ToSpec(a, table(t), a.Sent.Time())
	if err != nil || got.Type != warning.AllClear || len(got.References) != 2 || got.Event != "11B20" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestShortTextsWin(t *testing.T) {
	a := public(t)
	a.Infos[0].Parameters = []Pair{{"CMAMtext", "short"}, {"CMAMlongtext", " long\n text "}}
	if got := (&mapping{table: table(t)}).text(a.Infos[0]); got != "long text" {
		t.Errorf("got %q", got)
	}
}

func TestTablesAreReadStrictly(t *testing.T) {
	for _, bad := range []string{
		`{`, `{"severitty":{}}`, `{"severity":{"Unknown":"red"}}`, `{"severity":{"Extreme":"purple"}}`,
		`{"events":[{"text":"a","code":"x"}]}`, `{"events":[{"code":"11B03"}]}`, `{"events":[{"scheme":"SAME","code":"11B03"}]}`,
		`{"events":[{"scheme":"SAME","value":"a","text":"b","code":"11B03"}]}`,
	} {
		if _, err := ParseTable([]byte(bad)); err == nil {
			t.Errorf("%s passed", bad)
		}
	}
}

var released = time.Date(2026, 6, 13, 10, 0, 0, 0, time.UTC)

func warned() warning.Warning {
	return warning.Warning{
		ID: "01JXN0000000000000000000AA", Version: 1, ReleasedAt: released, State: warning.Released,
		Spec: warning.Spec{
			Event: "11B03", Tier: warning.Orange, Status: warning.Actual, Type: warning.Alert,
			Onset: released.Add(30 * time.Minute), Expires: released.Add(6 * time.Hour), Issuers: []string{"重庆市气象台", "万州区气象台"},
			Areas: []warning.Area{
				{Name: "万州", Unit: "500101"},
				{Name: "谷", Polygons: [][]warning.Ring{{{{108, 30}, {109.5, 30}, {109, 31.25}, {108, 30}}}}, CRS: "wgs84"},
				{Name: "坝", Circle: &warning.Circle{Centre: warning.Point{108.5, 30.5}, Radius: 1500}, CRS: "wgs84"},
			},
			Words: []warning.Words{
				{Language: "zh-CN", Kind: warning.Alert, Text: "暴雨橙色预警。\n请注意防范。", Channel: warning.SMS}, {Language: "zh-CN", Kind: warning.Alert, Text: "暴雨橙色预警。"},
				{Language: "en", Kind: warning.Alert, Text: "Rainstorm <orange> & \"more\"."}, {Language: "en", Kind: warning.Cancel, Text: "Ignore it."},
			},
		},
	}
}

func TestAWarningBecomesAMessageAndIsReadAgain(t *testing.T) {
	w := warned()
	a, err := FromWarning(w, nil, Profile{Sender: "cap@example.org", Web: "https://example.org", Contact: "12345"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Write(a)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ToSpec(read(t, string(b)), table(t), released)
	if err != nil {
		t.Fatal(err)
	}
	want := w.Spec
	want.Issuers = []string{"重庆市气象台、万州区气象台"}
	want.Words = want.Words[1:3]
	if d := cmp.Diff(want, spec); d != "" {
		t.Error(d)
	}
	if a.Identifier != w.ID || a.Sent != "2026-06-13T18:00:00+08:00" || a.Infos[0].Urgency != "Expected" || a.Infos[1].Event != "rainstorm" {
		t.Errorf("got %+v", a)
	}
}

func TestFollowingMessagesNameTheOneBefore(t *testing.T) {
	first, second := warned(), warned()
	first.NationalID = "50000041600000_20260613180000_0"
	second.ID, second.Version, second.Spec.Type = "01JXN0000000000000000000BB", 2, warning.AllClear
	second.Spec.Status, second.Spec.Areas = warning.PublicDrill, []warning.Area{{Unit: "500102"}, {Circle: &warning.Circle{Radius: 5}, CRS: "cgcs2000"}}
	second.Spec.Words = []warning.Words{{Language: "zh-CN", Kind: warning.AllClear, Text: warning.DrillMark + "解除。"}}
	a, err := FromWarning(second, []warning.Warning{first}, Profile{Sender: "cap@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(a); err != nil {
		t.Error(err)
	}
	if *a.References != "cap@example.org,50000041600000_20260613180000_0,2026-06-13T18:00:00+08:00" || a.MsgType != "Update" ||
		a.Status != "Exercise" || a.Note == nil || a.Infos[0].ResponseTypes[0] != "AllClear" || a.Infos[0].Areas[0].Desc != "500102" || a.Infos[0].Areas[1].Desc != "area 2" || a.Identifier != second.ID+".v2" {
		t.Errorf("got %+v", a)
	}
}

func TestWhatCAPCannotSayIsRefused(t *testing.T) {
	sender := Profile{Sender: "cap@example.org"}
	for rule, spoil := range map[string]func(w *warning.Warning, p *Profile){
		"cap.area.hole":  func(w *warning.Warning, _ *Profile) { w.Spec.Areas[1].Polygons[0] = make([]warning.Ring, 2) },
		"cap.area.crs":   func(w *warning.Warning, _ *Profile) { w.Spec.Areas[2].CRS = "gcj02" },
		"cap.identifier": func(_ *warning.Warning, p *Profile) { p.Sender = "a b" },
		"only what was":  func(w *warning.Warning, _ *Profile) { w.ReleasedAt = time.Time{} },
	} {
		w, p := warned(), sender
		spoil(&w, &p)
		if _, err := FromWarning(w, nil, p); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
}

// TestEveryEventAndTierIsWritten holds what is written against the rules, for every event, tier, status and type.
func TestEveryEventAndTierIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := warned()
		w.Spec.Event = rapid.SampledFrom(warning.EventCodes).Draw(t, "event").Code
		w.Spec.Tier = rapid.SampledFrom(warning.Tiers).Draw(t, "tier")
		w.Spec.Status = rapid.SampledFrom([]warning.Status{warning.Actual, warning.Exercise, warning.PublicDrill, warning.Test}).Draw(t, "status")
		w.Spec.Type = rapid.SampledFrom([]warning.Type{warning.Alert, warning.Update, warning.Cancel, warning.AllClear}).Draw(t, "type")
		w.Spec.Words[0].Kind, w.Spec.Words[1].Kind = w.Spec.Type, w.Spec.Type
		a, err := FromWarning(w, nil, Profile{Sender: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Write(a); err != nil {
			t.Fatal(err)
		}
	})
}
