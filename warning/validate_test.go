package warning

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 13, 12, 0, 0, 0, time.UTC)

func validSpec() Spec {
	return Spec{
		Event: "11B03", EventName: "暴雨", Tier: Orange, Status: Exercise, Type: Alert,
		Expires: noon.Add(6 * time.Hour),
		Areas:   []Area{{Unit: "500101"}, {Polygons: [][]Ring{{{{106, 29}, {107, 29}, {107, 30}, {106, 29}}}}, CRS: "wgs84"}, {Circle: &Circle{Point{107, 30}, 500}, CRS: "gcj02"}},
		Focus:   &Focus{Points: []Point{{107, 30}, {108, 30}}, CRS: "bd09", Speed: 3, Bearing: 90},
		Words:   []Words{{Language: "zh-CN", Kind: Alert, Text: "万州区发布暴雨橙色预警。\n请注意防范。"}, {Language: "en", Kind: Alert, Text: "Rainstorm. 🌧"}},
		Issuers: []string{"万州区气象台"}, Channels: []Channel{SMS}, Stage: "6h",
	}
}

func TestAValidSpecPasses(t *testing.T) {
	if err := validSpec().Validate(noon); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRule breaks one rule at a time and wants that one violation, at its place, with a remedy.
// follows makes a spec of a type that follows another warning, with all the words that it speaks in.
func follows(s *Spec, t Type) {
	s.Type, s.References = t, []string{"01J"}
	for _, kind := range t.Kinds() {
		if !slices.ContainsFunc(s.Words, func(w Words) bool { return w.Kind == kind && w.Language == Languages[0] }) {
			s.Words = append(s.Words, Words{Language: Languages[0], Kind: kind, Text: "words"})
		}
	}
}

func TestEveryRule(t *testing.T) {
	cases := []struct {
		field, rule string
		spoil       func(*Spec)
	}{
		{"event", "event.missing", func(s *Spec) { s.Event = "" }},
		{"event", "event.unknown", func(s *Spec) { s.Event = "11B93" }},
		{"event_name", "text.control", func(s *Spec) { s.EventName = "暴\n雨" }},
		{"event_id", "text.control", func(s *Spec) { s.EventID = "a\x00" }},
		{"tier", "tier.missing", func(s *Spec) { s.Tier = 0 }},
		{"tier", "tier.missing", func(s *Spec) { s.Tier = 9 }},
		{"status", "status.missing", func(s *Spec) { s.Status = 0 }},
		{"status", "status.test", func(s *Spec) { s.Status = Test }},
		{"type", "type.missing", func(s *Spec) { s.Type = 0 }},
		{"references", "references.alert", func(s *Spec) { s.References = []string{"01J"} }},
		{"references", "references.one", func(s *Spec) { follows(s, Cancel); s.References = nil }},
		{"references", "references.one", func(s *Spec) { follows(s, AllClear); s.References = []string{"01J", "01K"} }},
		{"words", "words.missing", func(s *Spec) { follows(s, Update); s.Words = s.Words[:len(s.Words)-1] }},
		{"expires", "expires.missing", func(s *Spec) { s.Expires = time.Time{} }},
		{"expires", "expires.past", func(s *Spec) { s.Expires = noon }},
		{"expires", "expires.far", func(s *Spec) { s.Expires = noon.Add(MaxValidity + 1) }},
		{"expires", "expires.before_onset", func(s *Spec) { s.Onset = s.Expires }},
		{"areas", "areas.missing", func(s *Spec) { s.Areas = nil }},
		{"areas[0]", "area.empty", func(s *Spec) { s.Areas[0] = Area{Name: "x"} }},
		{"areas[1]", "area.both", func(s *Spec) { s.Areas[1].Unit = "500101" }},
		{"areas[0].crs", "area.crs", func(s *Spec) { s.Areas[0].CRS = "wgs84" }},
		{"areas[1].polygons.crs", "area.crs", func(s *Spec) { s.Areas[1].CRS = "" }},
		{"areas[1].name", "text.control", func(s *Spec) { s.Areas[1].Name = "\x1b" }},
		{"areas[2]", "area.both", func(s *Spec) { s.Areas[2].Polygons = s.Areas[1].Polygons }},
		{"areas[2].circle.crs", "area.crs", func(s *Spec) { s.Areas[2].CRS = "mars" }},
		{"areas[2].circle.centre", "area.coordinate", func(s *Spec) { s.Areas[2].Circle.Centre[1] = 91 }},
		{"areas[2].circle.radius_m", "area.radius", func(s *Spec) { s.Areas[2].Circle.Radius = math.NaN() }},
		{"areas[2].circle.radius_m", "area.radius", func(s *Spec) { s.Areas[2].Circle.Radius = MaxRadius + 1 }},
		{"focus.points", "focus.points", func(s *Spec) { s.Focus.Points = nil }},
		{"focus.points", "focus.points", func(s *Spec) { s.Focus.Points = make([]Point, MaxFocusPoints+1) }},
		{"focus.points", "focus.front", func(s *Spec) { s.Focus.Points = s.Focus.Points[:1] }},
		{"focus.points[1]", "focus.point", func(s *Spec) { s.Focus.Points[1][0] = math.NaN() }},
		{"focus.crs", "area.crs", func(s *Spec) { s.Focus.CRS = "" }},
		{"focus.speed_m_per_s", "focus.speed", func(s *Spec) { s.Focus.Speed = math.Inf(1) }},
		{"focus.bearing_deg", "focus.bearing", func(s *Spec) { s.Focus.Bearing = -1 }},
		{"focus.bearing_deg", "focus.bearing", func(s *Spec) { s.Focus.Speed = 0 }},
		{"channels[1]", "channel.edition", func(s *Spec) {
			s.Channels = append(s.Channels, CableTV)
			s.Words[0].Channel = 0
		}},
		{"channels[1]", "channel.twice", func(s *Spec) { s.Channels = append(s.Channels, SMS) }},
		{"words", "words.missing", func(s *Spec) { s.Words = s.Words[1:] }},
		{"words", "words.missing", func(s *Spec) { s.Words[0].Kind = Cancel }},
		{"words[1].language", "words.language", func(s *Spec) { s.Words[1].Language = "fr" }},
		{"words[1].kind", "words.kind", func(s *Spec) { s.Words[1].Kind = 9 }},
		{"words[1].channel", "words.channel", func(s *Spec) { s.Words[1].Channel = Push }},
		{"words[2]", "words.twice", func(s *Spec) { s.Words = append(s.Words, s.Words[0]) }},
		{"words[1].text", "text.blank", func(s *Spec) { s.Words[1].Text = " \n" }},
		{"words[1].text", "text.utf8", func(s *Spec) { s.Words[1].Text = "a\xff" }},
		{"words[1].text", "text.control", func(s *Spec) { s.Words[1].Text = "a\tb" }},
		{"words[1].text", "text.control", func(s *Spec) { s.Words[1].Text = "a\u202eb" }},
		{"words[1].text", "text.control", func(s *Spec) { s.Words[1].Text = "a\ue000b" }},
		{"words[0].text", "words.drill_mark", func(s *Spec) {
			s.Status = PublicDrill
			s.Words[1].Text = DrillMark + s.Words[1].Text
		}},
		{"words[0].text", "words.drill_mark", func(s *Spec) {
			s.Status = Actual
			s.Words[0].Text = DrillMark + s.Words[0].Text
		}},
		{"issuers", "issuers.missing", func(s *Spec) { s.Issuers = nil }},
		{"issuers[0]", "issuer.blank", func(s *Spec) { s.Issuers[0] = " " }},
		{"issuers[1]", "issuer.twice", func(s *Spec) { s.Issuers = append(s.Issuers, s.Issuers[0]) }},
		{"issuers[0]", "text.control", func(s *Spec) { s.Issuers[0] = "a\r" }},
		{"stage", "stage.unknown", func(s *Spec) { s.Stage = "12h" }},
		{"references[0]", "text.control", func(s *Spec) { follows(s, Cancel); s.References = []string{"\x7f"} }},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			s := validSpec()
			c.spoil(&s)
			err := s.Validate(noon)
			var e *Error
			if !errors.As(err, &e) || e.Reason != ReasonInvalid {
				t.Fatalf("got %v", err)
			}
			if len(e.Violations) != 1 {
				t.Fatalf("want one violation, got %v", e.Violations)
			}
			v := e.Violations[0]
			if v.Field != "warning."+c.field || v.Rule != c.rule || v.Detail == "" || v.Remedy == "" {
				t.Fatalf("want %s at %s with detail and remedy, got %+v", c.rule, c.field, v)
			}
		})
	}
}

func TestAllViolationsAtOnce(t *testing.T) {
	var e *Error
	if err := (Spec{}).Validate(noon); !errors.As(err, &e) || len(e.Violations) != 7 {
		t.Fatalf("want one violation each for event, tier, status, type, expires, areas, issuers; got %v", e)
	}
}

func TestNearEvents(t *testing.T) {
	for in, want := range map[string]string{"11b03": "11B03", "11B3": "11B03", "暴雨": "11B03", "Rainstorm": "11B03", "11G1": "11G01"} {
		got := NearEvents(in)
		if len(got) == 0 || got[0].Code != want {
			t.Errorf("%q: got %v, want %s first", in, got, want)
		}
	}
	if got := NearEvents("hurricane"); len(got) != 0 {
		t.Errorf("nothing is near hurricane, got %v", got)
	}
}

func TestEventCodesAreOrderedAndWhole(t *testing.T) {
	if !slices.IsSortedFunc(EventCodes, func(a, b EventCode) int { return strings.Compare(a.Code, b.Code) }) {
		t.Error("codes are not ascending")
	}
	for i, e := range EventCodes {
		if e.Chinese == "" || e.English == "" || i > 0 && EventCodes[i-1].Code == e.Code {
			t.Errorf("%+v", e)
		}
	}
}

func TestCheckNationalID(t *testing.T) {
	for _, ok := range []string{"", "50010141600000_20260613120000", "50010141600000_20260613120000_0"} {
		if err := CheckNationalID(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"x", "_", "5001014160000_20260613120000", "50010141600000_20261313120000", "50010141600000_20260613120000_", "50010141600000_20260613120000_10", "5001014160000x_20260613120000_1"} {
		if err := CheckNationalID(bad); ReasonOf(err) != ReasonInvalid {
			t.Errorf("%q passed", bad)
		}
	}
}
