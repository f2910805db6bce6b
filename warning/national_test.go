package warning

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNationalIDIsReadAndWritten(t *testing.T) {
	for s, want := range map[string]NationalID{
		"50010141600000_20260613120000_0": {"500101", "416", "000", "00", time.Date(2026, 6, 13, 12, 0, 0, 0, China), 0},
		"11010841600000_20211229072633":   {"110108", "416", "000", "00", time.Date(2021, 12, 29, 7, 26, 33, 0, China), -1},
		"50000013200712_20260101000000_9": {"500000", "132", "007", "12", time.Date(2026, 1, 1, 0, 0, 0, 0, China), 9},
	} {
		got, err := ParseNationalID(s)
		if err != nil || !got.Entered.Equal(want.Entered) {
			t.Errorf("%s: got %+v, %v", s, got, err)
		}
		got.Entered = want.Entered
		if got != want || got.String() != s {
			t.Errorf("%s: got %+v, written %s", s, got, got)
		}
	}
	if got := (NationalID{"500101", "416", "000", "00", time.Date(2026, 6, 13, 16, 0, 1, 0, time.UTC), 3}).String(); got != "50010141600000_20260614000001_3" {
		t.Errorf("the time of entry is Beijing's, got %s", got)
	}
}

func TestNationalIDGoesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := func(n string) string { return rapid.StringMatching(`[0-9]{`+n+`}`).Draw(t, "digits") }
		id := NationalID{
			digits("6"), digits("3"), digits("3"), digits("2"),
			time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "entered"), 0).In(China), rapid.IntRange(-1, 9).Draw(t, "serial"),
		}
		again, err := ParseNationalID(id.String())
		if err != nil || again.String() != id.String() || !again.Entered.Equal(id.Entered) {
			t.Fatalf("%+v came back as %+v, %v", id, again, err)
		}
	})
}

func TestTitlesAreRead(t *testing.T) {
	for title, want := range map[string]Headline{
		"海淀区气象台发布大风蓝色预警[IV/一般]":            {"海淀区气象台", "大风", Blue},
		"三明市气象台发布雷电黄色预警[Ⅲ级/较重]":            {"三明市气象台", "雷电", Yellow},
		"重庆市突发事件预警信息发布中心发布暴雨红色预警[Ⅰ级/特别严重]": {"重庆市突发事件预警信息发布中心", "暴雨", Red},
		"昭苏县气象台继续发布雷电黄色预警信号":               {"昭苏县气象台", "雷电", Yellow},
		"重庆市气象台发布森林(草原)火险橙色预警":             {"重庆市气象台", "森林(草原)火险", Orange},
	} {
		if got, err := ParseTitle(title); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", title, got, err)
		}
	}
	for _, bad := range []string{
		"", "暴雨红色预警", "发布暴雨红色预警", "海淀区气象台发布大风白色预警", "海淀区气象台发布大风蓝色预警[Ⅰ级/一般]",
		"海淀区气象台发布大风蓝色预警[Ⅳ级/重大]", "海淀区气象台发布大风蓝色预警[", "海淀区气象台解除大风蓝色预警",
	} {
		if _, err := ParseTitle(bad); ReasonOf(err) != ReasonInvalid {
			t.Errorf("%q passed: %v", bad, err)
		}
	}
}

// TestTitlesGoThereAndBack makes the title of every event and colour.
func TestTitlesGoThereAndBack(t *testing.T) {
	for _, e := range EventCodes {
		for _, tier := range []Tier{Red, Orange, Yellow, Blue} {
			want := Headline{"重庆市突发事件预警信息发布中心", e.Chinese, tier}
			f := Fields{Issuers: []Name{{Chinese: want.Issuer}}, Event: Name{Chinese: e.Chinese}, Code: e.Code, Tier: tier, Status: Actual}
			title, err := Title(f, "zh-CN")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseTitle(title); err != nil || got != want {
				t.Errorf("%s: got %+v, %v", title, got, err)
			}
		}
	}
}
