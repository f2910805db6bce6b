package warning_test

import (
	"strings"
	"testing"

	"tocsin/warning"
)

func TestRefusalsInChinese(t *testing.T) {
	for _, c := range []struct{ rule, detail, remedy, want string }{
		{"area.ring.open", "the ring is open: it begins at [106.5 29.5] and ends at [106.6 29.5]", "end the ring with its first point",
			"环未闭合：起点 [106.5 29.5]，终点 [106.6 29.5] (请以第一个点结束该环)"},
		{"approve.people.large", "the area is 60 % of the jurisdiction (limit for orange: 50 %) and holds 1200 people", "agree with the head count: --people 1200",
			"区域占辖区 60 %（橙色上限 50 %），共 1200 人 (请确认人数：--people 1200)"},
		{"references.status", "the warning that it follows is exercise", "", "它所跟随的预警状态为演练（模拟）"},
		{"string.max_len", "must be at most 1000 characters", "make it shorter", "最多 1000 个字符 (请缩短)"},
		{"string.pattern", "does not match regex pattern `^[0-9]{8,15}$`", "give the digits with the country code, without plus, blanks or dashes", "格式不符：`^[0-9]{8,15}$` (请写带国家代码的数字，不带加号、空格或横线)"},
		{"no.such_rule", "something new", "do this", "something new (do this)"},
	} {
		v := warning.Violation{Rule: c.rule, Detail: c.detail, Remedy: c.remedy}
		if got := v.In("zh-CN").Text(); got != c.want {
			t.Errorf("%s: %s, want %s", c.rule, got, c.want)
		}
		if got := v.In("en"); got != v {
			t.Errorf("in English %s reads %s", c.rule, got)
		}
	}
	if got := warning.SayRefusal("zh-CN", "the warning is held; only a submitted one can be approved"); !strings.Contains(got, "已暂停") {
		t.Error(got)
	}
}
