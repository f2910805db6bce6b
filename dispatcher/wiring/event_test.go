package wiring

import (
	"strings"
	"testing"
)

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
