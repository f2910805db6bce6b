package warning

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

var desk = Desk{
	Hotline: "9990000001",
	English: map[string]string{"重庆市气象台": "Chongqing Meteorological Observatory", "河边": "the riverside"},
	Unit: func(code string, _ time.Time) Name {
		return map[string]Name{"500101": {"万州区", "Wanzhou"}, "500102": {"涪陵区", "Fuling"}}[code]
	},
}

func plainSpec() Spec {
	return Spec{
		Event: "11B03", Tier: Orange, Status: Actual, Type: Alert, Expires: noon.Add(6 * time.Hour),
		Areas:   []Area{{Unit: "500101"}, {Name: "涪陵区", Unit: "500102"}},
		Issuers: []string{"重庆市气象台"}, Channels: []Channel{SMS},
	}
}

func composed(t *testing.T, f Fields, kind Type, ch Channel, language string) string {
	t.Helper()
	text, err := Compose(f, kind, ch, language)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOfficialWords shows the patterns as people read them.
func TestOfficialWords(t *testing.T) {
	was := plainSpec()
	more := plainSpec()
	more.Tier = Red
	less := plainSpec()
	less.Tier = Blue
	longer := plainSpec()
	longer.Expires = longer.Expires.Add(time.Hour)
	moved := plainSpec()
	moved.Areas = moved.Areas[:1]
	moved.Expires = longer.Expires
	notice := plainSpec()
	notice.Tier = Notice
	for _, c := range []struct {
		name     string
		spec     Spec
		kind     Type
		channel  Channel
		language string
		want     string
	}{
		{"alert", was, Alert, SMS, "zh-CN", "重庆市气象台6月13日20时00分发布暴雨橙色预警：万州区、涪陵区，有效至6月14日2时00分。减少外出，远离河道、低洼地带和危岩陡坡。咨询电话9990000001。"},
		{"alert", was, Alert, SMS, "en", "Chongqing Meteorological Observatory, 13 Jun 20:00: orange rainstorm warning for Wanzhou, Fuling, valid until 14 Jun 02:00. Go out less, keep away from rivers, low ground and steep slopes. Information: 9990000001."},
		{"notice", notice, Alert, SMS, "zh-CN", "重庆市气象台6月13日20时00分发布暴雨提示：万州区、涪陵区，有效至6月14日2时00分。减少外出，远离河道、低洼地带和危岩陡坡。咨询电话9990000001。"},
		{"flash", was, Alert, FlashSMS, "zh-CN", "暴雨橙色预警：万州区、涪陵区，有效至6月14日2时00分。减少外出，远离河道、低洼地带和危岩陡坡。重庆市气象台6月13日20时00分发布，咨询电话9990000001。"},
		{"upgrade", more, Update, SMS, "zh-CN", "重庆市气象台6月13日20时00分将暴雨橙色预警升级为暴雨红色预警：万州区、涪陵区，有效至6月14日2时00分。停止户外活动，远离河道、低洼地带和危岩陡坡，服从转移安排。咨询电话9990000001。"},
		{"downgrade", less, Update, SMS, "zh-CN", "重庆市气象台6月13日20时00分将暴雨橙色预警降级为暴雨蓝色预警：万州区、涪陵区，有效至6月14日2时00分。减少外出，远离河道、低洼地带和危岩陡坡。咨询电话9990000001。"},
		{"renew", longer, Update, SMS, "zh-CN", "重庆市气象台6月13日20时00分继续发布暴雨橙色预警：万州区、涪陵区，有效期延至6月14日3时00分。减少外出，远离河道、低洼地带和危岩陡坡。咨询电话9990000001。"},
		{"move", moved, Update, SMS, "zh-CN", "重庆市气象台6月13日20时00分更新暴雨橙色预警：范围现为万州区，有效至6月14日3时00分。减少外出，远离河道、低洼地带和危岩陡坡。咨询电话9990000001。"},
		{"left", moved, Left, SMS, "zh-CN", "重庆市气象台6月13日20时00分更新暴雨橙色预警：您所在地区已不在范围内，此前的预警对您不再有效。现范围为万州区，有效至6月14日3时00分。咨询电话9990000001。"},
		{"correction", was, Cancel, SMS, "zh-CN", "更正：重庆市气象台6月13日20时00分发布的暴雨橙色预警系误发，现予撤销，万州区、涪陵区请勿据此行动。原定有效至6月14日2时00分，即刻作废。咨询电话9990000001。"},
		{"all-clear", was, AllClear, SMS, "zh-CN", "重庆市气象台解除暴雨橙色预警：万州区、涪陵区险情已过。该预警6月13日20时00分发布，原定有效至6月14日2时00分，现即失效。咨询电话9990000001。"},
	} {
		t.Run(c.name+" "+c.language, func(t *testing.T) {
			if got := composed(t, FieldsOf(c.spec, &was, desk, noon), c.kind, c.channel, c.language); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if got, err := Title(FieldsOf(was, nil, desk, noon), "zh-CN"); err != nil || got != "重庆市气象台发布暴雨橙色预警[Ⅱ级/重大]" {
		t.Error(got, err)
	}
}

// TestEveryPatternIsWhole walks every kind, channel, tier, event and language: nothing has a gap, everything says until
// when it holds, and no number or link is in it but the hotline.
func TestEveryPatternIsWhole(t *testing.T) {
	was := plainSpec()
	for _, kind := range []Type{Alert, Update, Left, Cancel, AllClear} {
		for _, ch := range []Channel{SMS, FlashSMS, Broadcast, WorkApp} {
			for _, tier := range Tiers {
				for _, e := range EventCodes {
					for _, language := range Languages {
						s := plainSpec()
						s.Tier, s.Event = tier, e.Code
						text := composed(t, FieldsOf(s, &was, desk, noon), kind, ch, language)
						for _, gap := range []string{"{", "}", "[", "]", "  ", "，，", "。。", "..", "?"} {
							if strings.Contains(text, gap) {
								t.Fatalf("%s %s %s %s %s has %q: %s", kind, ch, tier, e.Code, language, gap, text)
							}
						}
						if !SaysUntil(text, s.Expires) {
							t.Fatalf("does not say until when: %s", text)
						}
						if got := CheckContacts(text, []string{desk.Hotline}); len(got) > 0 {
							t.Fatalf("%s: %v", text, got)
						}
					}
				}
			}
		}
	}
}

// TestBothLanguagesHaveTheSamePatterns holds the template files against each other.
func TestBothLanguagesHaveTheSamePatterns(t *testing.T) {
	zh, en := patterns["zh-CN"], patterns["en"]
	if len(zh) != len(en) {
		t.Fatalf("%d and %d patterns", len(zh), len(en))
	}
	named := map[string]bool{}
	for i, p := range zh {
		if q := en[i]; p.kind != q.kind || p.channel != q.channel || p.tier != q.tier {
			t.Errorf("%s %s %s beside %s %s %s", p.kind, p.channel, p.tier, q.kind, q.channel, q.tier)
		}
		for _, x := range p.parts {
			named[x.field] = true
		}
	}
	for _, f := range fields {
		if !named[f] && f != "grade" {
			t.Errorf("no pattern names %s", f)
		}
		if wanted[f][0] == "" && f != "grade" {
			t.Errorf("nobody says where %s is missing", f)
		}
	}
}

// TestSeoulSaysWhyAndWhere replays 31 May 2023: an alert told millions to flee and said neither what nor where, and
// nobody could tell whether it still held. No official text leaves without any of its parts.
func TestSeoulSaysWhyAndWhere(t *testing.T) {
	for rule, spoil := range map[string]func(*Fields){
		"issuers": func(f *Fields) { f.Issuers = nil },
		"at":      func(f *Fields) { f.At = time.Time{} },
		"warning": func(f *Fields) { f.Event = Name{} },
		"where":   func(f *Fields) { f.Where = []Name{{"万州区", "Wanzhou"}, {}} },
		"until":   func(f *Fields) { f.Until = time.Time{} },
		"advice":  func(f *Fields) { f.Code = "11Z99" },
		"hotline": func(f *Fields) { f.Hotline = "" },
	} {
		for _, language := range Languages {
			f := FieldsOf(plainSpec(), nil, desk, noon)
			spoil(&f)
			text, err := Compose(f, Alert, SMS, language)
			var e *Error
			if !errors.As(err, &e) || text != "" || e.Violations[0].Rule != "words.field."+rule || e.Violations[0].Remedy == "" {
				t.Errorf("without %s: %q, %v", rule, text, err)
			}
		}
	}
}

// TestHawaiiHasItsCorrection replays 13 January 2018: no words were ready to take a false alarm back, and it stood for 38
// minutes. Every warning has its correction and its all-clear from its submission, in both languages, for all channels.
func TestHawaiiHasItsCorrection(t *testing.T) {
	s := plainSpec()
	s.Words = []Words{{Language: "zh-CN", Kind: Alert, Text: "暴雨，有效至2时整，请到高处。"}}
	s.Channels = []Channel{SMS, FlashSMS, Broadcast, CableTV, Push, WorkApp}
	got, err := s.WithPreparedWords(nil, Desk{}, noon) // even where nobody gave a hotline
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Type{Cancel, AllClear} {
		for _, ch := range s.Channels {
			for _, language := range Languages {
				text := got.TextFor(kind, ch, language)
				if text == "" || !SaysUntil(text, s.Expires) {
					t.Errorf("%s %s %s: %q", kind, ch, language, text)
				}
			}
		}
	}
	if zh, en := got.TextFor(Cancel, SMS, "zh-CN"), got.TextFor(Cancel, SMS, "en"); !strings.HasPrefix(zh, "更正：") || !strings.HasPrefix(en, "CORRECTION: ") {
		t.Errorf("%s\n%s", zh, en)
	}
	if got.Words[0] != s.Words[0] || len(s.Words) != 1 {
		t.Error("the words that were given were changed")
	}
}

// TestHawaiiDrillCannotBeMistaken: drill and danger shared one form of words. Every prepared text of a public drill says
// so first.
func TestHawaiiDrillCannotBeMistaken(t *testing.T) {
	s := plainSpec()
	s.Status = PublicDrill
	got, err := s.WithPreparedWords(nil, desk, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range got.Words {
		if !strings.HasPrefix(w.Text, DrillMark) {
			t.Errorf("%+v", w)
		}
	}
	if err := got.Validate(noon); err != nil {
		t.Error(err)
	}
}

// TestLosAngelesSaysUntilWhen replays 9 January 2025: echoes of an alert came for days, and nobody could tell whether it
// still held. An alert that does not name its end gets it.
func TestLosAngelesSaysUntilWhen(t *testing.T) {
	s := plainSpec()
	s.Words = []Words{
		{Language: "zh-CN", Kind: Alert, Text: "暴雨，请到高处。"},
		{Language: "en", Kind: Alert, Text: "Rainstorm, go up. Until 2:00."},
		{Language: "zh-CN", Kind: Cancel, Text: "更正。"},
	}
	got, err := s.WithPreparedWords(nil, desk, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got.TextFor(Alert, SMS, "zh-CN") != "暴雨，请到高处。（有效至6月14日2时00分）" || got.TextFor(Alert, SMS, "en") != s.Words[1].Text {
		t.Error(got.Words)
	}
	if got.TextFor(Cancel, SMS, "zh-CN") != "更正。" || got.TextFor(Cancel, SMS, "en") == "更正。" {
		t.Error("the correction that was given is kept, and the other language made", got.Words)
	}
	again, err := got.WithPreparedWords(nil, desk, noon.Add(time.Hour))
	if err != nil || DigestOf(again) != DigestOf(got) {
		t.Error("prepared twice it differs", err)
	}
}

// TestLosAngelesHasAnArea: its polygon was lost on the way, and ten million people were told to be ready to leave. Without
// an area there are no words, and no warning.
func TestLosAngelesHasAnArea(t *testing.T) {
	s := plainSpec()
	s.Areas = nil
	if _, err := s.WithPreparedWords(nil, desk, noon); ReasonOf(err) != ReasonInvalid || !strings.Contains(err.Error(), "warning.areas") {
		t.Errorf("words without a place: %v", err)
	}
	s.Words = []Words{{Language: "zh-CN", Kind: Alert, Text: "请撤离，有效至2时。"}}
	if err := s.Validate(noon); ReasonOf(err) != ReasonInvalid || !strings.Contains(err.Error(), "areas.missing") {
		t.Errorf("a warning without a place: %v", err)
	}
}

// TestHokkaidoIsCorrectedEverywhere replays 13 April 2023: the correction came over another channel than the alert. There
// is one for each channel that the alert goes by.
func TestHokkaidoIsCorrectedEverywhere(t *testing.T) {
	for ch := range channelNames {
		s := plainSpec()
		s.Channels = []Channel{channelNames[ch]}
		got, err := s.WithPreparedWords(nil, desk, noon)
		if err != nil || got.TextFor(Cancel, channelNames[ch], "zh-CN") == "" || got.TextFor(Cancel, channelNames[ch], "en") == "" {
			t.Errorf("%s: no correction (%v)", ch, err)
		}
	}
}

// TestTheDutchAndTheBritishLanguages: the Dutch of 2019 spoke one language only, and the British test of 2023 had a
// spelling mistake in the other, which one person had typed that morning. Words that nobody typed exist in all languages.
func TestTheDutchAndTheBritishLanguages(t *testing.T) {
	s := plainSpec()
	s.Channels = []Channel{SMS, WorkApp}
	got, err := s.WithPreparedWords(nil, desk, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range s.Channels {
		if zh, en := got.TextFor(Alert, ch, "zh-CN"), got.TextFor(Alert, ch, "en"); zh == "" || en == "" || zh == en {
			t.Errorf("%s: %q and %q", ch, zh, en)
		}
	}
	if !strings.Contains(got.TextFor(Alert, WorkApp, "zh-CN"), "责任人") || strings.Contains(got.TextFor(Alert, SMS, "zh-CN"), "责任人") {
		t.Error("the work app speaks to responsible persons, and only it")
	}
	for _, tier := range Tiers {
		s.Tier = tier
		if loud := strings.HasPrefix(composed(t, FieldsOf(s, nil, desk, noon), Alert, Broadcast, "en"), "Urgent!"); loud != (tier == Red) {
			t.Errorf("%s is announced as urgent: %v", tier, loud)
		}
	}
}

func TestAnUpdateSpeaksToThreeGroups(t *testing.T) {
	was, s := plainSpec(), plainSpec()
	s.Type, s.Tier = Update, Red
	got, err := s.WithPreparedWords(&was, desk, noon)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, kind := range []Type{Alert, Update, Left, Cancel, AllClear} {
		for _, language := range Languages {
			seen[got.TextFor(kind, SMS, language)] = true
		}
	}
	if len(seen) != 10 || seen[""] {
		t.Errorf("want ten different texts: %v", seen)
	}
	got.References = []string{"01JZ0000000000000000000000"}
	if err := got.Validate(noon); err != nil {
		t.Error(err)
	}
}

func TestAMissingFieldIsNamedOnce(t *testing.T) {
	s := plainSpec()
	s.Areas = []Area{{Polygons: [][]Ring{{{{106, 29}, {107, 29}, {107, 30}, {106, 29}}}}, CRS: "wgs84"}}
	_, err := s.WithPreparedWords(nil, desk, noon)
	var e *Error
	if !errors.As(err, &e) || len(e.Violations) != 1 || e.Violations[0].Field != "warning.areas" {
		t.Fatal(err)
	}
}

// TestAFaultyWarningIsToldItsFaults: what is wrong with a warning comes before the gaps that this leaves in its words.
func TestAFaultyWarningIsToldItsFaults(t *testing.T) {
	var e *Error
	if _, err := (Spec{Type: Update}).WithPreparedWords(&Spec{}, Desk{}, noon); !errors.As(err, &e) || strings.Contains(err.Error(), "words.") || !strings.Contains(err.Error(), "tier.missing") {
		t.Error(err)
	}
	s := plainSpec()
	s.Areas = []Area{{Polygons: [][]Ring{{{{math.NaN(), math.Inf(1)}}}}, CRS: "wgs84", Name: "x"}}
	if _, err := s.WithPreparedWords(&s, desk, noon); err != nil { // geofences look at coordinates
		t.Error(err)
	}
}

func TestSaysUntil(t *testing.T) {
	end := time.Date(2026, 6, 13, 4, 0, 0, 0, China)
	for text, want := range map[string]bool{
		"至4时": true, "至4时00分": true, "至04:00": true, "至4：00": true, "至4点": true, "until 4:00": true,
		"至14时": false, "至14:00": false, "14:00，后4:00": true, "": false, "4日": false, "至5时": false,
		"预计4时30分雨停": false, "4点半": false, "4时30分至4时": true,
	} {
		if SaysUntil(text, end) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func FuzzParsePatterns(f *testing.F) {
	f.Add(mustRead("zh-CN.txt"))
	f.Add("alert * * a[{where}]b")
	f.Add("alert * * ]")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parsePatterns(text)
		for _, p := range all {
			if _, missing := fill(p.parts, map[string]string{}); err == nil && missing != "" && wanted[missing][1] == "" && missing != "grade" {
				t.Errorf("%q", missing)
			}
		}
	})
}
