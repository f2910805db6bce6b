package warning

import "testing"

// TestWhatATextLacksReadsChinese: the field, and what to do.
func TestWhatATextLacksReadsChinese(t *testing.T) {
	for field, says := range wanted {
		v := Violation{Rule: "words.field." + field, Detail: "the alert words in zh-CN need it", Remedy: says[1]}
		if in := v.In(Languages[0]); in.Detail == v.Detail || in.Remedy == v.Remedy {
			t.Errorf("%s: %s", field, in.Text())
		}
	}
	for _, v := range CheckContacts("see http://x.example or call 99900000012", nil) {
		if in := v.In(Languages[0]); in.Detail == v.Detail || in.Remedy == v.Remedy {
			t.Errorf("%s: %s", v.Rule, in.Text())
		}
	}
	if got := SayRefusal(Languages[0], `--area "x" means several: say a/b or c/b`); got != `--area "x" 有多个可能：请写明 a/b 或 c/b` {
		t.Error(got)
	}
}
