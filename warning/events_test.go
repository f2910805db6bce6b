package warning

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestTheUsualValidityIsProposed: a missing end is refused, with the usual one of the signal, and with none where there is
// no such signal.
func TestTheUsualValidityIsProposed(t *testing.T) {
	for _, c := range []struct {
		event string
		tier  Tier
		want  string
	}{
		{"11B03", Yellow, "--for 6h"}, {"11B03", Red, "--for 3h"}, {"11B09", Yellow, "--for 72h"}, {"11B16", Red, "now plus 6 h"},
		{"11A51", Red, "now plus 6 h"}, {"11B03", Notice, "now plus 6 h"},
	} {
		var e *Error
		if !errors.As(Spec{Event: c.event, Tier: c.tier}.Validate(time.Now()), &e) {
			t.Fatal("an empty warning is taken")
		}
		for _, v := range e.Violations {
			if v.Rule == "expires.missing" && !strings.Contains(v.Remedy, c.want) {
				t.Errorf("%s %s: %q", c.event, c.tier, v.Remedy)
			}
		}
	}
	for code := range usualHours {
		if _, ok := EventOf(code); !ok {
			t.Errorf("%s is no event", code)
		}
	}
}

func TestEventsNamed(t *testing.T) {
	for in, want := range map[string]string{
		"11b03": "11B03", "暴雨": "11B03", " Rainstorm ": "11B03", "flood": "11A01", "flash": "11A51", "雷雨": "11B20",
		"火灾": "11G01 11G05", "dust": "", "": "", "11B": "",
	} {
		var got []string
		for _, e := range EventsNamed(in) {
			got = append(got, e.Code)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q means %v, want %q", in, got, want)
		}
	}
}
