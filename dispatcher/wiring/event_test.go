package wiring

import (
	"strings"
	"testing"

	pb "tocsin/proto/tocsin/v1"
)

func TestTierNamed(t *testing.T) {
	for in, want := range map[string]pb.Tier{
		"red": pb.Tier_TIER_RED, "Orange": pb.Tier_TIER_ORANGE, "橙色": pb.Tier_TIER_ORANGE, "橙": pb.Tier_TIER_ORANGE, "提示": pb.Tier_TIER_NOTICE,
		"": 0, "unspecified": 0, "色": 0, "橘色": 0, "oragne": 0,
	} {
		if got := TierNamed(in); got != want {
			t.Errorf("%q is %v", in, got)
		}
	}
}

func TestEventCode(t *testing.T) {
	for in, want := range map[string]string{"山洪": "11A51", "11A51": "11A51", "nobody knows": "nobody knows"} {
		if got, err := EventCode(in); got != want || err != nil {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	if _, err := EventCode("forest"); err == nil || !strings.Contains(err.Error(), "11B25") || !strings.Contains(err.Error(), "11G01") {
		t.Errorf("a name of two: %v", err)
	}
}
