package warning

import (
	"strings"
	"testing"
)

// TestNumbersThatAreNotToCall is what warnings are full of: none of it may be taken for a phone number.
func TestNumbersThatAreNotToCall(t *testing.T) {
	for _, text := range []string{
		"重庆市气象台2026年6月13日14时05分发布暴雨红色预警:未来3小时降雨100-150毫米,累计1200毫米以上",
		"有效至2026-06-13 18:00，2026-06-13T18:00:00+08:00，2026/6/13，20260613",
		"阵风120公里/小时，G110国道中断，气温38.5℃，影响32054159人、12,500户",
		"二〇二六年六月，一百二十毫米，三三两两",
		"未来24小时最大降雨量可达250毫米，水位175.25米，流量75000立方米每秒",
		"渝府发〔2026〕6号；第12345号公告；３０００人；占95.5%",
		"Rain of 120 mm until 18:00 on 13 June 2026. 600 000 people, 12,000,000 residents, wind 80-120 km/h.",
		"valid until 25 Nov 04:40, 13.06.2026, 2026 12 districts. 120 mm fell; 119 km/h. e.g. 5 p.m.",
		"",
	} {
		if got := CheckContacts(text, nil); len(got) > 0 {
			t.Errorf("%s\n\ttaken for contacts: %v", text, got)
		}
	}
}

func TestContactsAreFound(t *testing.T) {
	for _, text := range []string{
		"咨询电话9991234567", "咨询电话：999-123-4567。", "致电 999 1234 567", "拨打９９９１２３４５６７", "请拨一一〇", "幺幺零报警", "请拨打110",
		"Call 112", "call us on 9991", "call now 999 123", "(0999) 123 456", "+999 12 345 678", "9991234567人工服务电话999123", "服务号12345", "微信号码99912",
		"0900-9990人", "tip line 99 91 23 45", "拨\u200b打9\u200b9\u200b9\u200b1\u200b2", "20260613123456789",
		"详见 https://example.org/a?b=1。", "见example.org", "www.example.org/x", "info@example.org", "HTTP://EXAMPLE.ORG", "tel:99912", "例子.中国", "例子.com",
		"ехample.org", "12379.cn", "https://10.0.0.1/x", "10.20.30.40", "ｅｘａｍｐｌｅ．ｏｒｇ",
	} {
		if len(CheckContacts(text, nil)) == 0 {
			t.Errorf("%q was admitted", text)
		}
	}
}

func TestVerifiedContactsAreAdmitted(t *testing.T) {
	verified := []string{"999-1234567", "example.org", "https://example.net/alerts", "110"}
	for _, text := range []string{
		"咨询电话9991234567", "call 999 123 4567", "http://example.org/deep/page", "见example.org。", "example.net/alerts", "https://EXAMPLE.net/alerts/", "请拨打110", "请拨一一〇",
	} {
		if got := CheckContacts(text, verified); len(got) > 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, text := range []string{
		"9991234568", "evil-example.org", "https://example.org@example.com/", "https://example.org.example.com", "example.net", "https://example.net/alerts/x", "sub.example.org", "mailto:a@example.org",
	} {
		if len(CheckContacts(text, verified)) == 0 {
			t.Errorf("%q was admitted", text)
		}
	}
}

// TestTheDutchTipLine replays 24 June 2019: a national warning that 112 could not be reached carried the number of a
// newspaper's tip line, and readers called that instead.
func TestTheDutchTipLine(t *testing.T) {
	s := validSpec()
	s.Words = []Words{{Language: "zh-CN", Kind: Alert, Text: "报警电话中断，有效至20时00分。请致电9990000001。"}, {Language: "en", Kind: Alert, Text: "Emergency calls fail until 20:00. Call 999-000-0002."}}
	got := s.Contacts(Desk{Hotline: "9990000001"})
	if len(got) != 1 || got[0].Field != "warning.words[1].text" || got[0].Rule != "words.number" || !strings.Contains(got[0].Detail, "999-000-0002") {
		t.Fatalf("want the tip line alone refused, got %v", got)
	}
}

func FuzzCheckContacts(f *testing.F) {
	for _, s := range []string{"咨询电话999-123-4567", "见example.org。", "一一〇", "+(9", "2026-06-13 18:00", "9\u200b9", "\xff9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range CheckContacts(text, nil) {
			if v.Rule == "" || v.Detail == "" || v.Remedy == "" {
				t.Errorf("%+v", v)
			}
		}
		// Whatever stands before it, a number that people are told to call is found.
		if len(CheckContacts(text+"\n请致电9990000001。", nil)) == 0 {
			t.Errorf("hidden by %q", text)
		}
	})
}
