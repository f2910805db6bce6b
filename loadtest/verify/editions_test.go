package verify

import (
	"strings"
	"testing"
	"time"

	tocsinv1 "tocsin/proto/tocsin/v1"
)

// halves are two towns that share the unit 500103 of squares, as they are imported.
const halves = `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"code9":"500103001","name":"west"},"geometry":{"type":"Polygon","coordinates":[[[106,29],[106.5,29],[106.5,30],[106,30],[106,29]]]}},
{"type":"Feature","id":500103002000,"properties":{"name":"east"},"geometry":{"type":"Polygon","coordinates":[[[106.5,29],[107,29],[107,30],[106.5,30],[106.5,29]]]}}]}`

const edition = "2025-11@0123456789ab"

// TestAnImportedOutlineIsJudged: who is in a town is who is in its outline, of the edition that the warning names.
func TestAnImportedOutlineIsJudged(t *testing.T) {
	for _, c := range []struct {
		name  string
		got   []int
		fault string
	}{
		{"who is there", []int{1}, ""},
		{"nobody", nil, "1 people lost"},
		{"who is in the other town", []int{1, 2}, "1 people got what was not for them"},
	} {
		w := newWorld(t)
		w.warn("W1", "500103001").Spec.Areas[0].Edition = edition
		w.person(1, 106.2, 29.5, "zh-CN", "public", "")
		w.person(2, 106.7, 29.5, "zh-CN", "public", "")
		w.textNo("mobile", 0, []byte("a log has to begin"))
		for _, n := range c.got {
			w.hand("mobile", n, chinese, release.Add(time.Second))
		}
		in := w.input()
		if _, err := Run(in); err == nil || !strings.Contains(err.Error(), edition) {
			t.Errorf("%s: without the file: %v", c.name, err)
		}
		in.Editions = map[string]Edition{edition: {[]byte(halves), "wgs84"}}
		v, err := Run(in)
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, c.name, v, c.fault)
	}
}

// TestPresenceByTowns: whose home is in which town counts where a warning names towns by their outlines, and their district
// where it names that.
func TestPresenceByTowns(t *testing.T) {
	units, err := outlines([]byte(squares))
	if err != nil {
		t.Fatal(err)
	}
	if err := addEditions(units, map[string]Edition{edition: {[]byte(halves), "wgs84"}}); err != nil {
		t.Fatal(err)
	}
	west, east, beyond := degrees(106.2, 29.5), degrees(106.7, 29.5), degrees(107.1, 29.1)
	now := uint32(release.Unix() / 60)
	rule := &Presence{Within: time.Hour, Both: []tocsinv1.Tier{tocsinv1.Tier_TIER_RED}}
	for _, c := range []struct {
		name            string
		who             row
		town, townByAll bool // the western town is named, and for a tier that takes place and home
		district        bool
	}{
		{"at home", row{at: west, home: "500103001", seen: now - 100}, true, true, true},
		{"in the other town lately", row{at: east, home: "500103001", seen: now - 1}, false, true, true},
		{"in the other town long ago", row{at: east, home: "500103001", seen: now - 100}, true, true, true},
		{"a guest of long ago", row{at: west, home: "500103002", seen: now - 100}, false, true, true},
		{"a guest of just now", row{at: west, home: "500103002", seen: now - 1}, true, true, true},
		{"abroad long ago", row{at: beyond, home: "500103002", seen: now - 100}, false, false, true},
		{"abroad just now", row{at: beyond, home: "500103001", seen: now - 1}, false, true, false},
	} {
		for i, want := range []bool{c.town, c.townByAll, c.district} {
			w := newWorld(t).warn("w", "500103001")
			w.Spec.Tier = []tocsinv1.Tier{tocsinv1.Tier_TIER_ORANGE, tocsinv1.Tier_TIER_RED, tocsinv1.Tier_TIER_ORANGE}[i]
			if w.Spec.Areas[0].Edition = edition; i == 2 {
				w.Spec.Areas[0] = newWorld(t).warn("w", "500103").Spec.Areas[0]
			}
			a, err := areaOf(w.GetSpec(), units)
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.counts(w, a, units, &c.who) == in; got != want {
				t.Errorf("%s, %d: counts %t", c.name, i, got)
			}
		}
	}
}

// TestATownWithoutAnOutline is whose home it is, as far as they are not seen beyond its district.
func TestATownWithoutAnOutline(t *testing.T) {
	units, err := outlines([]byte(squares))
	if err != nil {
		t.Fatal(err)
	}
	here, beyond := degrees(106.7, 29.5), degrees(107.1, 29.1)
	now := uint32(release.Unix() / 60)
	rule := &Presence{Within: time.Hour, Both: []tocsinv1.Tier{tocsinv1.Tier_TIER_RED}}
	for _, c := range []struct {
		name        string
		who         row
		orange, red bool
	}{
		{"never seen", row{at: beyond, home: "500103001"}, true, true},
		{"in the district just now", row{at: here, home: "500103001", seen: now}, true, true},
		{"beyond it just now", row{at: beyond, home: "500103001", seen: now}, false, true},
		{"beyond it long ago", row{at: beyond, home: "500103001", seen: now - 100}, true, true},
		{"of another town", row{at: here, home: "500103002", seen: now}, false, false},
		{"of the district", row{at: here, home: "500103"}, false, false},
	} {
		for tier, want := range map[tocsinv1.Tier]bool{tocsinv1.Tier_TIER_ORANGE: c.orange, tocsinv1.Tier_TIER_RED: c.red} {
			w := newWorld(t).warn("w", "500103001000")
			w.Spec.Tier = tier
			a, err := areaOf(w.GetSpec(), units)
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.counts(w, a, units, &c.who) == in; got != want {
				t.Errorf("%s, %s: counts %t", c.name, tier, got)
			}
		}
	}
	w := newWorld(t)
	w.warn("W1", "500103001")
	w.person(1, 106.2, 29.5, "zh-CN", "public", "")
	w.person(2, 106.2, 29.5, "zh-CN", "public", "")
	w.people[1] = strings.Replace(w.people[1], "500103", "500103001", 1)
	w.hand("mobile", 2, chinese, release.Add(time.Second))
	wanted(t, "by home", w.run(), "")
	for code, want := range map[string]string{"500103": "500103000000", "500103001": "500103001000", "500103001002": "500103001002", "": ""} {
		if got := twelve(code); got != want {
			t.Errorf("%q is %q for a platform", code, got)
		}
	}
}
