package warning

import (
	"testing"
	"time"
)

func TestHours(t *testing.T) {
	for _, s := range []string{"22:00-07:00", "00:00-23:59", "07:30-22:00"} {
		h, err := ParseHours(s)
		if err != nil || h.String() != s {
			t.Errorf("%q: %v, %v", s, h, err)
		}
		from := time.Date(2026, 6, 13, 0, h[0], 0, 0, China)
		until := time.Date(2026, 6, 13, 0, h[1], 0, 0, China)
		if !h.Has(from.UTC()) || h.Has(from.Add(-time.Nanosecond)) || h.Has(until) || !h.Has(until.Add(-time.Nanosecond)) {
			t.Errorf("%s has not its ends right", s)
		}
	}
	for _, s := range []string{"", "22-07", "24:00-07:00", "7:00-8:00", "07:00-07:00", "-1:00-07:00", "07:60-08:00", "07:00-08:00x"} {
		if h, err := ParseHours(s); err == nil || h != (Hours{}) {
			t.Errorf("%q passed as %v", s, h)
		}
	}
	if !(Hours{}).Has(time.Unix(0, 0)) {
		t.Error("no hours are all hours")
	}
}

func TestMoment(t *testing.T) {
	m, err := ParseMoment("2026-12-31T00:00:00Z")
	if err != nil || m.String() != "2026-12-31T08:00:00+08:00" {
		t.Error(m, err)
	}
	if again, err := ParseMoment(m.String()); err != nil || again != m {
		t.Error(again, err)
	}
	if _, err := ParseMoment("2026-12-31 00:00:00"); err == nil {
		t.Error("a time without its offset passed")
	}
}

func TestDuties(t *testing.T) {
	for _, d := range Duties {
		if got, err := ParseDuty(d.String()); err != nil || got != d {
			t.Error(d, got, err)
		}
	}
	if _, err := ParseDuty("everybody"); ReasonOf(err) != ReasonInvalid {
		t.Error(err)
	}
}
