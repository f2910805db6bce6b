package warning

import (
	"testing"
	"time"
)

func TestTheSameWarningLaterHasTheSameContent(t *testing.T) {
	first := Spec{Event: "11B03", Tier: Red, Expires: time.Unix(100, 0), Words: []Words{{Language: "zh-CN", Kind: Alert, Text: "暴雨"}}}
	for name, c := range map[string]struct {
		change func(*Spec)
		same   bool
	}{
		"a later end":   {func(s *Spec) { s.Expires = time.Unix(160, 0) }, true},
		"an onset":      {func(s *Spec) { s.Onset = time.Unix(50, 0) }, true},
		"said again":    {func(s *Spec) { s.Again = true }, true},
		"another tier":  {func(s *Spec) { s.Tier = Orange }, false},
		"other words":   {func(s *Spec) { s.Words = []Words{{Language: "zh-CN", Kind: Alert, Text: "大风"}} }, false},
		"another stage": {func(s *Spec) { s.Stage = "0h" }, false},
	} {
		next := first
		c.change(&next)
		if DigestOf(next) == DigestOf(first) {
			t.Errorf("%s: what is approved has the same digest", name)
		}
		if (ContentOf(next) == ContentOf(first)) != c.same {
			t.Errorf("%s: the content is the same: %t, want %t", name, !c.same, c.same)
		}
	}
}
