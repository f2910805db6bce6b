package show

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

func report() *pb.ReportResponse {
	return &pb.ReportResponse{
		Warning: &pb.Warning{Id: "01J", State: pb.State_STATE_COMPLETED, Spec: &pb.WarningSpec{Event: "11B03", EventName: "暴雨", Tier: pb.Tier_TIER_RED, Status: pb.Status_STATUS_EXERCISE}},
		Lanes:   []*pb.LaneCounts{{Planned: 1234560}}, Planned: true,
		InArea: 1234567, Addressable: 1234560, Delivered: 1200000, HandedOver: 30000, NotReached: 4560, Waiting: 0,
		WhyNot:     []*pb.ReportResponse_Why{{Reason: "bad_number", People: 4500}, {Reason: "something_new", People: 60}},
		FinishedAt: timestamppb.New(time.Date(2026, 6, 13, 12, 34, 56, 0, time.Local)),
		ByDistrict: []*pb.ReportResponse_Row{{Key: "500101", Name: "万州区", Planned: 5, Delivered: 4, Waiting: 1}, {Key: "500102", Name: "涪陵区", Planned: 1234}},
		Accounts:   []*pb.ReportResponse_Account{{Account: "mobile", Messages: 1000, ContractUsed: 0.998}},
	}
}

func TestTheMayorsFiveLines(t *testing.T) {
	for language, want := range map[Language]string{
		"en": "In the area 1,234,567 people, addressable 1,234,560\n" +
			"Delivered 1,200,000\n" +
			"Handed over, no receipt yet 30,000\n" +
			"Not reached 4,560 (bad number 4,500, something_new 60)\n" +
			"Still waiting 0, finished at 12:34",
		"zh-CN": "区域内 1,234,567 人\uff0c可联系 1,234,560 人\n" +
			"已送达 1,200,000 人\n" +
			"已交运营商、尚无回执 30,000 人\n" +
			"未送达 4,560 人\uff08号码无效 4,500、something_new 60\uff09\n" +
			"等待发送 0 人\uff0c完成于 12:34",
	} {
		if got := strings.Join(language.Report(report())[:5], "\n"); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", language, got, want)
		}
	}
}

// TestTheReportTellsOfRoutesAndRecalls: summed over channels, and not a word where there were none.
func TestTheReportTellsOfRoutesAndRecalls(t *testing.T) {
	told := report()
	told.Lanes = []*pb.LaneCounts{{Rerouted: 1200, Moved: 4, RecallAsked: 5000, Recalled: 4000}, {Rerouted: 34, RecallAsked: 1}}
	for language, want := range map[Language][3]string{
		"en":    {"by SMS instead 4 people", "Moved to another route 1,234 people", "asked to take back 5,001 messages and confirmed 4,000"},
		"zh-CN": {"改由短信 4 人", "改走其他路由 1,234 人", "撤回 5,001 条\uff0c已确认撤回 4,000 条"},
	} {
		lines, quiet := strings.Join(language.Brief(told), "\n"), strings.Join(language.Brief(report()), "\n")
		for _, part := range want {
			if !strings.Contains(lines, part) {
				t.Errorf("%s: no %q in\n%s", language, part, lines)
			}
			if before, _, _ := strings.Cut(part, " "); strings.Contains(quiet, before) {
				t.Errorf("%s: nobody was moved and nothing recalled, and it says\n%s", language, quiet)
			}
		}
	}
}

// TestWhoGetsNothingOfTheirOwnIsToldWithTheReason: in report and preview, also where loudspeakers alone were heard.
func TestWhoGetsNothingOfTheirOwnIsToldWithTheReason(t *testing.T) {
	r := report()
	r.Lanes, r.NoAddress, r.OptedOut, r.NoRoute, r.Untold = nil, 1200, 3, 40, 5000
	p := &pb.PreviewResponse{People: 7, NoRoute: 40, Untold: 5000}
	for language, want := range map[Language][2]string{
		"en": {"Told nothing of their own 6,243 (no address 1,200, opted out 3, no carrier serves the number 40, no channel of their own in the table 5,000)",
			"Told nothing of their own 5,040 (no carrier serves the number 40, no channel of their own in the table 5,000)"},
		"zh-CN": {"不单独通知 6,243 人\uff08无地址 1,200、已退订 3、无可用线路 40、渠道表未安排个人渠道 5,000\uff09", "不单独通知 5,040 人\uff08无可用线路 40、渠道表未安排个人渠道 5,000\uff09"},
	} {
		for at, lines := range [][]string{language.Brief(r), language.Preview(p)} {
			if !slices.Contains(lines, want[at]) {
				t.Errorf("%s: no %q in\n%s", language, want[at], strings.Join(lines, "\n"))
			}
		}
		if quiet := strings.Join(language.Brief(report()), "\n"); strings.Contains(quiet, want[0][:12]) {
			t.Errorf("%s: nobody is left out, and it says\n%s", language, quiet)
		}
	}
}

func TestAReportWithoutEndOrPlanSaysSo(t *testing.T) {
	r := report()
	r.FinishedAt, r.Waiting = nil, 17
	if got := Language("en").Report(r)[4]; got != "Still waiting 17, not finished" {
		t.Error(got)
	}
	r.Lanes, r.Planned = nil, false
	if got := Language("en").Report(r)[0]; got != "Not released: nobody was told yet" {
		t.Error(got)
	}
}

func TestCSVHasEveryRowWithAllColumns(t *testing.T) {
	var b strings.Builder
	if err := ReportCSV(&b, report()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("got %v, %v", rows, err)
	}
	if got := strings.Join(rows[2], "|"); got != "district|500101|万州区|5|4|0|0|1" {
		t.Error(got)
	}
}

func TestFewPeopleStayHidden(t *testing.T) {
	lines := Language("en").Preview(&pb.PreviewResponse{Few: true, Units: []*pb.PreviewResponse_Unit{{Name: "渝中区", Few: true}}})
	if !strings.HasPrefix(lines[0], "In the area fewer than 20 people") || lines[2] != "  渝中区 (not shown) people" {
		t.Errorf("%q", lines)
	}
}

// TestWhatIsHiddenIsNotSaidToBeFew: a part that is veiled beside one of few people may be of thousands, and is neither few nor 0.
func TestWhatIsHiddenIsNotSaidToBeFew(t *testing.T) {
	p := &pb.PreviewResponse{
		People: 9000, Addressable: 8000, Units: []*pb.PreviewResponse_Unit{{Name: "甲", Few: true}, {Name: "乙", Few: true}, {Name: "丙", People: 5000}},
		Ways: []*pb.PreviewResponse_Way{{Channel: pb.Channel_CHANNEL_SMS, Duty: "public", Few: true}}, Carriers: []*pb.PreviewResponse_Carrier{{Account: "mobile", Few: true}},
	}
	r := report()
	r.ByDistrict = []*pb.ReportResponse_Row{{Key: "500101", Name: "万州区", Few: true}, {Key: "500102", Name: "涪陵区", Planned: 1234}}
	for language, wrong := range map[Language][]string{"en": {"fewer than 20 people\n", " 0s", "fewer than 20 messages"}, "zh-CN": {"少于 20", "0s"}} {
		lines := strings.Join(append(language.Preview(p), language.Report(r)...), "\n") + "\n"
		for _, w := range wrong {
			if strings.Contains(lines, w) {
				t.Errorf("%s: %q in\n%s", language, w, lines)
			}
		}
		if strings.Count(lines, language.say(warning.TextWhyHidden)) != 2 {
			t.Errorf("%s: what is not shown is not explained once each in\n%s", language, lines)
		}
	}
	var b strings.Builder
	if err := ReportCSV(&b, r); err != nil || !strings.Contains(b.String(), "district,500101,万州区,,,,,\n") || !strings.Contains(b.String(), "district,500102,涪陵区,1234,0,0,0,0\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	r.Few, r.Lanes = true, []*pb.LaneCounts{{Channel: pb.Channel_CHANNEL_SMS}}
	if b.Reset(); ReportCSV(&b, r) != nil || !strings.Contains(b.String(), "total,01J,暴雨,,,,,\n") {
		t.Error(b.String())
	}
	if lines := strings.Join(Language("en").Report(r), "\n"); strings.Contains(lines, "0  SMS") || strings.Contains(lines, "people/s") {
		t.Errorf("what is not shown reads as 0:\n%s", lines)
	}
}

// TestAnImportThatShrinksIsRemarked: a cut file leaves most people out, and is taken in like any other.
func TestAnImportThatShrinksIsRemarked(t *testing.T) {
	for before, remarked := range map[int64]bool{0: false, 100: false, 111: false, 112: true, 20_000: true} {
		lines := Language("en").Imported(&pb.ImportResponse{People: 100}, before)
		if got := strings.Contains(strings.Join(lines, "\n"), "people before: if the file is not whole"); got != remarked {
			t.Errorf("100 people after %d: %q", before, lines)
		}
	}
}

func TestProgress(t *testing.T) {
	p := &pb.WatchResponse{Warning: report().GetWarning(), Planned: true, PeoplePerS: 1500, MessagesPerS: 3000, ContractMessagesPerS: 4500,
		Lanes: []*pb.LaneCounts{{Planned: 1000, Waiting: 300, Sending: 100}}}
	if got := Language("en").Progress(p); got != "red rainstorm 600/1,000 people, waiting 400 · 1,500 people/s, 3,000 messages/s (contract 4,500) · completed" {
		t.Error(got)
	}
	p.Planned = false
	if got := Language("zh-CN").Progress(p); got != "红色 暴雨 已完成" {
		t.Error(got)
	}
}

func TestWho(t *testing.T) {
	lines := Language("en").Who(&pb.WhoResponse{Number: "*********0001", Known: true, District: "万州区", Messages: []*pb.WhoResponse_Message{
		{WarningId: "01J", Tier: "red", EventName: "暴雨", Channel: pb.Channel_CHANNEL_SMS, Account: "mobile", State: "delivered"},
		{WarningId: "01K", Tier: "blue", EventName: "大风", Excluded: "opted_out"},
	}})
	want := "*********0001, 万州区\n01J red 暴雨 SMS mobile: delivered, handed over –, receipt –\n01K blue 大风: not sent (opted out)"
	if got := strings.Join(lines, "\n"); got != want {
		t.Error(got)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestAPreviewSaysWhatIsAheadAndWhatIsFaster in both languages.
func TestAPreviewSaysWhatIsAheadAndWhatIsFaster(t *testing.T) {
	p := &pb.PreviewResponse{
		People: 1000, Addressable: 900, Residents: 1800, SecondsToFinish: 60,
		Ways:     []*pb.PreviewResponse_Way{{Channel: pb.Channel_CHANNEL_SMS, Duty: "responsible", People: 40, Messages: 80}},
		Carriers: []*pb.PreviewResponse_Carrier{{Account: "mobile", People: 900, Messages: 1800, ContractMessagesPerS: 60, Seconds: 30, AheadMessages: 1234, AheadSeconds: 20.5}},
	}
	for i := range townsShown + 3 {
		p.Towns = append(p.Towns, &pb.PreviewResponse_Unit{Name: fmt.Sprint("town", i), People: 30})
	}
	for _, how := range []warning.Text{
		warning.TextFasterWords, warning.TextFasterWithout, warning.TextFasterAhead, warning.TextFasterPaused, warning.TextFasterConfigured,
		warning.TextFasterContract, warning.TextFasterArea,
	} {
		p.Faster = append(p.Faster, &pb.PreviewResponse_Faster{
			How: string(how), Account: "mobile", Channel: pb.Channel_CHANNEL_BROADCAST, Language: "zh-CN", From: 2, To: 71, SecondsToFinish: 33,
		})
	}
	for language, want := range map[Language][]string{
		"en":    {"About 1,800 live there (census 2020), 50%", "3 more towns", "SMS (", "40 people, 80 messages", "ahead of it 1,234 messages, 20.5s", "in zh-CN from 2 messages a person to 71, takes 33s", "contract of 71", "tocsin hold", "tocsin channel resume mobile"},
		"zh-CN": {"约有常住人口 1,800", "另有 3 个乡镇街道", "40 人，80 条", "前面有 1,234 条，20.5s", "由每人 2 条缩至 71 条，33s 发完", "提高到 71 条", "tocsin channel resume mobile"},
	} {
		text := strings.Join(language.Preview(p), "\n")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is missing in\n%s", language, part, text)
			}
		}
		if strings.Contains(text, "%!") {
			t.Errorf("%s: a text is filled in wrongly:\n%s", language, text)
		}
	}
}
