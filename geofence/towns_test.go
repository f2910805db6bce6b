package geofence_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/geofence"
	"tocsin/warning"
)

func codes(found []geofence.Named) (out []string) {
	for _, n := range found {
		out = append(out, n.Code)
	}
	return out
}

func TestUnitsByName(t *testing.T) {
	for name, want := range map[string][]string{
		"开州区/铁桥镇": {"500154119"}, "开州/铁桥": {"500154119"}, "铁桥镇": {"500154119"}, "铁桥": nil,
		"万州": {"500101"}, "石柱土家族自治县": {"500240"}, "涪陵区": {"500102"}, "wànzhōu qū": {"500101"},
		"nowhere": nil, "": nil, "万州区/铁桥镇": nil,
	} {
		if got := codes(geofence.UnitsNamed(name, time.Time{})); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if spoken := geofence.UnitsNamed("万盛", time.Time{}); len(spoken) != 1 || spoken[0].Code != "500110" || spoken[0].Note == "" {
		t.Errorf("万盛 has no code of its own: %v", spoken)
	}
	several := geofence.UnitsNamed("龙潭镇", time.Time{})
	if len(several) < 2 || several[0].Name == several[1].Name {
		t.Errorf("龙潭镇 is in two districts: %v", several)
	}
}

// TestUnitsThatHaveEnded are named with their last day, and their towns too; what came after them is found by its name, although
// no outline of it is shipped.
func TestUnitsThatHaveEnded(t *testing.T) {
	for _, c := range []struct {
		name, day string
		code      string
		asOf      string
		sure      bool
	}{
		{"渝北", "2025-11-06", "500112", "2025-11-05", false}, {"渝北", "2025-11-05", "500112", "", true},
		{"渝北区/回兴街道", "2026-11-30", "500112004", "2025-11-05", false}, {"渝北区/回兴街道", "2025-11-05", "500112004", "", true},
		{"两江新区", "2025-11-06", "500157", "", true}, {"两江新区", "2025-11-05", "", "", false},
		{"两江", "2026-11-30", "", "", false}, {"万州", "2026-11-30", "500101", "", true},
	} {
		day, err := geofence.Day(c.day)
		if err != nil {
			t.Fatal(err)
		}
		found := geofence.UnitsNamed(c.name, day)
		if c.code == "" && len(found) == 0 {
			continue
		}
		if len(found) != 1 || found[0].Code != c.code || found[0].AsOf != c.asOf || found[0].Sure() != c.sure || found[0].Unsurveyed != (c.code == "500157") {
			t.Errorf("%s on %s: %+v", c.name, c.day, found)
		}
	}
}

// TestShortNamesAreProposed reads the text of a warning: what it names is proposed, and what has no code of its own is
// marked.
func TestShortNamesAreProposed(t *testing.T) {
	found := geofence.UnitsIn("预计13日17时到14日08时我市黔江、涪陵、南川、綦江、武隆、丰都、忠县、垫江、石柱、秀山、酉阳、彭水、万盛等地的部分地区雨量将达50mm以上，开州区铁桥镇注意。", time.Time{})
	var got []string
	for _, p := range found {
		got = append(got, p.Text)
	}
	if want := []string{"黔江", "涪陵", "南川", "綦江", "武隆", "丰都", "忠县", "垫江", "石柱", "秀山", "酉阳", "彭水", "万盛", "开州区", "铁桥镇"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for _, p := range found {
		if p.Text == "万盛" && (len(p.Means) != 1 || p.Means[0].Code != "500110" || p.Means[0].Note == "") {
			t.Errorf("万盛 means %v", p.Means)
		}
	}
}

// TestTownsAreFoundByHome: a town has no outline, so its people are those whose home has its code, but for those who were
// seen outside of its district lately.
func TestTownsAreFoundByHome(t *testing.T) {
	const town, day = 500154119, 30_000_000
	here, away := [2]float64{108.12, 31.04}, [2]float64{106.55, 29.56}
	at := func(p [2]float64, home, seen uint32) row { return row{lon: p[0], lat: p[1], home: home, seen: seen} }
	s, bad := geofence.Build(columns(
		at(here, town, 0), at(away, town, 0), at(here, town, day-10), at(away, town, day-1000), // four who count
		at(away, town, day-10),                             // seen elsewhere lately
		at(here, 500154, 0), at(here, 500154120, day-1000), // neighbours
	))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	r := geofence.NewRevision(s)
	for _, code := range []string{"500154119", "500154119000"} {
		for both, want := range map[bool]int64{false: 4, true: 5} {
			sel, err := r.Resolve([]warning.Area{{Unit: code}}, warning.Presence{Now: day, Within: 360, Both: both})
			if err != nil || sel.People() != want {
				t.Errorf("%s, both %t: %d people: %v", code, both, sel.People(), err)
			}
		}
	}
	if remarks := r.Remarks([]warning.Area{{Unit: "500101"}, {Unit: "500154119"}}); len(remarks) != 1 || remarks[0].Field != "areas[1]" {
		t.Errorf("%v", remarks)
	}
	for code, rule := range map[string]string{"500154999": "area.unit.unknown", "500154119201": "area.unit.village", "500101000000": "area.unit.unknown"} {
		_, err := r.Resolve([]warning.Area{{Unit: code}}, warning.Presence{})
		var e *warning.Error
		if !errors.As(err, &e) || e.Violations[0].Rule != rule {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestAnOutlineOfAWebMapIsRemarked: the outline of a district, moved as public web maps move it, is passed off as WGS-84.
func TestAnOutlineOfAWebMapIsRemarked(t *testing.T) {
	s, _ := geofence.Build(columns(row{number: n0, lon: 108.4, lat: 30.8}))
	r := geofence.NewRevision(s)
	given := outlines(t)[500101]
	if remarks := r.Remarks([]warning.Area{given}); len(remarks) != 0 {
		t.Errorf("as it is: %v", remarks)
	}
	moved := warning.Area{CRS: "wgs84"}
	for _, part := range given.Polygons {
		var rings []warning.Ring
		for _, ring := range part {
			var out warning.Ring
			for _, p := range ring {
				q, err := geofence.Convert(p, "wgs84", "gcj02")
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, q)
			}
			rings = append(rings, out)
		}
		moved.Polygons = append(moved.Polygons, rings)
	}
	remarks := r.Remarks([]warning.Area{moved})
	if len(remarks) != 1 || remarks[0].Rule != "area.crs.suspicious" || remarks[0].Remedy != "if that is what they are, say it: --crs gcj02" {
		t.Errorf("moved: %v", remarks)
	}
}

// TestATownBelongsToItsDistrict: who may warn a district may warn its towns, and nobody else.
func TestATownBelongsToItsDistrict(t *testing.T) {
	areas := []warning.Area{{Unit: "500154119"}, {Unit: "500101"}}
	for code, inside := range map[string]bool{"500000": true, "500101": false} {
		j, err := geofence.NewJurisdiction(code, geofence.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if beyond, _, err := j.Border(areas); err != nil || beyond.Share == 0 != inside {
			t.Errorf("%s: %v, %v", code, beyond, err)
		}
		clipped, err := j.Clip(areas)
		if inside && (err != nil || clipped[0].Unit != "500154119") || !inside && err == nil {
			t.Errorf("%s: clipped to %v, %v", code, clipped, err)
		}
	}
	j, _ := geofence.NewJurisdiction("500000", geofence.DefaultLimits())
	if !j.Within(areas[:1], []string{"500154"}) || j.Within(areas[:1], []string{"500101"}) {
		t.Error("a paper for a district does not hold for its towns alone")
	}
}

// FuzzUnitNames: what a name means is a unit that a warning may name, and a proposal stands in the text.
func FuzzUnitNames(f *testing.F) {
	for _, s := range []string{"万州", "开州区/铁桥镇", "龙潭镇", "万盛", "wànzhōu qū", "黔江、涪陵等地", "/", "\xff州", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, n := range geofence.UnitsNamed(text, time.Time{}) {
			if n.Code == "" || n.Name == "" {
				t.Fatalf("%q is %+v", text, n)
			}
		}
		for _, p := range geofence.UnitsIn(text, time.Time{}) {
			if p.Text == "" || !strings.Contains(text, p.Text) || len(p.Means) == 0 {
				t.Fatalf("%q proposes %+v", text, p)
			}
		}
	})
}

// TestNamesOfImportedUnits are those of the file, with or without the district.
func TestNamesOfImportedUnits(t *testing.T) {
	units := []geofence.OutlinedUnit{{Code: "500157", Name: "两江新区"}, {Code: "500154900", Name: "新镇"}, {Code: "500101900", Name: "新镇"}, {Code: "500101901", Name: "独镇"}}
	for name, want := range map[string][]string{
		"两江新区": {"500157"}, "新镇": {"500154900", "500101900"}, "开州/新镇": {"500154900"}, "万州区/新镇": {"500101900"}, " 独镇": {"500101901"}, "镇": nil, "": nil,
	} {
		if got := codes(geofence.NamedAmong(name, units)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
